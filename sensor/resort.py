"""Sorts batches again, for another count of partitions than they were made for.

A sensor that never reached a broker sorts by the configured count. A lane's batches of different partitions overlap in
time, so their rows are put back into one order before they are batched anew: a row waits until its lane has shown
more time than a batch stays open.
"""

from collections.abc import Collection, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from sensor.batcher import MAX_AGE_NS, Batcher
from sensor.segments import Entry
from synfin.wire.batch import GOES_ON, Batch, Lane
from synfin.wire.codec import decode, encode
from synfin.wire.segment import FLOW, SEGMENT

LATE_NS: Final = 2_000_000_000  # beyond its age a batch of a live capture stays open: rows settle, ticks are apart
STRIDE_NS: Final = 1_000_000_000  # rows are released so much at a time: each time all that wait are sorted

_Rows = tuple[npt.NDArray[np.void], npt.NDArray[np.void]]  # SEGMENT, FLOW


def _joined(parts: list[_Rows]) -> _Rows:
    """Rows in the order of their times, over one dictionary; equal times as they came."""
    bases = np.cumsum([0] + [len(flows) for _, flows in parts])
    rows = [np.zeros(0, SEGMENT)]
    for (segments, _), base in zip(parts, bases, strict=False):
        moved = segments.copy()
        moved["flow"] += np.uint32(base)
        rows.append(moved)
    joined = np.concatenate(rows)
    return joined[np.argsort(joined["t_ns"], kind="stable")], np.concatenate(
        [np.zeros(0, FLOW), *(f for _, f in parts)]
    )


def _narrowed(rows: _Rows) -> _Rows:
    """The same rows over a dictionary of those flows alone that occur."""
    segments, flows = rows
    used, places = np.unique(segments["flow"], return_inverse=True)
    segments = segments.copy()
    segments["flow"] = places
    return segments, flows[used]


class _LaneSorter:
    """One lane: rows that wait, and the batcher that they go to. Numbers begin at 0: nobody has seen this lane yet."""

    def __init__(self, lane: Lane, partitions: int, age_ns: int) -> None:
        self._batcher = Batcher(lane, partitions, max_age_ns=age_ns)
        self._hold_ns = age_ns + LATE_NS
        self._waiting: list[_Rows] = []
        self._last_ns = self._released_ns = 0
        self._epoch = -1
        self._end = GOES_ON
        self._dropped = 0

    def rows(self) -> int:
        """Rows that wait."""
        return sum(len(segments) for segments, _ in self._waiting)

    def add(self, batch: Batch) -> list[Batch]:
        """Take a batch and return those that are due."""
        closed: list[Batch] = []
        if batch.clock_epoch != self._epoch:  # times begin again
            closed += self._release(self._last_ns)
            self._epoch = batch.clock_epoch
            self._last_ns = self._released_ns = batch.last_ns
        # Batches that were closed together have the same last time: only a later one says that all of them are here.
        until_ns, self._last_ns = self._last_ns - self._hold_ns, batch.last_ns
        self._dropped = max(self._dropped, batch.dropped)
        self._end = batch.end or self._end
        if len(batch.segments):
            self._waiting.append((batch.segments, batch.flows))
        if until_ns - self._released_ns >= STRIDE_NS:
            self._released_ns = until_ns
            closed += self._release(until_ns) + self._batcher.tick(until_ns)
        return closed

    def flush(self) -> list[Batch]:
        """Return everything; what ended the lane, if anything did, is said to all partitions."""
        return self._release(self._last_ns) + self._batcher.finish(self._end)

    def _release(self, until_ns: int) -> list[Batch]:
        """Batch the waiting rows up to a time."""
        segments, flows = _joined(self._waiting)
        due = int(np.searchsorted(segments["t_ns"], until_ns, side="right"))
        rest = segments[due:]
        self._waiting = [_narrowed((rest, flows))] if len(rest) else []
        return self._batcher.add(segments[:due], flows, self._dropped) if due else []


class Resorter:
    """Batches of any lanes, as bytes, to batches for `partitions` partitions.

    `age_ns`: how old batches were when they were closed, and become here.
    """

    def __init__(self, partitions: int, age_ns: int = MAX_AGE_NS) -> None:
        self.partitions = partitions
        self._age_ns = age_ns
        self._lanes: dict[Lane, _LaneSorter] = {}

    def rows(self) -> int:
        """Rows that wait for those of other partitions."""
        return sum(lane.rows() for lane in self._lanes.values())

    def add(self, data: bytes) -> Iterator[Entry]:
        """Take one batch and give those that are due. ContractError when the bytes are none."""
        batch = decode(data)
        if batch.lane not in self._lanes:
            self._lanes[batch.lane] = _LaneSorter(batch.lane, self.partitions, self._age_ns)
        return map(_entry, self._lanes[batch.lane].add(batch))

    def flush(self, going_on: Collection[Lane] = frozenset()) -> Iterator[Entry]:
        """Give what waits of all lanes but those that go on."""
        for lane in [lane for lane in self._lanes if lane not in going_on]:
            yield from map(_entry, self._lanes.pop(lane).flush())


def _entry(batch: Batch) -> Entry:
    return Entry(batch.partition, batch.partitions, len(batch.segments), encode(batch))
