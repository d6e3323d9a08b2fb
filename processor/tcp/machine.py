"""The core behind one door: batches in, records out.

Holds the arrays, lets the kernels run over them, and makes room between two calls. Everything that a record says depends
on the rows and their order alone: not on how they fell into batches, not on the index's key, not on any clock of ours.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from processor.tcp.index import rehash
from processor.tcp.kernel import (
    ROOM_EVENTS,
    ROOM_EVIDENCE,
    ROOM_FLOWS,
    ROOM_POOL,
    ROOM_TRANSITIONS,
    advance,
    finish,
    has_room,
    run,
)
from processor.tcp.layout import (
    CONTROL,
    HOLD,
    LANE,
    LOG,
    OUTPUT_DTYPES,
    PACKET,
    QUEUE,
    SLICE,
    VIEW,
    WORK,
    Memory,
    Output,
)
from synfin.wire.batch import END_OF_FILE, GOES_ON, Batch, Lane
from synfin.wire.event import END_REASONS, Records
from synfin.wire.key import SLICES

VIEWS_MAX: Final = 2**20 // 64  # of one slice; 384 slices of them are six million views
POOLS: Final = (("views", 2), ("holds", 4), ("log", ROOM_POOL), ("packets", 4))  # and what one turn may need
POOL_ROWS: Final = 1024  # at first
OUTPUT_ROWS: Final = (4096 + ROOM_FLOWS, 65_536 + ROOM_TRANSITIONS, 16_384 + ROOM_EVENTS, 65_536 + ROOM_EVIDENCE)


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be kept, and what is raised."""

    views_per_slice: int = VIEWS_MAX  # beyond it the view nearest to its end gives way
    with_transitions: bool = False  # raise an event for each transition


def _pool(dtype: np.dtype[np.void], rows: int) -> npt.NDArray[np.void]:
    return np.zeros(rows, dtype)


