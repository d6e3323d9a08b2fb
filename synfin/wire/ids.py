"""The ids of flows, views and connections, each a part of a SHA-1, from the first columns of a record.

All numbers are big-endian; `tuple` is the lower end's address and the higher end's, 16 bytes each with IPv4 mapped,
then both ports in that order, so it does not depend on who is the originator; `sensor` is the SHA-1 of its name.

flow_id     first 16 bytes of SHA-1 over  tuple 36, domain 4, ISN of the originator 4
            when that ISN was not known   tuple 36, domain 4, sensor 20, start_ns 8, first_seq 4
view_id     first 16 bytes of SHA-1 over  flow_id 16, sensor 20, start_ns 8
community   SHA-1 over                    seed 0 2, address, address, protocol 6, 0, port, port; addresses of 4 or 16

The last is Community ID v1 (https://github.com/corelight/community-id-spec) without its "1:" and base64. An event's id
is the text view_id/kind/k.
"""

import base64
import hashlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synfin.compiled import compiled
from synfin.wire.event import IDENTITY
from synfin.wire.sha1 import DIGEST_ROW, LANES, ROWS, sha1_block, sha1_start

IDS: Final = np.dtype(
    [
        ("flow", "<u4", (4,)),  # words of the digest as numbers: the first holds its first four bytes
        ("view", "<u4", (4,)),
        ("community", "<u4", (5,)),
    ]
)
assert IDS.itemsize == 52

_L: Final = np.uint64(LANES)
_H: Final = np.uint64(DIGEST_ROW)
_MASK: Final = np.uint64(0xFFFFFFFF)
_END: Final = np.uint64(0x80000000)  # the bit that follows a message
_ZERO, _ONE, _THREE, _FOUR, _FIVE, _EIGHT, _NINE, _TEN, _BLOCK = (np.uint64(n) for n in (0, 1, 3, 4, 5, 8, 9, 10, 16))
_LENGTH_ROW: Final = np.uint64(15)  # last word of the last block: length of the message in bits
_HALF, _WORD = np.uint64(16), np.uint64(32)
_BYTES_44, _BYTES_72, _BYTES_16, _BYTES_40 = (np.uint64(8 * n) for n in (44, 72, 16, 40))
_PROTOCOL: Final = np.uint64(6 << 8)  # protocol TCP and the byte of padding behind it


@compiled
def _word(s: Any, row: Any, lane: Any, value: Any) -> None:
    """Set a word of a lane's block; value is uint64, of which the low half counts."""
    s[row * _L + lane] = np.uint32(value & _MASK)


@compiled
def _two_words(s: Any, row: Any, lane: Any, value: Any) -> None:
    _word(s, row, lane, value >> _WORD)
    _word(s, row + _ONE, lane, value)


@compiled
def _finish(s: Any, row: Any, lane: Any, bits: Any) -> None:
    """End the message before `row` of its last block."""
    _word(s, row, lane, _END)
    for r in range(row + _ONE, _LENGTH_ROW):
        _word(s, r, lane, _ZERO)
    _word(s, _LENGTH_ROW, lane, bits)


@compiled
def _load_flow(s: Any, lane: Any, row: Any, digest: Any) -> Any:
    """First block of the message for flow_id; true when a second must follow."""
    _two_words(s, _ZERO, lane, row["lower_ip"][_ZERO])
    _two_words(s, np.uint64(2), lane, row["lower_ip"][_ONE])
    _two_words(s, _FOUR, lane, row["higher_ip"][_ZERO])
    _two_words(s, np.uint64(6), lane, row["higher_ip"][_ONE])
    _word(s, _EIGHT, lane, (np.uint64(row["lower_port"]) << _HALF) | np.uint64(row["higher_port"]))
    _word(s, _NINE, lane, np.uint64(row["domain"]))
    if row["id_isn"] >= 0:
        _word(s, _TEN, lane, np.uint64(row["id_isn"]))
        _finish(s, np.uint64(11), lane, _BYTES_44)
        return False
    for i in range(_FIVE):
        _word(s, _TEN + i, lane, np.uint64(digest[i]))
    _word(s, _LENGTH_ROW, lane, np.uint64(row["start_ns"]) >> _WORD)
    return True


@compiled
def _load_flow_rest(s: Any, lane: Any, row: Any) -> None:
    """Second block of the message for flow_id."""
    _word(s, _ZERO, lane, np.uint64(row["start_ns"]))
    _word(s, _ONE, lane, np.uint64(row["first_seq"]))
    _finish(s, np.uint64(2), lane, _BYTES_72)


@compiled
def _load_view(s: Any, lane: Any, row: Any, digest: Any, flow: Any) -> None:
    for i in range(_FOUR):
        _word(s, i, lane, np.uint64(flow[i]))
    for i in range(_FIVE):
        _word(s, _FOUR + i, lane, np.uint64(digest[i]))
    _two_words(s, _NINE, lane, np.uint64(row["start_ns"]))
    _finish(s, np.uint64(11), lane, _BYTES_44)


