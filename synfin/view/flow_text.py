"""Connections as lines for `synfin read`: one a connection, in columns.

TIME          ORIGINATOR         RESPONDER     OPENED              SENT  RECEIVED  ENDED                    STATES
14:30:00.123  10.0.0.1:40112  →  10.0.0.2:443  three-way 213 µs  1.2 kB     34 kB  orig closed, 3 segments  TIME-WAIT …
"""

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synfin.compiled import compiled
from synfin.view.flow_cells import (
    ALERT_BITS,
    LOOK_ARROW,
    LOOK_BAD,
    LOOK_FAINT,
    LOOK_MICRO,
    LOOK_RESET,
    LOOK_STATES,
    LOOK_WARN,
    NOTES_MAX,
    clock,
    ended,
    has_micro,
    notes,
    opened,
    size,
    socket,
    spaces,
)
from synfin.view.style import Style
from synfin.wire.event import STATES, TEARDOWNS
from synfin.wire.text import SLACK, pieces, put, windows

ALIGNED: Final = 256  # lines that are aligned with one another, and held at a time
LINE_MAX: Final = 512 + NOTES_MAX  # bytes; a test holds it against extreme rows
_HEADINGS: Final = ("TIME", "ORIGINATOR", "RESPONDER", "OPENED", "SENT", "RECEIVED", "ENDED", "STATES")
_LEAST: Final = (12, 14, 14, 16, 6, 8, 23, 0)  # so that few lines look alike from block to block
_RIGHT: Final = (False, False, False, False, True, True, False, False)
_ARROW: Final = 1  # stands behind this column
_ABNORMAL_ENDS: Final = ("abort", "fin_then_rst", "silent")
_MINUTE_NS: Final = 60_000_000_000
_SECOND_NS: Final = 1_000_000_000

_TIME, _ORIG, _RESP, _OPENED, _SENT, _RECEIVED, _ENDED, _STATES = (np.uint64(n) for n in range(8))
_U0, _U1, _U2 = (np.uint64(n) for n in range(3))
_NAMES: Final = pieces(STATES, 256)
_SLASH: Final = pieces([" / "])
_NEWLINE: Final = np.uint64(ord("\n"))
_BAD_ENDS: Final = np.array([kind in _ABNORMAL_ENDS for kind in TEARDOWNS] + [False] * (256 - len(TEARDOWNS)))


@compiled
def _pad(out: Any, at: Any, start: Any, extra: Any, place: Any) -> Any:
    """Fill up a column of which text stands from `start` on, `extra` bytes of it not seen; notes its width.

    `place` is (widths, found, column).
    """
    widths, found, column = place
    wide = at - start - extra
    found[column] = max(found[column], wide)
    return spaces(out, at, max(widths[column], wide) - wide + _U2)


@compiled
def _number_column(out: Any, start: Any, x: Any, place: Any) -> Any:
    """Write a size at the right edge of its column."""
    widths, found, column = place
    wide = size(out, start, x) - start
    found[column] = max(found[column], wide)
    first, second = out[start]["w"][_U0], out[start]["w"][_U1]
    at = spaces(out, start, max(widths[column], wide) - wide)
    to = out[at]["w"]
    to[_U0], to[_U1] = first, second
    return spaces(out, at + wide, _U2)


@compiled
def _painted(out: Any, at: Any, piece: Any, paint: Any, look: Any) -> Any:
    at += put(out[at], look[paint])
    at += put(out[at], piece)
    return at + put(out[at], look[LOOK_RESET])


@compiled
def _who(out: Any, at: Any, row: Any, look: Any, columns: Any) -> Any:
    """Time and both ends; `columns` is (local seconds east of UTC, widths, found)."""
    shift, widths, found = columns
    at += put(out[at], look[LOOK_FAINT])
    at = clock(out, at, row["start_ns"] + shift * _SECOND_NS)
    at += put(out[at], look[LOOK_RESET])
    start = spaces(out, at, _U2)
    at = _pad(out, socket(out, start, row, _U0), start, _U0, (widths, found, _ORIG))
    at += put(out[at], look[LOOK_ARROW])
    start = spaces(out, at, _U2)
    return _pad(out, socket(out, start, row, _U1), start, _U0, (widths, found, _RESP))


