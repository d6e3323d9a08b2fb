"""A batch: the rows that one capturing process saw in one stretch of time, for one partition.

What travels through `synfin.packets.v1`, and in one process the same without the bytes.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

GOES_ON: Final = 0  # values of Batch.end
END_OF_FILE: Final = 1  # deadlines up to last_ns fire, what is open then ends as `eof`
STOPPED: Final = 2  # the sensor was stopped in good order: what is open ends as `stopped`


@dataclass(frozen=True, slots=True)
class Lane:
    """Who captured: one capturing process of one start of one sensor. Times never fall within a lane."""

    sensor: str  # name, at most 64 bytes of UTF-8
    boot: int  # uint64, another at every start of the sensor
    lane: int  # uint16, number of the capturing process


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows in the order in which they were captured, with the flow dictionary that they point into.

    A batch without rows is a heartbeat: it carries time and counters alone.
    """

    lane: Lane
    segments: npt.NDArray[np.void]  # SEGMENT[n], t_ns not falling
    flows: npt.NDArray[np.void]  # FLOW[m]; each row of segments points into it
    first_ns: int
    last_ns: int  # a watermark: the lane will show nothing older than this
    partition: int = 0
    partitions: int = 1  # a divisor of 384; 1 within one process
    number: int = 0  # consecutive within lane and partition, from 0
    clock_epoch: int = 0  # counts the steps back of over 1 s of the lane's clock
    captured: int = 0  # TCP rows of the lane since its start, all partitions together
    dropped: int = 0  # packets that the kernel dropped since the lane's start
    end: int = GOES_ON
