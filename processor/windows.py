"""The second stage: records of counts in, alerts out. Pure: no clock, no broker, no thread.

The records of a sensor's window come from all partitions of the packets, in any order. Each partition says where its
clock of the sensor stands, and a window is judged when all that are alive are past it. What comes still later counts
too, and its window is judged again. What a rule found is raised once, until the cause was gone for some windows.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

import orjson

from processor.room import Room
from processor.rules import CAUSES, LOOK_BACK, MINUTE, RULES, TARGETS_KEPT, Finding, Rule, Thresholds, Windows
from synfin.wire.counts import (
    CLOCKS,
    MEMBERS_MAX,
    WINDOW_NS,
    Count,
    Key,
    decode,
    encode,
    group_of,
    least,
)

SILENT_MS: Final = 60_000  # of the log's time, after which a partition that says nothing is not waited for
CELLS_MAX: Final = 1 << 16  # windows of keys; beyond it nobody is waited for
MEMBERS_A_CELL: Final = 8  # so many members of one weigh as much as another
KEYS_MAX: Final = 256  # of a group
SENSORS_MAX: Final = 1024
RETAINED: Final = {"service": LOOK_BACK + MINUTE, "source": 2 * MINUTE, "stray": 2 * MINUTE}
QUIET: Final = 780  # windows for which a sensor speaks of a connection's partition after its last packet there
AHEAD: Final = 8640  # windows, a day, by which a sensor's clock may be before the log's and be believed of others
NEVER: Final = -(1 << 62)
OVER: Final = 1 << 62  # clock of a capture that ended
_RULES_OF: Final = {of: tuple(rule for rule in RULES if rule.of == of) for of in CAUSES}
_CAUSES_OF: Final[dict[str, Callable[[dict[str, int]], tuple[int, ...]]]] = {
    of: itemgetter(*causes, *causes) for of, causes in CAUSES.items()
}
_SELDOM: Final = itemgetter(*(name for name in CAUSES["service"] if name not in {"syns", "refused"}))


@dataclass(slots=True)
class Alert:
    """What a rule raised."""

    key: Key
    kind: str
    id: str
    value: bytes


@dataclass(slots=True)
class Spilled:
    """What the bounds of memory cost."""

    keys: int = 0  # that made way for others
    sensors: int = 0  # as well
    early: int = 0  # times that windows were judged without waiting for all partitions


@dataclass(slots=True)
class _About:
    """What is known of one key."""

    room: "Room[Key, _About]"
    weight: int = 0  # records added, and those of the key whose place it took
    cells: dict[int, Count] = field(default_factory=dict)  # by number of window
    active: dict[str, int] = field(default_factory=dict)  # kind to the last window with its cause


@dataclass(slots=True)
class _Sensor:
    weight: int = 0  # as of a key
    clocks: dict[int, int] = field(default_factory=dict)  # partition of the packets to the window that is open there
    touched: dict[int, set[Key]] = field(default_factory=dict)  # window to keys that are to be judged there
    held: dict[tuple[str, int], set[Key]] = field(default_factory=dict)  # kind and window to keys that have it


class Judge:
    """The windows of some keys: all in one process, or those of one partition."""

    def __init__(self, limits: Thresholds, partitions: int = 1, spilled: Spilled | None = None) -> None:
        """`partitions` of the packets, all of which see something of every sensor."""
        self._limits, self._partitions = limits, partitions
        self._keys: dict[Key, _About] = {}
        self._rooms: dict[int, Room[Key, _About]] = {}  # by group
        self._sensors: dict[str, _Sensor] = {}
        self._sensor_room = Room(self._sensors, SENSORS_MAX)
        self._heard_ms: dict[int, int] = {}  # partition to when it last said something
        self._reached: dict[int, int] = {}  # partition to the highest clock there that can be believed
        self._since_ms: int | None = None
        self._cells = 0  # as `_size` counts them
        self._spilled = spilled or Spilled()

    def add(self, count: Count, part: int = 0, now_ms: int = 0) -> list[Alert]:
        """Add a record that partition `part` sent, met in the log at `now_ms`; what is due then."""
        if self._since_ms is None:
            self._since_ms = now_ms
        self._heard_ms[part] = now_ms
        raised: list[Alert] = []
        sensor = self._sensors.get(count.key.sensor) or self._new_sensor(count.key.sensor, raised)
        sensor.weight += 1
        window = count.window_ns // WINDOW_NS
        if count.key.of in CLOCKS:
            sensor.clocks[part] = window if count.key.of == "clock" else OVER
            if count.key.of == "clock" and window <= now_ms * 1_000_000 // WINDOW_NS + AHEAD:
                self._reached[part] = max(window, self._reached.get(part, NEVER))
            return raised + self._due(sensor, now_ms)
        self._keep(sensor, count, window)
        return raised + self._hurry() if self._cells > CELLS_MAX else raised

    def _new_sensor(self, name: str, raised: list[Alert]) -> _Sensor:
        """Know a sensor from now on; what one that makes way for it still had is judged."""
        found = _Sensor()
        gone = self._sensor_room.enter(name, found)
        if gone is not None:
            self._spilled.sensors += 1
            raised += self._judge(gone[1], NEVER, NEVER)
            self._forget(gone[1], OVER, OVER)
        return found

    def finish(self) -> list[Alert]:
        """Judge all that is left."""
        return [alert for _, sensor in sorted(self._sensors.items()) for alert in self._judge(sensor, NEVER, NEVER)]

    def _due(self, sensor: _Sensor, now_ms: int) -> list[Alert]:
        """Judge what all partitions that are alive are past."""
        since_ms = self._since_ms or 0
        parts = range(self._partitions)
        alive = [part for part in parts if now_ms - self._heard_ms.get(part, since_ms) <= SILENT_MS]
        highest = max(sensor.clocks.values())
        clocks = [self._clock(sensor, part, highest) for part in alive]
        raised = self._judge(sensor, min(clocks), max(*clocks, highest))
        self._forget(sensor, min(*clocks, *sensor.clocks.values()), max(*clocks, highest))
        return raised

    def _clock(self, sensor: _Sensor, part: int, highest: int) -> int:
        """Where a partition stands with a sensor; where it has nothing of it, where it stands with the others."""
        at, reached = sensor.clocks.get(part, NEVER), self._reached.get(part, NEVER)
        return at if at > min(highest, reached) - QUIET else reached

    def _hurry(self) -> list[Alert]:
        """Judge as if all partitions were where the first is, and forget: memory is bounded.

        First goes what is of no use then, and where that is too little, the keys that weigh least.
        """
        self._spilled.early += 1
        raised: list[Alert] = []
        for _, sensor in sorted(self._sensors.items()):
            clock = max((at for at in sensor.clocks.values() if at != OVER), default=OVER)
            raised += self._judge(sensor, clock, clock)
            self._forget(sensor, clock, clock)
        for _, key in sorted((about.weight, key) for key, about in self._keys.items()):
            if 2 * self._cells <= CELLS_MAX:
                break
            about = self._keys[key]
            about.room.leave(key)
            self._let_go(key, about)
        return raised

    def _keep(self, sensor: _Sensor, count: Count, window: int) -> None:
        key = count.key
        about = self._about(key)
        about.weight += 1
        found = about.cells.get(window)
        new = found is None
        if found is None:
            about.cells[window] = found = count
            sensor.held.setdefault((key.of, window), set()).add(key)
        else:
            self._cells -= _size(found)
            found.merge(count)
        if len(found.members) > MEMBERS_MAX:
            found.members = least(found.members) if key.of != "source" else _kept(found.members)
        self._cells += _size(found)
        if len(about.cells) > 1 or self._may_be_raised(found):
            # With the second window the first may matter too, in whatever order they come.
            for number in about.cells if new and len(about.cells) == 2 else (window,):
                if any(_CAUSES_OF[key.of](about.cells[number].sums)):
                    sensor.touched.setdefault(number, set()).add(key)

    def _may_be_raised(self, count: Count) -> bool:
        """Whether a rule may find something in a key's only window; not in those of ports that a scan asked once."""
        if count.key.of != "service":
            return True
        sums, limits = count.sums, self._limits
        if sums["syns"] * 10**9 >= limits.syn_rate * WINDOW_NS or sums["refused"] >= limits.refused:
            return True
        return any(_SELDOM(sums))

    def _about(self, key: Key) -> _About:
        """What is known of a key; in a full group it takes the place of the one with the least, and its weight."""
        found = self._keys.get(key)
        if found is None:
            found = _About(self._room(key))
            gone = found.room.enter(key, found)
            if gone is not None:
                self._let_go(*gone)
        return found

    def _room(self, key: Key) -> Room[Key, _About]:
        group = group_of(key.text())
        return self._rooms.get(group) or self._rooms.setdefault(group, Room(self._keys, KEYS_MAX))

    def _let_go(self, key: Key, about: _About) -> None:
        """Forget the windows of a key that made way."""
        self._spilled.keys += 1
        sensor = self._sensors[key.sensor]
        for window, count in about.cells.items():
            self._cells -= _size(count)
            _take_out(sensor.held, (key.of, window), key)
            _take_out(sensor.touched, window, key)

    def _judge(self, sensor: _Sensor, low: int, high: int) -> list[Alert]:
        """Judge the sensor's windows that were touched: those before `low`, and those far after `high`, in their order.

        What lies far ahead of all clocks is from before the sensor's clock was set back.
        """
        raised: list[Alert] = []
        for window in sorted(number for number in sensor.touched if number < low or number > high + MINUTE):
            for key in sorted(sensor.touched.pop(window)):
                raised += self._judged(key, self._keys[key], window)
        return raised

    def _judged(self, key: Key, about: _About, window: int) -> Iterator[Alert]:
        windows = Windows(about.cells, window)
        sums = windows.now.sums
        for rule in _RULES_OF[key.of]:
            if not any(map(sums.__getitem__, rule.causes)):
                continue
            finding = rule.judge(windows, self._limits)
            if finding is not None and not any(count.loss for count in windows.last(rule.windows)):
                before = about.active.get(rule.kind)
                about.active[rule.kind] = window if before is None else max(window, before)
                if before is None or window - before > max(rule.quiet, self._limits.quiet_windows):
                    yield alert_of(rule, key, window, finding)

    def _forget(self, sensor: _Sensor, low: int, high: int) -> None:
        """Let go of windows that no rule looks at any more when `low` is judged, and of keys without any.

        Neither of those far after `high`, which `_judge` took for the time before a clock was set back.
        """
        held = [(of, window) for of, window in sensor.held if window + RETAINED[of] < low or window > high + MINUTE]
        for place in held:
            for key in sensor.held.pop(place):
                about = self._keys[key]
                self._cells -= _size(about.cells.pop(place[1]))
                if not about.cells:
                    about.room.leave(key)

    def snapshot(self) -> dict[str, Any]:
        """All that it knows, fit for JSON."""
        keys = []
        for key, about in self._keys.items():
            cells = [encode(count).decode() for count in about.cells.values()]
            keys.append([list(key), cells, about.active, about.weight])
        sensors = {}
        for name, sensor in self._sensors.items():
            touched = [[window, [list(key) for key in sorted(keys)]] for window, keys in sorted(sensor.touched.items())]
            sensors[name] = [sensor.weight, list(sensor.clocks.items()), touched]
        heard = [self._since_ms, list(self._heard_ms.items()), list(self._reached.items())]
        return {"keys": keys, "sensors": sensors, "heard": heard}

    def put_back(self, told: dict[str, Any]) -> None:
        """Take what `snapshot` gave. KeyError, TypeError or ValueError when it is something else."""
        for name, (weight, clocks, touched) in told["sensors"].items():
            waiting = {int(window): {Key(*key) for key in keys} for window, keys in touched}
            self._sensor_room.enter(name, _Sensor(int(weight), {int(part): int(at) for part, at in clocks}, waiting))
        for fields, cells, active, weight in told["keys"]:
            key = Key(*fields)
            counts = [decode(each.encode()) for each in cells]
            by_window = {count.window_ns // WINDOW_NS: count for count in counts}
            room = self._room(key)
            room.enter(key, _About(room, int(weight), by_window, {str(kind): int(at) for kind, at in active.items()}))
            for window, count in by_window.items():
                self._cells += _size(count)
                self._sensors[key.sensor].held.setdefault((key.of, window), set()).add(key)
        self._since_ms, heard, reached = told["heard"]
        self._reached = {int(part): int(at) for part, at in reached}
        self._heard_ms = {int(part): int(at_ms) for part, at_ms in heard}


def _size(count: Count) -> int:
    """How much room a window of a key takes."""
    return 1 + len(count.members) // MEMBERS_A_CELL


def _take_out(sets: dict[Any, set[Key]], place: Any, key: Key) -> None:
    """Take a key out of one of several sets, and the set when it was the last."""
    keys = sets.get(place, set())
    keys.discard(key)
    if not keys:
        sets.pop(place, None)


def _kept(targets: AbstractSet[tuple[str, int]]) -> AbstractSet[tuple[str, int]]:
    """As many targets of a source as are kept, the same ones in whatever order they came."""
    if len(targets) <= TARGETS_KEPT:
        return targets
    return set(sorted(targets, key=_place)[:TARGETS_KEPT])


@lru_cache(1 << 16)
def _place(target: tuple[str, int]) -> tuple[int, tuple[str, int]]:
    """What orders targets, the same for all who read them, and by no part of them."""
    digest = hashlib.blake2b(f"{target[0]} {target[1]}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little"), target


def alert_of(rule: Rule, key: Key, window: int, finding: Finding) -> Alert:
    """Write what a rule found as a record."""
    since_ns, end_ns = (window - finding.windows + 1) * WINDOW_NS, (window + 1) * WINDOW_NS
    digest = hashlib.blake2b(orjson.dumps(list(key)), digest_size=16).hexdigest()
    alert_id = f"{digest}/{rule.kind}/{window * WINDOW_NS}"
    told = {
        "v": 1,
        "type": "aggregate",
        "id": alert_id,
        "kind": rule.kind,
        "ts_ns": end_ns,
        "severity": rule.severity,
        "sensor": key.sensor,
        "domain": key.domain,
        "of": key.of,
        "ip": key.ip,
        "port": None if key.of == "source" else key.port,
        "since_ns": since_ns,
        "counts": dict(finding.counts),
        "distinct": finding.distinct,
        "sample": [{"ip": ip, "port": port} for ip, port in finding.sample],
    }
    return Alert(key, rule.kind, alert_id, orjson.dumps(told))


def judged(counts: Iterable[Count], limits: Thresholds | None = None) -> Iterator[Alert]:
    """All alerts of some records, from the first to the last of them."""
    judge = Judge(limits or Thresholds())
    for count in counts:
        yield from judge.add(count)
    yield from judge.finish()


assert max(Thresholds().flood_sources, Thresholds().stray_peers) <= MEMBERS_MAX
