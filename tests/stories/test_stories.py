"""Every story, at every tap that it names; and together they take every row of the transition table."""

import numpy as np
import pytest

from processor.tcp import step
from processor.tcp.figure5 import ANYWHERE, NEXT, ROWS
from synfin.compiled import ENABLED
from synfin.wire.event import CONN_STATES, HISTORY_LETTERS, MICRO_EVENTS, STATES
from tests.support.story import check, moves, read, stories

TAPS = [pytest.param(path, tap, id=f"{read(path).name} at {tap}") for path in stories() for tap in read(path).taps]
A_VIEW_OF_ITS_OWN = "a new incarnation is a view of its own, and its record begins again"
NEVER_WITHIN_ONE_RECORD = {
    ("CLOSED", "TX_SYN"): A_VIEW_OF_ITS_OWN,
    ("TIME-WAIT", "TX_SYN"): A_VIEW_OF_ITS_OWN,
    ("TIME-WAIT", "RX_SYN_NEW"): A_VIEW_OF_ITS_OWN,
}


@pytest.mark.parametrize(("path", "tap"), TAPS)
def test_the_story_is_what_the_core_makes_of_its_packets(path, tap):
    check(path, tap)


def test_the_stories_take_every_row_of_the_table():
    taken = set().union(*(moves(path) for path in stories()))
    untold = {
        (row.state, row.event)
        for row in ROWS
        if not any((row.state, row.event, row.to, row.only or opened) in taken for opened in ("passive", "active"))
    }
    assert untold == set(NEVER_WITHIN_ONE_RECORD)
    assert {event for _, event, to, _ in taken if to == "CLOSED"} >= set(ANYWHERE)


def test_the_stories_take_no_step_that_the_table_does_not_have():
    taken = {(state, event, to) for path in stories() for state, event, to, _ in moves(path) if event not in ANYWHERE}
    assert taken <= {(row.state, row.event, row.to) for row in ROWS}


def test_the_stories_have_every_name_and_letter_of_zeek():
    told = [
        words.split()
        for path in stories()
        for c in read(path).connections
        for (_, key), words in c.told.items()
        if key == "zeek"
    ]
    assert {name for name, _ in told} == set(CONN_STATES)
    assert set("".join(history for _, history in told).upper()) == {*HISTORY_LETTERS.strip(), "+"}


def _fails(path):
    try:
        for tap in read(path).taps:
            check.__wrapped__(path, tap)  # as it is now, and not as it was
    except AssertionError:
        return True
    return False


@pytest.mark.skipif(ENABLED, reason="the table is compiled in")
def test_a_row_that_says_something_else_makes_a_story_fail(monkeypatch):
    told = {path: {move[:3] for move in moves(path)} for path in stories()}
    unnoticed = set()
    for row in ROWS:
        place = np.s_[:, STATES.index(row.state), MICRO_EVENTS.index(row.event)]
        with monkeypatch.context() as patch:
            table = NEXT.copy()
            # Nothing happens; but where a timer is, another state, for a timer that changes nothing fires for ever.
            table[place] = STATES.index("LISTEN" if row.event == "T_STATE" else row.state)
            patch.setattr(step, "NEXT", table)
            if not any(_fails(path) for path, taken in told.items() if (row.state, row.event, row.to) in taken):
                unnoticed.add((row.state, row.event))
    assert unnoticed == set(NEVER_WITHIN_ONE_RECORD)


def test_every_story_has_two_lines_of_words():
    for path in stories():
        assert all(30 < len(words) <= 130 for words in read(path).words), path
