"""Kernels from the first byte of a frame to the first byte of what IP carries.

Lengths come from strangers: no byte is read that was not captured, and an IP length is believed only for counting.
Sources: RFC 791, 8200, 2675 (jumbograms), 4302 (AH), 3032 (MPLS), 2516 (PPPoE); tcpdump.org/linktypes.html.
"""

from typing import Any, Final

import numpy as np

from sensor.frames import (
    DIRECTION_RECEIVED,
    DIRECTION_SENT,
    LINK_ETHERNET,
    LINK_IPV4,
    LINK_IPV6,
    LINK_LOOP,
    LINK_NULL,
    LINK_RAW,
    LINK_RAW_BSD,
    LINK_RAW_OPENBSD,
    LINK_SLL,
    LINK_SLL2,
)
from sensor.octets import load16, load32, load64
from synfin.compiled import leaf
from synfin.wire.segment import MARK_FRAGMENT, MARK_GSO

# One IP packet, as far as its headers and its ports say; all columns are of the width in which kernels count.
PACKET: Final = np.dtype(
    [
        ("at", "<u8"),  # first byte of what IP carries
        ("end", "<u8"),  # behind the last captured byte of the packet, padding excluded
        ("carried", "<u8"),  # bytes that IP carries behind its headers, captured or not
        ("ip_len", "<u8"),  # with the IP header
        ("protocol", "<u8"),  # of what IP carries, behind extension headers
        ("source_0", "<u8"),  # addresses as in FLOW
        ("source_1", "<u8"),
        ("target_0", "<u8"),
        ("target_1", "<u8"),
        ("source_port", "<u8"),
        ("target_port", "<u8"),
        ("family", "<u8"),
        ("ttl", "<u8"),
        ("tos", "<u8"),
        ("ip_id", "<u8"),
        ("marks", "<u8"),
        ("direction", "<u8"),  # DIRECTION_*, of the frame
        ("domain", "<u8"),  # as in FLOW
        ("tunnels", "<u8"),  # how many are around it
    ]
)

LINKS: Final = (  # that link_header reads
    LINK_ETHERNET,
    LINK_SLL2,
    LINK_SLL,
    LINK_NULL,
    LINK_LOOP,
    LINK_RAW,
    LINK_RAW_BSD,
    LINK_RAW_OPENBSD,
    LINK_IPV4,
    LINK_IPV6,
)

# What came of a frame; the numbers are the places in the dissector's counts.
GOOD: Final = 0
NOT_TCP: Final = 1
FRAGMENT: Final = 2  # not the first of its packet
TRUNCATED: Final = 3  # the snap length cut a header that is needed
MALFORMED: Final = 4
NOT_IP: Final = 5
NO_LINK: Final = 6  # a link type that is not decoded
OUTCOMES: Final = 7

PROTOCOL_ICMP: Final = 1
PROTOCOL_IPV4: Final = 4
PROTOCOL_TCP: Final = 6
PROTOCOL_UDP: Final = 17
PROTOCOL_IPV6: Final = 41
PROTOCOL_GRE: Final = 47
PROTOCOL_ICMPV6: Final = 58

ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_IPV6: Final = 0x86DD
CUT, UNKNOWN_LINK, UNKNOWN_TYPE = 0, 1, 0x0600  # answers of link_header that are no EtherType, or nobody's

ONE_PACKET_MAX: Final = 9216  # bytes of the longest IP packet that common links carry; above it is offload

