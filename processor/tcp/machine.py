"""The core behind one door: batches in, records out.

Holds the arrays, lets the kernels run over them, and makes room between two calls. Everything that a record says
depends on the rows and their order alone: not on how they fell into batches, not on the index's key, not on any clock
of ours.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from processor.tcp.index import rehash
from processor.tcp.kernel import (
    ROOM_EVENTS,
    ROOM_EVIDENCE,
    ROOM_FLOWS,
    ROOM_POOL,
    ROOM_TRANSITIONS,
    drive,
    has_room,
)
from processor.tcp.layout import (
    CONTROL,
    HOLD,
    LANE,
    LOG,
    OUTPUTS,
    PACKET,
    QUEUE,
    SLICE,
    VIEW,
    WORK,
    Core,
)
from processor.tcp.story import NO_REASON
from synfin.pools import addresses_of
from synfin.wire.batch import END_OF_FILE, GOES_ON, STOPPED, Batch, Lane
from synfin.wire.event import END_REASONS, Records
from synfin.wire.key import SLICES

VIEWS_MAX: Final = 2**20 // 64  # of one slice; 384 slices of them are six million views
POOLS: Final = (("views", 2), ("holds", 4), ("log", ROOM_POOL), ("packets", 4))  # and what one turn may need
POOL_ROWS: Final = 1024  # at first
OUTPUT_ROWS: Final = {
    "flows": 4096 + ROOM_FLOWS,
    "transitions": 65_536 + ROOM_TRANSITIONS,
    "events": 16_384 + ROOM_EVENTS,
    "evidence": 65_536 + ROOM_EVIDENCE,
}
REASONS: Final = {  # by Batch.end
    GOES_ON: NO_REASON,
    END_OF_FILE: END_REASONS.index("eof"),
    STOPPED: END_REASONS.index("stopped"),
}
NEVER_NS: Final = -(1 << 63)

Rows: TypeAlias = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be kept, and what is raised."""

    views_per_slice: int = VIEWS_MAX  # beyond it the view nearest to its end gives way
    with_transitions: bool = False  # raise an event for each transition


