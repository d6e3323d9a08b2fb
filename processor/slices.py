"""The slices of one partition: batches in, records out. Pure: no clock, no broker, no thread.

Whatever worker holds them, and however often it was killed: from the same snapshots and the same batches come the same
records with the same numbers.
"""

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Final

import numpy as np

from processor import snapshot
from processor.counting import MAGIC, STATE_KEY, Counting, Row, newest
from processor.index_key import index_key
from processor.tcp.machine import Limits, Machine
from synfin.errors import UsageError
from synfin.wire.batch import GOES_ON, Batch
from synfin.wire.event import Records
from synfin.wire.jsonl import Line, event_lines, flow_lines
from synfin.wire.key import SLICES

LOST_MS: Final = 300_000  # of the log's time without a word: the sensor is gone
WINDOW: Final = 64  # numbers below the last one that are remembered

DUPLICATE: Final = "duplicate"
LATE: Final = "late"


class Output:
    """Records of a batch as a producer takes them."""

    def __init__(self, records: Records, counts: list[Row], epochs: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        """`epochs` holds the epoch of each slice, by its number."""
        self.records = records
        self._counts = counts
        self._epochs = epochs

    def __iter__(self) -> Iterator[Row]:
        """Yield topic suffix, key, value, ce_id, ce_type, synfin_seq."""
        yield from self._of("flows", flow_lines(self.records).records(self._epochs))
        yield from self._of("events", event_lines(self.records).records(self._epochs))
        yield from self._counts

    @staticmethod
    def _of(topic: str, lines: Iterable[Line]) -> Iterator[Row]:
        for key, value, ce_id, ce_type, seq in lines:
            yield topic, key, value, ce_id.decode(), ce_type.decode(), seq.decode()


class PartitionSlices:
    """State of one partition."""

    def __init__(self, partition: int, partitions: int, limits: Limits, values: Iterable[bytes]) -> None:
        """Open with all values that the state topic has for the partition; the newest of each slice counts."""
        self._limits = limits
        self.machine = Machine(limits, index_key(), partition, partitions)
        slices: dict[int, snapshot.Snapshot] = {}  # the newest of each
        values = list(values)
        for value in values:
            if value.startswith(MAGIC):
                continue
            read = snapshot.decode(value, limits)
            if read.number not in slices or read.place > slices[read.number].place:
                slices[read.number] = read
        stray = sorted(set(slices) - set(self.machine.slice_numbers.tolist()))
        if stray:
            raise UsageError(
                f"partition {partition} of the state topic holds slice {stray[0]}, which does not belong there with "
                f"{partitions} partitions: the number of partitions is part of the state and cannot be changed"
            )
        snapshot.put_back(self.machine, list(slices.values()))
        self.counting = Counting(int(self.machine.core.control["key_0"][0]), partitions, partition)
        counted = newest(values)
        if counted is not None:
            self.counting.put_back(counted)
        self._snapshot_bytes = 0
        self.skipped = {DUPLICATE: 0, LATE: 0}  # batches that were not applied, and why

    def next(self) -> int:
        """The least `next` of the slices."""
        return int(self.machine.core.slices["next_offset"].min())

    def snapshot_bytes(self) -> int:
        """Size of the last snapshots' values."""
        return self._snapshot_bytes

    def apply(self, batch: Batch, offset: int, arrived_ms: int) -> Output:
        """Apply a batch; a slice whose own `next` lies above the offset skips its rows, and so do the counts."""
        machine, sensor = self.machine, batch.lane.sensor
        counting = self.counting if offset >= self.counting.next else None
        silent = self._give_up_silent(batch, offset, arrived_ms)
        lost = self._lost_before(batch)
        stepped = batch.first_ns < int(machine.core.lanes["clock_ns"][machine.lane_number(batch.lane)])
        verdict = self._hear(batch, arrived_ms)
        if verdict is None:
            records = machine.apply(batch, offset)
        else:
            self.skipped[verdict] += 1
            machine.pass_over(offset)
            records = machine.take()
        if counting is None:
            return Output(records, [], self._epochs())
        if verdict is None and lost is not None:
            counting.lost(sensor, *lost)
        if stepped:
            counting.begun_anew(sensor)
        counting.add(records)
        for gone, clock_ns in silent:
            counting.end(gone, clock_ns)
        if verdict is None:
            counting.close(sensor, batch.last_ns) if batch.end == GOES_ON else counting.end(sensor, batch.last_ns)
        counts = sorted(counting.rows(offset), key=itemgetter(0))  # by partition: each is sent in one go
        return Output(records, counts, self._epochs())

    def _lost_before(self, batch: Batch) -> tuple[int, int] | None:
        """The stretch of time in which the sensor lost packets, or a batch of them, as this batch shows; else None."""
        lane_number = self.machine.lane_number(batch.lane)
        lane = self.machine.core.lanes[lane_number]
        same = int(lane["boot"]) == batch.lane.boot and int(lane["last_number"]) >= 0
        dropped, number = (int(lane["dropped"]), int(lane["last_number"])) if same else (0, batch.number - 1)
        if batch.dropped <= dropped and batch.number <= number + 1:
            return None
        return min(int(lane["clock_ns"]), batch.last_ns) if same else batch.first_ns, batch.last_ns

    def _epochs(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        epochs = np.zeros(SLICES, np.int64)
        epochs[self.machine.slice_numbers] = self.machine.core.slices["epoch"]
        return epochs

    def _give_up_silent(self, batch: Batch, offset: int, arrived_ms: int) -> list[tuple[str, int]]:
        """End the views of lanes that the log has not heard for long; the log alone decides, so a replay does too.

        Gives their sensors and clocks.
        """
        silent = []
        lanes = self.machine.core.lanes
        own = self.machine.lane_number(batch.lane) if len(lanes) else -1
        for number in np.flatnonzero((lanes["arrived_ms"] >= 0) & (arrived_ms - lanes["arrived_ms"] > LOST_MS)):
            if number != own:
                self.machine.give_up(int(number), offset)
                lane = self.machine.core.lanes[number : number + 1]
                lane["arrived_ms"] = -1
                silent.append((self.machine.sensors[int(lane["sensor"][0])], int(lane["clock_ns"][0])))
        return silent

    def _hear(self, batch: Batch, arrived_ms: int) -> str | None:
        """Note the batch's number. DUPLICATE or LATE for one that is not to be applied, else None."""
        number = self.machine.lane_number(batch.lane)
        lane = self.machine.core.lanes[number : number + 1]
        if lane["last_number"][0] >= 0 and batch.lane.boot < lane["boot"][0]:
            return LATE
        if batch.lane.boot != lane["boot"][0]:
            lane["last_number"], lane["mask"] = -1, 0
        lane["arrived_ms"] = arrived_ms
        lane["boot"] = batch.lane.boot
        ahead = batch.number - int(lane["last_number"][0])
        mask = int(lane["mask"][0])
        if ahead > 0:
            lane["last_number"] = batch.number
            lane["mask"] = ((mask << ahead) | 1) & (2**WINDOW - 1) if ahead < WINDOW else 1
            return None
        if -ahead >= WINDOW:
            return LATE
        if mask >> -ahead & 1:
            return DUPLICATE
        lane["mask"] = mask | 1 << -ahead
        return None

    def snapshots(self) -> list[tuple[bytes, bytes]]:
        """Key and value of the counts and of every slice as of the last apply.

        The counts come first: where a worker dies between them, the counts are ahead and skip what a slice has again.
        """
        slices = [(b"%d" % taken.number, snapshot.encode(taken, self._limits)) for taken in snapshot.take(self.machine)]
        values = [(STATE_KEY, self.counting.snapshot()), *slices]
        self._snapshot_bytes = sum(len(value) for _, value in values)
        return values


def open_partition(partition: int, partitions: int, limits: Limits | None, values: list[bytes]) -> PartitionSlices:
    """What the worker calls when it is given a partition."""
    return PartitionSlices(partition, partitions, limits or Limits(), values)
