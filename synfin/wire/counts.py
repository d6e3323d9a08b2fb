"""The records of `synfin.counts.v1`: what rules over several connections add up, one JSON object a record.

A record counts what one partition of the packets saw of one sensor in one window of that sensor's event time, about a
service (the responder's address and port), a source (an originator's address) or the sender of segments without a
connection. All records of one key and window add up in any order: numbers are sums, members a set, and what is true in
one is true.
"""

import hashlib
import ipaddress
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from synfin.errors import ContractError

WINDOW_NS: Final = 10_000_000_000
GROUPS: Final = 384  # as slices: a key's group modulo the count of partitions is its partition
MEMBERS_MAX: Final = 64  # of a service's sources and a stray's peers: those with the least hashes
TARGETS_MAX: Final = 64  # of a source in one record; more go into another record
READ_MAX: Final = 256  # members that are taken from one record
PORT_MAX: Final = 65_535
NUMBER_MAX: Final = (1 << 63) - 1  # of a record and of what is added up, which a snapshot has to hold
NAME_BYTES_MAX: Final = 64
IP_CHARS_MAX: Final = 45  # ::ffff: and an IPv4 address, all written out
TYPE: Final = "synfin.counts"

# Sums of each kind of record, by their keys in JSON.
SUMS: Final = {
    "service": {
        "syns": "connection attempts: SYNs, those that were sent again not counted",
        "answered": "of those, attempts that the responder answered with SYN+ACK",
        "opened": "handshakes that both ends completed",
        "refused": "attempts that a RST or an ICMP error answered",
        "unanswered": "attempts that nothing answered until their time was up",
        "aborted_orig": "connections that the originator reset",
        "aborted_resp": "connections that the responder reset",
        "killed": "of those, resets that answer no segment of a responder that sent no data: a listener was closed",
        "stuck": "responders that stay in CLOSE-WAIT, counted when `stuck.close_wait` says so",
        "held": "responders that are in CLOSE-WAIT still since `stuck.close_wait` said so, counted once a minute",
        "held_hour": "of those, who are there for more than an hour",
    },
    "source": {
        "opened": "handshakes that both ends completed",
        "failed": "attempts that were refused, not answered, or reset by the originator before they were open",
    },
    "stray": {"strays": "RSTs and SYN+ACKs that belong to no connection"},
    "clock": {},  # no count: the sensor's windows before this one are complete
    "end": {},  # the sensor's capture ended here, and all are
}
ADDED: Final = frozenset({"held", "held_hour"})  # to what the first records had
CLOCKS: Final = frozenset({"clock", "end"})  # what every partition is told
MEMBERS: Final = {"service": "sources", "source": "targets", "stray": "peers"}


class Key(NamedTuple):
    """What a record counts about. `port` is 0 for a source."""

    of: str
    sensor: str
    domain: int
    ip: str
    port: int

    def text(self) -> str:
        """Address, and port where there is one: the key of the topics."""
        if self.of == "source" or self.of in CLOCKS:
            return self.ip
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(slots=True)
class Count:
    """One record, or the sum of several of one key."""

    key: Key
    window_ns: int  # when the window begins
    sums: dict[str, int]
    members: AbstractSet[Any] = frozenset()  # hashes; of a source (ip, port)
    loss: bool = False  # the sensor lost packets in this window
    both_ways: bool = False  # of a stray: this sensor sees both directions of connections
    killed_ns: tuple[int, int] | None = None  # first and last of `killed`

    def merge(self, other: "Count") -> None:
        """Add another record of the same key."""
        for name, value in other.sums.items():
            self.sums[name] = min(self.sums[name] + value, NUMBER_MAX)  # of records that nobody of ours wrote
        self.members = self.members | other.members if self.members else other.members
        self.loss |= other.loss
        self.both_ways |= other.both_ways
        if other.killed_ns is not None:
            mine = self.killed_ns or other.killed_ns
            self.killed_ns = min(mine[0], other.killed_ns[0]), max(mine[1], other.killed_ns[1])


