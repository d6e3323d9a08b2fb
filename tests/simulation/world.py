"""Two hosts, a network between them that loses, repeats, reorders and delays, forgers, and taps: all from one seed."""

import heapq
from dataclasses import dataclass, field
from itertools import count
from random import Random

from synfin.wire.segment import ACK, FIN, PSH, RST, SYN
from tests.simulation.endpoint import Endpoint
from tests.simulation.segment import Segment, ahead, reply_to_stranger
from tests.simulation.stack import MS, Stack

PACKETS_MAX = 400  # then the wire is cut
TAPS = ("A", "B", "middle")


@dataclass(frozen=True)
class Weather:
    """What the network does to one packet. Shares are of one."""

    loss: float
    repeat: float
    overtake: float  # takes a way of its own, which others may overtake
    delay_ns: int
    jitter_ns: int
    forged: int  # packets that somebody writes in an endpoint's name


@dataclass
class Host:
    """One end: a port, and the incarnations of the connection on it."""

    world: "World"
    side: int
    stack: Stack
    listens: bool
    isn: int
    incarnations: list[Endpoint] = field(default_factory=list)

    @property
    def now(self):
        """The endpoint that is there, None without one."""
        last = self.incarnations[-1] if self.incarnations else None
        return last if last and last.state not in ("CLOSED", "LISTEN") else None

    def begin(self):
        endpoint = Endpoint(self, self.isn)
        self.isn = (self.isn + 65_537 + self.world.chance.randrange(1 << 20)) % 2**32
        self.incarnations.append(endpoint)
        return endpoint

    def connect(self):
        """Open anew where nothing, or a TIME-WAIT that gives way, is in the way."""
        now = self.now
        if now is None or now.state == "TIME-WAIT":
            if now:
                self._give_way(now)
            self.begin().open()

    def _give_way(self, old):
        self.isn = (old.snd_nxt + 65_537) % 2**32
        old.timers.clear()

    def receive(self, x):
        now = self.now
        if now and now.state == "TIME-WAIT" and self._begins_anew(now, x):
            self._give_way(now)
            now = None
        if now:
            now.receive(x)
        elif self.listens and x.flags & (SYN | ACK | RST | FIN) == SYN:
            endpoint = self.begin()
            endpoint.listen()
            endpoint.receive(x)
        else:
            self.world.send_if(reply_to_stranger(x))

    def _begins_anew(self, old, x):
        """RFC 6191."""
        if not self.listens or x.flags & (SYN | ACK | RST | FIN) != SYN:
            return False
        newer = old.ts_ok and x.tsval is not None and ahead(x.tsval, old.ts_recent) > 0
        return newer or ahead(x.seq, old.rcv_nxt) > 0