_U0, _U1, _U2, _U3, _U4, _U5, _U6, _U8, _U9 = (np.uint64(n) for n in (0, 1, 2, 3, 4, 5, 6, 8, 9))
_U10, _U12, _U14, _U16, _U20, _U24, _U40 = (np.uint64(n) for n in (10, 12, 14, 16, 20, 24, 40))
_U32, _U48, _U56 = (np.uint64(n) for n in (32, 48, 56))
_GOOD, _FRAGMENT, _TRUNCATED = np.uint64(GOOD), np.uint64(FRAGMENT), np.uint64(TRUNCATED)
_MALFORMED, _NOT_TCP, _NOT_IP = np.uint64(MALFORMED), np.uint64(NOT_TCP), np.uint64(NOT_IP)
_IPV4, _IPV6 = np.uint64(ETHERTYPE_IPV4), np.uint64(ETHERTYPE_IPV6)
_CUT, _UNKNOWN_LINK = np.uint64(CUT), np.uint64(UNKNOWN_LINK)
_UNKNOWN_TYPE = np.uint64(UNKNOWN_TYPE)  # the lowest EtherType; below it is an 802.3 length
_TAGS = tuple(np.uint64(n) for n in (0x8100, 0x88A8, 0x9100, 0x9200))  # the last two from before there was 802.1ad
_LABELS = tuple(np.uint64(n) for n in (0x8847, 0x8848))
_PPPOE, _PPP_IPV4, _PPP_IPV6 = (np.uint64(n) for n in (0x8864, 0x0021, 0x0057))
_WRAPPERS = (*_TAGS, *_LABELS, _PPPOE)
_SNAP = np.uint64(0xAAAA03000000)  # LLC and SNAP headers before an EtherType
_TCP, _ICMP, _ICMPV6 = np.uint64(PROTOCOL_TCP), np.uint64(PROTOCOL_ICMP), np.uint64(PROTOCOL_ICMPV6)
_TUNNELS = tuple(np.uint64(n) for n in (PROTOCOL_IPV4, PROTOCOL_UDP, PROTOCOL_IPV6, PROTOCOL_GRE))
_MAPPED = np.uint64(0xFFFF00000000)
_LOW_NIBBLE = np.uint64(0x0F)
_FRAGMENT_OFFSET, _MORE_FRAGMENTS = np.uint64(0x1FFF), np.uint64(0x2000)
_MARK_GSO, _MARK_FRAGMENT = np.uint64(MARK_GSO), np.uint64(MARK_FRAGMENT)
_ONE_PACKET_MAX = np.uint64(ONE_PACKET_MAX)
_SENT, _RECEIVED = np.uint64(DIRECTION_SENT), np.uint64(DIRECTION_RECEIVED)

_HOP_BY_HOP, _ROUTING, _V6_FRAGMENT, _AH, _DESTINATION = (np.uint64(n) for n in (0, 43, 44, 51, 60))
_MOBILITY, _HIP, _SHIM6 = (np.uint64(n) for n in (135, 139, 140))
_EXTENSIONS_MAX: Final = 16
_WRAPPERS_MAX: Final = 8
_OPTION_JUMBO = np.uint64(0xC2)


@leaf
def _sent_or_received(packet: Any, kind: Any) -> None:
    """Take the direction from a cooked header's packet type (4 outgoing; 0, 1, 2 to this host or to all)."""
    if packet["direction"] == _U0:
        if kind == _U4:
            packet["direction"] = _SENT
        elif kind <= _U2:
            packet["direction"] = _RECEIVED


@leaf
def _version(buffer: Any, at: Any, end: Any) -> Any:
    """EtherType of a packet without one, by its IP version."""
    if at >= end:
        return _CUT
    version = np.uint64(buffer[at]) >> _U4
    if version == _U4:
        return _IPV4
    return _IPV6 if version == _U6 else _UNKNOWN_TYPE


@leaf
def _other_link(buffer: Any, link: Any, end: Any, packet: Any) -> Any:
    """What link_header does, for all but Ethernet."""
    at = packet["at"]
    header = _U0
    if link == np.uint64(LINK_SLL2):
        header = _U20
    elif link == np.uint64(LINK_SLL):
        header = _U16
    elif link == np.uint64(LINK_NULL) or link == np.uint64(LINK_LOOP):
        header = _U4  # address family in the writer's byte order and numbering: the IP version is surer
    elif (
        link != np.uint64(LINK_RAW)
        and link != np.uint64(LINK_RAW_BSD)
        and link != np.uint64(LINK_RAW_OPENBSD)
        and link != np.uint64(LINK_IPV4)
        and link != np.uint64(LINK_IPV6)
    ):
        return _UNKNOWN_LINK
    if at + header > end:
        return _CUT
    packet["at"] = at + header
    if header == _U20:
        _sent_or_received(packet, np.uint64(buffer[at + _U10]))
        return load16(buffer, at)
    if header == _U16:
        _sent_or_received(packet, load16(buffer, at))
        return load16(buffer, at + _U14)
    return _version(buffer, at + header, end)


