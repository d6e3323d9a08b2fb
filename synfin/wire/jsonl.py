"""Flow and event records as JSON lines, written by kernels: what users read, files keep and topics carry.

The keys, their order and their values are those of the schemas in `schema/`; `synfin schema` prints them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

from synfin.wire.event import EVENT_KINDS, Records
from synfin.wire.event_line import EVENT_MAX, EVIDENCE_MAX, write_events
from synfin.wire.flow_line import FLOW_MAX, TRANSITION_MAX, write_flows
from synfin.wire.ids import identify
from synfin.wire.text import SLACK, windows

SPAN: Final = np.dtype(
    [
        ("start", "<u8"),  # of the line in the buffer
        ("end", "<u8"),  # behind its newline
        ("id_at", "<u8"),  # of the view_id or the event's id, in the buffer too
        ("id_n", "<u8"),
        ("key_at", "<u8"),  # of the Kafka key: the view_id of a flow, the Community ID of an event
        ("key_n", "<u8"),
    ]
)
FLOW_TYPE: Final = b"synfin.flow"  # CloudEvents' type of a flow
EVENT_TYPES: Final = tuple(f"synfin.{kind}".encode() for kind in EVENT_KINDS)  # by EVENT_RECORD.kind
_NAME_BYTES: Final = 64  # longest name of a sensor
_NAME_WORDS: Final = (6 * _NAME_BYTES + 2 + 7) // 8  # a byte becomes at most six, and the quotes
_SENSOR: Final = np.dtype([("w", "<u8", (_NAME_WORDS,)), ("n", "<u8")])


_Rows: TypeAlias = npt.NDArray[np.void]


class Line(NamedTuple):
    """One record as a producer takes it."""

    key: bytes
    value: bytes  # the JSON object, without the newline
    ce_id: bytes
    ce_type: bytes
    synfin_seq: bytes  # slice:epoch:n


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines one behind the other in one buffer, and where each lies."""

    buffer: npt.NDArray[np.uint8]  # whole lines, each with its newline
    spans: npt.NDArray[np.void]  # SPAN[n]
    slices: npt.NDArray[np.uint16]  # [n]
    numbers: npt.NDArray[np.uint64]  # [n], the n of synfin_seq
    types: npt.NDArray[np.uint8]  # [n], index into type_names
    type_names: tuple[bytes, ...]  # CloudEvents' types

    def __len__(self) -> int:
        """Count the records."""
        return len(self.spans)

    def values(self) -> Iterator[bytes]:
        """Give each JSON object, without its newline."""
        data = self.buffer.tobytes()
        for start, end in zip(self.spans["start"].tolist(), self.spans["end"].tolist(), strict=True):
            yield data[start : end - 1]

    def records(self, epochs: npt.NDArray[np.int64]) -> Iterator[Line]:
        """Give each record with key and headers; `epochs` has the epoch of each slice, by its number."""
        data, names = self.buffer.tobytes(), self.type_names
        columns = (self.slices, epochs[self.slices], self.numbers, self.types)
        for (start, end, ce_id, ce_id_n, key, key_n), number, epoch, n, kind in zip(
            self.spans.tolist(), *(column.tolist() for column in columns), strict=True
        ):
            yield Line(
                data[key : key + key_n],
                data[start : end - 1],
                data[ce_id : ce_id + ce_id_n],
                names[kind],
                b"%d:%d:%d" % (number, epoch, n),
            )


class Room:
    """Memory for one set of lines after another: to get new memory takes as long as to write to it."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    def of(self, size: int) -> npt.NDArray[np.uint8]:
        """So many bytes, which hold until the next call."""
        if len(self._bytes) < size:
            self._bytes = np.empty(size + size // 4, np.uint8)  # only the part that is written to costs memory
        return self._bytes[:size]


@lru_cache(maxsize=4)
def _sensor_texts(sensors: tuple[str, ...]) -> npt.NDArray[np.void]:
    """JSON of each name, quotes and escapes included."""
    table = np.zeros(len(sensors), _SENSOR)
    for row, name in zip(table, sensors, strict=True):
        if len(name.encode()) > _NAME_BYTES:
            message = f"the sensor's name {name!r} is longer than {_NAME_BYTES} bytes"
            raise ValueError(message)
        text = orjson.dumps(name)
        row["w"] = np.frombuffer(text.ljust(8 * _NAME_WORDS, b"\0"), "<u8")
        row["n"] = len(text)
    return table


def _check(first: npt.NDArray[np.uint32], n: npt.NDArray[np.integer], rows: int) -> None:
    """Kernels look at no bound."""
    if len(first) and int((first.astype(np.int64) + n).max()) > rows:
        message = f"a record points beyond the {rows} rows of its table"
        raise IndexError(message)


def _write(
    kernel: Callable[..., None], tables: tuple[_Rows, _Rows], size: int, records: Records, room: Room | None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.void]]:
    """Run a kernel over a buffer of `size` bytes and what the names of sensors need."""
    rows, linked = tables
    sensors = _sensor_texts(records.sensors)
    ids = identify(rows, records.sensors)
    spans = np.zeros(len(rows), SPAN)
    buffer = (room or Room()).of(size + len(rows) * int(sensors["n"].max(initial=0)) + SLACK)
    if len(rows):
        kernel(windows(buffer), rows, linked, ids, sensors, spans)
    return buffer[: int(spans["end"][-1]) if len(rows) else 0], spans


def flow_lines(records: Records, room: Room | None = None) -> Lines:
    """Write the flows of some records; into a room, the lines hold until it is used again."""
    rows = records.flows
    steps = rows["log_n"].astype(np.int64) + rows["revised_n"]
    _check(rows["log"], steps, len(records.transitions))
    size = len(rows) * FLOW_MAX + int(steps.sum()) * TRANSITION_MAX
    buffer, spans = _write(write_flows, (rows, records.transitions), size, records, room)
    return Lines(buffer, spans, rows["slice"], rows["n"], np.zeros(len(rows), np.uint8), (FLOW_TYPE,))


def event_lines(records: Records, room: Room | None = None) -> Lines:
    """Write the events of some records; into a room, the lines hold until it is used again."""
    rows = records.events
    _check(rows["evidence"], rows["evidence_n"], len(records.evidence))
    size = len(rows) * EVENT_MAX + int(rows["evidence_n"].sum(dtype=np.int64)) * EVIDENCE_MAX
    buffer, spans = _write(write_events, (rows, records.evidence), size, records, room)
    return Lines(buffer, spans, rows["slice"], rows["n"], rows["kind"], EVENT_TYPES)
