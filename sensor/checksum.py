"""The kernel that verifies TCP checksums where neither kernel nor card has said anything: files without metadata.

Kept apart from dissection, because it reads every payload byte. RFC 9293 3.1, and RFC 8200 8.1 for IPv6.
"""

from typing import Any

import numpy as np

from sensor.frames import CHECKSUM_UNKNOWN
from sensor.headers import PROTOCOL_TCP
from sensor.octets import load16
from sensor.tunnels import innermost
from synfin.compiled import compiled, leaf
from synfin.wire.segment import CSUM_BAD, CSUM_OK, CSUM_UNKNOWN, HIGHER, MARK_FRAGMENT, TCP

_U0, _U1, _U2 = np.uint64(0), np.uint64(1), np.uint64(2)
_U8, _U10, _U16, _U32, _U48 = (np.uint64(n) for n in (8, 10, 16, 32, 48))
_WORD, _HALF = np.uint64(0xFFFF), np.uint64(0xFFFFFFFF)
_IPV4 = np.uint64(4)
_TCP = np.uint64(PROTOCOL_TCP)
_BAD, _OK, _NOT_KNOWN = np.uint8(CSUM_BAD), np.uint8(CSUM_OK), np.uint8(CSUM_UNKNOWN)
_OFFLOAD_SHARE = np.uint64(10)  # bad in all but a tenth of a direction: left to the card, says tcp-semantics 1.5


@leaf
def _fold(total: Any) -> Any:
    """Ones' complement sum of the 16-bit words of a number below 2^48."""
    total = (total & _WORD) + (total >> _U16)
    total = (total & _WORD) + (total >> _U16)
    return (total & _WORD) + (total >> _U16)


@leaf
def _words(address: Any) -> Any:
    """Sum of the four 16-bit words of half an address."""
    return (address >> _U48) + ((address >> _U32) & _WORD) + ((address >> _U16) & _WORD) + (address & _WORD)


@leaf
def _pseudo_header(packet: Any) -> Any:
    """Sum of the pseudo header's words; an IPv4 address is the low half of its mapped form."""
    source, target = packet["source_1"], packet["target_1"]
    if packet["family"] == _IPV4:
        source, target = source & _HALF, target & _HALF
    total = _words(packet["source_0"]) + _words(packet["target_0"]) + _words(source) + _words(target)
    return total + _TCP + (packet["carried"] & _WORD) + (packet["carried"] >> _U16)


@leaf
def _sum(buffer: Any, at: Any, size: Any) -> Any:
    """Sum of `size` bytes as 16-bit words in network order, an odd last byte as a word's first."""
    high, low = _U0, _U0
    pairs = size >> _U1
    for i in range(pairs):
        k = at + (np.uint64(i) << _U1)
        high += np.uint64(buffer[k])
        low += np.uint64(buffer[k + _U1])
    if size & _U1:
        high += np.uint64(buffer[at + size - _U1])
    return (high << _U8) + low


@leaf
def _verify(buffer: Any, frame: Any, packet: Any) -> Any:
    """CSUM_ of the TCP segment of a frame; unknown where bytes are missing or where the sum was left to the card.

    Offload is seen by what it leaves in the field: the pseudo header's sum alone (Linux), or nothing.
    """
    innermost(buffer, frame, packet)
    end = np.uint64(frame["offset"]) + np.uint64(frame["caplen"])
    at, carried = packet["at"], packet["carried"]
    if at + carried > end or packet["marks"] & np.uint64(MARK_FRAGMENT) != _U0:
        return _NOT_KNOWN
    pseudo = _fold(_pseudo_header(packet))
    if _fold(pseudo + _sum(buffer, at, carried)) == _WORD:
        return _OK
    field = load16(buffer, at + _U16)
    return _NOT_KNOWN if field in (pseudo, _U0) else _BAD


@compiled
def verify_checksums(buffer: Any, frames: Any, segments: Any, packets: Any, first_frame: Any, seen: Any) -> None:
    """Set `checksum` of the TCP rows of frames without metadata; `packets` is PACKET[1].

    `seen` is uint32[flows, 2, 2], zeros: how many of a flow's direction were bad, and how many verified.
    """
    for i in range(len(segments)):
        row = segments[np.uint64(i)]
        frame = frames[(np.uint64(row["frame"]) - first_frame) & _HALF]
        if row["kind"] != np.uint64(TCP) or frame["checksum"] != np.uint64(CHECKSUM_UNKNOWN):
            continue
        result = _verify(buffer, frame, packets[_U0])
        row["checksum"] = result
        if result != _NOT_KNOWN:
            side = _U1 if row["sender"] == np.uint64(HIGHER) else _U0
            counts = seen[np.uint64(row["flow"])][side]
            counts[_U1] += np.uint32(1)
            if result == _BAD:
                counts[_U0] += np.uint32(1)
    for i in range(len(segments)):
        row = segments[np.uint64(i)]
        if row["checksum"] == _BAD:
            side = _U1 if row["sender"] == np.uint64(HIGHER) else _U0
            counts = seen[np.uint64(row["flow"])][side]
            bad, verified = np.uint64(counts[_U0]), np.uint64(counts[_U1])
            if (verified - bad) * _OFFLOAD_SHARE <= verified:
                row["checksum"] = _NOT_KNOWN
