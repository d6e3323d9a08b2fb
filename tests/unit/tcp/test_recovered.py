"""`halfopen.recovered`: RFC 9293 Figure 9 from every tap, and not without each of the three packets that it takes."""

import pytest

from synfin.wire.event import EVENT_KINDS, SIDES
from tests.support.story import BLANK, END_OF_FILE, STORIES, Telling, read

KIND = EVENT_KINDS.index("halfopen.recovered")
FIGURE_9 = read(STORIES / "abort" / "figure_09_half_open_discovery.story")


def recovered(tap, swapped, without=""):
    """The event's rows, as a tap tells the story without a line."""
    telling = Telling(FIGURE_9, tap, swapped)
    for connection in FIGURE_9.connections:
        for line in connection.lines:
            seen = line.between if tap in ("both", "middle") else tap in line.seen_at
            telling.apply(
                line.t_ns, telling.segment(line) if seen and not line.text.startswith(without or "-") else BLANK[:0]
            )
    telling.apply(FIGURE_9.connections[-1].lines[-1].t_ns, end=END_OF_FILE)
    return [event for records in telling.records for event in records.events if event["kind"] == KIND]


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("tap", ["A", "B", "both", "middle"])
def test_every_tap_tells_it_once_and_who_had_forgotten(tap, swapped):
    (event,) = recovered(tap, swapped)
    assert SIDES[event["by"]] == "orig"


@pytest.mark.parametrize("without", ["10.000", "10.001", "10.010"])
@pytest.mark.parametrize("tap", ["A", "B", "both", "middle"])
def test_it_takes_the_syn_the_answer_and_the_rst(tap, without):
    assert recovered(tap, False, without) == []