@compiled
def _load_community(s: Any, lane: Any, row: Any) -> None:
    """Two bytes of seed stand in front, so every word is made of halves of two neighbours."""
    at, carry = _ZERO, _ZERO
    for end in range(np.uint64(2)):
        for half in range(_FOUR):
            value = (row["higher_ip"] if end == _ONE else row["lower_ip"])[half >> _ONE]
            if half & _ONE == _ZERO:
                value = value >> _WORD
            value &= _MASK
            if row["family"] == 6 or half == _THREE:  # of a mapped IPv4 address the last word
                _word(s, at, lane, (carry << _HALF) | (value >> _HALF))
                at, carry = at + _ONE, value & np.uint64(0xFFFF)
    _word(s, at, lane, (carry << _HALF) | _PROTOCOL)
    _word(s, at + _ONE, lane, (np.uint64(row["lower_port"]) << _HALF) | np.uint64(row["higher_port"]))
    _finish(s, at + np.uint64(2), lane, _BYTES_40 if row["family"] == 6 else _BYTES_16)


@compiled
def _take(s: Any, lane: Any, words: Any, n: Any) -> None:
    for i in range(n):
        words[i] = s[(_H + i) * _L + lane]


@compiled
def _flow_ids(s: Any, rows: Any, digests: Any, ids: Any) -> None:
    lanes = np.uint64(len(rows))
    longer = False
    sha1_start(s)
    for lane in range(lanes):
        row = rows[lane]
        if _load_flow(s, lane, row, digests[np.uint64(row["sensor"])]):
            longer = True
    sha1_block(s, lanes)
    for lane in range(lanes):
        _take(s, lane, ids[lane]["flow"], _FOUR)
    if longer:
        for lane in range(lanes):
            _load_flow_rest(s, lane, rows[lane])
        sha1_block(s, lanes)
        for lane in range(lanes):
            if rows[lane]["id_isn"] < 0:
                _take(s, lane, ids[lane]["flow"], _FOUR)


@compiled
def _other_ids(s: Any, rows: Any, digests: Any, ids: Any) -> None:
    lanes = np.uint64(len(rows))
    sha1_start(s)
    for lane in range(lanes):
        row = rows[lane]
        _load_view(s, lane, row, digests[np.uint64(row["sensor"])], ids[lane]["flow"])
    sha1_block(s, lanes)
    for lane in range(lanes):
        _take(s, lane, ids[lane]["view"], _FOUR)
    sha1_start(s)
    for lane in range(lanes):
        _load_community(s, lane, rows[lane])
    sha1_block(s, lanes)
    for lane in range(lanes):
        _take(s, lane, ids[lane]["community"], _FIVE)


@compiled
def _identify(s: Any, rows: Any, digests: Any, ids: Any) -> None:
    for first in range(np.uint64(0), np.uint64(len(rows)), _L):
        end = min(first + _L, np.uint64(len(rows)))
        _flow_ids(s, rows[first:end], digests, ids[first:end])
        _other_ids(s, rows[first:end], digests, ids[first:end])


def sensor_digests(sensors: tuple[str, ...]) -> npt.NDArray[np.uint32]:
    """SHA-1 of each sensor's name, as uint32[n, 5]."""
    digests = b"".join(hashlib.sha1(name.encode(), usedforsecurity=False).digest() for name in sensors)
    return np.frombuffer(digests, ">u4").astype(np.uint32).reshape(len(sensors), 5)


def identify(rows: npt.NDArray[np.void], sensors: tuple[str, ...]) -> npt.NDArray[np.void]:
    """Ids of flow or event records, as IDS[n]; `sensors` are the names that the rows' `sensor` points into."""
    ids = np.zeros(len(rows), IDS)
    if len(rows):
        if int(rows["sensor"].max()) >= len(sensors):
            message = f"a record names sensor {rows['sensor'].max()} of {len(sensors)}"
            raise IndexError(message)
        # Both kinds of record begin alike: their first columns alone are one kind of row, and the kernels one kernel.
        first = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)[:, : IDENTITY.itemsize]
        identity = np.ascontiguousarray(first).reshape(-1).view(IDENTITY)
        _identify(np.zeros(ROWS * LANES, np.uint32), identity, sensor_digests(sensors), ids)
    return ids


def hex_id(words: npt.NDArray[np.uint32]) -> str:
    """Text of a flow_id or view_id."""
    return words.astype(">u4").tobytes().hex()


def community_id(words: npt.NDArray[np.uint32]) -> str:
    """Text of a Community ID, version 1."""
    return "1:" + base64.b64encode(words.astype(">u4").tobytes()).decode()
