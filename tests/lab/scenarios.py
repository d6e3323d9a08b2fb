"""The connections that are recorded, each a few lines of what two programs do. The docstring goes into meta.json."""

import contextlib
import errno
import socket
import struct
from collections.abc import Callable
from typing import NamedTuple

from tests.lab.bench import Bench, ended, receive, reset
from tests.lab.wire import flags, segment

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


class Scenario(NamedTuple):
    """A row of the table below."""

    play: Callable[[Bench], None]
    families: tuple[int, ...]
    wired: bool

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.play.__name__


SCENARIOS: list[Scenario] = []


def scenario(*families: int, wired: bool = False) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
    """Put a function into the table."""

    def add(play: Callable[[Bench], None]) -> Callable[[Bench], None]:
        SCENARIOS.append(Scenario(play, families, wired))
        return play

    return add


def acknowledge_at_once(end: socket.socket) -> None:
    """Switch delayed acknowledgments off, for a while."""
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


# Opening


@scenario(4, wired=True)
def simultaneous_open(bench: Bench) -> None:
    """Both open at once, their SYNs cross; then the client closes."""
    a, b = bench.connecting(bench.a, bench.b), bench.connecting(bench.b, bench.a)
    assert (bench.outcome(a), bench.outcome(b)) == (0, 0)
    for end in (a, b):
        end.setblocking(True)
    bench.exchange(a, b)
    a.close()
    ended(b)
    b.close()


@scenario(4, 6)
def refused(bench: Bench) -> None:
    """Nobody listens: the SYN is answered by RST."""
    assert bench.outcome(bench.connecting(bench.a, bench.b)) == errno.ECONNREFUSED


@scenario(4, 6)
def unanswered(bench: Bench) -> None:
    """The SYN and its repetition meet silence; the opener gives up by timer."""
    bench.silence(bench.b)
    assert bench.outcome(bench.connecting(bench.a, bench.b)) == errno.ETIMEDOUT


@scenario(4)
def unanswered_given_up(bench: Bench) -> None:
    """The opener closes while its SYN is unanswered: nothing tells the network."""
    bench.silence(bench.b)
    opening = bench.connecting(bench.a, bench.b)
    bench.settle()
    opening.close()


@scenario(4, wired=True)
def rejected_by_router(bench: Bench) -> None:
    """A router on the way says by ICMP that the host is unreachable."""
    bench.a.run("ip", "route", "add", "10.78.0.0/24", "via", bench.b.address[4])
    bench.b.run("ip", "route", "add", "unreachable", "10.78.0.0/24")
    opening = bench.bound(bench.a)
    opening.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        opening.connect(("10.78.0.1", bench.port))
    assert bench.outcome(opening) == errno.EHOSTUNREACH


@scenario(4)
def half_open(bench: Bench) -> None:
    """A SYN from an address that answers nothing: b's SYN+ACK and its repetition stay alone."""
    bench.listener()
    stranger = "10.77.0.9"
    bench.b.run("ip", "neighbour", "add", stranger, "lladdr", "02:00:00:00:00:09", "dev", "eth0")
    bench.raw(bench.a).sendto(_syn(stranger, bench.address(bench.b)), (bench.b.address[4], 0))
    bench.settle(60)


def _syn(source: str, to: tuple[str, int]) -> bytes:
    """IPv4 packet with a SYN from port 999; the kernel fills in the IP header's own sum."""
    addresses = socket.inet_aton(source) + socket.inet_aton(to[0])
    tcp = struct.pack("!HHIIBBHHH", 999, to[1], 0x01020304, 0, 5 << 4, SYN, 1024, 0, 0)
    total = sum(struct.unpack("!16H", addresses + struct.pack("!HH", 6, len(tcp)) + tcp))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    tcp = tcp[:16] + struct.pack("!H", ~total & 0xFFFF) + tcp[18:]
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0) + addresses + tcp


