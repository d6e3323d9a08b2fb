"""Kernels for the parts that flow and event lines share, and the tables of texts that they take.

An enumeration's table holds each name with the text before it and behind it, so that one copy writes all three.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synfin.compiled import compiled
from synfin.wire.address import address
from synfin.wire.event import CAUSES, MICRO_EVENTS, STATES
from synfin.wire.segment import LOWER
from synfin.wire.text import number, pieces, put

_INDEX_ROWS: Final = 256  # an index column is a byte
FLAG_BITS: Final = 0x1FF  # of `flags`, the nine of the TCP header
_PACKET_LETTERS: Final = "FSRP.UEWe"  # tcpdump's, by bit; the dot is ACK
# Of all that an endpoint ever sent, the same letters in the order of a connection's life, with A for the dot.
_SEEN_LETTERS: Final = (("S", 1), ("A", 4), ("P", 3), ("F", 0), ("R", 2), ("U", 5), ("E", 6), ("W", 7), ("e", 8))


def packet_flags(flags: int) -> str:
    """Flags of one packet as tcpdump prints them: `S`, `S.`, `P.`, `F.`, `none`."""
    return "".join(letter for bit, letter in enumerate(_PACKET_LETTERS) if flags >> bit & 1) or "none"


def seen_flags(flags: int) -> str:
    """All flags that an endpoint sent: `SAPF`."""
    return "".join(letter for letter, bit in _SEEN_LETTERS if flags >> bit & 1)


def quoted(name: str | None) -> str:
    """JSON of a name of ours, which needs no escape."""
    return "null" if name is None else f'"{name}"'


def enumeration(before: str, names: Sequence[str | None], behind: str) -> npt.NDArray[np.void]:
    """Table by an index column: each name as JSON between two texts."""
    return pieces([before + quoted(name) + behind for name in names], _INDEX_ROWS)


_END_KEYS: Final = pieces(
    [',"port":', ',"endpoint":"orig","from":', ',"endpoint":"resp","from":', ',"cause":[', "]", ","],
)
_PORT, _ORIG_FROM, _CAUSE, _CLOSE, _COMMA = (np.uint64(n) for n in (0, 1, 3, 4, 5))
_IP: Final = pieces(['"'])
_CAUSE_NAMES: Final = enumeration("", CAUSES, "")
_CAUSE_N: Final = np.uint64(len(CAUSES))
_FROM: Final = enumeration("", STATES, ',"to":')
_TO: Final = enumeration("", STATES, ',"event":')
_EVENT: Final = enumeration("", MICRO_EVENTS, "")
_U0, _U1 = np.uint64(0), np.uint64(1)


@compiled
def is_lower(row: Any, end: Any) -> Any:
    """Whether `end` (uint64, 0 the originator, 1 the responder) is the tuple's lower end."""
    return (row["orig"] == LOWER) == (end == _U0)


@compiled
def ip_and_port(out: Any, at: Any, row: Any, end: Any) -> Any:
    """Write the rest of an endpoint's address, from behind `"ip":"` to the port."""
    lower = is_lower(row, end)
    at = address(out, at, row["lower_ip"] if lower else row["higher_ip"], row["family"])
    at += put(out[at], _IP[_U0])
    at += put(out[at], _END_KEYS[_PORT])
    return at + number(out[at], np.uint64(row["lower_port"] if lower else row["higher_port"]))


@compiled
def sensor_name(out: Any, at: Any, sensor: Any) -> Any:
    """Write a name that is JSON already; returns its length."""
    for i in range((sensor["n"] + np.uint64(7)) >> np.uint64(3)):
        out[at + (i << np.uint64(3))]["w"][_U0] = sensor["w"][i]
    return sensor["n"]


@compiled
def cause(out: Any, at: Any, bits: Any) -> Any:
    """Write `,"cause":[…]`; bits is uint64."""
    at += put(out[at], _END_KEYS[_CAUSE])
    more = False
    for i in range(_CAUSE_N):
        if (bits >> i) & _U1 != _U0:
            if more:
                at += put(out[at], _END_KEYS[_COMMA])
            at += put(out[at], _CAUSE_NAMES[i])
            more = True
    return at + put(out[at], _END_KEYS[_CLOSE])


@compiled
def step_of(out: Any, at: Any, row: Any) -> Any:
    """Write which endpoint went from which state to which, and by what, of an event."""
    at += put(out[at], _END_KEYS[_ORIG_FROM + np.uint64(row["endpoint"] != 0)])
    at += put(out[at], _FROM[np.uint64(row["from"])])
    at += put(out[at], _TO[np.uint64(row["to"])])
    return at + put(out[at], _EVENT[np.uint64(row["event"])])
