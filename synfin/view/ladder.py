"""A connection as a sequence diagram: what each packet said, and the states of both ends behind it.

The packets are read again from the capture, the states are the flow record's transitions, placed by the time of the
packet that they rest on. The core writes nothing for this; the diagram's text is made in `ladder_text.py`.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synfin.view.words import Record
from synfin.wire.segment import ACK, CSUM_BAD, FIN, HIGHER, LOWER, MARK_DUPLICATE, OPT_WSCALE, RST, SYN, TCP

Rows = npt.NDArray[np.void]

ENDS: Final = ("orig", "resp")
_MODULUS: Final = 1 << 32
_HALF: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class Change:
    """An endpoint's new state."""

    endpoint: str  # orig, resp
    to: str
    event: str
    certainty: str  # observed, inferred, assumed, presumed, timer


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of the connection; numbers are relative to the sender's first, as Wireshark counts."""

    sender: str  # orig, resp
    flags: int
    seq: int
    ack: int | None
    length: int
    window: int  # scaled
    marks: tuple[str, ...] = ()  # again, keep-alive, window full, bad checksum
    frame: int = 0  # its number in the capture, from 0


@dataclass(frozen=True, slots=True)
class Rung:
    """A packet, or what happened without one, with the changes of state that rest on it."""

    t_ns: int
    packet: Packet | None
    changes: tuple[Change, ...] = ()
    states: tuple[str, str] = ("UNKNOWN", "UNKNOWN")  # of both ends, afterwards
    missing: tuple[str, int] | None = None  # (sender, bytes) that were never captured; no packet then


@dataclass(slots=True)
class Ladder:
    """The whole diagram."""

    record: Record
    before: tuple[Change, Change]  # states before the first packet
    rungs: list[Rung] = field(default_factory=list)


def select(record: Record, segments: Rows, flows: Rows) -> tuple[Rows, bool]:
    """The connection's segments among those of a capture, and whether its originator is the lower end of the tuple."""
    ends = [_halves(record[end]) for end in ENDS]
    lower = ends[0] <= ends[1]
    (low, low_port), (high, high_port) = ends if lower else ends[::-1]
    same = (flows["lower_port"] == low_port) & (flows["higher_port"] == high_port)
    same &= flows["domain"] == record["domain"]
    for column, halves in (("lower_ip", low), ("higher_ip", high)):
        for half in range(2):
            same &= flows[column][:, half] == np.uint64(halves[half])
    mine = np.isin(segments["flow"], np.flatnonzero(same)) & (segments["kind"] == TCP)
    mine &= (segments["t_ns"] >= record["start_ns"]) & (segments["t_ns"] <= record["end_ns"])
    return segments[mine], lower


def _halves(end: Record) -> tuple[tuple[int, int], int]:
    """An endpoint as FLOW holds it, and as ends are put in order."""
    import ipaddress  # noqa: PLC0415  5 ms that the list of connections does without

    ip = ipaddress.ip_address(end["ip"])
    number = int(ip) if ip.version == 6 else 0xFFFF << 32 | int(ip)
    return (number >> 64, number & (1 << 64) - 1), int(end["port"])


def build(record: Record, segments: Rows, orig_is_lower: bool) -> Ladder:
    """Make the diagram of a flow record from its segments, in the order in which they were captured."""
    packets = list(_Reader(record, orig_is_lower).packets(segments))
    before, steps = _before(record)
    ladder = Ladder(record, before)
    placed = _place(steps, packets)
    states = [change.to for change in before]
    for i, (t_ns, packet, missing) in enumerate(packets):
        for at_ns, change in placed.unplaced_before(t_ns):
            _add(ladder, Rung(at_ns, None, (change,)), states)
        if missing is not None:
            _add(ladder, Rung(t_ns, None, missing=missing), states)
        _add(ladder, Rung(t_ns, packet, tuple(placed.at.get(i, ()))), states)
    for at_ns, change in placed.unplaced_before(None):
        _add(ladder, Rung(at_ns, None, (change,)), states)
    return ladder


