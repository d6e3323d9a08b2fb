"""A partition of the packets topic in one worker's hands: what is applied, what is durable, what may be committed.

The order is everything, and it is kept here:

    committed offset  <=  `next` of the snapshots  <=  offset up to which the broker has acknowledged all outputs

So whatever dies, the next owner finds a snapshot that is not ahead of the outputs and input that is not behind the
snapshot. It applies again what lies between, and makes the same records with the same numbers, which readers skip.

Nothing here knows Kafka. The broker is two doors, `PacketLog` and `Outlet`; lists stand in for it in tests.
"""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, Protocol, TypeAlias

from processor.checkpoint import Cadence
from processor.health import Counters
from synfin.errors import ContractError
from synfin.wire.batch import Batch

log = logging.getLogger(__name__)

REASON_BYTES_MAX: Final = 1000

# Topic suffix (with "/" and a partition where that is not the state's own), key, value, ce_id, ce_type, synfin_seq.
Row: TypeAlias = tuple[str, bytes, bytes, str, str, str]
Record: TypeAlias = tuple[bytes, bytes, list[tuple[str, bytes]]]  # key, value, headers


@dataclass(slots=True)
class Message:
    """One value of the topic that is read."""

    partition: int
    offset: int
    arrived_ms: int  # LogAppendTime
    value: bytes | None
    seq: bytes | None = None  # its synfin_seq, where it has one


class Output(Protocol):
    """What a batch led to, in row order."""

    def __iter__(self) -> Iterator[Row]:
        """Yield one row a record."""


class PartitionState(Protocol):
    """The slices of one partition (processor/slices.py), or its part of the second stage (processor/judging.py)."""

    def apply(self, batch: Any, offset: int, arrived_ms: int) -> Output:
        """Apply a batch; a slice whose own `next` lies above the offset skips its rows."""

    def next(self) -> int:
        """Tell the least `next` of the slices, 0 when there is none yet."""

    def snapshots(self) -> list[tuple[bytes, bytes]]:
        """Key and value of every slice as of the last apply."""

    def snapshot_bytes(self) -> int:
        """Size of the last snapshots' values."""


class PacketLog(Protocol):
    """What one reads of the broker beside the stream."""

    async def snapshots(self, partition: int) -> list[bytes]:
        """All values in the state topic's partition, older ones of a slice included."""

    async def first_offset(self, partition: int) -> int:
        """Tell the oldest offset that the packets topic still holds."""

    def read(self, partition: int, start: int, end: int) -> AsyncIterator[Message]:
        """Messages of the packets topic at offsets in [start, end) that are still there, in order."""


class Outlet(Protocol):
    """Where records leave: in order within a topic-partition. Raises what the first failed send raised, ever after."""

    async def send(self, topic: str, partition: int, records: Iterable[Record]) -> None:
        """Hand over; returns before they are acknowledged. `topic` is flows, events, counts, state or deadletter."""

    async def settle(self) -> None:
        """Return when the broker has acknowledged all that was handed over."""


@dataclass(frozen=True, slots=True)
class Kit:
    """What all partitions of a worker work with."""

    packets: PacketLog
    outlet: Outlet
    open_state: Callable[[int, list[bytes]], PartitionState]
    decode: Callable[[Message], Any]  # what the state applies; ContractError for what is not to be
    commit: Callable[[dict[int, int]], Awaitable[bool]]  # partition to next offset; false when the group moved on
    source: str = "packets"  # suffix of the topic that is read
    cadence: Cadence = field(default_factory=Cadence)
    counters: Counters = field(default_factory=Counters)
    clock: Callable[[], float] = time.monotonic


class RevokedError(Exception):
    """The partition was taken away in the middle of something that takes long."""


def batch_of(decode: Callable[[bytes], Batch], partitions: int, counters: Counters) -> Callable[[Message], Batch]:
    """How messages of the packets topic are read: ContractError for what is no batch, or one of elsewhere."""

    def read(message: Message) -> Batch:
        batch = decode(message.value or b"")
        wrong = misplaced(batch, message.partition, partitions)
        if wrong is not None:
            raise ContractError(wrong)
        counters.segments += len(batch.segments)
        return batch

    return read


def misplaced(batch: Batch, partition: int, partitions: int) -> str | None:
    """Say why a batch does not belong into this partition; None for one that does. Its flows the codec has checked."""
    if batch.partitions != partitions:
        return f"the batch was cut for {batch.partitions} partitions, the topic has {partitions}"
    if batch.partition != partition:
        return f"the batch is for partition {batch.partition}"
    return None


