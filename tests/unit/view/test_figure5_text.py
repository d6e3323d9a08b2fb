"""The table for a reader holds what the table holds."""

from processor.tcp.figure5 import ANYWHERE, MEANING, NEXT, ROWS
from synfin.cli import main
from synfin.view.figure5_text import SHORT, grid, listing, mermaid
from synfin.wire.event import MICRO_EVENTS, STATES


def test_every_cell_of_the_grid_is_the_code_s():
    lines = grid(ROWS, MEANING, ANYWHERE)
    assert max(map(len, lines[: 1 + len(MEANING)])) <= 80
    assert lines[0].split() == list(SHORT.values())
    for line in lines[1 : 1 + len(MEANING)]:
        event, *cells = line.split()
        for state, cell in zip(SHORT, cells, strict=True):
            s, e = STATES.index(state), MICRO_EVENTS.index(event)
            passive, active = (SHORT[STATES[NEXT[i, s, e]]] for i in range(2))
            shown = [SHORT[state]] * 2 if cell == "." else cell.split("/") if "/" in cell else [cell] * 2
            assert shown == [passive, active], (event, state)


def test_the_listing_has_a_line_for_each_row():
    lines = listing(ROWS)
    assert len(lines) == 1 + len(ROWS)
    for line, row in zip(lines[1:], ROWS, strict=True):
        assert line.split()[:3] == [row.state, row.event, row.to]
        assert row.action in line


def test_the_diagram_has_an_arrow_for_each_pair_and_names_every_event():
    lines = mermaid(ROWS).splitlines()
    assert lines[0] == "stateDiagram-v2"
    for state in SHORT:
        assert f'    state "{state}" as {state.replace("-", "_")}' in lines
    arrows = {line.partition(" : ")[0].strip(): line.partition(" : ")[2].split(", ") for line in lines if "-->" in line}
    assert len(arrows) == len({(row.state, row.to) for row in ROWS})
    for row in ROWS:
        events = arrows[
            f"{row.state} --> {row.to}".replace("FIN-", "FIN_")
            .replace("-W", "_W")
            .replace("-1", "_1")
            .replace("-2", "_2")
            .replace("SYN-", "SYN_")
            .replace("LAST-", "LAST_")
        ]
        assert row.event + (f" ({row.only})" if row.only else "") in events


def test_synfin_figure5_prints_each_form(capsys):
    for flags, first in (([], " " * 12), (["--rows"], "STATE"), (["--mermaid"], "stateDiagram-v2")):
        assert main(["figure5", *flags]) == 0
        assert capsys.readouterr().out.startswith(first)
