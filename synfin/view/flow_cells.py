"""Kernels that write the cells of a connection's line from its row, in the words of `words.py`.

Each takes the place where the cell begins and returns the place behind it; `out` is a view as `synfin/wire/text.py` has
it. A row never holds text of strangers, so nothing needs to be made safe.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synfin.compiled import compiled
from synfin.view.words import (
    CAUSE_WORDS,
    CLOSES,
    END_REASON_WORDS,
    HANDSHAKE_WORDS,
    NEVER_OPENED,
    PRESUMED,
    SUSPICIOUS,
    TEARDOWN_WORDS,
    alert_words,
)
from synfin.wire.address import address
from synfin.wire.event import CAUSES, END_REASONS, EVENT_KINDS, HANDSHAKES, ORIENT, SEGMENTS, SIDES, TEARDOWNS
from synfin.wire.json_parts import is_lower
from synfin.wire.text import eight_digits, number, pieces, put, put_char, signed

_INDEX_ROWS: Final = 256  # an index column is a byte
LOOK_PARTS: Final = (
    "nothing",
    "reset",
    "faint",
    "warn",
    "bad",
    "arrow",
    "micro",
)  # of `look`, then a paint for a state
LOOK_STATES: Final = np.uint64(len(LOOK_PARTS))
LOOK_RESET, LOOK_FAINT, LOOK_WARN, LOOK_BAD, LOOK_ARROW, LOOK_MICRO = (np.uint64(n) for n in range(1, 7))

_U0, _U1, _U2, _U3, _U8, _U10, _U16 = (np.uint64(n) for n in (0, 1, 2, 3, 8, 10, 16))
_HUNDRED, _THOUSAND, _TEN_4, _TEN_6 = (np.uint64(10**n) for n in (2, 3, 4, 6))
_SIXTY, _HOUR_S = np.uint64(60), np.uint64(3600)
_SPACE, _DOT, _COLON, _OPEN = (np.uint64(ord(char)) for char in " .:[")
_ZERO_DIGIT: Final = np.uint64(ord("0"))
_SPACES: Final = np.uint64(int.from_bytes(b" " * 8, "little"))
_CLOCK: Final = np.uint64(int.from_bytes(b"00:00:00", "little"))
_MILLIS: Final = np.uint64(int.from_bytes(b".000", "little"))
_DAY_MS: Final = 86_400_000
_MINUTE_NS: Final = 60_000_000_000

_SIZE_UNITS: Final = np.array([10**12, 10**9, 10**6, 10**3], np.uint64)
_SIZE_NAMES: Final = pieces([" TB", " GB", " MB", " kB", " B"])
_SMALL: Final = np.uint64(len(_SIZE_UNITS))
_PARTS: Final = (" ns", " ms", " s", " min ", " h ", " min", "]:", ", ", " SYN", " SYN,ACK", "then reset")
_NOTES: Final = (" retransmitted", " not captured", "sensor dropped ", "suspicious opening", "direction presumed")
_FIXED: Final = pieces([*_PARTS, " or ", *_NOTES])
_NS, _MS, _S, _MINUTES, _HOURS, _LAST_MINUTES, _CLOSE, _COMMA, _SYN, _SYNACK, _THEN_RESET, _OR = (
    np.uint64(n) for n in range(12)
)
_REPEATED, _NOT_CAPTURED, _DROPPED, _ODD_OPENING, _GUESSED = (np.uint64(n) for n in range(12, 17))


def _words(names: Sequence[str | None], words: Mapping[str, str], form: str = "{}") -> npt.NDArray[np.void]:
    """Table by an index column: each name in words, where there are some, in a form."""
    return pieces([form.format(words.get(name or "", name or "?")) for name in names], _INDEX_ROWS)


def _flags(names: Sequence[str | None], chosen: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Table by an index column: whether the name is one of the chosen."""
    return np.array([name in chosen for name in names] + [False] * (_INDEX_ROWS - len(names)))


