"""The second stage: records of counts in, alerts out. Pure: no clock, no broker, no thread.

The records of a sensor's window come from many slices in any order. A window is judged when the sensor's own time, as
its records show it, has gone on for long enough; what comes still later counts too, and its window is judged again.
What a rule found is raised once, until the cause was gone for some windows.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from processor.rules import LOOK_BACK, MINUTE, RULES, TARGETS_KEPT, Finding, Rule, Thresholds, Windows
from synfin.wire.counts import (
    MEMBERS_MAX,
    WINDOW_NS,
    Count,
    Key,
    decode,
    encode,
    group_of,
    least,
)

GRACE: Final = 2  # windows that a sensor's records may be behind one another and are still judged together
KEYS_MAX: Final = 256  # of a group
RETAINED: Final = {"service": LOOK_BACK + MINUTE, "source": 2 * MINUTE, "stray": 2 * MINUTE}


@dataclass(slots=True)
class Alert:
    """What a rule raised."""

    key: Key
    kind: str
    id: str
    value: bytes


@dataclass(slots=True)
class _About:
    """What is known of one key."""

    cells: dict[int, Count] = field(default_factory=dict)  # by number of window
    active: dict[str, int] = field(default_factory=dict)  # kind to the last window with its cause
    weight: int = 0  # records added, and those of the key whose place it took: the lightest gives way


@dataclass(slots=True)
class _Sensor:
    clock: int = -(1 << 62)  # the latest window it has shown
    parts: set[int] = field(default_factory=set)  # partitions of the first stage that sent of it
    ended: set[int] = field(default_factory=set)  # and those that said it ended
    touched: dict[int, set[Key]] = field(default_factory=dict)  # window to keys that are to be judged there
    keys: set[Key] = field(default_factory=set)  # all that are known


class Judge:
    """The windows of some keys: all in one process, or those of one partition."""

    def __init__(self, limits: Thresholds) -> None:
        self._limits = limits
        self._groups: dict[int, dict[Key, _About]] = {}
        self._sensors: dict[str, _Sensor] = {}
        self.dropped = 0  # keys that made way for others

    def add(self, count: Count, part: int = 0) -> list[Alert]:
        """Add a record that partition `part` of the first stage sent; what its sensor's time makes due."""
        sensor = self._sensors.setdefault(count.key.sensor, _Sensor())
        sensor.parts.add(part)
        window = count.window_ns // WINDOW_NS
        if count.key.of == "end":
            sensor.ended.add(part)
            return self._judge(sensor, 1 << 62) if sensor.ended >= sensor.parts else []
        sensor.ended.discard(part)
        self._keep(count, window)
        sensor.touched.setdefault(window, set()).add(count.key)
        if window <= sensor.clock:
            return []
        sensor.clock = window
        return self._judge(sensor, window - GRACE)

    def finish(self) -> list[Alert]:
        """Judge all that is left."""
        return [alert for _, sensor in sorted(self._sensors.items()) for alert in self._judge(sensor, 1 << 62)]

    def _keep(self, count: Count, window: int) -> None:
        about = self._about(count.key)
        about.weight += 1
        found = about.cells.setdefault(window, count)
        if found is not count:
            found.merge(count)
        if count.key.of != "source":
            found.members = least(found.members)
        elif len(found.members) > TARGETS_KEPT:
            order = sorted(found.members, key=lambda target: (group_of(f"{target[0]} {target[1]}"), target))
            found.members = set(order[:TARGETS_KEPT])

    def _about(self, key: Key) -> _About:
        """What is known of a key; in a full group it takes the place of the one with the least, and its weight."""
        group = self._groups.setdefault(group_of(key.text()), {})
        found = group.get(key)
        if found is None:
            found = _About()
            if len(group) >= KEYS_MAX:
                lightest = min(group, key=lambda other: (group[other].weight, other))
                found.weight = group.pop(lightest).weight
                self._sensors[lightest.sensor].keys.discard(lightest)
                self.dropped += 1
            group[key] = found
            self._sensors[key.sensor].keys.add(key)
        return found

    def _judge(self, sensor: _Sensor, upto: int) -> list[Alert]:
        """Judge the sensor's windows before `upto` that were touched since they were last, in their order."""
        raised: list[Alert] = []
        for window in sorted(number for number in sensor.touched if number < upto):
            for key in sorted(sensor.touched.pop(window)):
                about = self._groups.get(group_of(key.text()), {}).get(key)
                if about is not None and window in about.cells:
                    raised += self._judged(key, about, window)
        self._forget(sensor)
        return raised

    def _judged(self, key: Key, about: _About, window: int) -> Iterator[Alert]:
        windows = Windows(about.cells, window)
        for rule in RULES:
            if rule.of != key.of or any(count.loss for count in windows.last(rule.windows)):
                continue
            finding = rule.judge(windows, self._limits)
            if finding is not None:
                before = about.active.get(rule.kind)
                about.active[rule.kind] = window if before is None else max(window, before)
                if before is None or window - before > self._limits.quiet_windows:
                    yield alert_of(rule, key, window, finding)

    def _forget(self, sensor: _Sensor) -> None:
        """Let go of windows that no rule looks at any more, and of keys without any."""
        for key in list(sensor.keys):
            group = self._groups[group_of(key.text())]
            about = group[key]
            for number in [number for number in about.cells if number < sensor.clock - RETAINED[key.of]]:
                del about.cells[number]
            if not about.cells:
                del group[key]
                sensor.keys.discard(key)

    def snapshot(self) -> dict[str, Any]:
        """All that it knows, fit for JSON."""
        keys = []
        for group in self._groups.values():
            for key, about in group.items():
                cells = [encode(count).decode() for count in about.cells.values()]
                keys.append([list(key), cells, about.active, about.weight])
        sensors = {}
        for name, sensor in self._sensors.items():
            touched = [[window, [list(key) for key in sorted(keys)]] for window, keys in sorted(sensor.touched.items())]
            sensors[name] = [sensor.clock, sorted(sensor.parts), sorted(sensor.ended), touched]
        return {"keys": keys, "sensors": sensors, "dropped": self.dropped}

    def put_back(self, told: dict[str, Any]) -> None:
        """Take what `snapshot` gave. KeyError, TypeError or ValueError when it is something else."""
        for fields, cells, active, weight in told["keys"]:
            key = Key(*fields)
            counts = [decode(each.encode()) for each in cells]
            by_window = {count.window_ns // WINDOW_NS: count for count in counts}
            about = _About(by_window, {str(kind): int(at) for kind, at in active.items()}, int(weight))
            self._groups.setdefault(group_of(key.text()), {})[key] = about
        for name, (clock, parts, ended, touched) in told["sensors"].items():
            waiting = {int(window): {Key(*key) for key in keys} for window, keys in touched}
            known = {key for group in self._groups.values() for key in group if key.sensor == name}
            self._sensors[name] = _Sensor(int(clock), set(parts), set(ended), waiting, known)
        self.dropped = int(told["dropped"])


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