@compiled
def _end(out: Any, at: Any, row: Any, look: Any, columns: Any) -> Any:
    """How it ended, both states, and what deserves a look."""
    _shift, widths, found = columns
    start = at
    alarm = LOOK_BAD if row["alerts"] & ALERT_BITS != _U0 else LOOK_WARN
    if _BAD_ENDS[np.uint64(row["teardown"])]:
        at += put(out[at], look[alarm])
        at = ended(out, at, row)
        at += put(out[at], look[LOOK_RESET])
        extra = look[alarm]["n"] + look[LOOK_RESET]["n"]
        at = _pad(out, at, start, extra, (widths, found, _ENDED))
    else:
        at = _pad(out, ended(out, at, row), start, _U0, (widths, found, _ENDED))
    states = np.uint64(row["ends"][_U0]["state"]), np.uint64(row["ends"][_U1]["state"])
    at = _painted(out, at, _NAMES[states[0]], LOOK_STATES + states[0], look)
    at += put(out[at], _SLASH[_U0])
    at = _painted(out, at, _NAMES[states[1]], LOOK_STATES + states[1], look)
    start = spaces(out, at, _U2) + put(out[at + _U2], look[alarm])
    behind = notes(out, start, row)
    return at if behind == start else behind + put(out[behind], look[LOOK_RESET])


@compiled
def write_lines(out: Any, rows: Any, shifts: Any, look: Any, widths: Any) -> Any:
    """Write a line for each FLOW_RECORD into columns of `widths` (uint64[2, 8]); the place behind the last.

    Notes in widths[1] what they should have been; where that is more than widths[0], the lines must be written again.
    """
    at = _U0
    for i in range(np.uint64(len(rows))):
        row, columns = rows[i], (shifts[i], widths[0], widths[1])
        at = _who(out, at, row, look, columns)
        extra = look[LOOK_MICRO]["n"] - np.uint64(3) if has_micro(row) else _U0
        at = _pad(out, opened(out, at, row, look), at, extra, (widths[0], widths[1], _OPENED))
        at = _number_column(out, at, row["ends"][_U0]["bytes"], (widths[0], widths[1], _SENT))
        at = _number_column(out, at, row["ends"][_U1]["bytes"], (widths[0], widths[1], _RECEIVED))
        at = _end(out, at, row, look, columns)
        out[at]["w"][_U0] = _NEWLINE
        at += _U1
    return at


def _look(style: Style) -> npt.NDArray[np.void]:
    """What depends on the style, in the order of LOOK_PARTS and STATES."""
    reset = style.paint("x", "faint").partition("x")[2]
    paints = [style.paint("x", how).partition("x")[0] for how in ("faint", "warn", "bad")]
    states = [style.state("x", name).partition("x")[0] for name in STATES]
    signs = [style.sign("→", ">"), style.sign(" µs", " us")]
    return pieces(["", reset, *paints, *signs, *states], 8 + 256)


@lru_cache(maxsize=4096)
def _shift(minute: int, zone: tzinfo | None) -> int:
    """Seconds east of UTC in a minute since the epoch; zones change on the minute since 1972."""
    offset = datetime.fromtimestamp(60 * minute, UTC).astimezone(zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds())


class FlowText:
    """Lines in columns that grow with what they hold and never shrink, so that a stream of lines stays aligned."""

    def __init__(self, style: Style, zone: tzinfo | None = None) -> None:
        """Times are local without a zone."""
        self._style, self._zone = style, zone
        self._look = _look(style)
        self._widths = np.zeros((2, len(_HEADINGS)), np.uint64)
        self._widths[:] = list(map(max, _LEAST, map(len, _HEADINGS)))
        self._buffer = np.empty(ALIGNED * LINE_MAX + SLACK, np.uint8)  # only what is written to costs memory

    def header(self) -> str:
        """The headings over the columns, as wide as they are now."""
        parts = []
        for i, (heading, width) in enumerate(zip(_HEADINGS, self._widths[0].tolist(), strict=True)):
            parts.append(heading.rjust(width) if _RIGHT[i] else heading.ljust(width))
            parts += [" "] if i == _ARROW else []
        return self._style.paint("  ".join(parts).rstrip(), "faint")

    def lines(self, flows: npt.NDArray[np.void]) -> npt.NDArray[np.uint8]:
        """A line for each of at most ALIGNED flow records, in UTF-8; they hold until the next call."""
        out, shifts = windows(self._buffer), self._shifts(flows["start_ns"])
        n = write_lines(out, flows, shifts, self._look, self._widths)
        if (self._widths[1] > self._widths[0]).any():
            self._widths[0] = self._widths[1]
            n = write_lines(out, flows, shifts, self._look, self._widths)
        return self._buffer[: int(n)]

    def _shifts(self, times: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Seconds east of UTC at each of some times, most often the same minute's."""
        if not len(times):
            return np.zeros(0, np.int64)
        first, last = (int(ns) // _MINUTE_NS for ns in (times.min(), times.max()))
        if first == last:
            return np.full(len(times), _shift(first, self._zone), np.int64)
        minutes, which = np.unique(times // _MINUTE_NS, return_inverse=True)
        return np.array([_shift(minute, self._zone) for minute in minutes.tolist()], np.int64)[which]