def empty(key: Key, window_ns: int) -> Count:
    """Begin a record."""
    return Count(key, window_ns, dict.fromkeys(SUMS[key.of], 0))


@lru_cache(1 << 16)
def group_of(text: str) -> int:
    """Group of a key's text, 0..383; fixed, as the hash of slices is."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") % GROUPS


@lru_cache(1 << 16)
def ip_text(family: int, high: int, low: int) -> str:
    """Address of a FLOW as the other records write it."""
    if family == 4 or (high == 0 and low >> 32 == 0xFFFF):
        dotted = f"{low >> 24 & 255}.{low >> 16 & 255}.{low >> 8 & 255}.{low & 255}"
        return dotted if family == 4 else f"::ffff:{dotted}"
    return str(ipaddress.IPv6Address(high << 64 | low))


def distinct(members: AbstractSet[Any], most: int = MEMBERS_MAX) -> int:
    """How many different ones there were, from those with the least hashes: exact below `most`."""
    if len(members) < most:
        return len(members)
    return int((most - 1) * 2.0**53 / max(sorted(members)[most - 1], 1))


def least(members: AbstractSet[int], most: int = MEMBERS_MAX) -> AbstractSet[int]:
    """Those with the least hashes; what is left of two sets joined is what is left of all their members."""
    return members if len(members) <= most else set(sorted(members)[:most])


def encode(count: Count) -> bytes:
    """Write a record."""
    key = count.key
    told: dict[str, Any] = {"v": 1, "type": "counts", "of": key.of, "sensor": key.sensor, "domain": key.domain}
    if key.of not in CLOCKS:
        told |= {"ip": key.ip, "port": key.port if key.of != "source" else None}
    told["window_ns"] = count.window_ns
    if key.of not in CLOCKS:
        told |= {**count.sums, MEMBERS[key.of]: sorted(count.members), "loss": count.loss}
    if key.of == "stray":
        told["both_ways"] = count.both_ways
    if key.of == "service":
        told["killed_ns"] = count.killed_ns
    return orjson.dumps(told)


def decode(value: bytes) -> Count:
    """Read a record; ContractError when it is none."""
    try:
        told = orjson.loads(value)
        return _read(told)
    except (KeyError, TypeError, ValueError) as error:
        raise ContractError(f"a record of counts cannot be read: {error!r}") from error


def _read(told: dict[str, Any]) -> Count:
    if (told["v"], told["type"]) != (1, "counts"):
        raise ValueError("it is no record of counts of version 1")
    of, sensor, domain = told["of"], told["sensor"], _number(told["domain"])
    window_ns = _number(told["window_ns"])
    if of not in SUMS or not isinstance(sensor, str) or len(sensor.encode()) > NAME_BYTES_MAX or window_ns % WINDOW_NS:
        raise ValueError("of, sensor or window_ns")
    if of in CLOCKS:
        return empty(Key(of, sensor, domain, "", 0), window_ns)
    port = 0 if of == "source" else _number(told["port"])
    if port > PORT_MAX:
        raise ValueError("port")
    count = empty(Key(of, sensor, domain, _ip(told["ip"]), port), window_ns)
    for name in SUMS[of]:
        count.sums[name] = _number(told.get(name, 0) if name in ADDED else told[name])
    count.members = {_member(of, member) for member in told[MEMBERS[of]][:READ_MAX]}
    count.loss = told["loss"] is True
    count.both_ways = told.get("both_ways") is True
    if told.get("killed_ns") is not None:
        first, last = told["killed_ns"]
        count.killed_ns = _number(first), _number(last)
    return count


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= NUMBER_MAX:
        raise ValueError(f"{value!r} is no number that may stand there")
    return value


@lru_cache(1 << 16)
def _ip(value: Any) -> str:
    ipaddress.ip_address(value)
    if not isinstance(value, str) or len(value) > IP_CHARS_MAX:
        raise TypeError("an address is text")
    return value


def _member(of: str, value: Any) -> Any:
    if of != "source":
        return _number(value)
    ip, port = value
    return _ip(ip), _number(port)
