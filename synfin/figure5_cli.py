"""`synfin figure5`: the table of transitions, as a grid, as rows, or as a diagram for the docs."""

import argparse
from typing import Final

from synfin.errors import EXIT_OK

SHORT: Final = {
    "UNKNOWN": "-",
    "ESTABLISHED": "EST",
    "SYN-SENT": "S-SENT",
    "SYN-RECEIVED": "S-RCVD",
    "FIN-WAIT-1": "FW-1",
    "FIN-WAIT-2": "FW-2",
    "TIME-WAIT": "T-WAIT",
    "CLOSED": "CLOSED",
    "CLOSE-WAIT": "C-WAIT",
    "LAST-ACK": "L-ACK",
    "LISTEN": "LISTEN",
    "CLOSING": "CLOSING",
}
ORDER: Final = (  # of RFC 9293 section 3.3.2
    "UNKNOWN",
    "LISTEN",
    "SYN-SENT",
    "SYN-RECEIVED",
    "ESTABLISHED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSE-WAIT",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
    "CLOSED",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--rows", action="store_true", help="each transition with its action")
    form.add_argument("--mermaid", action="store_true", help="a Mermaid state diagram")


def grid() -> list[str]:
    """Events down, states across; an empty cell changes nothing."""
    from processor.tcp.figure5 import ANYWHERE, MEANING, ROWS

    cells: dict[tuple[str, str], list[str]] = {}
    for row in ROWS:
        cells.setdefault((row.state, row.event), []).append(SHORT[row.to] + (row.only[:1] and f"({row.only[:1]})"))
    for event in ANYWHERE:
        for state in ORDER[:-1]:
            cells[state, event] = [SHORT["CLOSED"]]
    table = [["", *(SHORT[state] for state in ORDER)]]
    table += [[event, *("/".join(cells.get((state, event), [""])) for state in ORDER)] for event in MEANING]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def rows() -> list[str]:
    """A line for each transition."""
    from processor.tcp.figure5 import ROWS

    return [
        f"{row.state:<12}  {row.event:<11}  {row.to:<12}  {row.action}" + (f" [{row.only}]" if row.only else "")
        for row in ROWS
    ]


def mermaid() -> list[str]:
    """The diagram, events of the same edge on one arrow; GitHub draws it."""
    from processor.tcp.figure5 import ROWS

    edges: dict[tuple[str, str], list[str]] = {}
    for row in ROWS:
        edges.setdefault((row.state.replace("-", "_"), row.to.replace("-", "_")), []).append(row.event)
    return ["stateDiagram-v2", *(f"    {a} --> {b}: {' '.join(events)}" for (a, b), events in edges.items())]


def main(args: argparse.Namespace) -> int:
    """Print it."""
    lines = rows() if args.rows else mermaid() if args.mermaid else grid()
    print("\n".join(lines))
    if not (args.rows or args.mermaid):
        print(
            "\n(p) opened passively, (a) opened actively. T_STATE is the timer of the state. An empty cell: no change."
        )
    return EXIT_OK