_OPENINGS: Final = _words(HANDSHAKES, HANDSHAKE_WORDS)
_UNANSWERED, _HALF_OPEN = (HANDSHAKES.index(kind) for kind in ("unanswered", "half_open"))
_TEARDOWNS: Final = _words(TEARDOWNS, TEARDOWN_WORDS)
_NONE, _ORDERLY, _FIN_THEN_RST, _ABORT = (
    TEARDOWNS.index(kind) for kind in ("none", "orderly", "fin_then_rst", "abort")
)
_CLOSED: Final = _words(SIDES, {}, "{} closed")
_CLOSED_THEN: Final = _words(SIDES, {}, "{} closed, ")
_SIDE_RESET: Final = _words(SIDES, {}, "{} reset")
_CLOSES: Final = pieces([f", {CLOSES[kind]}" if kind in CLOSES else "" for kind in SEGMENTS], _INDEX_ROWS)
_ENDS: Final = pieces([END_REASON_WORDS.get(reason, "") for reason in END_REASONS], _INDEX_ROWS)
_NEVER_OPENED: Final = _flags(HANDSHAKES, NEVER_OPENED)
_SUSPICIOUS: Final = _flags(HANDSHAKES, SUSPICIOUS)
_PRESUMED: Final = _flags(ORIENT, PRESUMED)
_CAUSES: Final = _words(CAUSES, CAUSE_WORDS)
_CAUSE_N: Final = np.uint64(len(CAUSES))
_ALERTS: Final = pieces([alert_words(kind) for kind in EVENT_KINDS])
ALERT_BITS: Final = np.uint64(sum(1 << i for i, kind in enumerate(EVENT_KINDS) if kind.startswith("alert.")))
NOTES_MAX: Final = 256 + sum(int(table["n"].sum()) + 4 * len(table) for table in (_CAUSES[: len(CAUSES)], _ALERTS))


@compiled
def spaces(out: Any, at: Any, n: Any) -> Any:
    """Write n spaces; a store of eight goes beyond them."""
    for i in range(_U0, n, _U8):
        out[at + i]["w"][_U0] = _SPACES
    return at + n


