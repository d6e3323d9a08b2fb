"""Made-up traffic as rows, for the benches that need more of a kind than captures give. Seeded: the same every time.

Times have nanoseconds, as a ring gives them, and jitter; initial sequence numbers, timestamp offsets (one an address
pair, as Linux has them) and ip.id are random; every client has its own distance, window and options.
"""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from synfin.wire.key import tuple_hash
from synfin.wire.segment import (
    ACK,
    CSUM_OK,
    FIN,
    FLOW,
    HIGHER,
    HOW_CAPTURE,
    LOWER,
    OPT_MSS,
    OPT_SACK_PERMITTED,
    OPT_TS,
    OPT_WSCALE,
    PSH,
    RST,
    SEGMENT,
    SYN,
)

Rows = tuple[npt.NDArray[np.void], npt.NDArray[np.void]]
START_NS = 1_760_000_000_123_456_789
MSS = 1_448


@dataclass
class Host:
    """A host as its packets show it."""

    ip: int
    random: random.Random
    ttl: int = 64
    window: int = 64_240
    wscale: int = 7
    offsets: dict[int, int] = field(default_factory=dict)

    def tsval(self, peer: int, t_ns: int) -> int:
        """Timestamp clock of 1 kHz, with an offset for each peer."""
        offset = self.offsets.setdefault(peer, self.random.getrandbits(32))
        return (offset + (t_ns + offset) // 1_000_000) & 0xFFFFFFFF


class Wire:
    """The rows of all connections, in the order of time, as a tap at the server sees them."""

    def __init__(self, local: int = 0) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.flows: dict[tuple[int, int, int, int], int] = {}
        self.local = local

    def flow(self, a: tuple[int, int], b: tuple[int, int]) -> int:
        """Number of the connection between two (address, port)."""
        return self.flows.setdefault((*min(a, b), *max(a, b)), len(self.flows))

    def arrays(self, n: int) -> Rows:
        """SEGMENT[n] and FLOW[m]."""
        rows = np.zeros(n, SEGMENT)
        self.rows.sort(key=lambda row: row[0])
        names = ("t_ns", "flow", "seq", "ack", "tsval", "tsecr", "len", "ip_len", "window", "flags", "mss", "ip_id")
        names += ("ttl", "sender", "local", "options", "wscale")
        for name, values in zip(names, zip(*self.rows[:n], strict=True), strict=True):
            rows[name] = values
        rows["checksum"], rows["local_how"] = CSUM_OK, HOW_CAPTURE
        flows = np.zeros(len(self.flows), FLOW)
        for i, (ip, port, other, other_port) in enumerate(self.flows):
            low, high = 0xFFFF00000000 | ip, 0xFFFF00000000 | other
            words = (np.uint64(word) for word in (0, low, port, 0, high, other_port))
            flows[i] = (tuple_hash(*words), (0, low), (0, high), port, other_port, 0, 4, 0)
        order = np.argsort(np.unique(rows["flow"], return_index=True)[1])  # the dictionary in the order of appearance
        used = np.unique(rows["flow"])[order]
        place = np.zeros(len(flows), np.uint32)
        place[used] = np.arange(len(used))
        rows["flow"] = place[rows["flow"]]
        return rows, flows[used]


class Connection:
    """One connection, whose segments are put on a wire."""

    def __init__(self, wire: Wire, client: tuple[Host, int], server: tuple[Host, int]) -> None:
        self.wire = wire
        self.ends = (client, server)
        ips = (client[0].ip, client[1]), (server[0].ip, server[1])
        self.flow = wire.flow(*ips)
        self.side = (LOWER, HIGHER) if ips[0] < ips[1] else (HIGHER, LOWER)
        draw = client[0].random
        self.seq = [draw.getrandbits(32), draw.getrandbits(32)]
        self.id = [draw.getrandbits(16), draw.getrandbits(16)]
        self.echo = [0, 0]  # TSval that each end saw last
        self.window = [client[0].window, server[0].window]

    def send(self, t_ns: int, end: int, flags: int, size: int = 0, ack: int | None = None) -> None:
        """One segment by `end` (0 client, 1 server)."""
        host, peer = self.ends[end][0], self.ends[1 - end][0]
        opening = flags & SYN
        tsval = host.tsval(peer.ip, t_ns - host.random.randrange(2_000, 30_000))
        acknowledged = (self.seq[1 - end] if ack is None else ack) if flags & ACK else 0
        window = host.window if opening else self.window[end] >> 7
        options = OPT_TS | (OPT_MSS | OPT_WSCALE | OPT_SACK_PERMITTED if opening else 0)
        no_id = opening and flags & ACK
        row = (t_ns, self.flow, self.seq[end], acknowledged, tsval, self.echo[end] if flags & ACK else 0)
        row += (size, size + (60 if opening else 52), window, flags, 1460 if opening else 0)
        row += (0 if no_id else self.id[end], host.ttl, self.side[end], self.side[1 - self.wire.local])
        self.wire.rows.append((*row, options, host.wscale if opening else 0))
        self.seq[end] = (self.seq[end] + size + bool(flags & (SYN | FIN))) & 0xFFFFFFFF
        self.id[end] = (self.id[end] + (not no_id)) & 0xFFFF
        self.echo[1 - end] = tsval
        if size:
            self.window[1 - end] = max(20_000, self.window[1 - end] + host.random.randrange(-2 * MSS, 2 * MSS + 64))


def _exchange(c: Connection, t: int, rtt: int, draw: random.Random) -> Iterator[int]:
    """One request and its answer, as the server's host sees them; yields the times at which something is sent."""
    c.send(t, 0, ACK | PSH, draw.randrange(90, 900))
    t += draw.randrange(8_000, 60_000)
    c.send(t, 1, ACK)
    t += int(draw.expovariate(1 / 900_000)) + 40_000
    yield t
    left = int(draw.lognormvariate(8.6, 1.3)) + 120
    flight = 10 * MSS
    while left > 0:
        burst, acks = min(left, flight), []
        left -= burst
        while burst > 0:
            size = min(burst, MSS)
            burst -= size
            c.send(t, 1, ACK | (PSH if burst == 0 else 0), size)
            acks.append(c.seq[1])
            t += draw.randrange(1_200, 12_500)
        t += rtt + int(draw.expovariate(1 / (rtt / 20)))
        yield t
        for ack in acks[1::2] + acks[-1:] * (len(acks) % 2):
            c.send(t, 0, ACK, 0, ack)
            t += draw.randrange(3_000, 40_000)
        flight *= 2
    yield t


def _visit(wire: Wire, ends: tuple[tuple[Host, int], tuple[Host, int]], t: int, draw: random.Random) -> Iterator[int]:
    """One HTTP connection of one to four requests."""
    c = Connection(wire, *ends)
    rtt = int(ends[0][0].offsets[-1] * draw.uniform(1, 1.1))
    c.send(t, 0, SYN)
    t += draw.randrange(9_000, 45_000)
    c.send(t, 1, SYN | ACK)
    yield t + rtt
    t += rtt + draw.randrange(5_000, 200_000)
    c.send(t, 0, ACK)
    t += draw.randrange(2_000, 300_000)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        for then in _exchange(c, t, rtt, draw):
            t = then
            yield t
        t += int(draw.expovariate(1 / 20_000_000))
        yield t
    closer = draw.random() < 0.4
    c.send(t, 1 - closer, ACK | FIN)
    t += rtt if not closer else draw.randrange(20_000, 90_000)
    yield t
    c.send(t, int(closer), ACK | FIN)
    t += rtt if closer else draw.randrange(20_000, 90_000)
    yield t
    c.send(t, 1 - closer, ACK)


def _run(lives: Iterator[tuple[int, Iterator[int]]], wire: Wire, n: int) -> None:
    """Let the connections act in the order of their times until there are n rows beyond the warm-up of a tenth."""
    waiting: list[tuple[int, int, Iterator[int]]] = []
    births = iter(lives)
    number, birth = 0, next(births)
    while len(wire.rows) < n:
        if not waiting or birth[0] <= waiting[0][0]:
            heapq.heappush(waiting, (birth[0], number, birth[1]))
            number, birth = number + 1, next(births)
        _, key, life = heapq.heappop(waiting)
        then = next(life, None)
        if then is not None:
            heapq.heappush(waiting, (then, key, life))


def web(n: int, seed: int = 1, rate: int = 16_000) -> Rows:
    """Short HTTP connections of 60 clients to one server, at its own host; some `rate` packets a second."""
    draw = random.Random(seed)
    server = Host(0x0A000001, draw)
    clients = [
        Host(draw.getrandbits(32), draw, 64 - draw.randrange(4, 22), draw.choice((64_240, 65_535, 29_200)))
        for _ in range(60)
    ]
    for client in clients:
        client.offsets[-1] = int(draw.lognormvariate(17.0, 0.9)) + 200_000  # its round-trip time in ns
    wire = Wire(local=1)

    def lives() -> Iterator[tuple[int, Iterator[int]]]:
        t = START_NS
        while True:
            t += int(draw.expovariate(rate / 30 / 1e9))
            ends = (draw.choice(clients), draw.randrange(32_768, 60_999)), (server, 80)
            yield t, _visit(wire, ends, t, draw)

    _run(lives(), wire, n + n // 10)
    return wire.arrays(n)


def _stream(wire: Wire, ends: tuple[tuple[Host, int], tuple[Host, int]], t: int, draw: random.Random) -> Iterator[int]:
    c = Connection(wire, *ends)
    unacked: list[int] = []
    while True:
        for _ in range(draw.randrange(4, 44)):
            c.send(t, 1, ACK, MSS)
            unacked.append(c.seq[1])
            t += draw.randrange(11_900, 12_500)
            if len(unacked) > 60 and len(unacked) % 2:
                c.send(t - draw.randrange(100, 11_000), 0, ACK, 0, unacked[1])
                del unacked[:2]
        yield t
        t += draw.randrange(1_000, 400_000)


def bulk(n: int, seed: int = 2) -> Rows:
    """Four downloads of full segments at line rate, acknowledged every second one."""
    draw = random.Random(seed)
    server = Host(0x0A000001, draw)
    wire = Wire(local=1)

    def lives() -> Iterator[tuple[int, Iterator[int]]]:
        for i in range(4):
            ends = (Host(0xC0A80000 + 77 * i, draw, 57), 40_000 + 1_111 * i), (server, 443)
            yield START_NS, _stream(wire, ends, START_NS + i * 5_000, draw)
        while True:
            yield 1 << 62, iter(())

    _run(lives(), wire, n + 64)
    return wire.arrays(n)


def scan(n: int, seed: int = 3) -> Rows:
    """One host that sends a SYN to one port after another of a /16; a third answer with RST, a few with SYN+ACK."""
    draw = random.Random(seed)
    scanner = Host(0x0A000001, draw, 250, 1_024, 0)
    ports = [draw.randrange(1, 10_000) for _ in range(1_000)]
    wire = Wire(local=0)
    t = START_NS
    while len(wire.rows) < n + n // 10:
        t += int(draw.expovariate(1 / 20_000))
        target = Host(0xC6120000 | draw.getrandbits(16), draw, 64 - draw.randrange(6, 12), 0, 0)
        flow = wire.flow((scanner.ip, 61_000), (target.ip, port := draw.choice(ports)))
        seq = draw.getrandbits(32)
        row = (SYN, 1460, draw.getrandbits(16), 250, LOWER, LOWER, OPT_MSS, 0)
        wire.rows.append((t, flow, seq, 0, 0, 0, 0, 44, 1_024, *row))
        then = t + draw.randrange(8_000_000, 90_000_000)
        if draw.random() < 0.3:
            row = (RST | ACK, 0, 0, target.ttl, HIGHER, LOWER, 0, 0)
            wire.rows.append((then, flow, 0, seq + 1 & 0xFFFFFFFF, 0, 0, 0, 40, 0, *row))
        elif port < 100:
            row = (SYN | ACK, 1460, 0, target.ttl, HIGHER, LOWER, OPT_MSS, 0)
            wire.rows.append((then, flow, draw.getrandbits(32), seq + 1 & 0xFFFFFFFF, 0, 0, 0, 44, 64_240, *row))
            row = (RST, 0, 0, 250, LOWER, LOWER, 0, 0)
            wire.rows.append((then + 20_000, flow, seq + 1 & 0xFFFFFFFF, 0, 0, 0, 0, 40, 0, *row))
    return wire.arrays(n)
