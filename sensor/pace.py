"""A capture file as time goes by: its frames come when they are due, at its own speed or another."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from sensor.frames import FrameBlock

WAIT_S_MAX: Final = 0.1  # within which whoever waits is asked whether to end
WAIT_S_MIN: Final = 0.001  # frames that come closer come together


class Pace:
    """Cuts blocks where the clock stands. `speed` seconds of the file pass in one of the clock."""

    def __init__(
        self,
        speed: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._speed, self._clock, self._sleep = speed, clock, sleep
        self._begun_s = 0.0
        self._first_ns: int | None = None
        self._latest_ns = 0

    def now_ns(self) -> int | None:
        """The time of the file; None before its first frame."""
        if self._first_ns is None:
            return None
        return self._first_ns + int((self._clock() - self._begun_s) * self._speed * 1e9)

    def of(self, blocks: Iterator[FrameBlock], stopped: Callable[[], bool]) -> Iterator[FrameBlock]:
        """The frames in their order, and while none is due now and then an empty block."""
        for block in blocks:
            if not len(block):
                yield block
                continue
            yield from self._parts(block, self._due_s(block), stopped)
            if stopped():
                return

    def _due_s(self, block: FrameBlock) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        """When each frame is due, by the clock; a time that goes back waits for nothing."""
        times = block.frames["t_ns"]
        if self._first_ns is None:
            self._first_ns, self._begun_s = int(times[0]), self._clock()
            self._latest_ns = self._first_ns
        reached = np.maximum.accumulate(np.maximum(times, self._latest_ns))
        self._latest_ns = int(reached[-1])
        return self._begun_s + (reached - self._first_ns) / (self._speed * 1e9)

    def _parts(
        self, block: FrameBlock, due_s: "np.ndarray[tuple[int], np.dtype[np.float64]]", stopped: Callable[[], bool]
    ) -> Iterator[FrameBlock]:
        at = 0
        while at < len(block) and not stopped():
            end = int(np.searchsorted(due_s, self._clock(), "right"))
            if end > at:
                yield replace(block, frames=block.frames[at:end], first_frame=block.first_frame + at)
                at = end
                continue
            self._sleep(min(max(float(due_s[at]) - self._clock(), WAIT_S_MIN), WAIT_S_MAX))
            yield replace(block, frames=block.frames[:0])