@scenario(4)
def fast_open(bench: Bench) -> None:
    """A first connection fetches the cookie; the second one's SYN carries it, and data."""
    listener = bench.listener()
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 8)
    for port in (bench.port + 1, bench.port + 2):
        client = bench.a.socket(4)
        client.bind((bench.a.address[4], port))
        client.sendto(b"GET / HTTP/1.0\r\n\r\n", socket.MSG_FASTOPEN, bench.address(bench.b))
        client.settimeout(10)
        server = bench.accept(listener)
        receive(server, 18)
        server.sendall(b"HTTP/1.0 204 No Content\r\n\r\n")
        receive(client, 27)
        client.close()
        ended(server)
        server.close()
        bench.settle()


@scenario(4, wired=True)
def synack_lost(bench: Bench) -> None:
    """The first SYN+ACK is lost; the SYN is repeated, and so is the answer."""
    lost: list[bytes] = []

    def drops(_end: int, packet: bytes) -> bool:
        if flags(packet) & (SYN | ACK) == SYN | ACK and not lost:
            lost.append(packet)
            return True
        return False

    assert bench.wire
    bench.wire.drops = drops
    client, server = bench.connected()
    client.close()
    ended(server)
    server.close()


# Closing in good order


@scenario(4, 6)
def client_closes(bench: Bench) -> None:
    """The client closes first, in four segments."""
    client, server = bench.connected()
    bench.exchange(client, server)
    acknowledge_at_once(server)
    client.close()
    bench.settle()
    ended(server)
    server.close()


@scenario(4, 6)
def server_closes(bench: Bench) -> None:
    """The server closes first, as with HTTP/1.0."""
    client, server = bench.connected()
    bench.exchange(client, server)
    acknowledge_at_once(client)
    server.close()
    bench.settle()
    ended(client)
    client.close()


@scenario(4)
def nothing_sent(bench: Bench) -> None:
    """Opened and closed, without a byte."""
    client, server = bench.connected()
    client.close()
    ended(server)
    server.close()


@scenario(4, wired=True)
def three_segments(bench: Bench) -> None:
    """The second FIN goes out with the acknowledgment of the first."""
    client, server = bench.connected()
    bench.exchange(client, server)
    bench.exchange(client, server)
    client.shutdown(socket.SHUT_WR)
    ended(server)
    server.close()
    ended(client)
    client.close()


@scenario(4, 6)
def half_close(bench: Bench) -> None:
    """The client closes its direction; the server goes on sending for a while."""
    client, server = bench.connected()
    client.sendall(b"sort\n")
    client.shutdown(socket.SHUT_WR)
    receive(server, 5)
    ended(server)
    for _ in range(3):
        server.sendall(b"x" * 700)
        bench.settle()
    receive(client, 2100)
    server.close()
    ended(client)
    client.close()


@scenario(4, 6, wired=True)
def simultaneous_close(bench: Bench) -> None:
    """Both close at once: the FINs cross, both ends go through CLOSING."""
    client, server = bench.connected()
    bench.exchange(client, server)
    client.shutdown(socket.SHUT_WR)
    server.shutdown(socket.SHUT_WR)
    ended(client)
    ended(server)


@scenario(4, wired=True)
def last_ack_lost(bench: Bench) -> None:
    """The last acknowledgment is lost: the FIN comes again, out of LAST-ACK into TIME-WAIT."""
    client, server = bench.connected()
    client.shutdown(socket.SHUT_WR)
    bench.settle()
    ended(server)
    lost: list[bytes] = []

    def drops(end: int, packet: bytes) -> bool:
        if end == 0 and segment(packet) and not lost:
            lost.append(packet)
            return True
        return False

    assert bench.wire
    bench.wire.drops = drops
    server.close()
    ended(client)
    client.close()
    bench.settle(8)
    assert lost


