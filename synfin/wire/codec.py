"""Batches to bytes and back: what travels through `synfin.packets.v1`. `docs/wire-format.md` describes every byte."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from synfin.errors import ContractError
from synfin.wire import columns as c
from synfin.wire.batch import Batch
from synfin.wire.envelope import FLOWS_MAX, ROWS_MAX, SENSOR_BYTES_MAX, Envelope, Writer, pack, unpack
from synfin.wire.flows import (
    FLOW_FAMILY,
    FLOW_ORDER,
    FLOW_OUTSIDE,
    FLOW_PARTITION,
    find_kin,
    put_flows,
    take_flows,
)
from synfin.wire.predict import OPENING, OPENINGS, SLOT
from synfin.wire.rows import decode_rows, encode_rows, read_tokens, whole_units
from synfin.wire.segment import FLOW, SEGMENT
from synfin.wire.shapes import fault_of, find_spans

_U32Array = npt.NDArray[np.uint32]
_U64Array = npt.NDArray[np.uint64]

MICROSECOND_NS: Final = 1_000  # most capture files count no finer, and three digits of zeros are not worth a byte


def _capacity(n: int) -> int:
    """Length of a hash index for n entries: a power of two, at least twice as many."""
    return 1 << max(4, (2 * n - 1).bit_length())


@dataclass(frozen=True, slots=True)
class _Columns:
    """What a batch is written as, by groups of columns."""

    addresses: _U64Array  # [2, a]
    fields: _U32Array  # [6, m]
    shapes: _U64Array  # [4, s]
    gaps: _U64Array  # [1, n]
    tokens: _U32Array  # [2, n]: flow, shape
    values: _U32Array  # a sink, see values.py
    spans: _U64Array  # [VALUES, 2]: where each value column lies in the sink

    def write(self) -> Writer:
        """Give all columns to a writer."""
        arrays = (self.addresses, self.fields, self.shapes, self.gaps, self.tokens)
        room = sum(array.nbytes for array in arrays) + 4 * int((self.spans[:, 1] - self.spans[:, 0]).sum())
        writer = Writer(room)
        writer.group(c.ADDRESS_HIGH, self.addresses, keep=True)
        writer.group(c.FLOW_LOWER, self.fields)
        writer.group(c.SHAPE_FLAGS, self.shapes, keep=True)
        writer.group(c.ROW_GAP, self.gaps)
        writer.group(c.ROW_FLOW, self.tokens)
        writer.spans(c.VALUE, self.values, self.spans)
        return writer


def _put_flows(flows: npt.NDArray[np.void]) -> tuple[_U64Array, _U32Array, _U32Array]:
    """The addresses and fields of the flow dictionary, and each flow's kin (see flows.find_kin)."""
    m = len(flows)
    ends, fields = np.empty((m, 2), np.uint32), np.empty((len(c.FLOW_FIELDS), m), np.uint32)
    addresses = np.empty((2 * m, 2), np.uint64)
    count = int(put_flows(np.ascontiguousarray(flows), addresses, np.zeros(_capacity(2 * m), np.uint32), ends, fields))
    return np.ascontiguousarray(addresses[:count].T), fields, _kin(ends, count)


def _kin(ends: _U32Array, addresses: int) -> _U32Array:
    kin = np.empty(len(ends), np.uint32)
    find_kin(ends, np.zeros((addresses, 2), np.uint32), kin)
    return kin


def _put_rows(batch: Batch) -> tuple[_Columns, int]:
    """All columns, and the unit of time."""
    n, m = len(batch.segments), len(batch.flows)
    addresses, fields, kin = _put_flows(batch.flows)
    words = np.ascontiguousarray(batch.segments).view(np.uint64).reshape(n, c.WORDS)
    memory = (
        *(np.empty(2 * m, SLOT), np.zeros(m, np.uint8), np.zeros(m, np.uint32)),
        *(np.zeros(n + 1, np.uint32), np.zeros(OPENINGS, OPENING)),
    )
    shapes = np.empty((n + 1, 4), np.uint64)
    shapes[0] = 0
    sink = np.empty(c.VALUES + (c.VALUES - 1 + c.SACK_WORDS_MAX) * n, np.uint32)
    spans = np.empty((c.VALUES, 2), np.uint64)
    spans[:, 0] = sink[: c.VALUES] = c.VALUES + n * np.arange(c.VALUES)
    gaps, tokens = np.empty((1, n), np.uint64), np.empty((2, n), np.uint32)
    first = np.int64(batch.first_ns).view(np.uint64)
    table = (shapes, np.zeros(_capacity(n), np.uint32))
    bad = int(encode_rows(words, first, kin, memory, table, (gaps[0], tokens[0], tokens[1], sink)))
    if bad < n:
        raise ContractError(f"row {bad} is before the one it follows, or of flow {batch.segments['flow'][bad]} of {m}")
    shapes = shapes[1 : 1 + int(shapes[0, 0])]
    _check_shapes(shapes)
    spans[:, 1] = sink[: c.VALUES]
    unit = MICROSECOND_NS if whole_units(gaps[0], np.uint64(MICROSECOND_NS)) else 1
    if unit != 1:
        gaps //= np.uint64(unit)
    return _Columns(addresses, fields, np.ascontiguousarray(shapes.T), gaps, tokens, sink, spans), unit


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
    columns, unit = _put_rows(batch)
    return pack(batch, unit, columns.write())


