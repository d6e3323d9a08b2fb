"""The kernel that knows a packet which the tap saw twice: mirrored at two ports, or before and behind a router.

Every segment is looked for among those of the last milliseconds, by a hash of all that a copy has in common: addresses,
ports, the whole TCP header with its checksum and options, IP's length and identification, the capture's direction. What
is sent again has another identification or timestamp. A copy may come some packets later, so the last packet of a flow
is not enough; and nothing about a segment says beforehand that it is no copy. Rule: tcp-semantics 1.5.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sensor.flowindex import TUPLE_KEYS
from sensor.octets import load32, load64
from synfin.compiled import leaf
from synfin.pools import fetch_ahead
from synfin.wire.segment import MARK_DUPLICATE, RST

_PLACE_BITS: Final = 10  # places of two, 32 KiB: more of them push out of the cache what is needed otherwise
RECENT: Final = np.dtype(
    [
        ("last", "<u8"),  # hash, in its low 8 bits the time to live
        ("last_ns", "<i8"),
        ("before", "<u8"),
        ("before_ns", "<i8"),
    ]
)
NO_PLACE: Final = np.uint64(2**64 - 1)  # of what is not looked for
_DIRECTION_SHIFT = np.uint64(62)
_COPY_NS: Final = np.uint64(5_000_000)
_COPY_WITHOUT_ID_NS: Final = np.uint64(1_000_000)  # IPv6, and IPv4 where the sender leaves the identification 0

_U0, _U1, _U2, _U3, _U4, _U8, _U32 = (np.uint64(n) for n in (0, 1, 2, 3, 4, 8, 32))
_PLACE_SHIFT = np.uint64(64 - _PLACE_BITS)
_ODD = np.uint64(0x9E3779B97F4A7C15)
_KEY_IP, _KEY_ALONE, _KEY_PAIRS = (np.uint64(TUPLE_KEYS + k) for k in (0, 2, 4))  # 60 bytes of TCP header: 7 pairs
_LOW_HALF = np.uint64(0xFFFFFFFF)
_TTL = np.uint64(0xFF)
_DUPLICATE = np.uint64(MARK_DUPLICATE)


def recent_segments() -> npt.NDArray[np.void]:
    """Make room for what a capture saw last."""
    return np.zeros(1 << _PLACE_BITS, RECENT)


@leaf
def _pair(word: Any, keys: Any, k: Any) -> Any:
    return (keys[k] + (word >> _U32)) * (keys[k + _U1] + (word & _LOW_HALF))


@leaf
def _hash(buffer: Any, at: Any, size: Any, keys: Any, first: Any) -> Any:
    """Pair-multilinear as in flowindex.py: no multiplication waits for the one before it, as in a chain of them.

    `first` are the first 16 bytes, which every header has.
    """
    h = _pair(first[0], keys, _KEY_PAIRS) + _pair(first[1], keys, _KEY_PAIRS + _U2)
    for i in range(_U2, size >> _U3):
        h += _pair(load64(buffer, at + (np.uint64(i) << _U3)), keys, _KEY_PAIRS + (np.uint64(i) << _U1))
    if size & _U4:
        h += (keys[_KEY_ALONE] + load32(buffer, at + size - _U4)) * keys[_KEY_ALONE + _U1]
    return h


@leaf
def _since(t_ns: Any, before_ns: Any) -> Any:
    """Nanoseconds between two times, whichever is first: the clocks of two ports may differ a little."""
    return np.uint64(max(t_ns, before_ns) - min(t_ns, before_ns))


@leaf
def note_segment(buffer: Any, header: Any, direction: Any, row: Any, wanted: Any, memory: Any) -> None:
    """Write the hash of a segment and its place into `wanted`, which has the tuple's hash, and fetch the place.

    `header` is the TCP header's place in the buffer and its size; `memory` is the keys, uint64[KEYS], and RECENT[]. The
    keys are secret, so that nobody can make two segments of one hash; where one is remembered does not depend on them,
    so that the marks do not.
    """
    at, size = header
    keys, recent = memory
    h = wanted["hash"] + (direction << _DIRECTION_SHIFT)
    h += (keys[_KEY_IP] + np.uint64(row["ip_len"])) * (keys[_KEY_IP + _U1] + np.uint64(row["ip_id"]))
    first = (load64(buffer, at), load64(buffer, at + _U8))
    h += _hash(buffer, at, size, keys, first)
    wanted["copy"] = (h & ~_TTL) | np.uint64(row["ttl"])
    place = ((first[0] ^ (first[1] << _U1)) * _ODD) >> _PLACE_SHIFT
    wanted["place"] = place
    fetch_ahead(recent, place)


@leaf
def mark_copy(row: Any, wanted: Any, recent: Any) -> None:
    """Mark the row of a noted segment that was seen before, and remember it."""
    place, h = recent[wanted["place"]], wanted["copy"]
    t_ns, last, last_ns = row["t_ns"], place["last"], place["last_ns"]
    limit = _COPY_NS
    if row["ip_id"] == 0:  # and a burst to a closed port is answered by RSTs that are all the same
        limit = _COPY_WITHOUT_ID_NS if np.uint64(row["flags"]) & np.uint64(RST) == _U0 else _U0
    # A copy from behind a router has a time to live that is less by 1.
    if (last - h <= _U1 and _since(t_ns, last_ns) <= limit) or (
        place["before"] - h <= _U1 and _since(t_ns, place["before_ns"]) <= limit
    ):
        row["marks"] = np.uint64(row["marks"]) | _DUPLICATE
    place["before"], place["before_ns"] = last, last_ns
    place["last"], place["last_ns"] = h, t_ns