@scenario(4, wired=True)
def data_lost(bench: Bench) -> None:
    """A segment is lost between the hosts and sent again."""
    client, server = bench.connected()
    lost: list[bytes] = []

    def drops(end: int, packet: bytes) -> bool:
        if end == 0 and flags(packet) & PSH and not lost:
            lost.append(packet)
            return True
        return False

    assert bench.wire
    bench.wire.drops = drops
    bench.exchange(client, server)
    client.close()
    ended(server)
    server.close()


@scenario(4)
def bulk(bench: Bench) -> None:
    """Forty kilobytes in one direction: frames longer than a wire packet, left to the card to cut."""
    client, server = bench.connected()
    client.sendall(bytes(40_000))
    receive(server, 40_000)
    client.close()
    ended(server)
    server.close()


# Reset


@scenario(4, 6)
def client_aborts(bench: Bench) -> None:
    """The client closes with SO_LINGER 0: RST without FIN."""
    client, server = bench.connected()
    bench.exchange(client, server)
    reset(client)
    bench.settle()
    server.close()


@scenario(4)
def server_aborts(bench: Bench) -> None:
    """The server closes with SO_LINGER 0."""
    client, server = bench.connected()
    bench.exchange(client, server)
    reset(server)
    bench.settle()
    client.close()


@scenario(4, 6)
def unread_data(bench: Bench) -> None:
    """The server closes and has not read the request: its kernel sends RST."""
    client, server = bench.connected()
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    bench.settle()
    server.close()
    bench.settle()
    client.close()


@scenario(4)
def data_after_close(bench: Bench) -> None:
    """The client has closed, and what the server still sends is answered by RST: FIN, then RST."""
    client, server = bench.connected()
    client.close()
    bench.settle()
    server.sendall(b"HTTP/1.0 204 No Content\r\n\r\n")
    bench.settle()
    server.close()


@scenario(4)
def reset_after_fin(bench: Bench) -> None:
    """The server answers the client's FIN by an abort."""
    client, server = bench.connected()
    bench.exchange(client, server)
    client.shutdown(socket.SHUT_WR)
    ended(server)
    reset(server)
    bench.settle()


@scenario(4, wired=True)
def reset_crosses_data(bench: Bench) -> None:
    """The server aborts while the client's data is on its way; no socket is left to take it."""
    client, server = bench.connected()
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    reset(server)
    bench.settle()


@scenario(4)
def pending_connection_reset(bench: Bench) -> None:
    """The listener goes away before it accepted: the established connection is reset."""
    listener = bench.listener()
    client = bench.bound(bench.a)
    client.connect(bench.address(bench.b))
    bench.settle()
    listener.close()
    bench.settle()


@scenario(4)
def keepalive_gives_up(bench: Bench) -> None:
    """The server's host falls silent; the client's keepalive probes end in RST."""
    client, _server = bench.connected()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT):
        client.setsockopt(socket.IPPROTO_TCP, option, 1)
    bench.silence(bench.b)
    bench.settle(50)


# The same tuple again


@scenario(4)
def reused_after_time_wait(bench: Bench) -> None:
    """The server closes first and is in TIME-WAIT; the client opens from the same port again."""
    for _ in range(2):
        client, server = bench.connected()
        bench.exchange(client, server)
        server.close()
        ended(client)
        client.close()
        bench.settle(20)


@scenario(4)
def reused_after_reset(bench: Bench) -> None:
    """An aborted connection, and at once another one over the same ports."""
    for _ in range(2):
        client, server = bench.connected()
        bench.exchange(client, server)
        reset(client)
        bench.settle()
        server.close()


# Left open


@scenario(4, 6)
def left_open(bench: Bench) -> None:
    """Both ends are established when the capture ends."""
    bench.exchange(*bench.connected())


@scenario(4)
def close_wait(bench: Bench) -> None:
    """The server never closes: it stays in CLOSE-WAIT, the client in FIN-WAIT-2."""
    client, server = bench.connected()
    client.shutdown(socket.SHUT_WR)
    ended(server)
