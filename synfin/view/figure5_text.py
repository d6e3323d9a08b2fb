"""The transition table for a reader: as rows, as a grid that fits 80 columns, and as a diagram for the docs.

All three take the table's rows as `processor/tcp/figure5.py` has them, so that nothing here can differ from the code.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from synfin.wire.event import STATES


class TableRow(Protocol):
    """One transition."""

    @property
    def state(self) -> str:
        """State before."""

    @property
    def event(self) -> str:
        """What moves the endpoint."""

    @property
    def to(self) -> str:
        """State afterwards."""

    @property
    def action(self) -> str:
        """What the endpoint does, or what the step means."""

    @property
    def only(self) -> str:
        """`passive` or `active` where the row holds for one that opened so, else empty."""


# In the order of a connection's life, with two letters each.
SHORT: Final = {
    "UNKNOWN": "UN",
    "CLOSED": "CL",
    "LISTEN": "LI",
    "SYN-SENT": "SS",
    "SYN-RECEIVED": "SR",
    "ESTABLISHED": "ES",
    "FIN-WAIT-1": "F1",
    "FIN-WAIT-2": "F2",
    "CLOSING": "CG",
    "TIME-WAIT": "TW",
    "CLOSE-WAIT": "CW",
    "LAST-ACK": "LA",
}
assert SHORT.keys() == set(STATES)
_UNCHANGED: Final = "."


def listing(rows: Sequence[TableRow]) -> list[str]:
    """The rows in columns: state, event, next state, what it means."""
    cells = [("STATE", "EVENT", "NEXT STATE", "")]
    cells += [(row.state, row.event, row.to, row.action + (f" ({row.only})" if row.only else "")) for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(3)]
    return ["  ".join([*map(str.ljust, row[:3], widths), row[3]]).rstrip() for row in cells]


def grid(rows: Sequence[TableRow], events: Mapping[str, str], anywhere: Sequence[str]) -> list[str]:
    """Next state by event and state; `events` gives each event's meaning, `anywhere` those that always close."""
    cells: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        cells.setdefault((row.event, row.state), []).append(SHORT[row.to])
    named = max(map(len, events))
    widths = [max(2, *(len("/".join(cells.get((event, state), []))) for event in events)) for state in SHORT]
    lines = [" ".join([" " * named, *map(str.ljust, SHORT.values(), widths)]).rstrip()]
    for event in events:
        found = [
            SHORT["CLOSED"] if event in anywhere else "/".join(cells.get((event, state), [_UNCHANGED]))
            for state in SHORT
        ]
        lines.append(" ".join([event.ljust(named), *map(str.ljust, found, widths)]).rstrip())
    short = [f"{letters} {state}" for state, letters in SHORT.items()]
    lines += ["", *("   ".join(text.ljust(15) for text in short[i : i + 4]).rstrip() for i in range(0, len(short), 4))]
    lines += [f"{_UNCHANGED}  unchanged         a/b  after a passive / an active opening", ""]
    return lines + [f"{event.ljust(named)}  {meaning}" for event, meaning in events.items()]


def mermaid(rows: Sequence[TableRow]) -> str:
    """The diagram as Mermaid text; events that join the same two states share an arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        name = row.event + (f" ({row.only})" if row.only else "")
        arrows.setdefault((row.state, row.to), []).append(name)
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{state}" as {_identifier(state)}' for state in SHORT]
    for (state, to), events in arrows.items():
        lines.append(f"    {_identifier(state)} --> {_identifier(to)} : {', '.join(events)}")
    return "\n".join(lines) + "\n"


def _identifier(state: str) -> str:
    return state.replace("-", "_")
