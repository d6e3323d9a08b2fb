"""The kernel's receive ring (TPACKET_V3) of one interface, read a block at a time.

The kernel writes packets into memory that it shares with us and hands over whole blocks, when they are full or some
milliseconds old. Nothing is copied: a FrameBlock points into the ring and is valid until the next one is taken.
Source: linux/if_packet.h and Documentation/networking/packet_mmap.rst. All fields are in the host's byte order, but for
those of sockaddr_ll that are said to be big-endian.
"""

import ctypes
import mmap
import os
import select
import socket
import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sensor.bpf import Program
from sensor.frames import (
    CHECKSUM_NOT_READY,
    CHECKSUM_UNKNOWN,
    CHECKSUM_VALID,
    DIRECTION_BOTH,
    DIRECTION_RECEIVED,
    DIRECTION_SENT,
    DIRECTION_UNKNOWN,
    FRAME,
    FRAME_VLAN,
    LINK_SLL2,
    FrameBlock,
)
from sensor.interfaces import ARPHRD_LOOPBACK, Interface
from synfin.compiled import compiled

SOL_PACKET: Final = 263
PACKET_ADD_MEMBERSHIP: Final = 1
PACKET_RX_RING: Final = 5
PACKET_STATISTICS: Final = 6
PACKET_VERSION: Final = 10
PACKET_RESERVE: Final = 12
PACKET_MR_PROMISC: Final = 1
TPACKET_V3: Final = 2
ETH_P_ALL: Final = 0x0003
SO_ATTACH_FILTER: Final = 26

TP_STATUS_USER: Final = 1
RESERVED: Final = 32  # bytes that the kernel leaves free before each packet: room for an SLL2 header
ROW_BYTES_MIN: Final = 64  # no packet takes less of a block: its header alone is 68 bytes

_U0, _U1, _U2, _U3, _U4, _U8, _U16, _U20, _U32 = (np.uint64(n) for n in (0, 1, 2, 3, 4, 8, 16, 20, 32))
_SECOND = np.uint64(1_000_000_000)
# Words of struct tpacket_block_desc, and of struct tpacket3_hdr with the sockaddr_ll behind it.
_W_STATUS, _W_PACKETS, _W_FIRST = np.uint64(2), np.uint64(3), np.uint64(4)
_W_NEXT, _W_SEC, _W_NSEC, _W_SNAPLEN, _W_LEN, _W_TP_STATUS = (np.uint64(n) for n in range(6))
_W_VLAN_TCI, _W_IFINDEX = np.uint64(8), np.uint64(13)
_H_MAC, _H_VLAN_TPID, _H_HATYPE = np.uint64(12), np.uint64(18), np.uint64(28)  # 16-bit halves
_B_PROTOCOL, _B_PKTTYPE, _B_HALEN, _B_ADDRESS = np.uint64(50), np.uint64(58), np.uint64(59), np.uint64(60)
_CSUM_NOT_READY, _VLAN_VALID = np.uint64(1 << 3), np.uint64(1 << 4)
_VLAN_TPID_VALID, _CSUM_VALID = np.uint64(1 << 6), np.uint64(1 << 7)
_TPID_DEFAULT = np.uint64(0x8100)
_LOOPBACK = np.uint64(ARPHRD_LOOPBACK)
_MULTICAST, _OUTGOING = np.uint64(2), np.uint64(4)  # sll_pkttype: 0 host, 1 broadcast, 2 multicast, 3 another host
_SLL2 = np.uint64(LINK_SLL2)
_SLL2_HEADER = _U20
_BYTE = np.uint64(0xFF)


@compiled
def _direction(pkttype: Any, hatype: Any) -> Any:
    if pkttype <= _MULTICAST:  # of loopback the outgoing copy never comes: the filter lets it go
        return np.uint64(DIRECTION_BOTH if hatype == _LOOPBACK else DIRECTION_RECEIVED)
    return np.uint64(DIRECTION_SENT if pkttype == _OUTGOING else DIRECTION_UNKNOWN)


@compiled
def _store16(octets: Any, at: Any, value: Any) -> None:
    octets[at] = (value >> _U8) & _BYTE
    octets[at + _U1] = value & _BYTE


