"""Connections whose responder is stuck in CLOSE-WAIT: what the first stage remembers until each is over.

Events tell that one gets stuck, and records of flows that it ended. So the counts have each minute how many there are
still, which all partitions of the packets count at the same windows of a sensor.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from synfin.wire.counts import WINDOW_NS, Count, Key, empty, ip_text
from synfin.wire.event import EVENT_KINDS, SIDES, Records
from synfin.wire.segment import HIGHER

STUCK_MAX: Final = 1 << 14  # beyond it those that come are told by their event alone
EVERY: Final = 6  # windows
HOUR_NS: Final = 3_600_000_000_000
TOLD_AFTER_NS: Final = 60_000_000_000  # in CLOSE-WAIT without a segment of its own, as the core tells it
_CLOSE_WAIT: Final = EVENT_KINDS.index("stuck.close_wait")
_RESP: Final = SIDES.index("resp")


class View(NamedTuple):
    """What names a connection of a sensor."""

    sensor: str
    service: Key
    ip: str  # the originator's
    port: int
    start_ns: int
    gen: int


class Stuck:
    """Those of all sensors."""

    def __init__(self) -> None:
        self._since: dict[int, dict[View, int]] = {}  # by start_ns, to when it was told
        self._n = 0

    def note(self, records: Records) -> None:
        """Take in who got stuck, then who ended."""
        events = records.events
        for i in np.flatnonzero((events["kind"] == _CLOSE_WAIT) & (events["by"] == _RESP)).tolist():
            view = _view(events[i], records.sensors)
            found = self._since.get(view.start_ns, {})
            if view not in found and self._n < STUCK_MAX:
                self._since.setdefault(view.start_ns, found)[view] = int(events["ts_ns"][i])
                self._n += 1
        if self._n:
            for i, start_ns in enumerate(records.flows["start_ns"].tolist()):
                if start_ns in self._since:
                    self._end(_view(records.flows[i], records.sensors))

    def _end(self, view: View) -> None:
        found = self._since[view.start_ns]
        if found.pop(view, None) is not None:
            self._n -= 1
        if not found:
            del self._since[view.start_ns]

    def held(self, sensor: str, before: int, window: int) -> Iterator[Count]:
        """Records of the last minute that ended while the sensor's clock went from one window to another."""
        at = (window - 1) // EVERY * EVERY
        if not self._n or not before <= at < window:
            return
        end_ns = (at + 1) * WINDOW_NS
        found: dict[Key, Count] = {}
        for views in self._since.values():
            for view, since_ns in views.items():
                if view.sensor == sensor and since_ns < end_ns:
                    count = found.setdefault(view.service, empty(view.service, at * WINDOW_NS))
                    count.sums["held"] += 1
                    count.sums["held_hour"] += end_ns - since_ns > HOUR_NS - TOLD_AFTER_NS
        yield from found.values()

    def forget(self, sensor: str) -> None:
        """The sensor is gone, or its name."""
        for view in [view for views in self._since.values() for view in views if view.sensor == sensor]:
            self._end(view)

    def snapshot(self) -> list[Any]:
        """All of them, fit for JSON."""
        return [
            [view.sensor, list(view.service), *view[2:], since_ns]
            for views in self._since.values()
            for view, since_ns in views.items()
        ]

    def put_back(self, told: list[Any]) -> None:
        """Take what `snapshot` gave. KeyError, TypeError or ValueError when it is something else."""
        self._since = {}
        for sensor, service, ip, port, start_ns, gen, since_ns in told:
            view = View(str(sensor), Key(*service), str(ip), int(port), int(start_ns), int(gen))
            self._since.setdefault(view.start_ns, {})[view] = int(since_ns)
        self._n = len(told)


def _view(row: Any, sensors: tuple[str, ...]) -> View:
    """What names the connection of an event or of a flow."""
    ends = []
    for end in ("lower", "higher"):
        high, low = row[f"{end}_ip"].tolist()
        ends.append((ip_text(int(row["family"]), high, low), int(row[f"{end}_port"])))
    if row["orig"] == HIGHER:
        ends.reverse()
    sensor = sensors[int(row["sensor"])]
    service = Key("service", sensor, int(row["domain"]), *ends[1])
    return View(sensor, service, *ends[0], int(row["start_ns"]), int(row["gen"]))
