"""Sorts batches again, for another count of partitions than they were made for.

A sensor that never reached a broker sorts by the configured count. A lane's batches of different partitions overlap in
time, so their rows are put back into one order before they are batched anew: a row waits until its lane has shown
HOLD_NS more, which is longer than a batch stays open.
"""

from collections.abc import Collection, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from sensor.batcher import Batcher
from sensor.segments import Entry
from synfin.wire.batch import GOES_ON, Batch, Lane
from synfin.wire.codec import decode, encode
from synfin.wire.segment import FLOW, SEGMENT

HOLD_NS: Final = 3_000_000_000  # a batch is closed after 1 s, and its rows come up to 0.5 s late
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

    def __init__(self, lane: Lane, partitions: int) -> None:
        self._batcher = Batcher(lane, partitions)
        self._waiting: list[_Rows] = []
        self._high_ns = self._released_ns = 0
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
            closed += self._release(self._high_ns)
            self._epoch = batch.clock_epoch
            self._high_ns = self._released_ns = batch.last_ns
        self._high_ns = max(self._high_ns, batch.last_ns)
        self._dropped = max(self._dropped, batch.dropped)
        self._end = batch.end or self._end
        if len(batch.segments):
            self._waiting.append((batch.segments, batch.flows))
        until_ns = self._high_ns - HOLD_NS
        if until_ns - self._released_ns >= STRIDE_NS:
            self._released_ns = until_ns
            closed += self._release(until_ns) + self._batcher.tick(until_ns)
        return closed

    def flush(self) -> list[Batch]:
        """Return everything; what ended the lane, if anything did, is said to all partitions."""
        return self._release(self._high_ns) + self._batcher.finish(self._end)

    def _release(self, until_ns: int) -> list[Batch]:
        """Batch the waiting rows up to a time."""
        segments, flows = _joined(self._waiting)
        due = int(np.searchsorted(segments["t_ns"], until_ns, side="right"))
        rest = segments[due:]
        self._waiting = [_narrowed((rest, flows))] if len(rest) else []
        return self._batcher.add(segments[:due], flows, self._dropped) if due else []


class Resorter:
    """Batches of any lanes, as bytes, to batches for `partitions` partitions."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._lanes: dict[Lane, _LaneSorter] = {}

    def rows(self) -> int:
        """Rows that wait for those of other partitions."""
        return sum(lane.rows() for lane in self._lanes.values())

    def add(self, data: bytes) -> Iterator[Entry]:
        """Take one batch and give those that are due. ContractError when the bytes are none."""
        batch = decode(data)
        if batch.lane not in self._lanes:
            self._lanes[batch.lane] = _LaneSorter(batch.lane, self.partitions)
        return map(_entry, self._lanes[batch.lane].add(batch))

    def flush(self, going_on: Collection[Lane] = frozenset()) -> Iterator[Entry]:
        """Give what waits of all lanes but those that go on."""
        for lane in [lane for lane in self._lanes if lane not in going_on]:
            yield from map(_entry, self._lanes.pop(lane).flush())


def _entry(batch: Batch) -> Entry:
    return Entry(batch.partition, batch.partitions, len(batch.segments), encode(batch))
