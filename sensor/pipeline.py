"""From frames to what goes out: a capture file, and batches. Wired together in `run.py`."""

import time
from dataclasses import replace
from typing import Final, Protocol

import numpy as np

from sensor.batcher import Batcher
from sensor.capfile_writer import CaptureFileWriter
from sensor.dissect import Dissector
from sensor.frames import FrameBlock
from sensor.own_traffic import OwnTraffic
from synfin.clients import Address
from synfin.wire.batch import Batch
from synfin.wire.codec import encode

TICK_S: Final = 0.1  # how often the live loop looks at the clock


class Output(Protocol):
    """Something that takes frames."""

    def take(self, block: FrameBlock, dropped: int) -> None:
        """Take a block, which is valid until the call ends; `dropped` counts the kernel's drops so far."""

    def tick(self) -> None:
        """Some time has passed in a live capture."""


class FileOutput:
    """The capture file of -w."""

    def __init__(self, writer: CaptureFileWriter) -> None:
        self._writer = writer

    def take(self, block: FrameBlock, dropped: int) -> None:
        """Write the frames."""
        del dropped
        self._writer.write(block)

    def tick(self) -> None:
        """Hand on what waits, so that whoever follows the file of a quiet interface sees it."""
        self._writer.flush()


class Delivery(Protocol):
    """Where batches go."""

    def publish(self, batch: Batch, data: bytes) -> None:
        """Take one; may raise what ended the publishing."""

    def live_addresses(self) -> frozenset[Address]:
        """Sockets of our own whose packets are not to be reported."""


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

    def live_addresses(self) -> frozenset[Address]:
        """None of ours are open."""
        return frozenset()


class BatchOutput:
    """Frames to rows to batches to bytes, without our own connections to the brokers."""

    def __init__(self, dissector: Dissector, batcher: Batcher, delivery: Delivery, own: OwnTraffic) -> None:
        self._dissector = dissector
        self._batcher = batcher
        self._delivery = delivery
        self._own = own

    def take(self, block: FrameBlock, dropped: int) -> None:
        """Dissect the block and publish the batches that it fills."""
        segments, flows = self._dissector.dissect(block)
        self._own.learn(self._delivery.live_addresses())
        segments = self._own.without(segments, flows)
        self._publish(self._batcher.add(segments, flows, dropped))

    def tick(self) -> None:
        """Publish what is old enough, and heartbeats."""
        self._own.learn(self._delivery.live_addresses())
        self._publish(self._batcher.tick(time.time_ns()))

    def finish(self, end: int) -> None:
        """Publish what is open; `end` is END_OF_FILE or STOPPED."""
        self._publish(self._batcher.finish(end))

    def _publish(self, batches: list[Batch]) -> None:
        for closed in batches:
            batch = self._own.batch_without(closed)
            self._delivery.publish(batch, encode(batch))


class Limit:
    """Cuts a capture off after some packets (-c) and its frames after some bytes (-s, where the kernel did not)."""

    def __init__(self, count: int | None, snaplen: int | None) -> None:
        self.left = count
        self._snaplen = snaplen
        self.captured = 0

    @property
    def reached(self) -> bool:
        """Whether no more packets are wanted."""
        return self.left == 0

    def cut(self, block: FrameBlock) -> FrameBlock:
        """The part of the block that is wanted."""
        frames = block.frames
        if self.left is not None:
            frames = frames[: self.left]
            self.left -= len(frames)
        self.captured += len(frames)
        if self._snaplen is not None and len(frames) and int(frames["caplen"].max()) > self._snaplen:
            frames = frames.copy()
            np.minimum(frames["caplen"], np.uint32(self._snaplen), out=frames["caplen"])
        return block if frames is block.frames else replace(block, frames=frames)
