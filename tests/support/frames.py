"""Frames made from their parts, for tests of the capture: link header, VLAN tags, IP, TCP or UDP."""

import socket
import struct

import numpy as np

from sensor.frames import FRAME, LINK_ETHERNET, FrameBlock

MACS = bytes.fromhex("020000000002020000000001")
TPIDS = {0: (), 1: (0x8100,), 2: (0x88A8, 0x8100)}


def tcp(sport, dport, flags=0x02, payload=b"", seq=1000):
    return struct.pack(">HHIIBBHHH", sport, dport, seq, 0, 5 << 4, flags, 8192, 0, 0) + payload


def udp(sport, dport, payload=b"x"):
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def ipv4(body, source="10.9.0.1", target="10.9.0.2", protocol=6, fragment=0, options=b""):
    ihl = 5 + len(options) // 4
    head = struct.pack(">BBHHHBBH", 0x40 | ihl, 0, ihl * 4 + len(body), 7, fragment, 64, protocol, 0)
    return head + socket.inet_aton(source) + socket.inet_aton(target) + options + body


def ipv6(body, source="fd09::1", target="fd09::2", protocol=6):
    head = struct.pack(">IHBB", 6 << 28, len(body), protocol, 64)
    return head + socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target) + body


def ethernet(packet, tags=(), tpids=None):
    """An Ethernet frame with VLAN ids `tags`, outermost first."""
    tpids = TPIDS[len(tags)] if tpids is None else tpids
    inner = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    chain = b"".join(struct.pack(">HH", tpid, tag) for tpid, tag in zip(tpids, tags, strict=True))
    return MACS + chain + struct.pack(">H", inner) + packet


def block(frames, link=LINK_ETHERNET, first_ns=1_700_000_000_123_456_789):
    """A FrameBlock of some bytes objects, 1 µs apart."""
    rows = np.zeros(len(frames), FRAME)
    lengths = np.array([len(frame) for frame in frames], np.int64)
    rows["t_ns"] = first_ns + 1000 * np.arange(len(frames))
    rows["offset"] = np.cumsum(lengths) - lengths
    rows["caplen"] = rows["wirelen"] = lengths
    rows["link"] = link
    return FrameBlock(np.frombuffer(b"".join(frames), np.uint8), rows)


def packets():
    """Some packets of every kind that a filter tells apart."""
    return [
        ipv4(tcp(40000, 22)),
        ipv4(tcp(22, 40000, 0x12)),
        ipv4(tcp(40000, 80)),
        ipv4(tcp(80, 40000, 0x11, b"body"), source="10.9.0.2", target="10.9.0.1"),
        ipv4(tcp(22222, 50000), source="192.168.2.29", target="192.168.2.30"),
        ipv4(tcp(50001, 22221), source="192.168.2.30", target="192.168.2.29"),
        ipv4(tcp(50002, 443), source="203.119.160.6", target="10.0.0.5"),
        ipv4(tcp(50003, 80), source="10.0.0.5", target="203.119.160.6"),
        ipv4(udp(53, 5353), protocol=17),
        ipv4(udp(22, 22), protocol=17),
        ipv4(tcp(22, 80), fragment=0x2000),
        ipv4(tcp(22, 80), fragment=0x0010),
        ipv4(tcp(1, 22), options=bytes(8)),
        ipv6(tcp(40000, 22)),
        ipv6(tcp(40000, 80, 0x04)),
        ipv6(udp(22, 9), protocol=17),
        ipv4(tcp(1, 79, 0x02, bytes(1200))),
    ]