@compiled
def _tag_inside(octets: Any, header: Any, mac: Any) -> Any:
    """Whether a second VLAN tag stands at the head of a payload that is said to be IP.

    From version 6.10 on the kernel names the innermost protocol and leaves that tag where it is. An IP header begins
    with its version; a tag that happens to begin so (priority 2 with IPv4, 3 with IPv6) is taken for one.
    """
    high, low = octets[header + _B_PROTOCOL], octets[header + _B_PROTOCOL + _U1]
    if octets[mac + _U2] != high or octets[mac + _U3] != low:
        return False
    version = np.uint64(0)
    if high == np.uint64(0x08) and low == _U0:
        version = _U4
    elif high == np.uint64(0x86) and low == np.uint64(0xDD):
        version = np.uint64(6)
    return np.uint64(octets[mac + _U4]) >> _U4 == version != np.uint64(octets[mac]) >> _U4


@compiled
def _write_sll2(octets: Any, header: Any, mac: Any, ifindex: Any, hatype: Any) -> None:
    """Put the 20 bytes of a Linux cooked v2 header in front of a packet, from its sockaddr_ll at `header`."""
    at = mac - _SLL2_HEADER
    if _tag_inside(octets, header, mac):
        _store16(octets, at, _TPID_DEFAULT)
    else:
        octets[at] = octets[header + _B_PROTOCOL]  # big-endian already
        octets[at + _U1] = octets[header + _B_PROTOCOL + _U1]
    _store16(octets, at + _U2, _U0)
    _store16(octets, at + _U4, ifindex >> _U16)
    _store16(octets, at + np.uint64(6), ifindex)
    _store16(octets, at + _U8, hatype)
    octets[at + np.uint64(10)] = octets[header + _B_PKTTYPE]
    octets[at + np.uint64(11)] = octets[header + _B_HALEN]
    for i in range(_U8):
        octets[at + np.uint64(12) + np.uint64(i)] = octets[header + _B_ADDRESS + np.uint64(i)]


@compiled
def _tag(words: Any, halves: Any, header: Any, status: Any, frame: Any) -> None:
    """The VLAN tag that the kernel took out of the frame, if it did."""
    frame["vlan_tci"] = _U0
    frame["vlan_tpid"] = _U0
    frame["flags"] = _U0
    if status & _VLAN_VALID:
        frame["flags"] = np.uint64(FRAME_VLAN)
        frame["vlan_tci"] = np.uint64(words[(header >> _U2) + _W_VLAN_TCI]) & np.uint64(0xFFFF)
        frame["vlan_tpid"] = _TPID_DEFAULT
        if status & _VLAN_TPID_VALID:
            frame["vlan_tpid"] = halves[(header >> _U1) + _H_VLAN_TPID]


@compiled
def walk_block(octets: Any, halves: Any, words: Any, link: Any, frames: Any) -> Any:
    """Write one FRAME for each packet of a block and return their number.

    `octets`, `halves` and `words` are one block as uint8, uint16 and uint32; with LINK_SLL2 the packets' headers are
    written into it.
    """
    count = np.uint64(words[_W_PACKETS])
    header = np.uint64(words[_W_FIRST])
    for i in range(count):
        word, half = header >> _U2, header >> _U1
        status = np.uint64(words[word + _W_TP_STATUS])
        mac = header + np.uint64(halves[half + _H_MAC])
        hatype = np.uint64(halves[half + _H_HATYPE])
        caplen, wirelen = np.uint64(words[word + _W_SNAPLEN]), np.uint64(words[word + _W_LEN])
        frame = frames[np.uint64(i)]
        frame["t_ns"] = np.uint64(words[word + _W_SEC]) * _SECOND + np.uint64(words[word + _W_NSEC])
        frame["direction"] = _direction(np.uint64(octets[header + _B_PKTTYPE]), hatype)
        frame["checksum"] = np.uint64(CHECKSUM_UNKNOWN)
        if status & _CSUM_NOT_READY:
            frame["checksum"] = np.uint64(CHECKSUM_NOT_READY)
        elif status & _CSUM_VALID:
            frame["checksum"] = np.uint64(CHECKSUM_VALID)
        _tag(words, halves, header, status, frame)
        if link == _SLL2:
            _write_sll2(octets, header, mac, np.uint64(words[word + _W_IFINDEX]), hatype)
            mac, caplen, wirelen = mac - _SLL2_HEADER, caplen + _SLL2_HEADER, wirelen + _SLL2_HEADER
        frame["offset"] = mac
        frame["caplen"] = caplen
        frame["wirelen"] = max(wirelen, caplen)
        frame["link"] = link
        header += np.uint64(words[word + _W_NEXT])
    return count


@dataclass(frozen=True, slots=True)
class RingShape:
    """How much memory the ring takes, and how long a packet may lie in an unfilled block."""

    block_bytes: int = 1 << 20  # the largest packet (BIG TCP, 512 KiB) must fit
    blocks: int = 32
    retire_ms: int = 50

    def request(self) -> bytes:
        """Pack it as struct tpacket_req3."""
        frame_bytes = 2048  # means nothing in version 3, but must divide
        frames = self.block_bytes // frame_bytes * self.blocks
        return struct.pack("=7I", self.block_bytes, self.blocks, frame_bytes, frames, self.retire_ms, 0, 0)


