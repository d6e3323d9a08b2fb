"""The table of transitions: one row for a cell, and the whole of it as it was reviewed."""

from pathlib import Path

import pytest

from processor.tcp import figure5
from processor.tcp.figure5 import ANYWHERE, MEANING, NEXT, ROWS, Row
from synfin.view.figure5_text import grid
from synfin.wire.event import MICRO_EVENTS, STATES

REVIEWED = Path(__file__).with_name("figure5.txt")


def test_two_rows_for_one_cell_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = Row("ESTABLISHED", "TX_FIN", "CLOSED", "another end")
    monkeypatch.setattr(figure5, "ROWS", (*ROWS, twice))
    with pytest.raises(ValueError, match="two rows for TX_FIN in ESTABLISHED"):
        figure5.dense("active")


def test_a_row_for_one_way_of_opening_stands_beside_that_for_the_other() -> None:
    state, event = STATES.index("SYN-RECEIVED"), MICRO_EVENTS.index("RX_RST")
    assert [STATES[NEXT[way, state, event]] for way in (0, 1)] == ["LISTEN", "CLOSED"]


def test_every_row_is_in_the_table_and_nothing_else_changes_a_state() -> None:
    for way, only in enumerate(("passive", "active")):
        told = {(row.state, row.event): row.to for row in ROWS if row.only in ("", only)}
        for s, state in enumerate(STATES):
            for e, event in enumerate(MICRO_EVENTS):
                expected = "CLOSED" if event in ANYWHERE else told.get((state, event), state)
                assert STATES[NEXT[way, s, e]] == expected


def test_the_grid_is_the_reviewed_one() -> None:
    """After a change of the table: look at the difference, then write the file anew by `synfin figure5`."""
    assert grid(ROWS, MEANING, ANYWHERE) == REVIEWED.read_text().splitlines()
