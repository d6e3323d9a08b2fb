"""The core behind one door: batches in, records out.

Holds the arrays, lets the kernels run over them, and makes room between two calls. Everything that a record says
depends on the rows and their order alone: not on how they fell into batches, not on the index's key, not on any clock
of ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from processor.tcp.ahead import SEEN
from processor.tcp.heap import NEVER_NS
from processor.tcp.index import rehash
from processor.tcp.kernel import (
    ROOM_EVENTS,
    ROOM_EVIDENCE,
    ROOM_FLOWS,
    ROOM_LOG,
    ROOM_TALLIES,
    ROOM_TRANSITIONS,
    drive,
    turns,
)
from processor.tcp.layout import (
    CONTROL,
    CORE,
    LANE,
    OUTPUTS,
    QUEUE,
    SLICE,
    WORK,
    Core,
)
from processor.tcp.story import NO_REASON
from synfin.growing import Growing
from synfin.pools import addresses_of
from synfin.wire.batch import END_OF_FILE, GOES_ON, STOPPED, Batch, Lane
from synfin.wire.event import END_REASONS, Records
from synfin.wire.key import SLICES
from synfin.wire.segment import FLOW, SEGMENT

VIEWS_MAX: Final = 2**20 // 64  # of one slice; 384 slices of them are six million views
POOLS: Final = (("views", 2), ("holds", 4), ("log", ROOM_LOG), ("packets", 4))  # and what one turn may need
TABLES: Final = {"views": ("views", "deadlines")}  # of a pool that has more than one; the last has the links
POOL_TABLES: Final = tuple(table for name, _ in POOLS for table in TABLES.get(name, (name,)))
POOL_ROWS: Final = 1024  # at first
OUTPUT_ROWS: Final = {
    "flows": 4096 + ROOM_FLOWS,
    "transitions": 65_536 + ROOM_TRANSITIONS,
    "events": 16_384 + ROOM_EVENTS,
    "evidence": 65_536 + ROOM_EVIDENCE,
    "tallies": 4096 + ROOM_TALLIES,
}
REASONS: Final = {  # by Batch.end
    GOES_ON: NO_REASON,
    END_OF_FILE: END_REASONS.index("eof"),
    STOPPED: END_REASONS.index("stopped"),
}
LONG_AGO_NS: Final = -(1 << 63)

Rows: TypeAlias = npt.NDArray[np.void]
NO_SEGMENTS: Final[Rows] = np.zeros(0, SEGMENT)
NO_FLOWS: Final[Rows] = np.zeros(0, FLOW)
NO_ROWS: Final[Rows] = np.zeros(0, np.dtype([]))


class LaneState(NamedTuple):
    """What a partition has heard of a lane: columns of LANE."""

    sensor: str
    lane: int
    boot: int
    last_number: int
    mask: int
    clock_ns: int
    clock_epoch: int
    dropped: int
    arrived_ms: int

    @classmethod
    def of(cls, fields: list[Any]) -> Self:
        """Check the types of what was read."""
        state = cls(*fields)
        if not isinstance(state.sensor, str) or not all(isinstance(number, int) for number in state[1:]):
            raise TypeError(f"{fields!r} is no lane")
        return state


LANE_FIELDS: Final = LaneState._fields[2:]


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
        self._pools = {name: Growing(dtype) for name, dtype in CORE if name in POOL_TABLES}
        control = np.zeros(1, CONTROL)
        for name, _ in POOLS:
            control[f"{name}_free"] = 1
        control["key_0"], control["key_1"] = key
        control["partitions"] = partitions
        control["views_max"] = limits.views_per_slice
        control["with_transitions"] = limits.with_transitions
        self.core = Core(
            control=control,
            work=np.zeros(1, WORK),
            **{name: pool.rows(1) for name, pool in self._pools.items()},
            queues=np.zeros(0, QUEUE),
            slices=np.zeros(SLICES // partitions, SLICE),
            lanes=np.zeros(0, LANE),
            slots=np.zeros(2, np.uint64),
            **{name: np.zeros(OUTPUT_ROWS[name], dtype) for name, dtype in OUTPUTS.items()},
        )
        self.core.slices["epoch"] = -1
        for name in OUTPUTS:
            control[f"{name}_max"] = OUTPUT_ROWS[name]
        self._kept: list[Records] = []  # until `take`
        self._addressed: Core | None = None  # whose addresses are known
        self._addresses: Any = None
        self._grow()

    @property
    def slice_numbers(self) -> npt.NDArray[np.int64]:
        """Numbers of the slices that this machine holds, in the order of its table."""
        return np.arange(SLICES // self.partitions) * self.partitions + self.partition

    @property
    def sensors(self) -> tuple[str, ...]:
        """Names of the sensors that were heard, which records point into."""
        return tuple(self._sensors)

    @property
    def views_live(self) -> int:
        """How many views are open."""
        return int(self.core.control["views_live"][0])

    def apply(self, batch: Batch, offset: int | None = None) -> Records:
        """Apply a batch to the slices that have not had it (`next_offset` <= offset), and fire what its time makes due.

        Without an offset the batches count from 0.
        """
        self._keep(self.pieces(batch, offset))
        return self.take()

    def pieces(self, batch: Batch, offset: int | None = None) -> Iterator[Records]:
        """As `apply`, for who takes records as they are written: no more than the outputs hold at a time.

        A piece holds until the next is asked for, and all must be asked for.
        """
        if offset is None:
            offset = int(self.core.slices["next_offset"].max())
        number = self.lane_number(batch.lane)
        control, lane = self.core.control, self.core.lanes
        control["lane"], control["offset"] = number, offset
        lane["boot"][number], lane["dropped"][number] = batch.lane.boot, batch.dropped
        stepped = batch.clock_epoch != lane["clock_epoch"][number] or batch.first_ns < lane["clock_ns"][number]
        if stepped and lane["clock_ns"][number]:
            yield from self._drive(batch.segments[:0], batch.flows, LONG_AGO_NS, END_REASONS.index("clock_step"))
        lane["clock_epoch"][number] = batch.clock_epoch
        yield from self._drive(batch.segments, batch.flows, batch.last_ns, REASONS[batch.end])
        lane["clock_ns"][number] = batch.last_ns
        self.pass_over(offset)

    def give_up(self, number: int, offset: int) -> None:
        """End the views of a lane whose sensor is gone, at the batch with this offset."""
        self.core.control["lane"], self.core.control["offset"] = number, offset
        clock = int(self.core.lanes["clock_ns"][number])
        self._keep(self._drive(NO_SEGMENTS, NO_FLOWS, clock, END_REASONS.index("sensor_lost")))

    def pass_over(self, offset: int) -> None:
        """Count the batch with this offset as applied."""
        slices = self.core.slices
        slices["epoch"] = np.where(slices["epoch"] < 0, offset, slices["epoch"])
        slices["next_offset"] = np.maximum(slices["next_offset"], offset + 1)

    def _drive(self, segments: Rows, flows: Rows, watermark_ns: int, reason: int) -> Iterator[Records]:
        control = self.core.control
        control["at"], control["watermark_ns"], control["reason"] = 0, watermark_ns, reason
        seen = np.empty(len(flows), SEEN)
        done = False
        while not done:
            done = drive(self._known_addresses(), segments, flows, seen)
            yield from self._written()
            if not done and turns(control[0]) < 1:
                self._grow()

    def _known_addresses(self) -> Any:
        """Addresses of the arrays at hand: to ask for them costs more than a small batch."""
        if self._addressed is not self.core:
            self._addressed, self._addresses = self.core, addresses_of(self.core)
        return self._addresses

    def lane_number(self, lane: Lane) -> int:
        """Row of the lane, which is made at first sight. A lane lives on through its sensor's restarts."""
        number = self._numbers.get((lane.sensor, lane.lane))
        return self._add_lane(lane.sensor, lane.lane) if number is None else number

    def know_lane(self, state: LaneState, *, heard: bool) -> int:
        """Row of a lane that a snapshot names; with what was heard of it, or as one that is still to be heard."""
        number = self._numbers.get((state.sensor, state.lane))
        if number is None:
            number = self._add_lane(state.sensor, state.lane)
        if heard:
            for name in LANE_FIELDS:
                self.core.lanes[name][number] = getattr(state, name)
        return number

    def lane_state(self, number: int) -> LaneState:
        """What was heard of the lane in a row."""
        row = self.core.lanes[number]
        sensor = self._sensors[int(row["sensor"])]
        return LaneState(sensor, int(row["lane"]), *(int(row[name]) for name in LANE_FIELDS))

    def _add_lane(self, sensor: str, lane: int) -> int:
        number = len(self.core.lanes)
        self._numbers[sensor, lane] = number
        if sensor not in self._sensors:
            self._sensors.append(sensor)
        lanes = np.append(self.core.lanes, np.zeros(1, LANE))
        lanes["sensor"][number], lanes["lane"][number] = self._sensors.index(sensor), lane
        lanes["last_number"][number] = -1
        queues = np.zeros(len(self.core.slices), QUEUE)
        queues["due_ns"] = queues["first_ns"] = NEVER_NS
        queues["own"] = np.arange(len(queues))
        queues["slice"] = self.slice_numbers
        queues["lane"] = number
        self.core = self.core._replace(lanes=lanes, queues=np.append(self.core.queues, queues))
        return number

    def fill(self, pools: dict[str, Rows]) -> int:
        """Put rows from 1 on into the pools of a fresh machine; their first row's number."""
        control = self.core.control
        for name, _ in POOLS:
            n = len(pools[name]) + 1
            self._resize(name, max(POOL_ROWS, 2 * n))
            control[f"{name}_free"] = n
            control[f"{name}_left"] = len(getattr(self.core, name)) - n
        for table, rows in pools.items():
            getattr(self.core, table)[1 : len(rows) + 1] = rows
        self.core.control["views_live"] = len(pools["views"])
        self._grow()
        return 1

    def take(self) -> Records:
        """Records of `apply` and `give_up` since the last call."""
        kept, self._kept = self._kept, []
        return join(kept, self.sensors)

    def _keep(self, pieces: Iterator[Records]) -> None:
        for piece in pieces:
            copies = {name: joined([getattr(piece, name)], dtype) for name, dtype in OUTPUTS.items()}
            self._kept.append(Records(**copies, sensors=piece.sensors))

    def _written(self) -> Iterator[Records]:
        """What the outputs hold, if anything; they are empty afterwards."""
        control = self.core.control[0]
        counts = {name: int(control[f"{name}_n"]) for name in OUTPUTS}
        if any(counts.values()):
            rows = {name: getattr(self.core, name)[:n] for name, n in counts.items()}
            yield Records(**rows, sensors=self.sensors)
            for name in OUTPUTS:
                control[f"{name}_n"] = 0

    def _grow(self) -> None:
        """Double each pool that is short of rows."""
        self._addressed = self._addresses = None  # they hold the arrays, and none may be held where its pool grows
        control = self.core.control
        for name, need in POOLS:
            if control[f"{name}_left"][0] <= need + 1:
                before = len(getattr(self.core, name))
                self._resize(name, max(POOL_ROWS, 2 * before))
        if len(self.core.slots) < 2 * len(self.core.views):  # at most half full
            slots = np.zeros(1 << (2 * len(self.core.views) - 1).bit_length(), np.uint64)
            rehash(self.core.slots, slots)
            control["index_mask"] = len(slots) - 1
            self.core = self.core._replace(slots=slots)

    def _resize(self, name: str, rows: int) -> None:
        """Give a pool more rows. They need not be linked, see `next_free`."""
        self.core.control[f"{name}_left"] += rows - len(getattr(self.core, name))
        for table in TABLES.get(name, (name,)):
            self._replace(table, NO_ROWS)  # the old array goes before the new one comes
            self._replace(table, self._pools[table].rows(rows))

    def _replace(self, name: str, pool: Any) -> None:
        self.core = self.core._replace(**{name: pool})


def joined(parts: list[Rows], dtype: np.dtype[Any]) -> Rows:
    """Copy rows into one array, as bytes: numpy copies a record field by field."""
    return np.concatenate([rows.view(np.uint8) for rows in parts] or [np.zeros(0, np.uint8)]).view(dtype)


def join(parts: list[Records], sensors: tuple[str, ...]) -> Records:
    """One Records of several, in order, their links between tables moved."""
    if len(parts) == 1:
        return replace(parts[0], sensors=sensors)
    transitions = evidence = 0
    for part in parts:
        part.flows["log"] += transitions
        part.events["evidence"] += evidence
        transitions += len(part.transitions)
        evidence += len(part.evidence)
    tables = {name: joined([getattr(part, name) for part in parts], dtype) for name, dtype in OUTPUTS.items()}
    return Records(**tables, sensors=sensors)
