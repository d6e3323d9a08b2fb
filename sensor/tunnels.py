"""Kernels from a frame to its innermost IP packet, through up to four tunnels.

Sources: RFC 2003 and 4213 (IP in IP), 2784 and 2890 (GRE), 7348 (VXLAN), 8926 (GENEVE). VLAN tags, MPLS labels and
PPPoE are no tunnels here: they are part of the link.
"""

from typing import Any, Final

import numpy as np

from sensor.headers import (
    CUT,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    GOOD,
    MALFORMED,
    NOT_IP,
    NOT_TCP,
    PROTOCOL_GRE,
    PROTOCOL_ICMP,
    PROTOCOL_ICMPV6,
    PROTOCOL_IPV4,
    PROTOCOL_IPV6,
    PROTOCOL_TCP,
    TRUNCATED,
    UNKNOWN_TYPE,
    ethernet_header,
    ip_packet,
    link_header,
    unwrapped,
)
from sensor.octets import load16, load32
from synfin.compiled import leaf

TUNNELS_MAX: Final = 4

_U0, _U1, _U2, _U4, _U8, _U16, _U24, _U30 = (np.uint64(n) for n in (0, 1, 2, 4, 8, 16, 24, 30))
_GOOD, _NOT_IP, _NOT_TCP = np.uint64(GOOD), np.uint64(NOT_IP), np.uint64(NOT_TCP)
_TRUNCATED, _MALFORMED = np.uint64(TRUNCATED), np.uint64(MALFORMED)
_CUT, _UNKNOWN_TYPE = np.uint64(CUT), np.uint64(UNKNOWN_TYPE)
_IPV4, _IPV6, _GRE = np.uint64(PROTOCOL_IPV4), np.uint64(PROTOCOL_IPV6), np.uint64(PROTOCOL_GRE)
_INNERMOST = tuple(np.uint64(n) for n in (PROTOCOL_TCP, PROTOCOL_ICMP, PROTOCOL_ICMPV6))
_HALF, _LOW = np.uint64(0xFFFF), np.uint64(0xFFFFFFFF)

_BRIDGED = np.uint64(0x6558)  # an Ethernet frame is inside
_GRE_CHECKSUM, _GRE_KEY, _GRE_SEQUENCE = (np.uint64(n) for n in (0x80000000, 0x20000000, 0x10000000))
_GRE_UNKNOWN = np.uint64(0x40070000)  # source routes (RFC 1701), and all versions but 0
_VXLAN_PORTS = np.uint64(4789), np.uint64(8472)  # the second from before there was a number, and still Linux's
_VXLAN_VALID = np.uint64(0x08000000)
_GENEVE_PORT = np.uint64(6081)
_GENEVE_OPTIONS = np.uint64(0x3F)


@leaf
def overlay(domain: Any, number: Any) -> Any:
    """Domain of the overlay with this number inside another domain: fixed, never 0, and another for each number."""
    h = (number + domain * np.uint64(0x9E3779B1) + _U1) & _LOW
    h = ((h ^ (h >> _U16)) * np.uint64(0x85EBCA6B)) & _LOW
    h = ((h ^ (h >> np.uint64(13))) * np.uint64(0xC2B2AE35)) & _LOW
    h = h ^ (h >> _U16)
    return h if h != _U0 else _U1


@leaf
def _inside(buffer: Any, kind: Any, end: Any, packet: Any) -> Any:
    """EtherType of the packet inside, of which the tunnel said `kind`."""
    if kind == _BRIDGED:
        return ethernet_header(buffer, end, packet)
    return unwrapped(buffer, kind, end, packet)


@leaf
def _gre(buffer: Any, at: Any, end: Any, packet: Any) -> Any:
    if at + _U4 > end:
        return _CUT
    word = load32(buffer, at)
    if word & _GRE_UNKNOWN != _U0:
        return _UNKNOWN_TYPE
    at += _U8 if word & _GRE_CHECKSUM != _U0 else _U4
    if word & _GRE_KEY != _U0:
        if at + _U4 > end:
            return _CUT
        packet["domain"] = overlay(packet["domain"], load32(buffer, at))
        at += _U4
    packet["at"] = at + _U4 if word & _GRE_SEQUENCE != _U0 else at
    return _inside(buffer, word & _HALF, end, packet) if packet["at"] <= end else _CUT


@leaf
def _udp(buffer: Any, at: Any, end: Any, packet: Any) -> Any:
    """VXLAN or GENEVE by the target's port; everything else over UDP is no tunnel."""
    if at + _U4 > end:
        return _UNKNOWN_TYPE
    port = load16(buffer, at + _U2)
    if port not in _VXLAN_PORTS and port != _GENEVE_PORT:
        return _UNKNOWN_TYPE
    if at + _U16 > end:
        return _CUT
    word, number = load32(buffer, at + _U8), load32(buffer, at + _U8 + _U4) >> _U8
    packet["at"] = at + _U16
    kind = _BRIDGED
    if port == _GENEVE_PORT:
        if word >> _U30 != _U0:  # its version
            return _UNKNOWN_TYPE
        packet["at"] += ((word >> _U24) & _GENEVE_OPTIONS) << _U2
        kind = word & _HALF
    elif word & _VXLAN_VALID == _U0:
        return _UNKNOWN_TYPE
    packet["domain"] = overlay(packet["domain"], number)
    return _inside(buffer, kind, end, packet) if packet["at"] <= end else _CUT


@leaf
def tunnel_header(buffer: Any, packet: Any) -> Any:
    """Move the packet's `at` behind the header of the tunnel that it carries; the EtherType inside, as link_header."""
    protocol, at, end = packet["protocol"], packet["at"], packet["end"]
    if protocol == _IPV4:
        return np.uint64(ETHERTYPE_IPV4)
    if protocol == _IPV6:
        return np.uint64(ETHERTYPE_IPV6)
    if protocol == _GRE:
        return _gre(buffer, at, end, packet)
    return _udp(buffer, at, end, packet)


@leaf
def innermost(buffer: Any, frame: Any, packet: Any) -> Any:
    """Fill the packet with what a frame carries inside all tunnels: TCP or ICMP, when the outcome is GOOD.

    Inside a tunnel there is no direction: what was sent or received here is the outer packet, and the ends inside may
    be anywhere behind it. More tunnels than TUNNELS_MAX are NOT_TCP.
    """
    start = np.uint64(frame["offset"])
    end, wire_end = start + np.uint64(frame["caplen"]), start + np.uint64(frame["wirelen"])
    packet["at"] = start
    packet["direction"] = np.uint64(frame["direction"])
    packet["domain"] = _U0
    packet["tunnels"] = _U0
    outcome = ip_packet(buffer, link_header(buffer, np.uint64(frame["link"]), end, packet), end, wire_end, packet)
    for _ in range(TUNNELS_MAX):
        if outcome != _GOOD or packet["protocol"] in _INNERMOST:
            return outcome
        end, wire_end = packet["end"], packet["at"] + packet["carried"]
        outcome = ip_packet(buffer, tunnel_header(buffer, packet), end, wire_end, packet)
        packet["tunnels"] += _U1
        packet["direction"] = _U0
        if outcome == _NOT_IP:
            outcome = _NOT_TCP
        elif outcome == _TRUNCATED and end == wire_end:
            outcome = _MALFORMED  # it was the outer packet that had no room for the header
    return outcome if outcome != _GOOD or packet["protocol"] in _INNERMOST else _NOT_TCP
