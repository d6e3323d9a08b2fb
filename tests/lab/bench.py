"""What a scenario works with: both hosts, its ports, its sockets, and a capture at each host."""

import contextlib
import select
import signal
import socket
import time
from pathlib import Path
from typing import Self

from tests.lab.hosts import Host, join_by_veth, pair, tun
from tests.lab.wire import Wire

DELAY_S = 0.005
SETTLE_S = 0.06  # longer than the kernel delays an acknowledgment, and than four ways over the wire
ANSWER_S = 10.0
FILTER = "tcp or icmp or (icmp6 and ip6[40] == 1)"  # neither ARP nor neighbour discovery


class Capture:
    """tcpdump on a host's eth0: nanoseconds, whole packets."""

    def __init__(self, host: Host, path: Path) -> None:
        options = ["-i", "eth0", "-w", str(path), "--time-stamp-precision=nano", "--immediate-mode", "-U", "-Z", "root"]
        self._tcpdump = host.start("tcpdump", *options, FILTER)
        assert self._tcpdump.stderr
        said = self._tcpdump.stderr.readline()
        while "listening on" not in said:
            assert said, "tcpdump ended before it listened"
            said = self._tcpdump.stderr.readline()

    def stop(self) -> None:
        """End it; a packet that the kernel dropped makes the recording worthless."""
        self._tcpdump.send_signal(signal.SIGINT)
        _, said = self._tcpdump.communicate(timeout=ANSWER_S)
        assert "\n0 packets dropped by kernel" in said, said


class Bench:
    """Hosts a (which opens, where one does) and b, joined by veth or by the delaying wire."""

    def __init__(self, family: int, port: int, *, wired: bool) -> None:
        self.family = family
        self.port = port  # b's; a's is the next
        self.a, self.b = pair()
        self.wire: Wire | None = None
        self._wired = wired
        self._sockets: list[socket.socket] = []
        self._listener: socket.socket | None = None

    def __enter__(self) -> Self:
        for host in (self.a, self.b):
            for name, value in (("tcp_fastopen", 3), ("tcp_syn_retries", 1), ("tcp_synack_retries", 1)):
                host.sysctl(f"ipv4/{name}", value)
            for family in ("ipv4", "ipv6"):
                host.sysctl(f"{family}/conf/all/forwarding", 1)
        if self._wired:
            self.wire = Wire((tun(self.a), tun(self.b)), DELAY_S)
            self.wire.start()
        else:
            join_by_veth(self.a, self.b)
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            each.close()
        if self.wire:
            self.wire.close()
        self.a.close()
        self.b.close()

    @contextlib.contextmanager
    def captured(self, folder: Path):
        """Capture at both hosts into a.pcap and b.pcap."""
        captures = [Capture(host, folder / f"{host.name}.pcap") for host in (self.a, self.b)]
        try:
            yield
            self.settle()
        finally:
            for capture in captures:
                capture.stop()

    def settle(self, times: int = 1) -> None:
        """Wait until the wire and the delayed acknowledgments have come to rest."""
        time.sleep(times * SETTLE_S)

    def address(self, host: Host) -> tuple[str, int]:
        """Where a host listens, or opens from."""
        return host.address[self.family], self.port + (host is self.a)

    def bound(self, host: Host) -> socket.socket:
        """TCP socket that is bound to the host's address."""
        made = host.socket(self.family)
        self._sockets.append(made)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.settimeout(ANSWER_S)
        made.bind(self.address(host))
        return made

    def raw(self, host: Host) -> socket.socket:
        """Socket for IPv4 packets that the scenario writes itself."""
        made = host.socket(4, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._sockets.append(made)
        return made

    def listener(self) -> socket.socket:
        """Listen at b, with one socket however often it is asked for."""
        if self._listener is None:
            self._listener = self.bound(self.b)
            self._listener.listen(8)
        return self._listener

    def accept(self, listener: socket.socket) -> socket.socket:
        """Next connection of a listener."""
        made, _ = listener.accept()
        self._sockets.append(made)
        made.settimeout(ANSWER_S)
        return made

    def connected(self) -> tuple[socket.socket, socket.socket]:
        """Open from a to b: both ends, where neither delays an acknowledgment nor holds back data."""
        listener = self.listener()
        client = self.bound(self.a)
        client.connect(self.address(self.b))
        server = self.accept(listener)
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.settle()
        return client, server

    def connecting(self, host: Host, peer: Host) -> socket.socket:
        """Begin to open and do not wait."""
        made = self.bound(host)
        made.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            made.connect(self.address(peer))
        return made

    def outcome(self, connecting: socket.socket) -> int:
        """Wait for the end of an opening: its errno, 0 when it stands."""
        select.select([], [connecting], [], ANSWER_S)
        return connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def exchange(self, client: socket.socket, server: socket.socket) -> None:
        """Make a small request and a small answer, both read."""
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        receive(server, 18)
        server.sendall(b"HTTP/1.0 204 No Content\r\n\r\n")
        receive(client, 27)

    def silence(self, host: Host) -> None:
        """Let the host answer no more: its packets to the other one end in a blackhole."""
        peer = self.b if host is self.a else self.a
        prefix = 32 if self.family == 4 else 128
        family = f"-{self.family}"
        host.run("ip", family, "route", "add", "blackhole", f"{peer.address[self.family]}/{prefix}")


def receive(end: socket.socket, size: int) -> bytes:
    """Read exactly so many bytes."""
    got = b""
    while len(got) < size:
        part = end.recv(size - len(got))
        assert part, f"closed after {len(got)} of {size} bytes"
        got += part
    return got


def ended(end: socket.socket) -> None:
    """Wait for the peer's FIN."""
    assert end.recv(1) == b""


def reset(end: socket.socket) -> None:
    """Abort: close so that the kernel sends RST and no FIN."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    end.close()
