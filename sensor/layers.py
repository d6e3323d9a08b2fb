"""Where each layer of a frame begins and ends, from the link to the innermost: for whoever asks for a packet's fields.

The dissector makes one row of a frame's TCP segment and needs no more of what lies around it. Here every layer is a
row, tunnels and the packets that ICMP errors quote included, as Wireshark shows them.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sensor.frames import LINK_ETHERNET, LINK_LOOP, LINK_NULL, LINK_SLL, LINK_SLL2, FrameBlock
from sensor.headers import (
    CUT,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    GOOD,
    PACKET,
    PROTOCOL_ICMP,
    PROTOCOL_ICMPV6,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    UNKNOWN_LINK,
    ip_packet,
    link_header,
    unwrapped,
)
from sensor.octets import load16
from sensor.tunnels import TUNNELS_MAX, tunnel_header
from synfin.compiled import compiled, leaf

LAYER: Final = np.dtype(
    [
        ("at", "<u8"),  # its first byte in the block's buffer
        ("end", "<u8"),  # behind its last captured byte, what it carries included and padding excluded
        ("size", "<u8"),  # bytes that it has by the lengths in the headers, captured or not
        ("frame", "<u4"),  # index in the block
        ("kind", "u1"),  # index of LAYERS
        ("number", "u1"),  # among the frame's layers of this kind, from 1
        ("pad", "u1", (2,)),
    ]
)
assert LAYER.itemsize == 32

LAYERS: Final = ("eth", "vlan", "ip", "ipv6", "icmp", "icmpv6", "tcp", "udp", "sll", "sll2", "null")
OF_A_FRAME_MAX: Final = 40  # tags, and for each tunnel IP and what it carries

_U0, _U1, _U2, _U3, _U4, _U6, _U8, _U12, _U14, _U40 = (np.uint64(n) for n in (0, 1, 2, 3, 4, 6, 8, 12, 14, 40))
_ETH, _VLAN, _IP, _IPV6, _ICMP, _ICMPV6, _TCP, _UDP, _SLL, _SLL2, _NULL = (np.uint64(n) for n in range(len(LAYERS)))
_TYPE_IPV4, _TYPE_IPV6 = np.uint64(ETHERTYPE_IPV4), np.uint64(ETHERTYPE_IPV6)
_TAGS = tuple(np.uint64(n) for n in (0x8100, 0x88A8, 0x9100, 0x9200))
_TAGS_MAX: Final = 8
_COOKED = (np.uint64(LINK_SLL), np.uint64(LINK_SLL2))
_LOOPBACK = (np.uint64(LINK_NULL), np.uint64(LINK_LOOP))
_QUOTING = tuple(np.uint64(n) for n in (3, 4, 5, 11, 12))
_QUOTING_V6_MAX = np.uint64(4)
_GOOD, _CUT, _UNKNOWN = np.uint64(GOOD), np.uint64(CUT), np.uint64(UNKNOWN_LINK)
_P_TCP, _P_UDP = np.uint64(PROTOCOL_TCP), np.uint64(PROTOCOL_UDP)
_P_ICMP, _P_ICMPV6 = np.uint64(PROTOCOL_ICMP), np.uint64(PROTOCOL_ICMPV6)


@leaf
def _note(rows: Any, n: Any, first: Any, kind: Any, place: Any) -> Any:
    """Write a layer's row behind those of the frame, which begin at `first`; how many rows there are."""
    at, end, size, frame = place
    number = _U1
    i = first
    while i < n:
        number += np.uint64(rows[i]["kind"] == kind)
        i += _U1
    row = rows[n]
    row["at"] = at
    row["end"] = end
    row["size"] = size
    row["frame"] = frame
    row["kind"] = kind
    row["number"] = number
    return n + _U1


