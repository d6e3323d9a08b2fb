"""Connections as lines for `synfin read`: one a connection, in columns.

TIME          ORIGINATOR         RESPONDER     OPENED              SENT  RECEIVED  ENDED                    STATES
14:30:00.123  10.0.0.1:40112  →  10.0.0.2:443  three-way 213 µs  1.2 kB     34 kB  orig closed, 3 segments  TIME-WAIT …
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import Final

from synfin.view.style import Style
from synfin.view.words import Record, abnormal, ended, opened, size, socket_text

_HEADINGS: Final = ("TIME", "ORIGINATOR", "RESPONDER", "OPENED", "SENT", "RECEIVED", "ENDED", "STATES")
_LEAST: Final = (12, 14, 14, 16, 6, 8, 23, 0)  # so that few lines look alike from block to block
_RIGHT: Final = (False, False, False, False, True, True, False, False)
_ARROW: Final = 1  # stands behind this column
_STATES: Final = 7
_SECOND_NS: Final = 1_000_000_000


def time_text(ns: int, zone: tzinfo | None) -> str:
    """Time of day to the millisecond; in local time without a zone."""
    seconds, rest = divmod(ns, _SECOND_NS)
    moment = datetime.fromtimestamp(seconds, UTC).astimezone(zone)
    return f"{moment:%H:%M:%S}.{rest // 1_000_000:03d}"


class FlowText:
    """Lines in columns that grow with what they hold and never shrink, so that a stream of lines stays aligned."""

    def __init__(self, style: Style, zone: tzinfo | None = None) -> None:
        self._style = style
        self._zone = zone
        self._widths = list(map(max, _LEAST, map(len, _HEADINGS)))

    def header(self) -> str:
        """The headings over the columns, as wide as they are now."""
        return self._style.paint(self._join(list(_HEADINGS), list(_HEADINGS), " "), "faint")

    def lines(self, records: Iterable[Record]) -> Iterator[str]:
        """A line for each record; those of one call are aligned with one another."""
        known = list(records)
        rows = [self._cells(record) for record in known]
        for row in rows:
            self._widths = [max(width, len(cell)) for width, cell in zip(self._widths, row, strict=True)]
        arrow = self._style.sign("→", ">")
        for record, row in zip(known, rows, strict=True):
            line = self._join(row, self._painted(record, row), arrow)
            notes = abnormal(record)
            how = "bad" if record["alerts"] else "warn"
            yield line + (f"  {self._style.paint(', '.join(notes), how)}" if notes else "")

    def _cells(self, record: Record) -> list[str]:
        orig, resp = record["orig"], record["resp"]
        return [
            time_text(record["start_ns"], self._zone),
            socket_text(orig),
            socket_text(resp),
            opened(record),
            size(orig["bytes"]),
            size(resp["bytes"]),
            ended(record),
            f"{orig['state']} / {resp['state']}",
        ]

    def _painted(self, record: Record, row: list[str]) -> list[str]:
        """The cells in their colours."""
        painted = list(row)
        painted[0] = self._style.paint(row[0], "faint")
        if record["teardown"]["kind"] in ("abort", "fin_then_rst", "silent"):
            painted[6] = self._style.paint(row[6], "bad" if record["alerts"] else "warn")
        ends = [record[end]["state"] for end in ("orig", "resp")]
        painted[_STATES] = " / ".join(self._style.state(name, name) for name in ends)
        return painted

    def _join(self, plain: list[str], painted: list[str], arrow: str) -> str:
        """One line; the plain cells say how much room the painted ones take."""
        parts = []
        for i, (cell, text) in enumerate(zip(plain, painted, strict=True)):
            room = " " * (self._widths[i] - len(cell))
            parts.append(room + text if _RIGHT[i] else text + room)
            if i == _ARROW:
                parts[-1] += f"  {arrow}"
        return "  ".join(parts).rstrip()