def _read_flows(envelope: Envelope) -> tuple[npt.NDArray[np.void], _U32Array]:
    """The flow dictionary, and each flow's kin."""
    m, place = envelope.flows, (np.uint64(envelope.batch["partition"]), np.uint64(envelope.batch["partitions"]))
    count = envelope.count(c.ADDRESS_HIGH, 2 * m)
    addresses = envelope.group(c.ADDRESS_HIGH, _ADDRESS_BITS, count, np.uint64)
    fields = envelope.group(c.FLOW_LOWER, _FLOW_BITS, m, np.uint32)
    flows, ends = np.zeros(m, FLOW), np.empty((m, 2), np.uint32)
    bad, fault = take_flows(fields, addresses, place, ends, flows)
    if bad < m:
        raise ContractError(f"flow {bad}: {_FAULTS[int(fault)]}")
    return flows, _kin(ends, count)


_ADDRESS_BITS, _FLOW_BITS, _SHAPE_BITS, _GAP_BITS, _ROW_BITS, _VALUE_BITS = (
    np.array(bits, np.uint64)
    for bits in (c.ADDRESS_BITS, c.FLOW_BITS, c.SHAPE_BITS, c.GAP_BITS, c.ROW_BITS, c.VALUE_BITS)
)
_FAULTS: Final = {
    FLOW_OUTSIDE: "its address is outside the table",
    FLOW_ORDER: "its lower end is the higher one",
    FLOW_FAMILY: "its family is not that of its addresses",
    FLOW_PARTITION: "its slice is not of this partition",
}


def _read_values(envelope: Envelope, shapes: _U64Array, shape: _U32Array) -> _U32Array:
    """The value columns as a source (see values.py): each has as many numbers as the rows' shapes ask for."""
    spans = np.empty((c.VALUES, 2), np.uint64)
    total = int(find_spans(shapes, shape, np.zeros(len(shapes), np.uint64), spans))
    source = np.zeros(total, np.uint32)
    source[: c.VALUES] = spans[:, 0]
    envelope.spans(c.VALUE, _VALUE_BITS, spans, source)
    return source


def _read_rows(envelope: Envelope, kin: _U32Array) -> npt.NDArray[np.void]:
    """The rows, whose flows have the kin given."""
    head, n, m = envelope.batch, envelope.rows, len(kin)
    count = envelope.count(c.SHAPE_FLAGS, n)
    shapes = np.ascontiguousarray(envelope.group(c.SHAPE_FLAGS, _SHAPE_BITS, count, np.uint64).T)
    _check_shapes(shapes)
    tokens = envelope.group(c.ROW_FLOW, _ROW_BITS, n, np.uint32)
    memory = (np.zeros(m, np.uint32), np.zeros(count + 1, np.uint32))
    bad = int(read_tokens(tokens, np.uint64(m), np.uint64(count), memory))
    if bad < n:
        raise ContractError(f"row {bad}: outside the {m} flows or the {count} shapes")
    gaps = envelope.group(c.ROW_GAP, _GAP_BITS, n, np.uint64)
    columns = (gaps[0], tokens[0], tokens[1], _read_values(envelope, shapes, tokens[1]))
    rows = np.empty(n, SEGMENT)
    span = tuple(np.int64(head[name]).view(np.uint64) for name in ("first_ns", "last_ns"))
    slots = (np.empty(2 * m, SLOT), np.zeros(m, np.uint8), np.zeros(OPENINGS, OPENING))
    words = rows.view(np.uint64).reshape(n, c.WORDS)
    bad = int(decode_rows(words, (*span, np.uint64(envelope.unit_ns)), kin, slots, shapes, columns))
    if bad < n:
        raise ContractError(f"row {bad}: its time is behind the batch's last")
    return rows


def decode(data: bytes) -> Batch:
    """The batch from its bytes. ContractError when anything in them is not as the contract says."""
    envelope = unpack(data)
    flows, kin = _read_flows(envelope)
    return Batch(segments=_read_rows(envelope, kin), flows=flows, **envelope.batch)
