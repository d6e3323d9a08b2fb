"""Batches to bytes and back: what travels through `synfin.packets.v1`. `docs/wire-format.md` describes every byte."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synfin.errors import ContractError
from synfin.wire import columns as c
from synfin.wire.batch import Batch
from synfin.wire.envelope import FLOWS_MAX, ROWS_MAX, SENSOR_BYTES_MAX, Column, Envelope, column, pack, unpack
from synfin.wire.flows import (
    FLOW_FAMILY,
    FLOW_ORDER,
    FLOW_OUTSIDE,
    FLOW_PARTITION,
    find_kin,
    put_flows,
    take_flows,
)
from synfin.wire.planes import merge_plane
from synfin.wire.predict import OPENING, OPENINGS, SLOT
from synfin.wire.rows import decode_rows, encode_rows, read_tokens
from synfin.wire.segment import FLOW, SEGMENT
from synfin.wire.shapes import add_due, count_uses, fault_of

_U32Array = npt.NDArray[np.uint32]
_U64Array = npt.NDArray[np.uint64]

MICROSECOND_NS: Final = 1_000  # most capture files count no finer, and three digits of zeros are not worth a byte


def _capacity(n: int) -> int:
    """Length of a hash index for n entries: a power of two, at least twice as many."""
    return 1 << max(4, (2 * n - 1).bit_length())


def _flow_columns(flows: npt.NDArray[np.void]) -> tuple[list[Column], _U32Array]:
    """The columns of the flow dictionary, and each flow's kin (see flows.find_kin)."""
    m = len(flows)
    ends, fields = np.empty((m, 2), np.uint32), np.empty((len(c.FLOW_FIELDS), m), np.uint32)
    addresses = np.empty((2 * m, 2), np.uint64)
    count = int(put_flows(np.ascontiguousarray(flows), addresses, np.zeros(_capacity(2 * m), np.uint32), ends, fields))
    columns = [
        column(c.ADDRESS_HIGH, addresses[:count, 0], keep=True),
        column(c.ADDRESS_LOW, addresses[:count, 1]),
        *(column(number, field) for number, field in zip(c.FLOW_FIELDS, fields, strict=True)),
    ]
    return columns, _kin(ends, count)


def _kin(ends: _U32Array, addresses: int) -> _U32Array:
    kin = np.empty(len(ends), np.uint32)
    find_kin(ends, np.zeros((addresses, 2), np.uint32), kin)
    return kin


