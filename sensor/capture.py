"""Live capture as blocks of frames: the kernel's ring behind a scapy socket, scapy's own socket where there is none.

scapy is imported here alone of all the sensor, and only when a capture is opened: it opens the door and dissects
nothing.
"""

import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, Protocol

import numpy as np

from sensor.bpf import REJECT
from sensor.bpf_join import SocketView, socket_filter
from sensor.bpf_run import BlockFilter
from sensor.frames import (
    CAPLEN_MAX,
    FRAME,
    LINK_ETHERNET,
    LINK_NULL,
    LINK_RAW,
    LINK_SLL,
    LINK_SLL2,
    FrameBlock,
)
from sensor.interfaces import ANY, Interface, find
from sensor.ring import Ring, RingShape
from synfin.errors import CaptureError, CapturePermissionError

_PORTABLE_FRAMES_MAX: Final = 1024  # of a block that is filled one packet at a time
_LINK_BY_CLASS: Final = {  # scapy's name for the first header of what a socket gives
    "Ether": LINK_ETHERNET,
    "Loopback": LINK_NULL,
    "IP": LINK_RAW,
    "IPv6": LINK_RAW,
    "CookedLinux": LINK_SLL,
    "CookedLinuxV2": LINK_SLL2,
}


class LiveCapture(Protocol):
    """An open capture: frames since it was opened, in blocks."""

    interface: str
    link: int  # LINKTYPE_ of all its frames
    lost: str | None  # after the last block: why the interface is gone, None when it was stopped

    def blocks(self, timeout: float) -> Iterator[FrameBlock]:
        """Blocks until the capture is stopped or its interface lost; an empty one when nothing came for `timeout` s.

        A block is valid until the next one is asked for.
        """

    def statistics(self) -> tuple[int, int]:
        """Packets received by the filter and packets dropped by the kernel, since the start."""

    def stop(self) -> None:
        """Take nothing new; `blocks` gives what is there and ends. May be called from a signal handler."""

    def close(self) -> None:
        """Give socket and ring back."""


def _scapy_missing() -> CaptureError:
    return CaptureError(
        "live capture opens its socket with scapy, which is not installed: pip install 'synfin[sensor]'"
    )


def _super_socket() -> Any:
    """Load scapy's base class of sockets. 0.7 s of CPU at first."""
    try:
        from scapy.supersocket import SuperSocket
    except ImportError:
        raise _scapy_missing() from None
    return SuperSocket


@cache
def ring_socket_class() -> Any:
    """Make the class of scapy sockets that read from a ring; made late, because its base class is scapy's."""
    base = _super_socket()

    class RingSocket(base):  # type: ignore[misc, valid-type]  # the base is only known when it runs
        """A TPACKET_V3 ring as a scapy socket: `sniff(opened_socket=…)` works, and `ring` gives whole blocks."""

        desc = "read packets at layer 2 from a TPACKET_V3 ring"

        closed = False

        def __init__(self, ring: Ring) -> None:
            self.ring = ring
            self.ins = ring.socket
            self.outs = None
            self.iface = ring.interface.name
            self._waiting: list[tuple[bytes, float]] = []

        def _refill(self) -> None:
            """Copy the next block's frames, last one first."""
            block = self.ring.take(0)
            if block is None:
                return
            for frame in block.frames[::-1]:
                start = int(frame["offset"])
                data = block.buffer[start : start + int(frame["caplen"])].tobytes()
                self._waiting.append((data, int(frame["t_ns"]) / 1e9))
            self.ring.give_back()

        def recv_raw(self, x: int = CAPLEN_MAX) -> tuple[Any, bytes | None, float | None]:
            """One packet as scapy takes it: its class, bytes and time; nothing when nothing is there."""
            from scapy.config import conf

            if not self._waiting:
                self._refill()
            if not self._waiting:
                return None, None, None
            data, t = self._waiting.pop()
            link = self.ring.interface.link
            layer = conf.l2types.num2layer.get(link, conf.raw_layer)  # registered when scapy.layers is imported
            return layer, data[:x], t

        @staticmethod
        def select(sockets: list[Any], remain: float | None = None) -> list[Any]:
            """Those that have a packet: of a block all but the first one are no news to the descriptor."""
            return [s for s in sockets if getattr(s, "_waiting", None)] or base.select(sockets, remain)

        def close(self) -> None:
            """Close the socket; the ring's memory goes with the last block."""
            if not self.closed:
                self.closed = True
                self.ring.close()

    return RingSocket