@leaf
def _unwrap(buffer: Any, ethertype: Any, end: Any, packet: Any) -> Any:
    """Pass one VLAN tag, MPLS label or PPPoE header at the packet's `at`; the EtherType that follows."""
    at = packet["at"]
    size = _U8 if ethertype == _PPPOE else _U4
    if at + size > end:
        return _CUT
    packet["at"] = at + size
    if ethertype == _PPPOE:
        protocol = load16(buffer, at + _U6)
        if protocol == _PPP_IPV4:
            return _IPV4
        return _IPV6 if protocol == _PPP_IPV6 else _UNKNOWN_TYPE
    if ethertype in _LABELS:
        last = np.uint64(buffer[at + _U2]) & _U1
        return _version(buffer, at + _U4, end) if last else ethertype
    return load16(buffer, at + _U2)


@leaf
def unwrapped(buffer: Any, ethertype: Any, end: Any, packet: Any) -> Any:
    """Pass the tags, labels and PPPoE header that begin at the packet's `at`; the EtherType behind them, or _CUT."""
    for _ in range(_WRAPPERS_MAX):
        if ethertype not in _WRAPPERS:
            break
        ethertype = _unwrap(buffer, ethertype, end, packet)
    return ethertype


@leaf
def ethernet_header(buffer: Any, end: Any, packet: Any) -> Any:
    """What link_header does for Ethernet."""
    at = packet["at"]
    if at + _U14 > end:
        return _CUT
    ethertype = load16(buffer, at + _U12)
    at += _U14
    packet["at"] = at
    if ethertype < _UNKNOWN_TYPE and at + _U8 <= end and load64(buffer, at) >> _U16 == _SNAP:
        ethertype = load16(buffer, at + _U6)
        packet["at"] = at + _U8
    return unwrapped(buffer, ethertype, end, packet)


@leaf
def link_header(buffer: Any, link: Any, end: Any, packet: Any) -> Any:
    """Move the packet's `at` behind link header, tags and labels; the EtherType, or CUT, or UNKNOWN_LINK."""
    if link == np.uint64(LINK_ETHERNET):
        return ethernet_header(buffer, end, packet)
    return unwrapped(buffer, _other_link(buffer, link, end, packet), end, packet)


@leaf
def ipv4_header(buffer: Any, end: Any, wire_end: Any, packet: Any) -> Any:
    """Fill the packet from the IPv4 header at its `at`, and move `at` behind it. An outcome, GOOD for tunnels too."""
    at = packet["at"]
    if at + _U20 > end:
        return _TRUNCATED
    first = np.uint64(buffer[at])
    header = (first & _LOW_NIBBLE) << _U2
    if first >> _U4 != _U4 or header < _U20:
        return _MALFORMED
    protocol = np.uint64(buffer[at + _U9])
    if protocol not in (_TCP, _ICMP) and protocol not in _TUNNELS:
        return _NOT_TCP
    fragment = load16(buffer, at + _U6)
    if fragment & _FRAGMENT_OFFSET != _U0:
        return _NOT_TCP if protocol in _TUNNELS else _FRAGMENT
    ip_len = load16(buffer, at + _U2)
    marks = _U0
    if ip_len == _U0:  # left to the card (TSO), or longer than 16 bits can say (BIG TCP)
        ip_len = wire_end - at
    if ip_len < header:
        return _MALFORMED
    if ip_len > _ONE_PACKET_MAX:
        marks |= _MARK_GSO
    if fragment & _MORE_FRAGMENTS != _U0:
        marks |= _MARK_FRAGMENT
    packet["protocol"] = protocol
    packet["tos"] = np.uint64(buffer[at + _U1])
    packet["ip_id"] = load16(buffer, at + _U4)
    packet["ttl"] = np.uint64(buffer[at + _U8])
    packet["source_0"] = _U0
    packet["source_1"] = _MAPPED | load32(buffer, at + _U12)
    packet["target_0"] = _U0
    packet["target_1"] = _MAPPED | load32(buffer, at + _U16)
    packet["family"] = _U4
    packet["marks"] = marks
    packet["ip_len"] = ip_len
    packet["carried"] = ip_len - header
    packet["at"] = at + header
    packet["end"] = min(end, at + ip_len)
    return _GOOD


