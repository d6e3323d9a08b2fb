"""The connections of a capture with their segments: records from one reading, segments from another."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import orjson

from sensor.frames import FrameBlock
from synfin.view.words import Record
from synfin.wire.batch import Batch
from synfin.wire.event import Records
from synfin.wire.jsonl import flow_lines
from synfin.wire.segment import LOWER

TUPLE_BYTES: Final = 48  # with which FLOW and FLOW_RECORD begin alike: hash, addresses, ports, domain

Rows = npt.NDArray[np.void]


@dataclass(slots=True)
class Connection:
    """A connection's record, and what of its segments was found."""

    record: Record
    orig_is_lower: bool
    parts: list[Rows]


@dataclass(frozen=True, slots=True)
class Tuple:
    """The connections of a tuple by their starts; `ends[i]` is the latest end of those up to i."""

    connections: list[Connection]
    starts: list[int]
    ends: list[int]

    @classmethod
    def of(cls, connections: list[Connection]) -> Self:
        """Put them in order."""
        by_start = sorted(connections, key=lambda one: int(one.record["start_ns"]))
        ends = accumulate((int(one.record["end_ns"]) for one in by_start), max)
        return cls(by_start, [int(one.record["start_ns"]) for one in by_start], list(ends))

    def between(self, first_ns: int, last_ns: int) -> list[Connection]:
        """Those that may have a packet within this time: a tuple may have any number of others."""
        return self.connections[bisect_left(self.ends, first_ns) : bisect_right(self.starts, last_ns)]


def connections_of(records: Iterable[Records], passing: Callable[[Records], Records] | None) -> dict[bytes, Tuple]:
    """The connections, or those of the records that pass, by their tuple."""
    found: dict[bytes, list[Connection]] = {}
    for piece in records:
        chosen = passing(piece) if passing else piece
        for row, line in zip(chosen.flows, flow_lines(chosen).values(), strict=True):
            connection = Connection(orjson.loads(line), int(row["orig"]) == LOWER, [])
            found.setdefault(row.tobytes()[:TUPLE_BYTES], []).append(connection)
    return {key: Tuple.of(several) for key, several in found.items()}


def collect(found: dict[bytes, Tuple], segments: Rows, flows: Rows) -> None:
    """Give each connection its segments."""
    if not len(segments):
        return
    order = np.argsort(segments["flow"], kind="stable")
    numbers, first = np.unique(segments["flow"][order], return_index=True)
    for number, places in zip(numbers.tolist(), np.split(order, first[1:]), strict=True):
        several = found.get(flows[number].tobytes()[:TUPLE_BYTES])
        if several is None:
            continue
        rows = segments[places]
        times = rows["t_ns"].copy()  # which never fall within a batch
        for connection in several.between(int(times[0]), int(times[-1])):
            low = int(np.searchsorted(times, connection.record["start_ns"], "left"))
            high = int(np.searchsorted(times, connection.record["end_ns"], "right"))
            if high > low:
                connection.parts.append(rows[low:high])


def frames_of(found: dict[bytes, Tuple], batches: Iterable[Batch]) -> npt.NDArray[np.int64]:
    """Numbers from 0, in order, of the frames that belong to connections; ICMP errors about them too."""
    for batch in batches:
        collect(found, batch.segments, batch.flows)
    parts = [part["frame"] for several in found.values() for one in several.connections for part in one.parts]
    return np.unique(np.concatenate(parts)).astype(np.int64) if parts else np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of captures by their numbers, which ascend."""

    numbers: dict[str, npt.NDArray[np.int64]]

    def mask(self, path: str, block: FrameBlock) -> npt.NDArray[np.bool_]:
        """Which frames of a capture's block are among them."""
        numbers = self.numbers[path]
        first, end = np.searchsorted(numbers, [block.first_frame, block.first_frame + len(block)])
        chosen = np.zeros(len(block), bool)
        chosen[numbers[first:end] - block.first_frame] = True
        return chosen
