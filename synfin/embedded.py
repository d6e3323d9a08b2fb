"""Sensor and processor in one process, without Kafka: the same rooms with a list in place of each topic.

The records are the same as through the broker: the same batches go through the same core. What is left out is the
encoding of the batches, and the partitions: with slices alone, one batcher with one partition serves.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from processor.slices import index_key
from processor.tcp.machine import Limits, Machine
from sensor.addresses import LocalAddresses
from sensor.batcher import Batcher
from sensor.bpf_run import BlockFilter
from sensor.dissect import Dissector
from sensor.frames import FrameBlock
from sensor.pcapfile import CaptureFile
from synfin.errors import UsageError
from synfin.wire.batch import END_OF_FILE, Batch, Lane
from synfin.wire.event import Records

NAME_MAX: Final = 64  # bytes of a sensor's name


@dataclass(frozen=True, slots=True)
class Source:
    """A capture file and the name of the vantage point that it was made at."""

    sensor: str
    path: str


class Vantage:
    """Frames of one capture as batches."""

    def __init__(self, sensor: str, local: LocalAddresses | None) -> None:
        self.dissector = Dissector(local)
        self._batcher = Batcher(Lane(sensor, 1, 0), 1)

    def take(self, block: FrameBlock, dropped: int = 0) -> list[Batch]:
        """Batches that a block of frames completes; `dropped` counts the kernel's drops so far."""
        segments, flows = self.dissector.dissect(block)
        return self._batcher.add(segments, flows, dropped)

    def tick(self, now_ns: int) -> list[Batch]:
        """Batches that are old enough at the time of a live capture."""
        return self._batcher.tick(now_ns)

    def finish(self, end: int) -> list[Batch]:
        """What is left, and the lane's end."""
        return self._batcher.finish(end)


class Reading:
    """Capture files, one after the other, through the core.

    `torn` collects what was wrong with files that ended before their time; `capture` is the file at hand.
    """

    def __init__(
        self, sources: list[Source], local: LocalAddresses | None, limits: Limits | None = None, bpf: str = ""
    ) -> None:
        """Read with a capture filter when there is one. Raises UsageError for a bad one."""
        self.torn: list[str] = []
        self.capture: CaptureFile | None = None
        self.machine = Machine(limits or Limits(), index_key())
        self._sources, self._local = sources, local
        self._filter = BlockFilter(bpf) if bpf else None

    def batches(self) -> Iterator[Batch]:
        """The batches of all files; each ends with its own end."""
        for source in self._sources:
            vantage = Vantage(source.sensor, self._local)
            self.capture = CaptureFile(source.path)
            for block in self.capture.blocks():
                if self._filter:
                    block = replace(block, frames=block.frames[self._filter.mask(block)])  # noqa: PLW2901
                yield from vantage.take(block)
            yield from vantage.finish(END_OF_FILE)
            if self.capture.torn:
                self.torn.append(self.capture.torn)

    def records(self) -> Iterator[Records]:
        """What the core makes of them."""
        for batch in self.batches():
            yield self.machine.apply(batch)


def sources_of(files: list[str], named: list[str]) -> list[Source]:
    """Vantage points of `FILE` and `NAME=FILE` arguments; a file without a name gives its own. Raises UsageError."""
    sources = [Source(_fitting(Path(path).stem if path != "-" else "stdin"), path) for path in files]
    for text in named:
        name, sign, path = text.partition("=")
        if not sign or not name or not path:
            raise UsageError(f"--sensor {text}: NAME=FILE is wanted")
        if len(name.encode()) > NAME_MAX:
            raise UsageError(f"--sensor {name}: a name has at most {NAME_MAX} bytes")
        sources.append(Source(name, path))
    if not sources:
        raise UsageError("name at least one capture file; - is standard input")
    if sum(source.path == "-" for source in sources) > 1:
        raise UsageError("standard input can be read once only")
    return sources


def _fitting(name: str) -> str:
    """A file's name as that of a sensor, which must be UTF-8 and not too long."""
    encoded = os.fsencode(name)[:NAME_MAX]
    return encoded.decode("utf-8", "ignore") or "capture"


def local_of(texts: list[str]) -> LocalAddresses | None:
    """Addresses of the capturing host from `--local` arguments; None without any. UsageError."""
    return LocalAddresses.parse(",".join(texts)) if texts else None