@leaf
def _jumbo_length(buffer: Any, at: Any, end: Any) -> Any:
    """Length in the jumbo payload option of the hop-by-hop header in [at, end), 0 when there is none."""
    at += _U2
    while at + _U6 <= end:
        kind = np.uint64(buffer[at])
        if kind == _U0:
            at += _U1
            continue
        length = np.uint64(buffer[at + _U1])
        if kind == _OPTION_JUMBO and length == _U4:
            return load32(buffer, at + _U2)
        at += _U2 + length
    return _U0


@leaf
def _extensions(buffer: Any, end: Any, packet: Any) -> Any:
    """Pass the extension headers; `at`, `protocol`, `marks` and `ip_len` of the packet are moved on. An outcome."""
    for _ in range(_EXTENSIONS_MAX):
        kind, at = packet["protocol"], packet["at"]
        if kind in (_TCP, _ICMPV6) or kind in _TUNNELS:
            return _GOOD
        plain = kind in (_HOP_BY_HOP, _ROUTING, _DESTINATION, _MOBILITY, _HIP, _SHIM6)
        if not plain and kind not in (_V6_FRAGMENT, _AH):
            return _NOT_TCP
        if at + _U8 > end:
            return _TRUNCATED
        packet["protocol"] = np.uint64(buffer[at])
        length = np.uint64(buffer[at + _U1])
        if kind == _AH:
            packet["at"] = at + ((length + _U2) << _U2)
        elif kind == _V6_FRAGMENT:
            place = load16(buffer, at + _U2)
            if place >> _U3 != _U0:
                return _FRAGMENT if packet["protocol"] == _TCP else _NOT_TCP
            if place & _U1 != _U0:
                packet["marks"] |= _MARK_FRAGMENT
            packet["at"] = at + _U8
        else:
            packet["at"] = at + ((length + _U1) << _U3)
            if kind == _HOP_BY_HOP and packet["ip_len"] == _U40:
                packet["ip_len"] = _U40 + _jumbo_length(buffer, at, min(packet["at"], end))
    return _MALFORMED


@leaf
def ipv6_header(buffer: Any, end: Any, wire_end: Any, packet: Any) -> Any:
    """Fill the packet from the IPv6 header at its `at`, and move `at` behind it and its extensions. An outcome."""
    at = packet["at"]
    if at + _U40 > end:
        return _TRUNCATED
    if np.uint64(buffer[at]) >> _U4 != _U6:
        return _MALFORMED
    packet["tos"] = (load16(buffer, at) >> _U4) & np.uint64(0xFF)
    packet["ip_id"] = _U0
    packet["protocol"] = np.uint64(buffer[at + _U6])
    packet["ttl"] = np.uint64(buffer[at + np.uint64(7)])
    packet["source_0"] = load64(buffer, at + _U8)
    packet["source_1"] = load64(buffer, at + _U16)
    packet["target_0"] = load64(buffer, at + _U24)
    packet["target_1"] = load64(buffer, at + _U32)
    packet["family"] = _U6
    packet["marks"] = _U0
    packet["ip_len"] = _U40 + load16(buffer, at + _U4)
    packet["at"] = at + _U40
    outcome = _extensions(buffer, end, packet)
    if outcome != _GOOD:
        return outcome
    if packet["ip_len"] == _U40:  # no length and no jumbo option: offload, as in IPv4
        packet["ip_len"] = wire_end - at
    header = packet["at"] - at
    if packet["ip_len"] < header:
        return _MALFORMED
    if packet["ip_len"] > _ONE_PACKET_MAX:
        packet["marks"] |= _MARK_GSO
    packet["carried"] = packet["ip_len"] - header
    packet["end"] = min(end, at + packet["ip_len"])
    return _GOOD


@leaf
def ip_packet(buffer: Any, ethertype: Any, end: Any, wire_end: Any, packet: Any) -> Any:
    """Fill the packet from the IP header at its `at`. An outcome."""
    if ethertype == _IPV4:
        return ipv4_header(buffer, end, wire_end, packet)
    if ethertype == _IPV6:
        return ipv6_header(buffer, end, wire_end, packet)
    if ethertype == _CUT:
        return _TRUNCATED
    if ethertype == _UNKNOWN_LINK:
        return np.uint64(NO_LINK)
    return _NOT_IP
