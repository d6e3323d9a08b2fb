"""The rules over several connections: a table of kinds with their conditions, each a pure function of what was counted.

A rule is asked when a window of a sensor is complete. It sees the windows of one key up to that one, and says which
numbers it rests on, or None. docs/aggregates.md is made from this table.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from typing import Final

from synfin.wire.counts import MEMBERS, READ_MAX, WINDOW_NS, Count, distinct, empty, least

MINUTE: Final = 6  # windows
LOOK_BACK: Final = 66  # windows that a service is remembered: ten minutes, and the minute that is judged
LISTENER_NS: Final = 100_000_000  # within which the resets of a listener that was closed come
SAMPLE_MAX: Final = 20
TARGETS_KEPT: Final = READ_MAX  # of a source in a window


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is too much. Each is a setting `rules.<name>`."""

    syn_rate: int = 100  # SYNs a second to one service
    flood_completion_percent: int = 10  # of them that become connections, in a flood less
    flood_sources: int = 32
    flood_half_open: int = 256
    scan_targets: int = 20  # ports of one host, or hosts with one port, in a minute
    scan_failed_percent: int = 80  # of the attempts of which the outcome is known
    storm_aborts: int = 50  # connections of one service that were reset, in ten seconds
    storm_factor: int = 5  # times its moving average over ten minutes
    stray_segments: int = 20  # in a minute
    stray_peers: int = 16
    refused: int = 5  # attempts in a minute
    listener_resets: int = 2  # of connections that were not accepted yet, within 100 ms
    close_wait: int = 10  # connections of one service that get stuck in CLOSE-WAIT in ten minutes, or are by now
    quiet_windows: int = 3  # without a cause, after which the same is raised again


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found: the numbers it rests on, how many different ones, some of them, and where it began."""

    counts: Mapping[str, int]
    windows: int = 1  # that it looked at
    distinct: int = 0
    sample: tuple[tuple[str, int], ...] = ()


class Windows:
    """The windows of one key, as seen from the one that is judged."""

    def __init__(self, cells: Mapping[int, Count], at: int) -> None:
        """`cells` by number of window."""
        self._cells, self._at = cells, at

    @property
    def now(self) -> Count:
        """The window that is judged."""
        return self._cells[self._at]

    def last(self, windows: int) -> list[Count]:
        """The last windows, this one among them, where there is anything."""
        numbers = range(self._at - windows + 1, self._at + 1)
        return [self._cells[number] for number in numbers if number in self._cells]

    def before(self, skipped: int, windows: int) -> list[tuple[int, Count]]:
        """Windows before the last `skipped`, each with its distance."""
        numbers = range(self._at - skipped - windows + 1, self._at - skipped + 1)
        return [(self._at - number, self._cells[number]) for number in numbers if number in self._cells]


def total(counts: Iterable[Count], *names: str) -> int:
    """Sum of some numbers over some windows."""
    return sum(count.sums[name] for count in counts for name in names)


def _joined(counts: list[Count]) -> Count:
    whole = empty(counts[-1].key, counts[-1].window_ns)
    for count in counts:
        whole.merge(count)
    return whole


def syn_flood(windows: Windows, limits: Thresholds) -> Finding | None:
    """Many SYNs of which hardly any becomes a connection, from many sources or left half-open."""
    now = windows.now
    syns, opened = now.sums["syns"], now.sums["opened"]
    half_open = max(0, now.sums["answered"] - opened)
    sources = distinct(now.members)
    if syns * 10**9 < limits.syn_rate * WINDOW_NS or 100 * opened >= limits.flood_completion_percent * syns:
        return None
    if sources < limits.flood_sources and half_open < limits.flood_half_open:
        return None
    return Finding({"syns": syns, "opened": opened, "half_open": half_open}, distinct=sources)


def _scan(windows: Windows, limits: Thresholds) -> tuple[Count, AbstractSet[tuple[str, int]]] | None:
    """The minute of a source that mostly fails, with its targets; None for any other."""
    whole = _joined(windows.last(MINUTE))
    failed, opened = whole.sums["failed"], whole.sums["opened"]
    if 100 * failed < limits.scan_failed_percent * (failed + opened):
        return None
    return whole, whole.members


def _most(targets: AbstractSet[tuple[str, int]], place: int) -> list[tuple[str, int]]:
    """The targets that share what stands at `place`, where most do; the least of equals."""
    groups: dict[str | int, list[tuple[str, int]]] = {}
    for target in sorted(targets):
        groups.setdefault(target[place], []).append(target)
    return max(groups.values(), key=len, default=[])


def _scan_of(windows: Windows, limits: Thresholds, place: int) -> Finding | None:
    found = _scan(windows, limits)
    if found is None:
        return None
    targets = _most(found[1], place)
    if len(targets) < limits.scan_targets:
        return None
    return Finding(dict(found[0].sums), MINUTE, len(targets), tuple(targets[:SAMPLE_MAX]))


def scan_vertical(windows: Windows, limits: Thresholds) -> Finding | None:
    """One source tries many ports of one host, and mostly in vain."""
    return _scan_of(windows, limits, 0)


def scan_horizontal(windows: Windows, limits: Thresholds) -> Finding | None:
    """One source tries one port of many hosts, and mostly in vain."""
    return _scan_of(windows, limits, 1)


def rst_storm(windows: Windows, limits: Thresholds) -> Finding | None:
    """Many connections of one service are reset at once, far more than it was used to."""
    now = windows.now
    orig, resp = now.sums["aborted_orig"], now.sums["aborted_resp"]
    decay = math.exp(-1 / (10 * MINUTE))
    usual = (1 - decay) * math.fsum(
        decay ** (distance - 1) * total([count], "aborted_orig", "aborted_resp")
        for distance, count in windows.before(1, 10 * MINUTE)
    )
    if orig + resp < limits.storm_aborts or orig + resp < limits.storm_factor * usual:
        return None
    first, last = now.killed_ns or (0, LISTENER_NS + 1)
    closed = now.sums["killed"] if now.sums["killed"] > 1 and last - first <= LISTENER_NS else 0
    return Finding({"aborted_orig": orig, "aborted_resp": resp, "listener_closed": closed})


def backscatter(windows: Windows, limits: Thresholds) -> Finding | None:
    """Answers to connections that nobody here opened: somebody is attacked under our addresses."""
    whole = _joined(windows.last(MINUTE))
    peers, strays = distinct(least(whole.members)), whole.sums["strays"]
    if strays < limits.stray_segments or peers < limits.stray_peers or not whole.both_ways:
        return None
    return Finding({"strays": strays}, MINUTE, peers)


def refused_service(windows: Windows, limits: Thresholds) -> Finding | None:
    """A service that took connections within the last ten minutes refuses them."""
    minute = windows.last(MINUTE)
    refused = total(minute, "refused")
    if refused < limits.refused or not windows.now.sums["refused"]:
        return None
    first = next(count for count in minute if count.sums["refused"])
    earlier = (count for _, count in windows.before(0, LOOK_BACK) if count.window_ns <= first.window_ns)
    opened = total(earlier, "opened")
    if not opened:
        return None
    return Finding({"refused": refused, "opened": opened}, MINUTE)


def listener_closed(windows: Windows, limits: Thresholds) -> Finding | None:
    """Connections on which a service had sent nothing are reset together: that is the cause of these resets."""
    now = windows.now
    first, last = now.killed_ns or (0, LISTENER_NS + 1)
    if now.sums["killed"] < limits.listener_resets or last - first > LISTENER_NS:
        return None
    if total((count for _, count in windows.before(1, 10 * MINUTE)), "killed"):
        return None
    return Finding({"killed": now.sums["killed"]})


def close_wait_leak(windows: Windows, limits: Thresholds) -> Finding | None:
    """In ten minutes, or by now, many connections of a service are stuck in CLOSE-WAIT, or one is for over an hour."""
    stuck, now = total(windows.last(10 * MINUTE), "stuck"), windows.now.sums
    if max(stuck, now["held"]) < limits.close_wait and not now["held_hour"]:
        return None
    return Finding({"stuck": stuck, "held": now["held"], "held_hour": now["held_hour"]}, 10 * MINUTE)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table."""

    kind: str
    of: str  # which records it counts
    severity: str
    judge: Callable[[Windows, Thresholds], Finding | None]
    windows: int  # that it rests on, and in which the sensor may have lost nothing; 0: loss cannot explain it
    guard: str  # what keeps it from crying wolf
    causes: tuple[str, ...]  # sums without any of which a window is not judged
    quiet: int = 0  # windows without a cause, beside the threshold's, after which the same is raised again