def _row_columns(batch: Batch, kin: _U32Array) -> tuple[list[Column], int]:
    """The columns of the rows, and the unit of time."""
    n, m = len(batch.segments), len(kin)
    words = np.ascontiguousarray(batch.segments).view(np.uint64).reshape(n, c.WORDS)
    memory = (
        *(np.empty(2 * m, SLOT), np.zeros(m, np.uint8), np.zeros(m, np.uint32)),
        *(np.zeros(n + 1, np.uint32), np.zeros(OPENINGS, OPENING)),
    )
    shapes = np.empty((n + 1, 4), np.uint64)
    shapes[0] = 0
    sink = np.empty(c.VALUES + (c.VALUES - 1 + c.SACK_WORDS_MAX) * n, np.uint32)
    starts = [c.VALUES + k * n for k in range(c.VALUES)]
    sink[: c.VALUES] = starts
    gaps, flow, shape = np.empty(n, np.uint64), np.empty(n, np.uint32), np.empty(n, np.uint32)
    first = np.int64(batch.first_ns).view(np.uint64)
    table = (shapes, np.zeros(_capacity(n), np.uint32))
    bad = int(encode_rows(words, first, kin, memory, table, (gaps, flow, shape, sink)))
    if bad < n:
        raise ContractError(f"row {bad} is before the one it follows, or of flow {batch.segments['flow'][bad]} of {m}")
    unit = _unit(gaps)
    shapes = shapes[1 : 1 + int(shapes[0, 0])]
    _check_shapes(shapes)
    return [
        column(c.SHAPE_FLAGS, shapes[:, 0], keep=True),
        *(column(number, shapes[:, k]) for k, number in enumerate(c.SHAPE_WORDS) if k),
        column(c.ROW_GAP, gaps if unit == 1 else gaps // np.uint64(unit)),
        column(c.ROW_FLOW, flow),
        column(c.ROW_SHAPE, shape),
        *(Column(c.VALUE + k, sink, starts[k], int(sink[k])) for k in range(c.VALUES)),
    ], unit


def _unit(gaps: _U64Array) -> int:
    """The coarser unit of time that all gaps are whole numbers of."""
    for some in (gaps[:64], gaps):
        if (some % np.uint64(MICROSECOND_NS)).any():
            return 1
    return MICROSECOND_NS


def _check_shapes(shapes: _U64Array) -> None:
    """Raise where a row of such a shape would hold what no table of the core has an entry for."""
    fault = fault_of(shapes)
    if fault is not None:
        raise ContractError(f"a table of shapes with {fault}")


def _check_batch(batch: Batch) -> None:
    """Raise on what `decode` would refuse: better here, where it can be mended, than at the other end."""
    n, m = len(batch.segments), len(batch.flows)
    if n > ROWS_MAX or m > FLOWS_MAX:
        raise ContractError(f"a batch of {n} rows and {m} flows: at most {ROWS_MAX} and {FLOWS_MAX}")
    if len(batch.lane.sensor.encode()) > SENSOR_BYTES_MAX:
        raise ContractError(f"a sensor name of more than {SENSOR_BYTES_MAX} bytes: {batch.lane.sensor!r}")
    if batch.first_ns > batch.last_ns or (n and int(batch.segments["t_ns"][-1]) > batch.last_ns):
        raise ContractError(f"times beyond those of the batch, {batch.first_ns} to {batch.last_ns}")


def encode(batch: Batch) -> bytes:
    """The bytes of a batch. Rows come back as they are, but for `frame`, which is 0; hashes are made anew.

    ContractError when the batch itself breaks the contract: times that fall, a row without its flow.
    """
    _check_batch(batch)
    flow_columns, kin = _flow_columns(batch.flows) if len(batch.flows) else ([], np.empty(0, np.uint32))
    row_columns, unit = _row_columns(batch, kin) if len(batch.segments) else ([], 1)
    return pack(batch, unit, flow_columns + row_columns)


@dataclass(frozen=True, slots=True)
class _Reader:
    """The columns of an envelope as numbers."""

    envelope: Envelope

    def count(self, number: int, most: int) -> int:
        """How long a column is, which is how long its table is."""
        length = self.envelope.columns[number][0] if number in self.envelope.columns else 0
        if length > most:
            raise ContractError(f"{c.NAMES[number]}: a table of {length} where {most} are the most that can be used")
        return length

    def read(self, number: int, out: npt.NDArray[Any], bits: int = 64) -> None:
        """Fill `out`, which holds 0, with a column of numbers of so many bits; an absent column leaves it alone."""
        if number not in self.envelope.columns:
            return
        length, planes = self.envelope.columns[number]
        if length != len(out):
            raise ContractError(f"{c.NAMES[number]}: {length} numbers where {len(out)} are due")
        for k, plane in enumerate(planes):
            if plane is None:
                continue
            if 8 * k >= min(bits, 8 * out.dtype.itemsize):
                raise ContractError(f"{c.NAMES[number]}: numbers of more than {8 * k} bits")
            merge_plane(plane, np.uint64(8 * k), out)

    def values(self, number: int, count: int, dtype: Any) -> npt.NDArray[Any]:
        """A column as a fresh array."""
        out = np.zeros(count, dtype)
        self.read(number, out)
        return out


def _read_flows(reader: _Reader, m: int, place: tuple[int, int]) -> tuple[npt.NDArray[np.void], _U32Array]:
    """The flow dictionary, and each flow's kin."""
    addresses = np.zeros((reader.count(c.ADDRESS_HIGH, 2 * m), 2), np.uint64)
    reader.read(c.ADDRESS_HIGH, addresses[:, 0])
    reader.read(c.ADDRESS_LOW, addresses[:, 1])
    fields, ends = np.zeros((len(c.FLOW_FIELDS), m), np.uint32), np.empty((m, 2), np.uint32)
    for number, bits, field in zip(c.FLOW_FIELDS, c.FLOW_BITS, fields, strict=True):
        reader.read(number, field, bits)
    flows = np.zeros(m, FLOW)
    bad, fault = take_flows(fields, addresses, (np.uint64(place[0]), np.uint64(place[1])), ends, flows)
    if bad < m:
        raise ContractError(f"flow {bad}: {_FAULTS[int(fault)]}")
    return flows, _kin(ends, len(addresses))


_FAULTS: Final = {
    FLOW_OUTSIDE: "its address is outside the table",
    FLOW_ORDER: "its lower end is the higher one",
    FLOW_FAMILY: "its family is not that of its addresses",
    FLOW_PARTITION: "its slice is not of this partition",
}


def _read_values(reader: _Reader, shapes: _U64Array, shape: _U32Array) -> _U32Array:
    """The value columns as a source (see values.py): each has as many numbers as the rows' shapes ask for."""
    uses, due = np.zeros(len(shapes), np.uint64), np.zeros(c.VALUES, np.uint64)
    count_uses(shape, uses)
    add_due(shapes, uses, due)
    ends = np.cumsum(due).astype(np.int64) + c.VALUES
    source = np.zeros(int(ends[-1]), np.uint32)
    begin = c.VALUES
    for k, end in enumerate(ends.tolist()):
        source[k] = begin
        reader.read(c.VALUE + k, source[begin:end], c.VALUE_BITS[k])
        begin = end
    return source


def _read_rows(reader: _Reader, n: int, kin: _U32Array) -> npt.NDArray[np.void]:
    """The rows, whose flows have the kin given."""
    head, m = reader.envelope.batch, len(kin)
    shapes = np.zeros((reader.count(c.SHAPE_FLAGS, n), 4), np.uint64)
    for k, number in enumerate(c.SHAPE_WORDS):
        reader.read(number, shapes[:, k])
    _check_shapes(shapes)
    flow, shape = np.empty(n, np.uint32), np.empty(n, np.uint32)
    tokens = (reader.values(c.ROW_FLOW, n, np.uint32), reader.values(c.ROW_SHAPE, n, np.uint32))
    memory = (np.zeros(m, np.uint32), np.zeros(len(shapes) + 1, np.uint32))
    bad = int(read_tokens(tokens, np.uint64(m), np.uint64(len(shapes)), memory, (flow, shape)))
    if bad < n:
        raise ContractError(f"row {bad}: outside the {m} flows or the {len(shapes)} shapes")
    gaps = reader.values(c.ROW_GAP, n, np.uint64)
    source = _read_values(reader, shapes, shape)
    rows = np.empty(n, SEGMENT)
    span = (np.int64(head["first_ns"]).view(np.uint64), np.int64(head["last_ns"]).view(np.uint64))
    slots = (np.empty(2 * m, SLOT), np.zeros(m, np.uint8), np.zeros(OPENINGS, OPENING))
    columns = (gaps, flow, shape, source)
    words = rows.view(np.uint64).reshape(n, c.WORDS)
    bad = int(decode_rows(words, (*span, np.uint64(reader.envelope.unit_ns)), kin, slots, shapes, columns))
    if bad < n:
        raise ContractError(f"row {bad}: its time is behind the batch's last")
    return rows


def decode(data: bytes) -> Batch:
    """The batch from its bytes. ContractError when anything in them is not as the contract says."""
    envelope = unpack(data)
    reader = _Reader(envelope)
    place = (envelope.batch["partition"], envelope.batch["partitions"])
    flows, kin = _read_flows(reader, envelope.flows, place)
    rows = _read_rows(reader, envelope.rows, kin) if envelope.rows else np.zeros(0, SEGMENT)
    return Batch(segments=rows, flows=flows, **envelope.batch)
