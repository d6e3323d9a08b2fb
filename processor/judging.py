"""The second stage of one partition: records of counts in, alerts out, with snapshots and numbers as the slices have.

Whatever worker holds it, and however often it was killed: from the same snapshot and the same records come the same
alerts with the same numbers. What the first stage sent again is known by its numbers and passed over.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import orjson
import zstandard

from processor.partition import Message, Row
from processor.rules import Thresholds
from processor.windows import Judge, Spilled
from synfin.errors import ContractError, UsageError
from synfin.once import Once, Seq, Verdict, parse_seq
from synfin.wire.counts import Count, decode
from synfin.wire.key import SLICES

STATE_KEY: Final = b"counts"  # of its values in the state topic
VERSION: Final = 4
SIZE_MAX: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Sent:
    """A record of counts with its number."""

    count: Count
    seq: Seq


def count_of(message: Message) -> Sent:
    """Read a message of the counts topic; ContractError for what is none."""
    seq = parse_seq(message.seq)
    if seq is None:
        raise ContractError(f"a record of counts has no number, but {message.seq!r}")
    return Sent(decode(message.value or b""), seq)


class PartitionRules:
    """State of one partition."""

    def __init__(
        self,
        partition: int,
        partitions: int,
        limits: Thresholds,
        values: Iterable[bytes],
        spilled: Spilled | None = None,
    ) -> None:
        """Open with all values that the state topic has for the partition; the newest counts."""
        self._partition, self._partitions = partition, partitions
        self._judge = Judge(limits, partitions, spilled)
        self._once = Once()
        self._next, self._epoch, self._n = 0, -1, 0
        self._snapshot_bytes = 0
        self.passed_over = {Verdict.REPLAY: 0, Verdict.GAP: 0}
        told = max((_read(value) for value in values), key=lambda told: (told["epoch"], told["next"]), default=None)
        if told is not None:
            self._put_back(told)

    def next(self) -> int:
        """Offset of the next record."""
        return self._next

    def snapshot_bytes(self) -> int:
        """Size of the last snapshot's value."""
        return self._snapshot_bytes

    def apply(self, sent: Sent, offset: int, arrived_ms: int) -> list[Row]:
        """Add a record, unless it is one that was sent again."""
        if self._epoch < 0:
            self._epoch = offset
        self._next = offset + 1
        verdict = self._once.judge(sent.seq, offset)
        if verdict is not Verdict.TAKE:
            self.passed_over[verdict] += 1
            return []
        rows = []
        for alert in self._judge.add(sent.count, sent.seq.slice % self._partitions, arrived_ms):
            self._n += 1
            seq = f"{SLICES + self._partition}:{self._epoch}:{self._n}"
            rows.append(("events", alert.key.text().encode(), alert.value, alert.id, f"synfin.{alert.kind}", seq))
        return rows

    def snapshots(self) -> list[tuple[bytes, bytes]]:
        """Key and value as of the last apply."""
        told = {
            "version": VERSION,
            "partitions": [self._partition, self._partitions],
            "next": self._next,
            "epoch": self._epoch,
            "n": self._n,
            "taken": list(self._once.taken.items()),
            "judge": self._judge.snapshot(),
        }
        value = zstandard.ZstdCompressor(level=1, write_checksum=True).compress(orjson.dumps(told))
        self._snapshot_bytes = len(value)
        return [(STATE_KEY, value)]

    def _put_back(self, told: dict[str, Any]) -> None:
        if told["partitions"] != [self._partition, self._partitions]:
            raise UsageError(
                f"the rules of partition {self._partition} of {self._partitions} find a snapshot of "
                f"{told['partitions']}: the number of partitions is part of the state and cannot be changed"
            )
        try:
            self._next, self._epoch, self._n = int(told["next"]), int(told["epoch"]), int(told["n"])
            self._once = Once({int(number): (int(epoch), int(n)) for number, (epoch, n) in told["taken"]})
            self._judge.put_back(told["judge"])
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(f"a snapshot of the rules is damaged: {error!r}") from error


def _read(value: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(zstandard.ZstdDecompressor().decompress(value, max_output_size=SIZE_MAX))
        version, _, _, _ = told["version"], told["epoch"], told["next"], told["partitions"]
    except (zstandard.ZstdError, KeyError, TypeError, ValueError) as error:
        raise ContractError(f"a snapshot of the rules is damaged: {error!r}") from error
    if version != VERSION:
        raise UsageError(
            f"the snapshots of the rules have version {version}, this program has {VERSION}: go on with the version "
            "that wrote them, or create packets, counts, state, events and flows anew together"
        )
    found: dict[str, Any] = told
    return found