RULES: Final = (
    Rule(
        "alert.syn_flood",
        "service",
        "alert",
        syn_flood,
        1,
        "a service that completes what it is asked has a rush of clients; SYNs sent again count once",
        ("syns",),
    ),
    Rule(
        "alert.scan_vertical",
        "source",
        "warn",
        scan_vertical,
        MINUTE,
        "a NAT's address with many clients behind it has attempts that succeed as well",
        ("failed",),
    ),
    Rule(
        "alert.scan_horizontal",
        "source",
        "warn",
        scan_horizontal,
        MINUTE,
        "as for scan_vertical",
        ("failed",),
    ),
    Rule(
        "alert.rst_storm",
        "service",
        "warn",
        rst_storm,
        0,
        "a service whose connections always end so is used to it; `listener_closed` counts resets that came together, "
        "as when its process was stopped to be started anew",
        ("aborted_orig", "aborted_resp"),
    ),
    Rule(
        "alert.listener_closed",
        "service",
        "notice",
        listener_closed,
        0,
        "a service that had such resets in the last ten minutes ends its connections so; resets that answer a segment, "
        "of connections that had data, or that come one by one have other causes",
        ("killed",),
    ),
    Rule(
        "alert.backscatter",
        "stray",
        "notice",
        backscatter,
        MINUTE,
        "a sensor that never saw both directions of a connection sees answers alone of all of them",
        ("strays",),
    ),
    Rule(
        "alert.refused_service",
        "service",
        "alert",
        refused_service,
        0,
        "a port that nobody has used refuses scanners and nobody else",
        ("refused",),
    ),
    Rule(
        "alert.close_wait_leak",
        "service",
        "alert",
        close_wait_leak,
        1,
        "a half-closed connection may wait for its answer; each counts when it waited and sent nothing for a minute",
        ("stuck", "held"),
        10 * MINUTE,
    ),
)
CAUSES: Final = {of: tuple(name for rule in RULES if rule.of == of for name in rule.causes) for of in MEMBERS}
NAMES: Final = tuple(threshold.name for threshold in fields(Thresholds))