class Machine:
    """The views of some slices: all of them in one process, or those of one partition."""

    def __init__(self, limits: Limits, key: tuple[int, int], partition: int = 0, partitions: int = 1) -> None:
        """`key` is of the index's hash: random, so that nobody can aim collisions; no record depends on it."""
        self.partition, self.partitions = partition, partitions
        self._numbers: dict[tuple[str, int], int] = {}  # lanes by (sensor, lane)
        self._sensors: list[str] = []
        SLICES // partitions
        control = np.zeros(1, CONTROL)
        control["key_0"], control["key_1"] = key
        control["partitions"] = partitions
        control["views_max"] = limits.views_per_slice
        control["with_transitions"] = limits.with_transitions
        self.core = Core(
            control=control,
            work=np.zeros(1, WORK),
            views=np.zeros(1, VIEW),
            holds=np.zeros(1, HOLD),
            log=np.zeros(1, LOG),
            packets=np.zeros(1, PACKET),
            queues=np.zeros(0, QUEUE),
            slices=np.zeros(SLICES // partitions, SLICE),
            lanes=np.zeros(0, LANE),
            slots=np.zeros(2, np.uint64),
            **{name: np.zeros(OUTPUT_ROWS[name], dtype) for name, dtype in OUTPUTS.items()},
        )
        self.core.slices["epoch"] = -1
        for name in OUTPUTS:
            control[f"{name}_max"] = OUTPUT_ROWS[name]
        self._written: list[Records] = []
        self._grow()

    @property
    def slice_numbers(self) -> npt.NDArray[np.int64]:
        """Numbers of the slices that this machine holds, in the order of its table."""
        return np.arange(SLICES // self.partitions) * self.partitions + self.partition

    @property
    def views_live(self) -> int:
        """How many views are open."""
        return int(self.core.control["views_live"][0])

    def apply(self, batch: Batch, offset: int | None = None) -> Records:
        """Apply a batch to the slices that have not had it (`next_offset` <= offset), and fire what its time makes due.

        Without an offset the batches count from 0.
        """
        if offset is None:
            offset = int(self.core.slices["next_offset"].max())
        number = self.lane_number(batch.lane)
        control, lane = self.core.control, self.core.lanes
        control["lane"], control["offset"] = number, offset
        lane["dropped"][number] = batch.dropped
        if batch.clock_epoch != lane["clock_epoch"][number]:
            self._drive(batch.segments[:0], batch.flows, NEVER_NS, END_REASONS.index("clock_step"))
            lane["clock_epoch"][number] = batch.clock_epoch
        self._drive(batch.segments, batch.flows, batch.last_ns, REASONS[batch.end])
        lane["clock_ns"][number] = batch.last_ns
        slices = self.core.slices
        slices["next_offset"] = np.maximum(slices["next_offset"], offset + 1)
        return self.take()

    def _drive(self, segments: Rows, flows: Rows, watermark_ns: int, reason: int) -> None:
        control = self.core.control
        control["at"], control["watermark_ns"], control["reason"] = 0, watermark_ns, reason
        seen = np.zeros(len(flows), np.uint32)
        while not drive(addresses_of(self.core), segments, flows, seen):
            self._make_room()

    def lane_number(self, lane: Lane) -> int:
        """Row of the lane, which is made at first sight."""
        key = (lane.sensor, lane.lane)
        number = self._numbers.get(key)
        if number is None:
            number = self._add_lane(lane)
            self._numbers[key] = number
        return number

    def _add_lane(self, lane: Lane) -> int:
        number = len(self.core.lanes)
        if lane.sensor not in self._sensors:
            self._sensors.append(lane.sensor)
        lanes = np.append(self.core.lanes, np.zeros(1, LANE))
        lanes["sensor"][number] = self._sensors.index(lane.sensor)
        lanes["boot"][number], lanes["lane"][number] = lane.boot, lane.lane
        queues = np.zeros(len(self.core.slices), QUEUE)
        queues["own"] = np.arange(len(queues))
        queues["slice"] = self.slice_numbers
        queues["lane"] = number
        self.core = self.core._replace(lanes=lanes, queues=np.append(self.core.queues, queues))
        return number

    def take(self) -> Records:
        """Records written since the last call."""
        self._drain()
        written, self._written = self._written, []
        return join(written, tuple(self._sensors))

    def _outputs(self) -> list[Rows]:
        return [getattr(self.core, name) for name in OUTPUTS]

    def _drain(self) -> None:
        control = self.core.control[0]
        counts = [int(control[f"{name}_n"]) for name in OUTPUTS]
        if any(counts):
            flows, transitions, events, evidence = (
                rows[:n].copy() for rows, n in zip(self._outputs(), counts, strict=True)
            )
            self._written.append(Records(flows, transitions, events, evidence, tuple(self._sensors)))
        for name in OUTPUTS:
            control[f"{name}_n"] = 0

    def _make_room(self) -> None:
        self._drain()
        if not has_room(self.core.control[0]):
            self._grow()

    def _grow(self) -> None:
        """Double each pool that is short of rows."""
        control = self.core.control
        for name, need in POOLS:
            if control[f"{name}_left"][0] <= need + 1:
                old = getattr(self.core, name)
                new = np.zeros(max(POOL_ROWS, 2 * len(old)), old.dtype)
                new[: len(old)] = old
                self._thread_free(name, new, len(old))
                self.core = self.core._replace(**{name: new})
        if len(self.core.slots) < 2 * len(self.core.views):
            slots = np.zeros(4 * len(self.core.views), np.uint64)
            rehash(self.core.slots, slots)
            control["index_mask"] = len(slots) - 1
            self.core = self.core._replace(slots=slots)

    def _thread_free(self, name: str, rows: npt.NDArray[np.void], first: int) -> None:
        """Link rows from `first` on into the pool's free list, lowest first."""
        control = self.core.control
        follows = np.arange(first + 1, len(rows) + 1, dtype=np.uint32)
        follows[-1] = control[f"{name}_free"][0]
        rows["next"][first:] = follows
        control[f"{name}_free"] = first
        control[f"{name}_left"] += len(rows) - first


def join(parts: list[Records], sensors: tuple[str, ...]) -> Records:
    """One Records of several, in order, their links between tables moved."""
    if len(parts) == 1:
        return Records(parts[0].flows, parts[0].transitions, parts[0].events, parts[0].evidence, sensors)
    transitions = evidence = 0
    for part in parts:
        part.flows["log"] += transitions
        part.events["evidence"] += evidence
        transitions += len(part.transitions)
        evidence += len(part.evidence)
    flows, found, events, named = (
        np.concatenate([getattr(part, name) for part in parts] or [np.zeros(0, dtype)])
        for name, dtype in OUTPUTS.items()
    )
    return Records(flows, found, events, named, sensors)
