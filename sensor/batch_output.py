"""From frames to batches to bytes, without the sensor's own connections to the brokers."""

from collections.abc import Callable
from typing import Protocol

from sensor.batcher import Batcher
from sensor.dissect import Dissector
from sensor.frames import FrameBlock
from sensor.own_traffic import OwnTraffic
from synfin.clients import Address
from synfin.wire.batch import Batch
from synfin.wire.codec import encode


class Delivery(Protocol):
    """Where batches go."""

    def publish(self, batch: Batch, data: bytes) -> None:
        """Take one; may raise what ended the publishing."""


class NoDelivery:
    """Counts what would have been published, for --dry-run."""

    def __init__(self) -> None:
        self.batches = 0
        self.bytes = 0

    def publish(self, batch: Batch, data: bytes) -> None:
        """Count one."""
        del batch
        self.batches += 1
        self.bytes += len(data)


class BatchOutput:
    """Frames to rows to batches to bytes, without our own connections to the brokers."""

    def __init__(
        self,
        dissector: Dissector,
        batcher: Batcher,
        delivery: Delivery,
        own: OwnTraffic,
        own_addresses: Callable[[], frozenset[Address]],
    ) -> None:
        """`own_addresses` gives the sockets of our own whose packets are not to be reported."""
        self._dissector = dissector
        self._batcher = batcher
        self._delivery = delivery
        self._own = own
        self._own_addresses = own_addresses

    def take(self, block: FrameBlock, dropped: int) -> None:
        """Dissect the block and publish the batches that it fills."""
        segments, flows = self._dissector.dissect(block)
        self._own.learn(self._own_addresses())
        segments = self._own.without(segments, flows)
        self._publish(self._batcher.add(segments, flows, dropped))

    def tick(self, now_ns: int) -> None:
        """Publish what is old enough, and heartbeats."""
        self._own.learn(self._own_addresses())
        self._publish(self._batcher.tick(now_ns))

    def finish(self, end: int) -> None:
        """Publish what is open; `end` is END_OF_FILE or STOPPED."""
        self._publish(self._batcher.finish(end))

    def _publish(self, batches: list[Batch]) -> None:
        for closed in batches:
            batch = self._own.batch_without(closed)
            self._delivery.publish(batch, encode(batch))