class Machine:
    """The views of some slices: all of them in one process, or those of one partition."""

    def __init__(self, limits: Limits, key: tuple[int, int], partition: int = 0, partitions: int = 1) -> None:
        """`key` is of the index's hash: random, so that nobody can aim collisions, and without any effect on records."""
        self.partition, self.partitions = partition, partitions
        self._numbers: dict[tuple[str, int], int] = {}  # lanes by (sensor, lane)
        self._sensors: list[str] = []
        local = SLICES // partitions
        control = np.zeros(1, CONTROL)
        control["key_0"], control["key_1"] = key
        control["partitions"] = partitions
        control["views_max"] = limits.views_per_slice
        control["with_transitions"] = limits.with_transitions
        self.memory = Memory(
            control=control,
            views=_pool(VIEW, 1),
            holds=_pool(HOLD, 1),
            log=_pool(LOG, 1),
            packets=_pool(PACKET, 1),
            queues=np.zeros(0, QUEUE),
            slices=np.zeros(local, SLICE),
            lanes=np.zeros(0, LANE),
            index=np.zeros(2, np.uint64),
        )
        self.memory.slices["epoch"] = -1
        self.output = Output(*(np.zeros(n, dtype) for n, dtype in zip(OUTPUT_ROWS, OUTPUT_DTYPES, strict=True)))
        self.work = np.zeros(1, WORK)
        self._written: list[Records] = []
        self._grow()

    @property
    def slice_numbers(self) -> npt.NDArray[np.int64]:
        """Numbers of the slices that this machine holds, in the order of its table."""
        return np.arange(SLICES // self.partitions) * self.partitions + self.partition

    @property
    def views_live(self) -> int:
        """How many views are open."""
        return int(self.memory.control["views_live"][0])

    def apply(self, batch: Batch, offset: int | None = None) -> Records:
        """Apply a batch to the slices that have not had it (`next_offset` <= offset), and fire what its time makes due.

        Without an offset the batches count from 0.
        """
        if offset is None:
            offset = int(self.memory.slices["next_offset"].max())
        number = self.lane_number(batch.lane)
        control, lane = self.memory.control, self.memory.lanes
        control["lane"], control["offset"] = number, offset
        lane["dropped"][number] = batch.dropped
        if batch.clock_epoch != lane["clock_epoch"][number]:
            self._until_done(lambda: finish(self.memory, self.output, self.work, END_REASONS.index("clock_step")))
            lane["clock_epoch"][number] = batch.clock_epoch
        self._run(batch)
        self._until_done(lambda: advance(self.memory, self.output, self.work, np.int64(batch.last_ns)))
        if batch.end != GOES_ON:
            reason = END_REASONS.index("eof" if batch.end == END_OF_FILE else "stopped")
            self._until_done(lambda: finish(self.memory, self.output, self.work, reason))
        lane["clock_ns"][number] = batch.last_ns
        slices = self.memory.slices
        slices["next_offset"] = np.maximum(slices["next_offset"], offset + 1)
        return self.take()

    def _run(self, batch: Batch) -> None:
        seen = np.zeros(len(batch.flows), np.uint32)
        at = 0
        while True:
            at = int(run(self.memory, self.output, self.work, batch.segments, batch.flows, seen, np.uint64(at)))
            if at == len(batch.segments):
                return
            self._make_room()

    def _until_done(self, kernel: Any) -> None:
        while not kernel():
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
        number = len(self.memory.lanes)
        if lane.sensor not in self._sensors:
            self._sensors.append(lane.sensor)
        lanes = np.append(self.memory.lanes, np.zeros(1, LANE))
        lanes["sensor"][number] = self._sensors.index(lane.sensor)
        lanes["boot"][number], lanes["lane"][number] = lane.boot, lane.lane
        queues = np.zeros(len(self.memory.slices), QUEUE)
        queues["own"] = np.arange(len(queues))
        queues["slice"] = self.slice_numbers
        queues["lane"] = number
        self.memory = self.memory._replace(lanes=lanes, queues=np.append(self.memory.queues, queues))
        return number

    def take(self) -> Records:
        """Records written since the last call."""
        self._drain()
        written, self._written = self._written, []
        return join(written, tuple(self._sensors))

    def _drain(self) -> None:
        control = self.memory.control[0]
        counts = [int(control[f"{name}_n"]) for name in Output._fields]
        if any(counts):
            parts = [rows[:n].copy() for rows, n in zip(self.output, counts, strict=True)]
            self._written.append(Records(*parts, sensors=tuple(self._sensors)))
        for name in Output._fields:
            control[f"{name}_n"] = 0

    def _make_room(self) -> None:
        self._drain()
        if not has_room(self.memory, self.output):
            self._grow()

    def _grow(self) -> None:
        """Double each pool that is short of rows."""
        control = self.memory.control
        for name, need in POOLS:
            if control[f"{name}_left"][0] <= need + 1:
                old = getattr(self.memory, name)
                new = np.zeros(max(POOL_ROWS, 2 * len(old)), old.dtype)
                new[: len(old)] = old
                self._thread_free(name, new, len(old))
                self.memory = self.memory._replace(**{name: new})
        if len(self.memory.index) < 2 * len(self.memory.views):
            index = np.zeros(4 * len(self.memory.views), np.uint64)
            rehash(self.memory.index, index)
            control["index_mask"] = len(index) - 1
            self.memory = self.memory._replace(index=index)

    def _thread_free(self, name: str, rows: npt.NDArray[np.void], first: int) -> None:
        """Link rows from `first` on into the pool's free list, lowest first."""
        control = self.memory.control
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
    tables = []
    for name, dtype in zip(Output._fields, OUTPUT_DTYPES, strict=True):
        rows = [getattr(part, name) for part in parts]
        tables.append(np.concatenate(rows) if rows else np.zeros(0, dtype))
    return Records(*tables, sensors=sensors)