def _add(ladder: Ladder, rung: Rung, states: list[str]) -> None:
    for change in rung.changes:
        states[ENDS.index(change.endpoint)] = change.to
    ladder.rungs.append(replace(rung, states=(states[0], states[1])))


def _before(record: Record) -> tuple[tuple[Change, Change], list[Record]]:
    """Both ends' states before the first packet, and the transitions behind them.

    Who sends a SYN first was CLOSED, and so was who answers one with RST; LISTEN may stand first in a record.
    """
    steps = list(record["transitions"])
    found = []
    for end in ENDS:
        first = next((step for step in steps if step["endpoint"] == end), None)
        change = Change(end, "UNKNOWN", "NONE", "observed")
        if first is not None and first["to"] == "LISTEN":
            steps.remove(first)
            change = _change(first)
        elif first is not None and first["event"] in ("TX_SYN", "TX_RST"):
            refused = record["handshake"]["kind"] == "rejected"
            change = replace(change, to="CLOSED" if first["event"] == "TX_SYN" or refused else "UNKNOWN")
        found.append(change)
    return (found[0], found[1]), steps


def _change(step: Record) -> Change:
    return Change(step["endpoint"], step["to"], step["event"], step.get("certainty", "observed"))


@dataclass(slots=True)
class _Placed:
    """Changes by the number of their packet, and those that rest on none, by time."""

    at: dict[int, list[Change]]
    rest: deque[tuple[int, Change]]

    def unplaced_before(self, t_ns: int | None) -> Iterator[tuple[int, Change]]:
        """Take what happened without a packet up to a time; all that is left without one."""
        while self.rest and (t_ns is None or self.rest[0][0] < t_ns):
            yield self.rest.popleft()


def _place(transitions: Iterable[Record], packets: Sequence[tuple[int, Packet, Any]]) -> _Placed:
    """Find each transition's packet: that of its time which the endpoint sent or received, as the event says."""
    by_time: dict[int, list[int]] = {}
    for i, (t_ns, _, _) in enumerate(packets):
        by_time.setdefault(t_ns, []).append(i)
    placed = _Placed({}, deque())
    last = dict.fromkeys(
        ENDS, 0
    )  # an endpoint's states follow one another, though an assumed one rests on an old packet
    for step in transitions:
        change = _change(step)
        found = by_time.get(step.get("packet_ns", step["t_ns"]), []) if change.certainty != "timer" else []
        sent = change.event.startswith("TX_") or change.certainty == "inferred"  # the proof is a packet of its own
        fits = [i for i in found if (packets[i][1].sender == change.endpoint) == sent]
        if found and change.event != "ICMP_HARD":
            last[change.endpoint] = max(last[change.endpoint], (fits or found)[0])
            placed.at.setdefault(last[change.endpoint], []).append(change)
        else:
            placed.rest.append((step["t_ns"], change))
    return _Placed(placed.at, deque(sorted(placed.rest, key=lambda item: item[0])))


@dataclass(slots=True)
class _Side:
    """What one sender has shown so far; sequence numbers without wrapping, from its first."""

    base: int | None = None  # raw number that is relative 0
    next: int = 0  # behind the highest byte sent
    acked: int = 0  # highest acknowledgment by the peer
    wscale: int | None = None  # that its SYN offered
    syns: set[int] = field(default_factory=set)  # flags of its SYNs: a SYN,ACK after a SYN is no repetition
    ranges: list[tuple[int, int]] = field(default_factory=list)


