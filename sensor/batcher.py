"""Rows to batches: sorted into partitions, closed by size or age, numbered, with heartbeats where nothing comes.

Ages and watermarks are those of the lane's clock: the times of the rows, and in a live capture also the host's clock
that `tick` brings. Each row closes what is old at its time, wherever its block ends. So a capture file gives the same
batches whenever and however it is read.
"""

import os
from typing import Final

import numpy as np
import numpy.typing as npt

from sensor.lane import SETTLE_NS, STEP_NS, LaneClock
from sensor.partition import (
    FLOW_AT,
    FLOW_WORDS,
    NEVER,
    NONE_OPEN,
    OPEN,
    PLACE,
    SEGMENT_WORDS,
    append_rows,
    place_flows,
)
from synfin.wire.batch import GOES_ON, Batch, Lane
from synfin.wire.key import SLICES
from synfin.wire.segment import FLOW, SEGMENT

MAX_ROWS: Final = 16_384
MAX_AGE_NS: Final = 1_000_000_000
NO_AGE_NS: Final = 1 << 62  # batches are closed by size alone: nobody waits for those of a file, and small ones cost
HEARTBEAT_NS: Final = 10_000_000_000
# What all open batches together may hold, 50 MiB: with many partitions a batch is closed earlier than at max_rows.
OPEN_ROWS_MAX: Final = 524_288
FIRST_ROWS: Final = 512  # what each partition has memory for at first
# How long a partition goes on hearing from us after its last row. An idle ESTABLISHED connection is remembered for
# 7 500 s (tcp-semantics section 8), and for so long a silent sensor must not be taken for a lost one.
OPEN_NS: Final = 7_800 * 1_000_000_000

_Words = npt.NDArray[np.uint64]
_Block = tuple[_Words, npt.NDArray[np.int64], _Words]  # rows, times, flows