@leaf
def _link(buffer: Any, frame: Any, i: Any, rows: Any, work: Any) -> Any:
    """Note the link's layers; (how many rows there are, EtherType of what follows)."""
    packets, n = work
    packet = packets[_U0]
    start = np.uint64(frame["offset"])
    end = start + np.uint64(frame["caplen"])
    packet["at"] = start
    link = np.uint64(frame["link"])
    if link != np.uint64(LINK_ETHERNET):
        place = (start, end, np.uint64(frame["wirelen"]), i)
        if link in _COOKED:
            n = _note(rows, n, n, _SLL if link == _COOKED[0] else _SLL2, place)
        elif link in _LOOPBACK:
            n = _note(rows, n, n, _NULL, place)
        return n, link_header(buffer, link, end, packet)
    first = n
    n = _note(rows, n, first, _ETH, (start, end, np.uint64(frame["wirelen"]), i))
    if start + _U14 > end:
        return n, _CUT
    at, ethertype = start + _U14, load16(buffer, start + _U12)
    for _ in range(_TAGS_MAX):
        if ethertype not in _TAGS or at + _U4 > end:
            break
        n = _note(rows, n, first, _VLAN, (at, end, end - at, i))
        ethertype = load16(buffer, at + _U2)
        at += _U4
    if n > first + _U1:
        packet["at"] = at
        return n, unwrapped(buffer, ethertype, end, packet)
    return n, link_header(buffer, link, end, packet)


@leaf
def _ip(buffer: Any, ethertype: Any, ends: Any, rows: Any, work: Any) -> Any:
    """Note an IP packet at the work's `at`, and what it carries; (how many rows there are, EtherType inside or 0)."""
    packets, n, first, i = work
    end, wire_end = ends
    packet = packets[_U0]
    at = packet["at"]
    version = _U4 if ethertype == _TYPE_IPV4 else _U6
    if at >= end or np.uint64(buffer[at]) >> _U4 != version:
        return n, _U0
    size = wire_end - at
    if version == _U4 and at + _U4 <= end and load16(buffer, at + _U2) != _U0:
        size = load16(buffer, at + _U2)
    elif version == _U6 and at + _U6 <= end and load16(buffer, at + _U4) != _U0:
        size = load16(buffer, at + _U4) + _U40
    n = _note(rows, n, first, _IP if version == _U4 else _IPV6, (at, min(end, at + size), size, i))
    if ip_packet(buffer, ethertype, end, wire_end, packet) != _GOOD:
        return n, _U0
    place = (packet["at"], packet["end"], packet["carried"], i)
    protocol = packet["protocol"]
    if packet["at"] >= packet["end"]:
        return n, _U0
    kind = np.uint64(buffer[packet["at"]])
    if protocol == _P_TCP:
        return _note(rows, n, first, _TCP, place), _U0
    if protocol == _P_ICMP:
        n = _note(rows, n, first, _ICMP, place)
        packet["at"] += _U8
        return n, _TYPE_IPV4 if kind in _QUOTING else _U0
    if protocol == _P_ICMPV6:
        n = _note(rows, n, first, _ICMPV6, place)
        packet["at"] += _U8
        return n, _TYPE_IPV6 if _U1 <= kind <= _QUOTING_V6_MAX else _U0
    if protocol == _P_UDP:
        n = _note(rows, n, first, _UDP, place)
    return n, tunnel_header(buffer, packet)


@compiled
def walk_layers(buffer: Any, frames: Any, packets: Any, rows: Any) -> Any:
    """Write the layers of all frames, frame after frame; how many. `rows` has room for OF_A_FRAME_MAX of each frame."""
    n = _U0
    for k in range(len(frames)):
        i = np.uint64(k)
        frame, packet = frames[i], packets[_U0]
        first = n
        start = np.uint64(frame["offset"])
        end, wire_end = start + np.uint64(frame["caplen"]), start + np.uint64(frame["wirelen"])
        packet["direction"] = _U0
        packet["domain"] = _U0
        n, ethertype = _link(buffer, frame, i, rows, (packets, n))
        for _ in range(TUNNELS_MAX + 2):
            if ethertype not in (_TYPE_IPV4, _TYPE_IPV6):
                break
            n, ethertype = _ip(buffer, ethertype, (end, wire_end), rows, (packets, n, first, i))
            end, wire_end = min(end, packet["end"]), packet["end"]
    return n


def layers_of(block: FrameBlock) -> npt.NDArray[np.void]:
    """LAYER[] of a block, by frame and from the outside in."""
    parts = []
    packets = np.zeros(1, PACKET)
    step = 1024  # frames at a time, so that the room for their layers stays small
    rows = np.empty(step * OF_A_FRAME_MAX, LAYER)
    for first in range(0, len(block), step):
        n = int(walk_layers(block.buffer, block.frames[first : first + step], packets, rows))
        some = rows[:n].view(np.uint8).copy().view(LAYER)  # as bytes: numpy copies a record field by field
        some["frame"] += np.uint32(first)
        parts.append(some)
    return np.concatenate(parts) if parts else np.zeros(0, LAYER)