class RingCapture:
    """A LiveCapture from the kernel's ring."""

    def __init__(self, interface: Interface, scapy_socket: Any) -> None:
        """Take an open RingSocket."""
        self.interface = interface.name
        self.link = interface.link
        self.lost: str | None = None
        self._scapy_socket = scapy_socket
        self._ring: Ring = scapy_socket.ring
        self._captured = 0
        self._stop_at: float | None = None

    def blocks(self, timeout: float) -> Iterator[FrameBlock]:
        """As LiveCapture says; a block points into the ring."""
        ring = self._ring
        while True:
            block = ring.take(self._captured)
            if block is not None:
                self._captured += len(block)
                yield block
                ring.give_back()
            elif not self._ready(timeout):
                if self._stop_at is not None and time.monotonic() >= self._stop_at:
                    return
                yield self._nothing()

    def _ready(self, timeout: float) -> bool:
        """Wait for a block, no longer than the drain has still to go; notice that the interface is gone."""
        if self._stop_at is not None:
            timeout = min(timeout, max(self._stop_at - time.monotonic(), 0))
        if not self._ring.wait(timeout):
            return False
        error = self._ring.error()
        if error and self._stop_at is None:
            self.lost = self._loss(error)
            self.stop()
        return not error

    def _loss(self, error: int) -> str:
        if error != errno.ENETDOWN:
            return f"interface '{self.interface}': {os.strerror(error)}"
        there = self.interface in (name for _, name in socket.if_nameindex())
        return f"interface '{self.interface}' {'went down' if there else 'is gone'}"

    def _nothing(self) -> FrameBlock:
        return FrameBlock(np.zeros(0, np.uint8), np.zeros(0, FRAME), self._captured)

    def statistics(self) -> tuple[int, int]:
        """As LiveCapture says: without loopback's outgoing copies."""
        return self._ring.statistics()

    def stop(self) -> None:
        """Close the filter to all packets, and wait until the kernel has handed its open block over."""
        if self._stop_at is None:
            self._ring.attach(REJECT)
            self._stop_at = time.monotonic() + 3 * self._ring.shape.retire_ms / 1000

    def close(self) -> None:
        """Close the scapy socket, and the ring with it."""
        self._scapy_socket.close()


