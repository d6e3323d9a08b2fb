"""Batches to bytes and back."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synfin.errors import ContractError
from synfin.wire.batch import Batch
from synfin.wire.envelope import Column, Envelope, pack, unpack
from synfin.wire.key import tuple_hash
from synfin.wire.segment import FLOW, SEGMENT

_FLOW_COLUMNS: Final = [(1, "lower_port"), (2, "higher_port"), (3, "domain"), (4, "family")]
_ADDRESSES: Final = [(5, "lower_ip", 0), (6, "lower_ip", 1), (7, "higher_ip", 0), (8, "higher_ip", 1)]
_ROW_COLUMNS: Final = [
    (32 + i, name) for i, name in enumerate(SEGMENT.names or ()) if name not in {"t_ns", "frame", "sack"}
]
_TIME: Final = 16
_SACK: Final = 24


def encode(batch: Batch) -> bytes:
    """The bytes of a batch for `synfin.packets.v1`."""
    rows, flows = batch.segments, batch.flows
    times = rows["t_ns"].astype(np.int64)
    columns = [Column(number, flows[name]) for number, name in _FLOW_COLUMNS]
    columns += [Column(number, flows[name][:, half]) for number, name, half in _ADDRESSES]
    columns.append(Column(_TIME, np.diff(times, prepend=batch.first_ns).astype(np.uint64)))
    columns += [Column(_SACK + k, rows["sack"][:, k]) for k in range(8)]
    columns += [Column(number, rows[name]) for number, name in _ROW_COLUMNS]
    return pack(batch, 1, columns)


def _values(envelope: Envelope, number: int, count: int, dtype: Any) -> npt.NDArray[Any]:
    """One column as numbers of `dtype`; zeros when it is absent."""
    out = np.zeros(count, dtype)
    length, planes = envelope.columns.get(number, (count, []))
    if length != count:
        raise ContractError(f"column {number} has {length} values where {count} are due")
    for k, plane in enumerate(planes):
        if plane is not None:
            if k >= out.dtype.itemsize:
                raise ContractError(f"column {number} holds numbers of more than {out.dtype.itemsize} bytes")
            out.view(np.uint8).reshape(count, -1)[:, k] = plane
    return out


def decode(data: bytes) -> Batch:
    """The batch from its bytes. ContractError when they are not exactly what `encode` could have written."""
    envelope = unpack(data)
    flows = np.zeros(envelope.flows, FLOW)
    for number, name in _FLOW_COLUMNS:
        flows[name] = _values(envelope, number, envelope.flows, FLOW[name])
    for number, name, half in _ADDRESSES:
        flows[name][:, half] = _values(envelope, number, envelope.flows, np.uint64)
    for flow in flows:
        words = (*flow["lower_ip"], flow["lower_port"], *flow["higher_ip"], flow["higher_port"])
        flow["hash"] = tuple_hash(*(np.uint64(word) for word in words))
    rows = np.zeros(envelope.rows, SEGMENT)
    rows["t_ns"] = np.cumsum(_values(envelope, _TIME, envelope.rows, np.uint64)) + np.uint64(envelope.batch["first_ns"])
    for k in range(8):
        rows["sack"][:, k] = _values(envelope, _SACK + k, envelope.rows, np.uint32)
    for number, name in _ROW_COLUMNS:
        rows[name] = _values(envelope, number, envelope.rows, SEGMENT[name])
    if len(rows) and int(rows["flow"].max()) >= len(flows):
        raise ContractError(f"a row of flow {int(rows['flow'].max())} with a dictionary of {len(flows)}")
    return Batch(segments=rows, flows=flows, **envelope.batch)
