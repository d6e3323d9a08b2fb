"""The clock of a lane: what one capturing process says of time, made so that it never falls.

Packets come out of order by a little (several queues, several cards, offload), and the host's clock is set back now and
then. The first is mended here by raising a time to the highest before it. The second cannot be mended: a step back of
more than a second begins a new clock epoch, in which times start lower.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synfin.compiled import compiled

STEP_NS: Final = 1_000_000_000  # further back than this is a step of the clock, no disorder
# A frame is handed over some time after its capture: the ring gives a block back when it is full or has waited long
# enough. So a clock that says t proves only that nothing older than this before t is still to come.
SETTLE_NS: Final = 500_000_000


@compiled
def raise_times(times: Any, start: Any, high: Any) -> Any:
    """Raise `times` (int64, in place) from `start` on to the highest so far, up to a step back.

    `high` is the highest time before `start`. Returns the index of the first row behind a step, or the length.
    """
    i = np.uint64(start)
    n = np.uint64(len(times))
    while i < n:
        t = times[i]
        if t < high:
            if high - t > STEP_NS:
                return i
            times[i] = high
        else:
            high = t
        i += np.uint64(1)
    return i


class LaneClock:
    """Highest time and clock epoch of one lane. `high_ns` is None until the first row."""

    def __init__(self) -> None:
        self.high_ns: int | None = None
        self.epoch = 0

    def raised(self, times: npt.NDArray[np.int64]) -> Iterator[tuple[slice, npt.NDArray[np.int64]]]:
        """Do what raise_in_place does to a copy: the rows keep what was captured."""
        return self.raise_in_place(np.array(times, dtype=np.int64))

    def raise_in_place(self, times: npt.NDArray[np.int64]) -> Iterator[tuple[slice, npt.NDArray[np.int64]]]:
        """Cut the times of some rows at the steps of the clock, and yield each stretch with its raised times.

        While a stretch is in the caller's hands, `epoch` is its epoch and `high_ns` its last time.
        """
        at = 0
        while at < len(times):
            if self.high_ns is None:
                self.high_ns = int(times[at])
            elif times[at] < self.high_ns - STEP_NS:
                self.epoch += 1
                self.high_ns = int(times[at])
            end = int(raise_times(times, np.uint64(at), np.int64(self.high_ns)))
            self.high_ns = int(times[end - 1])
            yield slice(at, end), times[at:end]
            at = end

    def pass_to(self, t_ns: int) -> None:
        """Note that the time t_ns has come without a row; a lower time than the highest is no news."""
        if self.high_ns is not None and t_ns > self.high_ns:
            self.high_ns = t_ns
