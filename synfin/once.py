"""Each record once: what a reader does with `synfin_seq`, which is `slice:epoch:n`.

A processor that starts again sends records again. It gives each the n that it had before, so a reader who keeps
(epoch, n) of every slice knows them. Pure: no clock, no I/O. One `Once` for each topic-partition.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from synfin.wire.topics import SLICES

SEQ_HEADER: Final = "synfin_seq"

# Decimal as the processor writes it: no sign, no leading zero, no more digits than an int64 may have.
_SEQ: Final = re.compile(rb"(0|[1-9][0-9]{0,2}):(0|[1-9][0-9]{0,17}):([1-9][0-9]{0,17})")


class Seq(NamedTuple):
    """Place of a record among those of its slice and topic."""

    slice: int  # 0..383; 384 and the partition's number for what the second stage wrote
    epoch: int  # packets offset at which the slice began without a snapshot
    n: int  # 1, 2, 3 … within the epoch

    def __str__(self) -> str:
        return f"{self.slice}:{self.epoch}:{self.n}"


def parse_seq(value: bytes | None) -> Seq | None:
    """Read the header's value; None when it is not one, and whoever calls counts that."""
    match = _SEQ.fullmatch(value) if value is not None else None
    if match is None:
        return None
    seq = Seq(int(match[1]), int(match[2]), int(match[3]))
    return seq if seq.slice < 2 * SLICES else None


class Verdict(Enum):
    """What a reader does with a record."""

    TAKE = "take"
    REPLAY = "replay"  # it has this one, or the epoch is over
    GAP = "gap"  # something before it is missing: leave it alone, the replay brings both


@dataclass(slots=True)
class Gap:
    """Records of one slice that were passed over because one before them has not come yet."""

    first: Seq  # the first that was left alone
    offset: int  # where in the topic that was
    left: int = 1  # how many were left alone


class Once:
    """Keeps (epoch, n) for every slice and says of each record whether it is the next.

    `open_slices` take the first record newer than what they hold, whatever its n: the topic no longer has what lay
    between. A slice of which nothing is known takes the first record it meets.
    """

    def __init__(
        self,
        taken: Mapping[int, tuple[int, int]] | None = None,
        gaps: Mapping[int, Gap] | None = None,
        open_slices: frozenset[int] = frozenset(),
    ) -> None:
        self.taken = dict(taken or {})
        self.gaps = dict(gaps or {})
        self.open_slices = set(open_slices)

    def judge(self, seq: Seq, offset: int) -> Verdict:
        """Decide about the record with this sequence, met at this offset, and remember it."""
        held = self.taken.get(seq.slice)
        if held is not None:
            place = (seq.epoch, seq.n)
            if place <= held:  # (epoch, n) in this order: an older epoch, or not newer within this one
                return Verdict.REPLAY
            follows = seq.n == (held[1] + 1 if seq.epoch == held[0] else 1)
            if not follows and seq.slice not in self.open_slices:
                self._leave(seq, offset)
                return Verdict.GAP
        self.taken[seq.slice] = (seq.epoch, seq.n)
        self.open_slices.discard(seq.slice)
        self._close(seq)
        return Verdict.TAKE

    def lost(self) -> None:
        """The topic deleted records that were never read: every slice goes on with the first newer one it meets."""
        self.open_slices.update(self.taken)
        self.gaps.clear()

    def _leave(self, seq: Seq, offset: int) -> None:
        gap = self.gaps.get(seq.slice)
        if gap is None:
            self.gaps[seq.slice] = Gap(seq, offset)
        else:
            gap.left += 1

    def _close(self, seq: Seq) -> None:
        """A gap is over when the record that was left alone first is taken, or one that comes after it."""
        gap = self.gaps.get(seq.slice)
        if gap is not None and (gap.first.epoch, gap.first.n) <= (seq.epoch, seq.n):
            del self.gaps[seq.slice]

    def missing(self, slice_number: int) -> Seq | None:
        """Say which record a slice with a gap waits for."""
        gap = self.gaps.get(slice_number)
        if gap is None:
            return None
        epoch, n = self.taken[slice_number]
        if epoch == gap.first.epoch:
            return Seq(slice_number, epoch, n + 1)
        return Seq(slice_number, gap.first.epoch, 1)