def _words(rows: npt.NDArray[np.void]) -> _Words:
    """The same memory as uint64[n, itemsize / 8]."""
    return np.ascontiguousarray(rows).view(np.uint64).reshape(len(rows), rows.dtype.itemsize // 8)


def _rows(words: _Words, dtype: np.dtype[np.void]) -> npt.NDArray[np.void]:
    """A copy as rows. Of words, because numpy copies rows field by field, which takes twenty times as long."""
    return words.copy().view(dtype).reshape(len(words))


class Batcher:
    """The open batches of one lane.

    Memory is bounded: at most min(max_rows, OPEN_ROWS_MAX / partitions) rows a partition. A partition is thought to
    hold open connections for OPEN_NS after its last row: to count them would be to run the state machine in the sensor,
    and to err on this side costs a message of 150 bytes in ten seconds.
    """

    def __init__(
        self,
        lane: Lane,
        partitions: int,
        max_rows: int = MAX_ROWS,
        max_age_ns: int = MAX_AGE_NS,
        heartbeat_ns: int = HEARTBEAT_NS,
    ) -> None:
        if partitions < 1 or SLICES % partitions:
            raise ValueError(f"{partitions} partitions: the number must divide {SLICES}")
        if max_rows < 1:
            raise ValueError(f"batches of {max_rows} rows")
        self.lane = lane
        self.partitions = partitions
        self.clock = LaneClock()
        self.captured = 0
        self.dropped = 0
        self._max_age_ns = max_age_ns
        self._heartbeat_ns = heartbeat_ns
        self._most = max(1, min(max_rows, OPEN_ROWS_MAX // partitions))  # rows of a batch
        self._room = min(self._most, FIRST_ROWS)  # rows that there is memory for in each partition
        self._opened = np.zeros(partitions, OPEN)
        self._opened["generation"] = 1
        self._opened["last_ns"] = NEVER
        self._pool = (
            np.empty((partitions, self._room, SEGMENT_WORDS), np.uint64),
            np.empty((partitions, self._room, FLOW_WORDS), np.uint64),
            np.zeros((partitions, 1 << (2 * self._most - 1).bit_length()), np.uint64),
            np.frombuffer(os.urandom(8 * FLOW_WORDS), np.uint64) | np.uint64(1),
        )
        self._epoch = 0  # of the open batches; the clock is ahead of it while a step is dealt with
        self._numbers = [0] * partitions
        self._said_ns = np.zeros(partitions, np.int64)  # watermark of the last batch

    def add(self, segments: npt.NDArray[np.void], flows: npt.NDArray[np.void], dropped: int) -> list[Batch]:
        """Take a block of rows with its flow dictionary, and return the batches that it closes.

        `dropped` counts the packets that the kernel dropped since the lane's start. Nothing is kept of the arrays, and
        they are not written to.
        """
        batches: list[Batch] = []
        self.dropped = dropped
        rows, dictionary = _words(segments), _words(flows)
        places = np.empty(len(flows), PLACE)
        place_flows(dictionary, np.uint64(self.partitions), places)
        high = self.clock.high_ns
        for stretch, times in self.clock.raised(segments["t_ns"]):
            if self.clock.epoch != self._epoch and high is not None:
                batches += self._step(high, int(times[0]))
            batches += self._append((rows, times, dictionary), stretch, places)
            high = self.clock.high_ns
        return batches

    def tick(self, now_ns: int) -> list[Batch]:
        """Close what is old, and say heartbeats, at the time `now_ns` of the clock that stamps the frames.

        For live captures, called a few times a second whether or not frames came, after all frames at hand were added.
        """
        self.clock.pass_to(now_ns - SETTLE_NS)
        high = self.clock.high_ns
        if high is None:
            return []
        batches = self._close_aged(now_ns, high)
        silent = (self._opened["rows"] == 0) & (self._opened["last_ns"] > NEVER)
        due = silent & (high - self._said_ns >= self._heartbeat_ns) & (high - self._opened["last_ns"] <= OPEN_NS)
        return batches + [self._close(int(p), high) for p in np.flatnonzero(due)]

    def finish(self, end: int) -> list[Batch]:
        """Close everything and say to all partitions how the lane ended (END_OF_FILE or STOPPED), and its last time.

        Nothing is said of a lane that never had a row.
        """
        high = self.clock.high_ns
        return [] if high is None else [self._close(p, high, end) for p in range(self.partitions)]

    def _append(self, source: _Block, stretch: slice, places: npt.NDArray[np.void]) -> list[Batch]:
        """Append one stretch of a block, which lies in one clock epoch."""
        batches = []
        rows, times, flows = source
        at = stretch.start
        while at < stretch.stop:
            span = np.array((at, stretch.stop), np.uint64)
            rest = (rows, times[at - stretch.start :], flows)
            ages = np.array((self._oldest_ns(), self._max_age_ns), np.int64)
            end = int(append_rows(rest, span, ages, places, self._opened, self._pool))
            self.captured += end - at
            last = int(places[int(rows[end - 1, FLOW_AT]) & 0xFFFFFFFF]["partition"])
            # Rows behind the last one are not sorted yet, so the watermark is its time and not the clock's.
            now_ns = int(self._opened[last]["last_ns"])
            if self._opened[last]["rows"] == self._most:
                batches.append(self._close(last, now_ns))
            elif self._opened[last]["rows"] == self._room:
                self._grow()
            batches += self._close_aged(now_ns, now_ns)
            at = end
        return batches

    def _oldest_ns(self) -> int:
        """First time of all open batches."""
        return int(self._opened["first_ns"].min(initial=NONE_OPEN, where=self._opened["rows"] > 0))

    def _grow(self) -> None:
        """Make room for twice as many rows in each partition. A quiet sensor never needs it, and stays small."""
        before, self._room = self._room, min(2 * self._room, self._most)
        rows, flows, *index = self._pool
        grown = []
        for old in (rows, flows):
            new = np.empty((self.partitions, self._room, old.shape[2]), np.uint64)
            new[:, :before] = old
            grown.append(new)
        self._pool = (grown[0], grown[1], index[0], index[1])

    def _step(self, high_ns: int, low_ns: int) -> list[Batch]:
        """End the clock epoch that reached `high_ns`, and begin the one that starts at `low_ns`."""
        batches = [self._close(int(p), high_ns) for p in np.flatnonzero(self._opened["rows"])]
        self._epoch = self.clock.epoch
        known = self._opened["last_ns"] > NEVER
        self._opened["last_ns"][known] = low_ns
        self._said_ns[:] = low_ns - self._heartbeat_ns  # so that the silent ones hear of the new epoch at the next tick
        return batches

    def _close_aged(self, now_ns: int, high_ns: int) -> list[Batch]:
        age = now_ns - self._opened["first_ns"]
        # A clock that was set back makes ages negative: to close too early is harmless, never to close is not.
        age[age < -STEP_NS] = self._max_age_ns
        age[self._opened["rows"] == 0] = -1
        if age.max() < self._max_age_ns:
            return []
        # What would be old soon goes too: batches that were closed together grow old together, and each time costs.
        return [self._close(int(p), high_ns) for p in np.flatnonzero(age >= self._max_age_ns - self._max_age_ns // 8)]

    def _close(self, partition: int, last_ns: int, end: int = GOES_ON) -> Batch:
        """Make a batch of the partition's open rows, or a heartbeat of none, and open the next."""
        opened = self._opened[partition]
        rows, flows = int(opened["rows"]), int(opened["flows"])
        batch = Batch(
            lane=self.lane,
            segments=_rows(self._pool[0][partition, :rows], SEGMENT),
            flows=_rows(self._pool[1][partition, :flows], FLOW),
            first_ns=int(opened["first_ns"]) if rows else last_ns,
            last_ns=last_ns,
            partition=partition,
            partitions=self.partitions,
            number=self._numbers[partition],
            clock_epoch=self._epoch,
            captured=self.captured,
            dropped=self.dropped,
            end=end,
        )
        opened["rows"] = opened["flows"] = 0
        opened["generation"] += 1
        self._numbers[partition] += 1
        self._said_ns[partition] = last_ns
        return batch
