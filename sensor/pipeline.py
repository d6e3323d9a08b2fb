"""What takes the frames of a run, and where it is cut off. Wired together in `run.py`."""

from dataclasses import replace
from typing import Final, Protocol

import numpy as np

from sensor.capfile_writer import CaptureFileWriter
from sensor.frames import FrameBlock

TICK_S: Final = 0.1  # how often the live loop looks at the clock


class Output(Protocol):
    """Something that takes frames."""

    def take(self, block: FrameBlock, dropped: int) -> None:
        """Take a block, which is valid until the call ends; `dropped` counts the kernel's drops so far."""

    def tick(self, now_ns: int) -> None:
        """Some time has passed: so late it is by the clock that stamps the frames."""


class FileOutput:
    """The capture file of -w."""

    def __init__(self, writer: CaptureFileWriter) -> None:
        self._writer = writer

    def take(self, block: FrameBlock, dropped: int) -> None:
        """Write the frames."""
        del dropped
        self._writer.write(block)

    def tick(self, now_ns: int) -> None:
        """Hand on what waits, so that whoever follows the file of a quiet interface sees it."""
        del now_ns
        self._writer.flush()


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