class Ring:
    """A packet socket with its ring: opened without hearing anything, bound when filter and memory are there."""

    def __init__(self, interface: Interface, shape: RingShape) -> None:
        """Note what to open; nothing happens yet."""
        self.interface = interface
        self.shape = shape
        self.socket: socket.socket
        self._at = 0
        self._received = 0
        self._dropped = 0
        self._frames = np.zeros(shape.block_bytes // ROW_BYTES_MIN, FRAME)

    def open(self, program: Program, *, promiscuous: bool) -> None:
        """Open the socket, set up ring and filter, and only then bind it, so that no packet from before slips in.

        Raises OSError of the call that failed, PermissionError where the capability is missing.
        """
        kind = socket.SOCK_DGRAM if self.interface.link == LINK_SLL2 else socket.SOCK_RAW
        self.socket = socket.socket(socket.AF_PACKET, kind, 0)
        try:
            self._set_up(program, promiscuous=promiscuous)
        except BaseException:
            self.socket.close()
            raise

    def _set_up(self, program: Program, *, promiscuous: bool) -> None:
        sock, shape = self.socket, self.shape
        sock.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        sock.setsockopt(SOL_PACKET, PACKET_RESERVE, RESERVED)
        sock.setsockopt(SOL_PACKET, PACKET_RX_RING, shape.request())
        self.attach(program)
        memory = mmap.mmap(sock.fileno(), shape.block_bytes * shape.blocks)
        octets = np.frombuffer(memory, np.uint8).reshape(shape.blocks, shape.block_bytes)
        self._octets, self._halves, self._words = octets, octets.view(np.uint16), octets.view(np.uint32)
        self._bind()
        if promiscuous and self.interface.index:
            sock.setsockopt(
                SOL_PACKET, PACKET_ADD_MEMBERSHIP, struct.pack("=iHH8x", self.interface.index, PACKET_MR_PROMISC, 0)
            )

    def _bind(self) -> None:
        if self.interface.index:
            self.socket.bind((self.interface.name, ETH_P_ALL))
            return
        # All interfaces: index 0 of struct sockaddr_ll, for which Python's bind has no name.
        address = struct.pack("=H2si12x", socket.AF_PACKET, ETH_P_ALL.to_bytes(2, "big"), 0)
        if ctypes.CDLL(None, use_errno=True).bind(self.socket.fileno(), address, len(address)) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def attach(self, program: Program) -> None:
        """Set or replace the socket's filter."""
        rows = np.array([tuple(row) for row in program], [("code", "=u2"), ("jt", "u1"), ("jf", "u1"), ("k", "=u4")])
        # struct sock_fprog: a count, padding to the pointer's size, the pointer
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(rows), rows.ctypes.data))

    def error(self) -> int:
        """Read and clear the errno that the socket holds, 0 for none: ENETDOWN when the interface went away."""
        return self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def wait(self, timeout_s: float) -> bool:
        """Sleep until a block is there or something happened to the interface; False when the time has passed."""
        poll = select.poll()
        poll.register(self.socket.fileno(), select.POLLIN | select.POLLERR)
        return bool(poll.poll(timeout_s * 1000))

    def take(self, first_frame: int) -> FrameBlock | None:
        """The next block, if the kernel has handed it over; valid until `give_back`."""
        words = self._words[self._at]
        if not words[_W_STATUS] & TP_STATUS_USER:
            return None
        octets = self._octets[self._at]
        count = walk_block(octets, self._halves[self._at], words, np.uint64(self.interface.link), self._frames)
        return FrameBlock(octets, self._frames[: int(count)], first_frame)

    def give_back(self) -> None:
        """Hand the block that was taken last back to the kernel."""
        self._words[self._at][_W_STATUS] = 0
        self._at = (self._at + 1) % self.shape.blocks

    def statistics(self) -> tuple[int, int]:
        """Packets that the filter accepted, and those of them that the kernel dropped for want of room."""
        if self.socket.fileno() >= 0:
            packets, drops, _freezes = struct.unpack(
                "=3I", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12)
            )  # reading resets them
            self._received += packets
            self._dropped += drops
        return self._received, self._dropped

    def close(self) -> None:
        """Close the socket; the memory goes with the last block that points into it."""
        if self.socket.fileno() >= 0:
            self.statistics()
            self.socket.close()