class World:
    """A clock and what happens at which time of it; two hosts and what goes between them."""

    def __init__(self, seed):
        self.chance, self.now, self._order, self._agenda = Random(seed), 0, count(), []
        self.seed = seed
        self.taps = {tap: [] for tap in TAPS}  # (ns, Segment)
        self.sent, self._last = 0, [[0, 0], [0, 0]]  # last arrival by sender, at the middle and at the end
        chance = self.chance
        rough = chance.random() < 0.7
        self.weather = Weather(
            loss=chance.choice((0.02, 0.1, 0.25)) if rough else 0,
            repeat=chance.choice((0, 0.05)) if rough else 0,
            overtake=chance.choice((0, 0.1, 0.3)) if rough else 0,
            delay_ns=chance.choice((50_000, 2 * MS, 20 * MS, 80 * MS)),
            jitter_ns=chance.choice((0, 1 * MS, 10 * MS)),
            forged=chance.choice((0, 0, 0, 1, 4)),
        )

    def after(self, ns, what):
        heapq.heappush(self._agenda, (self.now + ns, next(self._order), what))

    def run(self):
        while self._agenda and self.sent < PACKETS_MAX:
            self.now, _, what = heapq.heappop(self._agenda)
            what()

    def seen_at(self, host):
        """How many packets a host has sent and received."""
        return len(self.taps["AB"[host.side]])

    # ---- the wire ----

    def send_if(self, x):
        if x:
            self.send(x)

    def send(self, x):
        self.sent += 1
        self.taps["AB"[x.sender]].append((self.now, x))
        self._carry(x)
        if self.chance.random() < self.weather.repeat:
            self._carry(x)

    def _carry(self, x):
        chance, weather, last = self.chance, self.weather, self._last[x.sender]
        half = weather.delay_ns // 2
        middle, end = (self.now + half + chance.randrange(weather.jitter_ns + 1) for _ in range(2))
        end += half
        if chance.random() < weather.overtake:
            end = max(middle, end) + 1 + chance.randrange(3 * (half + weather.jitter_ns) + MS)
            middle = chance.randrange(middle, end)
        else:
            middle = last[0] = max(middle, last[0] + 1)
            end = last[1] = max(end, middle + 1, last[1] + 1)
        lost, where = chance.random() < weather.loss, chance.random()
        if not lost or where < 0.5:
            self._at(middle, lambda: self.taps["middle"].append((self.now, x)))
        if not lost:
            self._at(end, lambda: self.arrive(x))

    def _at(self, t_ns, what):
        heapq.heappush(self._agenda, (t_ns, next(self._order), what))

    def arrive(self, x):
        host = 1 - x.sender
        self.taps["AB"[host]].append((self.now, x))
        self.hosts[host].receive(x)

    def forge(self):
        """Somebody between the hosts writes a packet near what the target expects."""
        chance = self.chance
        target = self.hosts[chance.randrange(2)]
        now = target.now
        if now is None:
            return
        off = chance.choice((0, 0, 1, -1, 100, 5000, -5000, 1_000_000))
        flags = chance.choice((RST, RST | ACK, FIN | ACK, ACK | PSH, SYN, SYN | ACK, ACK))
        off_ack = chance.choice((0, 0, 1, 1000, -1000))
        x = Segment(
            sender=1 - target.side,
            seq=(now.rcv_nxt + off) % 2**32,
            ack=(now.snd_nxt + off_ack) % 2**32 if flags & ACK else 0,
            flags=flags,
            length=10 if flags & PSH else 0,
            window=1000,
            tsval=(now.ts_recent + chance.choice((0, -10, 10))) % 2**32
            if now.ts_ok and chance.random() < 0.7
            else None,
        )
        self.taps["middle"].append((self.now, x))
        self._at(self.now + self.weather.delay_ns // 2, lambda: self.arrive(x))


def _stack(chance):
    mss = chance.choice((100, 536, 1000, 1460))
    return Stack(
        mss=mss,
        wscale=chance.choice((None, 0, 2, 7)),
        timestamps=chance.random() < 0.6,
        sack=chance.random() < 0.6,
        buffer=chance.choice((mss // 2, 2 * mss, 10 * mss, 65_535, 200_000)),
        reads=chance.random() < 0.75,
        delayed_ack_ns=chance.choice((0, 5 * MS, 40 * MS)),
        rto_ns=chance.choice((200, 300, 1000)) * MS,
        retries=chance.choice((3, 6)),
        clock_ms=chance.choice((5, 1_000_000, 2**32 - 300)),
    )


def _plan(world):
    """What the programs at both ends will do, and when."""
    chance = world.chance
    a, b = world.hosts
    openers = [a, b] if chance.random() < 0.12 else [a]
    for host in openers:
        world.after(chance.choice((0, 0, 5, 30)) * MS if len(openers) == 2 else 0, host.connect)
    b.listens = len(openers) == 1 and chance.random() < 0.93
    span = chance.choice((100, 500, 3000)) * MS
    for host in world.hosts:
        for _ in range(chance.choice((0, 1, 1, 2, 4))):
            size = chance.choice((1, 10, 500, 3000))
            world.after(chance.randrange(span), _program(host, "write", size))
        if not host.stack.reads:
            for _ in range(3):
                world.after(chance.randrange(3 * span), _program(host, "read"))
        _end(chance, world, host, span)
    if chance.random() < 0.25:
        again = chance.randrange(span, 4 * span)
        if chance.random() < 0.3:
            world.after(again, _program(a, "crash"))
        world.after(again, a.connect)
        for host in world.hosts:
            world.after(again + chance.randrange(span), _program(host, "write", 100))
            _end(chance, world, host, again + span)
    for _ in range(world.weather.forged):
        world.after(chance.randrange(2 * span), world.forge)


def _end(chance, world, host, span):
    how = chance.choice(("close", "close", "close", "close", "shutdown", "abort", "crash", None))
    when = chance.choice((span, span, span // 2, chance.randrange(2 * span)))
    if how in ("close", "shutdown"):
        world.after(when, _program(host, "close", how == "close"))
    elif how:
        world.after(when, _program(host, how))
    if how == "shutdown" and chance.random() < 0.7:
        world.after(when + chance.randrange(span), _program(host, "close", True))


def _program(host, what, *arguments):
    def act():
        now = host.now
        if now and now.state != "SYN-RECEIVED":  # a program is given a connection when it is open
            getattr(now, what)(*arguments)

    return act


def simulated(seed):
    """The world of a seed, after everything has happened."""
    world = World(seed)
    chance = world.chance
    near_wrap = [chance.choice((1000, 2**32 - 1 - chance.randrange(4000), chance.randrange(2**32))) for _ in range(2)]
    world.hosts = [Host(world, side, _stack(chance), listens=False, isn=near_wrap[side]) for side in range(2)]
    _plan(world)
    world.run()
    return world


def thinned(frames, loss, chance):
    """What a tap that loses a share of the packets has of them."""
    return [frame for frame in frames if chance.random() >= loss]
