"""The slices of one partition: batches in, records out. Pure: no clock, no broker, no thread.

Whatever worker holds them, and however often it was killed: from the same snapshots and the same batches come the same
records with the same numbers.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from processor import snapshot
from processor.index_key import index_key
from processor.tcp.machine import Limits, Machine
from synfin.errors import UsageError
from synfin.wire.batch import Batch
from synfin.wire.event import Records
from synfin.wire.jsonl import Line, event_lines, flow_lines
from synfin.wire.key import SLICES

LOST_MS: Final = 300_000  # of the log's time without a word: the sensor is gone
WINDOW: Final = 64  # numbers below the last one that are remembered

DUPLICATE: Final = "duplicate"
LATE: Final = "late"


class Output:
    """Records of a batch as a producer takes them."""

    def __init__(self, records: Records, epochs: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        """`epochs` holds the epoch of each slice, by its number."""
        self.records = records
        self._epochs = epochs

    def __iter__(self) -> Iterator[tuple[str, bytes, bytes, str, str, str]]:
        """Yield topic suffix, key, value, ce_id, ce_type, synfin_seq."""
        yield from self._of("flows", flow_lines(self.records).records(self._epochs))
        yield from self._of("events", event_lines(self.records).records(self._epochs))

    @staticmethod
    def _of(topic: str, lines: Iterable[Line]) -> Iterator[tuple[str, bytes, bytes, str, str, str]]:
        for key, value, ce_id, ce_type, seq in lines:
            yield topic, key, value, ce_id.decode(), ce_type.decode(), seq.decode()


class PartitionSlices:
    """State of one partition."""

    def __init__(self, partition: int, partitions: int, limits: Limits, values: Iterable[bytes]) -> None:
        """Open with all values that the state topic has for the partition; the newest of each slice counts."""
        self._limits = limits
        self.machine = Machine(limits, index_key(), partition, partitions)
        newest: dict[int, snapshot.Snapshot] = {}
        for value in values:
            read = snapshot.decode(value, limits)
            if read.number not in newest or read.place > newest[read.number].place:
                newest[read.number] = read
        stray = sorted(set(newest) - set(self.machine.slice_numbers.tolist()))
        if stray:
            raise UsageError(
                f"partition {partition} of the state topic holds slice {stray[0]}, which does not belong there with "
                f"{partitions} partitions: the number of partitions is part of the state and cannot be changed"
            )
        snapshot.put_back(self.machine, list(newest.values()))
        self._snapshot_bytes = 0
        self.skipped = {DUPLICATE: 0, LATE: 0}  # batches that were not applied, and why

    def next(self) -> int:
        """The least `next` of the slices."""
        return int(self.machine.core.slices["next_offset"].min())

    def snapshot_bytes(self) -> int:
        """Size of the last snapshots' values."""
        return self._snapshot_bytes

    def apply(self, batch: Batch, offset: int, arrived_ms: int) -> Output:
        """Apply a batch; a slice whose own `next` lies above the offset skips its rows."""
        machine = self.machine
        self._give_up_silent(batch, offset, arrived_ms)
        verdict = self._hear(batch, arrived_ms)
        if verdict is None:
            records = machine.apply(batch, offset)
        else:
            self.skipped[verdict] += 1
            machine.pass_over(offset)
            records = machine.take()
        return Output(records, self._epochs())

    def _epochs(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        epochs = np.zeros(SLICES, np.int64)
        epochs[self.machine.slice_numbers] = self.machine.core.slices["epoch"]
        return epochs

    def _give_up_silent(self, batch: Batch, offset: int, arrived_ms: int) -> None:
        """End the views of lanes that the log has not heard for long; the log alone decides, so a replay does too."""
        lanes = self.machine.core.lanes
        own = self.machine.lane_number(batch.lane) if len(lanes) else -1
        for number in np.flatnonzero((lanes["arrived_ms"] >= 0) & (arrived_ms - lanes["arrived_ms"] > LOST_MS)):
            if number != own:
                self.machine.give_up(int(number), offset)
                self.machine.core.lanes["arrived_ms"][number] = -1

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
        """Key and value of every slice as of the last apply."""
        values = [(b"%d" % taken.number, snapshot.encode(taken, self._limits)) for taken in snapshot.take(self.machine)]
        self._snapshot_bytes = sum(len(value) for _, value in values)
        return values


def open_partition(partition: int, partitions: int, limits: Limits | None, values: list[bytes]) -> PartitionSlices:
    """What the worker calls when it is given a partition."""
    return PartitionSlices(partition, partitions, limits or Limits(), values)