class Partition:
    """Applies a partition's messages in order and writes its checkpoints. Not for two tasks at once."""

    def __init__(self, number: int, kit: Kit) -> None:
        """Inert: state is loaded with the first message."""
        self.number = number
        self.position = 0  # next offset to apply
        self.durable = 0  # offsets below need no replay, so this one may be committed
        self.committed = 0  # which of them was, as far as this worker knows
        self.arrived_ms = 0  # LogAppendTime of the last message applied
        self._kit = kit
        self._state: PartitionState | None = None
        self._input_bytes = 0  # since the last checkpoint
        self._dirty_since: float | None = None
        self._cost_s = 0.0

    async def take(self, message: Message, ours: Callable[[], bool]) -> None:
        """Apply a message, and before it whatever lies between the snapshots and it.

        Raises RevokedError when `ours` turns false on the way: the partition is to be forgotten then.
        """
        await self.reach(message.offset, ours)
        if message.offset < self.position:
            self._kit.counters.skipped += 1
        else:
            await self._apply(message)

    async def reach(self, end: int, ours: Callable[[], bool]) -> None:
        """Apply all messages before offset `end`, from the log itself. Raises as `take`."""
        if self._state is None:
            await self._load(ours)
        if end > self.position:
            await self._catch_up(end, ours)

    async def _load(self, ours: Callable[[], bool]) -> None:
        """Open the state from its snapshots; without any it begins with the oldest message there is."""
        kit = self._kit
        values = await kit.packets.snapshots(self.number)
        first = await kit.packets.first_offset(self.number)
        if not ours():
            raise RevokedError
        self._state = kit.open_state(self.number, values)
        self.position = self._state.next() if values else first
        self._pass_over(first)
        self.durable = self.position
        log.info("partition %d: %d snapshots, goes on at offset %d", self.number, len(values), self.position)

    def _pass_over(self, first: int) -> None:
        """The topic's retention took input that was not applied: nothing brings it back, so say so and go on."""
        if first <= self.position:
            return
        self._kit.counters.input_lost += first - self.position
        log.error(
            "partition %d: offsets %d to %d were deleted before they were processed; "
            "keep the packets topic longer than a processor may be away",
            self.number,
            self.position,
            first - 1,
        )
        self.position = first

    async def _catch_up(self, end: int, ours: Callable[[], bool]) -> None:
        """Apply the messages from `position` up to before `end` from the log itself: the stream never goes back."""
        self._pass_over(min(end, await self._kit.packets.first_offset(self.number)))
        log.info("partition %d: reads offsets %d to %d again", self.number, self.position, end - 1)
        async for message in self._kit.packets.read(self.number, self.position, end):
            if not ours():
                raise RevokedError
            await self._apply(message)
            self._kit.counters.caught_up += 1
        self.position = end  # the last offsets may hold no message (transaction marks)

    async def _apply(self, message: Message) -> None:
        assert self._state is not None
        kit, value = self._kit, message.value or b""
        if self._dirty_since is None:
            self._dirty_since = kit.clock()
        try:
            batch = kit.decode(message)
        except ContractError as error:
            await self._bury(message, str(error) or type(error).__name__)
        else:
            output = self._state.apply(batch, message.offset, message.arrived_ms)
            kit.counters.batches += 1
            await self._send(output)
        self.position = message.offset + 1
        self.arrived_ms = message.arrived_ms
        self._input_bytes += len(value)
        kit.counters.input_bytes += len(value)

    async def _send(self, output: Output) -> None:
        """Publish as the records come, without holding them all: they are what a batch costs most of."""
        counters, sent = self._kit.counters, {"flows": 0, "events": 0, "counts": 0}

        def records(topic: str, rows: Iterator[Row]) -> Iterator[Record]:
            for _, key, value, ce_id, ce_type, seq in rows:
                sent[topic] += 1
                headers = [("ce_id", ce_id.encode()), ("ce_type", ce_type.encode()), ("synfin_seq", seq.encode())]
                yield key, value, headers

        for place, rows in groupby(output, key=itemgetter(0)):
            topic, _, target = place.partition("/")
            number = int(target) if target else self.number
            await self._kit.outlet.send(topic, number, records(topic, rows))
        counters.flows += sent["flows"]
        counters.events += sent["events"]
        counters.counts += sent["counts"]

    async def _bury(self, message: Message, reason: str) -> None:
        """Into the dead letter, as it came; a checkpoint waits for the broker's word like for any output."""
        source = self._kit.source
        place = f"{self.number}-{message.offset}" if source == "packets" else f"{source}-{self.number}-{message.offset}"
        self._kit.counters.dead_letters += 1
        log.warning("partition %d, offset %d goes to the dead letter: %s", self.number, message.offset, reason)
        headers = [
            ("topic", source.encode()),
            ("reason", reason.encode("utf-8", "replace")[:REASON_BYTES_MAX]),
            ("partition", b"%d" % self.number),
            ("offset", b"%d" % message.offset),
            ("arrived_ms", b"%d" % message.arrived_ms),
        ]
        await self._kit.outlet.send("deadletter", 0, [(place.encode(), message.value or b"", headers)])

    def due(self) -> bool:
        """Tell whether a checkpoint is due."""
        if self._state is None or self._dirty_since is None:
            return False
        age_s = self._kit.clock() - self._dirty_since
        return self._kit.cadence.due(self._input_bytes, self._state.snapshot_bytes(), age_s, self._cost_s)

    async def checkpoint(self) -> None:
        """Wait for the outputs, write the snapshots and wait for them; what they cover may be committed then."""
        if self._state is None or self._dirty_since is None:
            return
        kit, begun, position = self._kit, self._kit.clock(), self.position
        await kit.outlet.settle()
        snapshots = self._state.snapshots()
        await kit.outlet.send("state", self.number, [(key, value, []) for key, value in snapshots])
        await kit.outlet.settle()
        self.durable = position
        self._input_bytes, self._dirty_since = 0, None
        self._cost_s = kit.clock() - begun
        kit.counters.checkpoints += 1
        kit.counters.snapshot_bytes += sum(len(value) for _, value in snapshots)