@compiled
def clock(out: Any, at: Any, ns: Any) -> Any:
    """Write the time of day of local nanoseconds (int64): twelve characters."""
    ms = np.uint64((ns // 1_000_000) % _DAY_MS)
    s = ms // _THOUSAND
    minutes = s // _SIXTY
    hours = s // _HOUR_S
    digits = hours * _TEN_6 + (minutes - hours * _SIXTY) * _THOUSAND + (s - minutes * _SIXTY)
    to = out[at]["w"]
    to[_U0] = eight_digits(digits) + _CLOCK  # the digits under the colons are 0
    to[_U1] = eight_digits((ms - s * _THOUSAND) * _TEN_4) + _MILLIS
    return at + np.uint64(12)


@compiled
def socket(out: Any, at: Any, row: Any, end: Any) -> Any:
    """Write address and port; an IPv6 address in brackets."""
    lower = is_lower(row, end)
    longer = row["family"] != 4
    if longer:
        at += put_char(out[at], _OPEN)
    at = address(out, at, row["lower_ip"] if lower else row["higher_ip"], row["family"])
    at += put(out[at], _FIXED[_CLOSE]) if longer else put_char(out[at], _COLON)
    return at + number(out[at], np.uint64(row["lower_port"] if lower else row["higher_port"]))


@compiled
def _rounded(x: Any, unit: Any) -> Any:
    whole = x // unit
    rest = x - whole * unit
    return whole + np.uint64(rest >= unit - rest)


@compiled
def _significant(out: Any, at: Any, x: Any, unit: Any) -> Any:
    """Write x >= unit in units to three significant digits, without zeros at the end."""
    if x >= unit * _HUNDRED:
        return at + number(out[at], _rounded(x, unit))
    scale = _U10 if x >= unit * _U10 else _HUNDRED
    digits = _rounded(x * scale, unit)
    whole = digits // scale
    rest = digits - whole * scale
    at += number(out[at], whole)
    if rest == _U0:
        return at
    if scale == _U10:
        rest *= _U10
    tens = rest // _U10
    ones = rest - tens * _U10
    out[at]["w"][_U0] = _DOT | ((tens | _ZERO_DIGIT) << _U8) | ((ones | _ZERO_DIGIT) << _U16)
    return at + (_U3 if ones != _U0 else _U2)


@compiled
def size(out: Any, at: Any, x: Any) -> Any:
    """Write a number of bytes."""
    i = _U0
    while i < _SMALL and x < _SIZE_UNITS[i]:
        i = i + _U1
    at = at + number(out[at], x) if i == _SMALL else _significant(out, at, x, _SIZE_UNITS[i])
    return at + put(out[at], _SIZE_NAMES[i])


@compiled
def _duration(out: Any, at: Any, ns: Any, look: Any) -> Any:
    """Write a time span (int64)."""
    if ns < 1_000:
        at += signed(out[at], ns)
        return at + put(out[at], _FIXED[_NS])
    x = np.uint64(ns)
    if ns < 1_000_000:
        at = _significant(out, at, x, _THOUSAND)
        return at + put(out[at], look[LOOK_MICRO])
    if ns < _MINUTE_NS:
        ms = ns < 1_000_000_000
        at = _significant(out, at, x, _TEN_6 if ms else _TEN_6 * _THOUSAND)
        return at + put(out[at], _FIXED[_MS if ms else _S])
    s = x // (_TEN_6 * _THOUSAND)
    minutes, hours = s // _SIXTY, s // _HOUR_S
    first, second = (hours, minutes - hours * _SIXTY) if hours != _U0 else (minutes, s - minutes * _SIXTY)
    at += number(out[at], first)
    at += put(out[at], _FIXED[_HOURS if hours != _U0 else _MINUTES])
    at += number(out[at], second)
    return at + put(out[at], _FIXED[_LAST_MINUTES if hours != _U0 else _S])


@compiled
def opened(out: Any, at: Any, row: Any, look: Any) -> Any:
    """Write how it opened."""
    kind = row["handshake"]
    at += put(out[at], _OPENINGS[np.uint64(kind)])
    if kind in (_UNANSWERED, _HALF_OPEN):
        n = np.uint64(row["syn_count"] if kind == _UNANSWERED else row["synack_count"])
        if n <= _U1:
            return at
        at += put(out[at], _FIXED[_COMMA])
        at += number(out[at], n)
        return at + put(out[at], _FIXED[_SYN if kind == _UNANSWERED else _SYNACK])
    if row["syn_rtt_ns"] == -1:
        return at
    at += put_char(out[at], _SPACE)
    return _duration(out, at, row["syn_rtt_ns"], look)


@compiled
def has_micro(row: Any) -> Any:
    """Whether `opened` writes the unit that may not be ASCII."""
    kind = row["handshake"]
    return 1_000 <= row["syn_rtt_ns"] < 1_000_000 and kind not in (_UNANSWERED, _HALF_OPEN)


@compiled
def ended(out: Any, at: Any, row: Any) -> Any:
    """Write how it ended and by whom; nothing where it never opened."""
    kind, closer, by = row["teardown"], np.uint64(row["active_closer"]), np.uint64(row["by"])
    if kind == _ORDERLY:
        at += put(out[at], _CLOSED[closer])
        return at + put(out[at], _CLOSES[np.uint64(row["segments"])])
    if kind == _ABORT:
        return at + put(out[at], _SIDE_RESET[by])
    if kind == _FIN_THEN_RST:
        at += put(out[at], _CLOSED_THEN[closer])
        return at + (put(out[at], _FIXED[_THEN_RESET]) if closer == by else put(out[at], _SIDE_RESET[by]))
    if kind != _NONE:
        return at + put(out[at], _TEARDOWNS[np.uint64(kind)])
    if _NEVER_OPENED[np.uint64(row["handshake"])]:
        return at
    return at + put(out[at], _ENDS[np.uint64(row["end_reason"])])


@compiled
def _listed(out: Any, at: Any, bits: Any, table: Any, between: Any) -> Any:
    """Write the texts whose bits (uint64) are set."""
    more = False
    for i in range(np.uint64(len(table))):
        if (bits >> i) & _U1 != _U0:
            if more:
                at += put(out[at], _FIXED[between])
            at += put(out[at], table[i])
            more = True
    return at


@compiled
def _next(out: Any, at: Any, start: Any) -> Any:
    """Write what stands between two notes, behind the first."""
    return at + put(out[at], _FIXED[_COMMA]) if at != start else at


@compiled
def notes(out: Any, at: Any, row: Any) -> Any:
    """Write what deserves a look, which is nothing for most."""
    start = at
    orig, resp = row["ends"][_U0], row["ends"][_U1]
    raised, causes = row["alerts"] & ALERT_BITS, np.uint64(row["cause"]) & ((_U1 << _CAUSE_N) - _U1)
    repeats, gap = orig["retransmits"] + resp["retransmits"], orig["gap_bytes"] + resp["gap_bytes"]
    if raised != _U0:
        at = _listed(out, at, raised, _ALERTS, _COMMA)
    if causes != _U0:
        at = _listed(out, _next(out, at, start), causes, _CAUSES[:_CAUSE_N], _OR)
    if repeats != _U0:
        at = _next(out, at, start)
        at += number(out[at], repeats)
        at += put(out[at], _FIXED[_REPEATED])
    if gap != _U0:
        at = size(out, _next(out, at, start), gap)
        at += put(out[at], _FIXED[_NOT_CAPTURED])
    if row["dropped"] != _U0:
        at = _next(out, at, start)
        at += put(out[at], _FIXED[_DROPPED])
        at += number(out[at], row["dropped"])
    if _SUSPICIOUS[np.uint64(row["handshake"])]:
        at = _next(out, at, start)
        at += put(out[at], _FIXED[_ODD_OPENING])
    if _PRESUMED[np.uint64(row["orient"])]:
        at = _next(out, at, start)
        at += put(out[at], _FIXED[_GUESSED])
    return at