class PortableCapture:
    """A LiveCapture from scapy's own socket: a packet at a time, no direction, the filter run by us."""

    def __init__(self, interface: str, text: str | None, snaplen: int, *, promiscuous: bool = True) -> None:
        """Open scapy's listening socket of this platform."""
        _super_socket()
        import scapy.arch  # names the platform's socket in conf.L2listen
        import scapy.layers.l2  # noqa: F401  names the classes of link layers
        from scapy.config import conf

        self.interface = interface
        self.lost: str | None = None
        self._socket: Any = conf.L2listen(iface=interface, promisc=promiscuous)
        name = getattr(self._socket, "LL", conf.default_l2).__name__
        if name not in _LINK_BY_CLASS:
            self._socket.close()
            raise CaptureError(f"interface '{interface}': frames of scapy's class {name} are not supported")
        self.link = _LINK_BY_CLASS[name]
        self._filter = BlockFilter(text) if text else None
        if self._filter:
            self._filter.program(self.link)  # a bad filter is an error now, and not at the first packet
        self._snaplen = snaplen
        self._captured = 0
        self._stopped = False

    def blocks(self, timeout: float) -> Iterator[FrameBlock]:
        """As LiveCapture says; blocks are copies."""
        while not self._stopped:
            packets: list[tuple[bytes, int]] = []
            wait = timeout
            while len(packets) < _PORTABLE_FRAMES_MAX and type(self._socket).select([self._socket], wait):
                try:
                    _cls, data, t = self._socket.recv_raw(CAPLEN_MAX)
                except OSError as error:
                    self.lost, self._stopped = f"interface '{self.interface}': {error.strerror}", True
                    break
                if data:
                    packets.append((bytes(data), time.time_ns() if t is None else int(t * 1e9)))
                wait = 0
            yield self._block(packets)

    def _block(self, packets: list[tuple[bytes, int]]) -> FrameBlock:
        frames = np.zeros(len(packets), FRAME)
        lengths = np.array([len(data) for data, _ in packets], np.int64)
        frames["t_ns"] = [t for _, t in packets]
        frames["offset"] = np.cumsum(lengths) - lengths
        frames["wirelen"] = lengths
        frames["caplen"] = np.minimum(lengths, self._snaplen)
        frames["link"] = self.link
        # In writable memory, as the ring is: the kernels are warmed for that, and would be compiled anew for bytes.
        octets = np.frombuffer(bytearray().join(data for data, _ in packets), np.uint8)
        block = FrameBlock(octets, frames, self._captured)
        if self._filter and packets:
            block = FrameBlock(block.buffer, frames[self._filter.mask(block)], self._captured)
        self._captured += len(block)
        return block

    def statistics(self) -> tuple[int, int]:
        """Received is what the filter accepted; drops are known where scapy's socket tells them (BSD)."""
        get_stats = getattr(self._socket, "get_stats", None)
        dropped = get_stats()[1] if get_stats else 0
        return self._captured, int(dropped or 0)

    def stop(self) -> None:
        """End after the block at hand."""
        self._stopped = True

    def close(self) -> None:
        """Close scapy's socket."""
        self._socket.close()


def has_packet_sockets() -> bool:
    """Whether this platform has the sockets that a ring needs (Linux)."""
    return hasattr(socket, "AF_PACKET")


def _denied(interface: str) -> CapturePermissionError:
    python = os.path.realpath(sys.executable)
    return CapturePermissionError(
        f"no permission to capture on '{interface}': this needs the capability CAP_NET_RAW. Run it as root "
        f"(it drops to another user when the socket is open), or grant it: sudo setcap cap_net_raw=ep {python}"
    )


def check_permission(interface: str) -> None:
    """Raise CapturePermissionError where no packet socket may be opened: sooner than all that an opening needs."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except PermissionError:
        raise _denied(interface) from None


def open_live(
    interface: str,
    bpf: str | None,
    snaplen: int = CAPLEN_MAX,
    *,
    direction: str = "inout",
    promiscuous: bool = True,
    shape: RingShape | None = None,
) -> LiveCapture:
    """Open an interface (or "any"), filtered from its first packet.

    Raises UsageError for a bad filter, CapturePermissionError, and CaptureError for an unknown interface or one that is
    down.
    """
    if not has_packet_sockets():
        try:
            return PortableCapture(interface, bpf, snaplen, promiscuous=promiscuous)
        except PermissionError:
            raise _denied(interface) from None
        except OSError as error:
            raise CaptureError(f"interface '{interface}': {error}") from None
    found = find(interface)
    if not found.up:
        raise CaptureError(f"interface '{interface}' is down: ip link set {interface} up")
    program = socket_filter(bpf, SocketView(found.link, snaplen, direction))
    make = ring_socket_class()
    ring = Ring(found, shape or RingShape())
    try:
        ring.open(program, promiscuous=promiscuous and interface != ANY)
    except PermissionError:
        raise _denied(interface) from None
    except OSError as error:
        raise CaptureError(f"interface '{interface}': {error.strerror}") from None
    error_number = ring.error()
    if error_number:
        ring.close()
        raise CaptureError(f"interface '{interface}': {os.strerror(error_number)}")
    return RingCapture(found, make(ring))
