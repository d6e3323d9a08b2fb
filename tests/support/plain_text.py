"""The lines of `synfin read` once more, from JSON objects and by Python's own strings: what the kernels must give.

Also a flow record as a row, for tests that look at one line.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

import numpy as np
import numpy.typing as npt

from synfin.view.style import Style
from synfin.view.words import Record, abnormal, ended, opened, size, socket_text
from synfin.wire.event import FLOW_RECORD, HANDSHAKES, ORIENT, SEGMENTS, SIDES, STATES, TEARDOWNS
from synfin.wire.segment import HIGHER

HEADINGS = ("TIME", "ORIGINATOR", "RESPONDER", "OPENED", "SENT", "RECEIVED", "ENDED", "STATES")
LEAST = (12, 14, 14, 16, 6, 8, 23, 0)
RIGHT = (4, 5)


def time_text(ns: int, zone: tzinfo | None) -> str:
    """Time of day to the millisecond; in local time without a zone."""
    seconds, rest = divmod(ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).astimezone(zone)
    return f"{moment:%H:%M:%S}.{rest // 1_000_000:03d}"


class PlainText:
    """Lines in columns that grow and never shrink."""

    def __init__(self, style: Style, zone: tzinfo | None) -> None:
        self.style, self.zone = style, zone
        self.widths = list(map(max, LEAST, map(len, HEADINGS)))

    def lines(self, records: Iterable[Record]) -> Iterator[str]:
        """A line for each record, aligned with one another."""
        known = list(records)
        rows = [self.cells(record) for record in known]
        for row in rows:
            self.widths = list(map(max, self.widths, map(len, row)))
        for record, row in zip(known, rows, strict=True):
            line = self.joined(row, self.painted(record, row))
            notes = ", ".join(abnormal(record))
            how = "bad" if record["alerts"] else "warn"
            yield line + (f"  {self.style.paint(notes, how)}" if notes else "")

    def cells(self, record: Record) -> list[str]:
        orig, resp = record["orig"], record["resp"]
        how = opened(record)
        return [
            time_text(record["start_ns"], self.zone),
            socket_text(orig),
            socket_text(resp),
            how if self.style.unicode else how.replace("µ", "u"),
            size(orig["bytes"]),
            size(resp["bytes"]),
            ended(record),
            f"{orig['state']} / {resp['state']}",
        ]

    def painted(self, record: Record, row: list[str]) -> list[str]:
        painted = [self.style.paint(row[0], "faint"), *row[1:]]
        if record["teardown"]["kind"] in ("abort", "fin_then_rst", "silent"):
            painted[6] = self.style.paint(row[6], "bad" if record["alerts"] else "warn")
        painted[7] = " / ".join(self.style.state(name, name) for name in (record[e]["state"] for e in ("orig", "resp")))
        return painted

    def joined(self, plain: list[str], painted: list[str]) -> str:
        parts = []
        for i, (cell, text) in enumerate(zip(plain, painted, strict=True)):
            room = " " * (self.widths[i] - len(cell)) if i < len(plain) - 1 else ""
            parts += [room + text if i in RIGHT else text + room]
            parts += [self.style.sign("→", ">")] if i == 1 else []
        return "  ".join(parts)


def flow_row(**changes: Any) -> npt.NDArray[np.void]:
    """A short IPv4 connection as FLOW_RECORD[1]; enumerations by name, `ends__…` with a value for each end."""
    row = np.zeros(1, FLOW_RECORD)
    row["lower_ip"], row["higher_ip"] = (0, 0xFFFF_0A00_0001), (0, 0xFFFF_0A00_0002)
    row["lower_port"], row["higher_port"], row["orig"], row["family"] = 443, 40000, HIGHER, 4
    row["start_ns"], row["syn_rtt_ns"], row["syn_count"], row["synack_count"] = 1_760_000_000_123_456_000, 10**7, 1, 1
    given = {"handshake": "three_way", "teardown": "orderly", "segments": "four", "active_closer": "orig"}
    names = {"handshake": HANDSHAKES, "teardown": TEARDOWNS, "segments": SEGMENTS, "orient": ORIENT}
    names |= {"active_closer": SIDES, "by": SIDES}
    given |= {"orient": "syn", "ends__state": ("TIME-WAIT", "CLOSED"), **changes}
    for column, value in given.items():
        if column == "ends__state":
            row["ends"]["state"][0] = [STATES.index(state) for state in value]
        elif column.startswith("ends__"):
            row["ends"][column.removeprefix("ends__")][0] = value
        else:
            row[column] = names[column].index(value) if column in names else value
    return row
