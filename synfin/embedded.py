"""Sensor and processor in one process, without Kafka: the same rooms with nothing between them.

The records are the same as through the broker, because how rows fall into batches changes none. So a block of frames
is a batch as it stands: nothing is encoded, sorted into partitions or copied.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from processor.index_key import index_key
from processor.tcp.machine import NO_FLOWS, NO_SEGMENTS, Limits, Machine
from sensor.addresses import LocalAddresses
from sensor.dissect import Dissector
from sensor.frames import FrameBlock
from sensor.lane import SETTLE_NS, LaneClock
from sensor.pcapfile import CaptureFile
from synfin.errors import UsageError
from synfin.wire.batch import END_OF_FILE, GOES_ON, Batch, Lane
from synfin.wire.event import Records
from synfin.wire.segment import MARK_WANTED

if TYPE_CHECKING:
    from processor.windows import Alert
    from synfin.aggregates import Rules
    from synfin.packets.selection import Selection

TICK_NS: Final = 1_000_000_000  # how long a live capture is silent before the core hears that time passes
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
        self._lane, self._clock = Lane(sensor, 1, 0), LaneClock()
        self._number = self._dropped = self._said_ns = 0

    def take(self, block: FrameBlock, dropped: int = 0, wanted: npt.NDArray[np.bool_] | None = None) -> Iterator[Batch]:
        """The block as a batch, or as several where the clock was set back.

        `dropped` counts the kernel's drops; `wanted` says which frames' segments are to be MARK_WANTED.
        """
        segments, flows = self.dissector.dissect(block)
        if wanted is not None:
            segments["marks"][wanted[segments["frame"] - np.uint32(block.first_frame)]] |= MARK_WANTED
        self._dropped = dropped
        for stretch, times in self._clock.raise_in_place(segments["t_ns"]):
            yield self._batch(segments[stretch], flows, int(times[0]), int(times[-1]))

    def tick(self, now_ns: int) -> Iterator[Batch]:
        """A batch without rows when it is time for one; `now_ns` is the time of a live capture."""
        self._clock.pass_to(now_ns - SETTLE_NS)
        high = self._clock.high_ns
        if high is not None and high - self._said_ns >= TICK_NS:
            yield self._batch(NO_SEGMENTS, NO_FLOWS, high, high)

    def finish(self, end: int) -> Iterator[Batch]:
        """The lane's end. Nothing is said of a lane that never had a row."""
        high = self._clock.high_ns
        if high is not None:
            yield self._batch(NO_SEGMENTS, NO_FLOWS, high, high, end)

    def _batch(
        self, segments: npt.NDArray[Any], flows: npt.NDArray[Any], first_ns: int, last_ns: int, end: int = GOES_ON
    ) -> Batch:
        self._said_ns = last_ns
        self._number += 1
        return Batch(
            self._lane,
            segments,
            flows,
            first_ns,
            last_ns,
            number=self._number - 1,
            clock_epoch=self._clock.epoch,
            dropped=self._dropped,
            end=end,
        )


class Reading:
    """Capture files, one after the other, through the core.

    `torn` collects what was wrong with files that ended before their time; `capture` is the file at hand.
    """

    def __init__(
        self,
        sources: list[Source],
        local: LocalAddresses | None,
        limits: Limits | None = None,
        *,
        bpf: str = "",
        rules: "Rules | None" = None,
        selection: "Selection | None" = None,
    ) -> None:
        """Read with a capture filter when there is one, with rules where their alerts are wanted.

        A selection says which packets make their connection `wanted`. Raises UsageError for a bad filter.
        """
        self._selection = selection
        self.alerts: list[Alert] = []  # of the rules, until somebody takes them out
        self._rules = rules
        self.torn: list[str] = []
        self.capture: CaptureFile | None = None
        self.machine = Machine(limits or Limits(), index_key())
        self._sources, self._local = sources, local
        self._filter: Any = None
        if bpf:
            from sensor.bpf_run import BlockFilter  # noqa: PLC0415  11 ms that only a filter costs

            self._filter = BlockFilter(bpf)

    def batches(self) -> Iterator[Batch]:
        """The batches of all files; each ends with its own end."""
        for source in self._sources:
            vantage = Vantage(source.sensor, self._local)
            self.capture = CaptureFile(source.path)
            for block in self.capture.blocks():
                if self._filter:
                    block = replace(block, frames=block.frames[self._filter.mask(block)])  # noqa: PLW2901
                yield from vantage.take(block, wanted=self._wanted(source.path, block))
            yield from vantage.finish(END_OF_FILE)
            if self.capture.torn:
                self.torn.append(self.capture.torn)

    def _wanted(self, path: str, block: FrameBlock) -> npt.NDArray[np.bool_] | None:
        return self._selection.mask(path, block) if self._selection else None

    def records(self) -> Iterator[Records]:
        """What the core makes of them, in pieces of bounded size; each holds until the next is asked for."""
        for batch in self.batches():
            if self._rules:
                self._rules.begin(batch, self.machine)
            for piece in self.machine.pieces(batch):
                if self._rules:
                    self._rules.count(piece)
                yield piece
            if self._rules:
                self.alerts += self._rules.after(batch)


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