class _Reader:
    """Turns segments into packets with relative numbers, and notices what was never captured."""

    def __init__(self, record: Record, orig_is_lower: bool) -> None:
        self._lower = 0 if orig_is_lower else 1
        self._sides = (_Side(), _Side())
        for side, name in zip(self._sides, ENDS, strict=True):
            isn = record["handshake"][f"isn_{name}"]
            side.base = None if isn is None else int(isn)

    def packets(self, segments: Rows) -> Iterator[tuple[int, Packet, tuple[str, int] | None]]:
        """Each packet with its time, and what of its sender is missing before it."""
        seen = [s for s in segments if s["sender"] in (LOWER, HIGHER) and not s["marks"] & MARK_DUPLICATE]
        placed = [self._relative(s) for s in seen]
        for (number, seq, end), s in zip(placed, seen, strict=True):
            if end > seq and not int(s["flags"]) & RST:
                self._sides[number].ranges.append((seq, end))
        known = [_merged(side.ranges) for side in self._sides]
        for side in self._sides:
            side.next = 0
        for (number, seq, end), s in zip(placed, seen, strict=True):
            yield int(s["t_ns"]), *self._packet(s, number, (seq, end), known[number])

    def _relative(self, s: Any) -> tuple[int, int, int]:
        """Number of the sender, its sequence number and the one behind the segment."""
        number = self._lower if s["sender"] == LOWER else 1 - self._lower
        side, flags = self._sides[number], int(s["flags"])
        raw, length = int(s["seq"]), int(s["len"]) + bool(flags & SYN) + bool(flags & FIN)
        if side.base is None:
            side.base = raw if flags & SYN else (raw - 1) % _MODULUS  # seen midway: its first byte is number 1
        seq = _unwrapped(raw - side.base, side.next)
        if not flags & RST:
            side.next = max(side.next, seq + length)
        return number, seq, seq + length

    def _packet(
        self, s: Any, number: int, span: tuple[int, int], known: Sequence[tuple[int, int]]
    ) -> tuple[Packet, tuple[str, int] | None]:
        me, peer, flags = self._sides[number], self._sides[1 - number], int(s["flags"])
        seq, end = span
        marks, missing = [], None
        if not flags & RST and end > seq:
            if me.next and seq > me.next:
                hole = _hole(me.next, seq, known)
                missing = (ENDS[number], hole) if hole else None
            if end <= me.next and (not flags & SYN or flags in me.syns):
                marks.append("again")
        elif seq == me.next - 1 and not flags & (SYN | FIN | RST):
            marks.append("keep-alive")
        if end - seq <= 1 and int(s["len"]) == 1 and seq == me.next - 1:
            marks = ["keep-alive"]
        if s["checksum"] == CSUM_BAD:
            marks.append("bad checksum")
        if flags & SYN:
            me.syns.add(flags)
            me.wscale = int(s["wscale"]) if int(s["options"]) & OPT_WSCALE else None
        if not flags & RST:
            me.next = max(me.next, end)
        scaled = me.wscale is not None and peer.wscale is not None and not flags & SYN
        window = int(s["window"]) << (me.wscale or 0 if scaled else 0)
        if window == 0 and not flags & (RST | SYN):
            marks.append("window full")
        ack = _ack(s, peer) if flags & ACK else None
        return Packet(ENDS[number], flags, seq, ack, int(s["len"]), window, tuple(marks), int(s["frame"])), missing


def _ack(s: Any, peer: _Side) -> int:
    """Acknowledgment number, relative to the peer's first; raw where that is not known."""
    if peer.base is None:
        return int(s["ack"])
    value = _unwrapped(int(s["ack"]) - peer.base, peer.acked)
    if value <= peer.next:  # one that acknowledges more than was sent is no place to count from
        peer.acked = value
    return value


def _unwrapped(difference: int, near: int) -> int:
    """The number, equal to the difference modulo 2^32, that is nearest to another."""
    return near + (difference - near + _HALF) % _MODULUS - _HALF


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, end in sorted(ranges):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((first, end))
    return merged


def _hole(first: int, end: int, known: Sequence[tuple[int, int]]) -> int:
    """How many numbers between two were in no packet at all."""
    return end - first - sum(max(0, min(end, b) - max(first, a)) for a, b in known)
