"""The outside of a batch's bytes: header, checksum, and columns as byte planes in compressed blocks.

`docs/wire-format.md` describes every byte. What a column means is not known here; see codec.py.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import crc32c
import numpy as np
import numpy.typing as npt
import zstandard

from synfin.errors import ContractError
from synfin.wire.batch import GOES_ON, STOPPED, Batch, Lane
from synfin.wire.key import SLICES

MAGIC: Final = b"synfin\x00\x01"  # the last byte is the version
ROWS_MAX: Final = 65_536
FLOWS_MAX: Final = 65_536
SENSOR_BYTES_MAX: Final = 64
BODY_BYTES_MAX: Final = 16 * 2**20  # decompressed; a batch of 65 536 rows that no prediction fits has 14 MiB
BLOCKS_MAX: Final = 256
COLUMNS_MAX: Final = 256

# magic, length, crc32c | boot, lane, partition, partitions, end, sensor bytes, number, epoch, rows, first, last,
# captured, dropped, flows, unit, columns, blocks
_HEADER: Final = struct.Struct("<8sII QHHHBBQIIqqQQIIHH")
_CHECKED_FROM: Final = 16
_BLOCK: Final = np.dtype([("stored", "<u4"), ("raw", "<u4")])
_ENTRY: Final = np.dtype([("id", "u1"), ("planes", "u1"), ("count", "<u4")])
assert _HEADER.size == 92
assert _ENTRY.itemsize == 6

_APART_FROM: Final = 2_048  # a plane this long is compressed apart: its bytes are of another kind than its neighbour's


@dataclass(frozen=True, slots=True)
class Column:
    """Some numbers under an id; the numbers are unsigned, and small ones cost no more for a wide dtype."""

    id: int
    values: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Envelope:
    """A batch without its rows: what the header says, and the columns by id, uninterpreted."""

    batch: dict[str, Any]  # the arguments of Batch, but segments and flows
    rows: int
    flows: int
    unit_ns: int
    columns: dict[int, tuple[int, list[npt.NDArray[np.uint8] | None]]]  # id: count, byte planes with None for zeros


def _planes(column: Column) -> tuple[int, list[npt.NDArray[np.uint8]]]:
    """The byte planes of a column that are not all zero, lowest first, and a mask of which they are."""
    values = np.ascontiguousarray(column.values)
    width = values.dtype.itemsize
    union = int(np.bitwise_or.reduce(values)) if len(values) else 0
    octets = values.view(np.uint8).reshape(-1, width)
    present = [k for k in range(width) if (union >> (8 * k)) & 0xFF]
    return sum(1 << k for k in present), [np.ascontiguousarray(octets[:, k]) for k in present]


def _blocks(pieces: Sequence[bytes], compressor: zstandard.ZstdCompressor) -> tuple[npt.NDArray[np.void], list[bytes]]:
    """Compress pieces, the long ones apart and neighbouring short ones together; as they are when that is no longer."""
    groups: list[list[bytes]] = [[]]
    for piece in pieces:
        if len(piece) >= _APART_FROM:
            groups += [[piece], []]
        else:
            groups[-1].append(piece)
    raw = [b"".join(group) for group in groups if group]
    stored = [min(block, compressor.compress(block), key=len) for block in raw]
    table = np.zeros(len(raw), _BLOCK)
    table["raw"] = [len(block) for block in raw]
    table["stored"] = [len(block) for block in stored]
    return table, stored


def pack(batch: Batch, unit_ns: int, columns: Sequence[Column]) -> bytes:
    """The bytes of a batch from its header fields and columns; a column of zeros is left out."""
    sensor = batch.lane.sensor.encode()
    entries, pieces = [], []
    for column in columns:
        mask, planes = _planes(column)
        if mask:
            entries.append((column.id, mask, len(column.values)))
            pieces += [plane.tobytes() for plane in planes]
    directory = np.array(entries, _ENTRY).tobytes()
    table, stored = _blocks([directory, *pieces], zstandard.ZstdCompressor(level=1, write_checksum=False))
    tail = b"".join((sensor, table.tobytes(), *stored))
    fields = (
        *(batch.lane.boot, batch.lane.lane, batch.partition, batch.partitions, batch.end, len(sensor)),
        *(batch.number, batch.clock_epoch, len(batch.segments), batch.first_ns, batch.last_ns),
        *(batch.captured, batch.dropped, len(batch.flows), unit_ns, len(entries), len(table)),
    )
    length = _HEADER.size + len(tail)
    checked = _HEADER.pack(MAGIC, length, 0, *fields)[_CHECKED_FROM:] + tail
    return _HEADER.pack(MAGIC, length, crc32c.crc32c(checked), *fields)[:_CHECKED_FROM] + checked


def _verify(data: bytes) -> None:
    """Raise unless the bytes are whole and as they were written; nothing else of them is believed before."""
    if len(data) < _HEADER.size:
        raise ContractError(f"a batch of {len(data)} bytes: its header alone has {_HEADER.size}")
    magic, length, checksum = struct.unpack_from("<8sII", data)
    if magic[:7] != MAGIC[:7]:
        raise ContractError(f"no batch: it begins with {magic!r} and not with {MAGIC!r}")
    if magic != MAGIC:
        raise ContractError(f"a batch of version {magic[7]}, and this program knows version {MAGIC[7]}")
    if length != len(data):
        raise ContractError(f"a batch of {len(data)} bytes whose header says {length}")
    found = crc32c.crc32c(memoryview(data)[_CHECKED_FROM:])
    if found != checksum:
        raise ContractError(f"a batch whose checksum is {found:08x} where its header says {checksum:08x}")


def _check_header(h: dict[str, int]) -> None:
    if not h["partitions"] or SLICES % h["partitions"]:
        raise ContractError(f"{h['partitions']} partitions do not divide {SLICES}")
    if h["partition"] >= h["partitions"]:
        raise ContractError(f"partition {h['partition']} of {h['partitions']}")
    if not GOES_ON <= h["end"] <= STOPPED:
        raise ContractError(f"end is {h['end']}, and the last known is {STOPPED}")
    if h["rows"] > ROWS_MAX or h["flows"] > FLOWS_MAX:
        raise ContractError(f"{h['rows']} rows and {h['flows']} flows: at most {ROWS_MAX} and {FLOWS_MAX}")
    if h["first_ns"] > h["last_ns"]:
        raise ContractError(f"first time {h['first_ns']} behind last time {h['last_ns']}")
    if h["unit_ns"] == 0:
        raise ContractError("a unit of time of 0 ns")
    if h["sensor_bytes"] > SENSOR_BYTES_MAX:
        raise ContractError(f"a sensor name of {h['sensor_bytes']} bytes: at most {SENSOR_BYTES_MAX}")
    if h["blocks"] > BLOCKS_MAX or h["columns"] > COLUMNS_MAX:
        raise ContractError(f"{h['columns']} columns in {h['blocks']} blocks: at most {COLUMNS_MAX} and {BLOCKS_MAX}")


_FIELDS: Final = (
    *("boot", "lane", "partition", "partitions", "end", "sensor_bytes", "number", "clock_epoch", "rows", "first_ns"),
    *("last_ns", "captured", "dropped", "flows", "unit_ns", "columns", "blocks"),
)


def _unblock(stored: bytes, raw: int) -> bytes:
    """Decompress one block, whose size is known beforehand."""
    if len(stored) == raw:
        return stored
    try:
        # The frame's own word on its size is what the library would allocate by.
        size = zstandard.get_frame_parameters(stored).content_size
        if size != raw:
            raise ContractError(f"a block whose frame says {size} bytes where the table says {raw}")
        out: bytes = zstandard.ZstdDecompressor().decompress(stored, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ContractError(f"a block that does not decompress: {error}") from error
    if len(out) != raw:
        raise ContractError(f"a block of {len(out)} bytes where the table says {raw}")
    return out


def _body(data: bytes, at: int, blocks: int) -> bytes:
    """Directory and planes, from the table of blocks at `at` and what it lists."""
    begin = at + blocks * _BLOCK.itemsize
    if begin > len(data):
        raise ContractError(f"a table of {blocks} blocks that is longer than the batch")
    table = np.frombuffer(data, _BLOCK, blocks, at)
    stored, raw = table["stored"].astype(np.int64), table["raw"].astype(np.int64)
    if begin + int(stored.sum()) != len(data):
        raise ContractError(f"blocks of {int(stored.sum())} bytes where {len(data) - begin} follow their table")
    if int(raw.sum()) > BODY_BYTES_MAX:
        raise ContractError(f"blocks of {int(raw.sum())} bytes when decompressed: at most {BODY_BYTES_MAX}")
    pieces = []
    for size, whole in zip(stored.tolist(), raw.tolist(), strict=True):
        pieces.append(_unblock(data[begin : begin + size], whole))
        begin += size
    return b"".join(pieces)


def _columns(body: bytes, count: int) -> dict[int, tuple[int, list[npt.NDArray[np.uint8] | None]]]:
    """Cut the body into the planes that its directory lists."""
    at = count * _ENTRY.itemsize
    if at > len(body):
        raise ContractError(f"a directory of {count} columns in a body of {len(body)} bytes")
    columns: dict[int, tuple[int, list[npt.NDArray[np.uint8] | None]]] = {}
    for number, mask, length in np.frombuffer(body, _ENTRY, count).tolist():
        if number in columns:
            raise ContractError(f"column {number} twice")
        planes: list[npt.NDArray[np.uint8] | None] = [None] * 8
        for k in range(8):
            if mask >> k & 1:
                if at + length > len(body):
                    raise ContractError(f"column {number} reaches beyond the body of {len(body)} bytes")
                planes[k] = np.frombuffer(body, np.uint8, length, at)
                at += length
        columns[number] = (length, planes)
    if at != len(body):
        raise ContractError(f"{len(body) - at} bytes behind the last column")
    return columns


def unpack(data: bytes) -> Envelope:
    """Verify and take apart. ContractError when anything is not as the contract says."""
    _verify(data)
    header = dict(zip(_FIELDS, _HEADER.unpack_from(data)[3:], strict=True))
    _check_header(header)
    at = _HEADER.size + header["sensor_bytes"]
    try:
        sensor = data[_HEADER.size : at].decode()
    except UnicodeDecodeError as error:
        raise ContractError(f"a sensor name that is not UTF-8: {error}") from error
    columns = _columns(_body(data, at, header["blocks"]), header["columns"])
    rest = ("first_ns", "last_ns", "partition", "partitions", "number", "clock_epoch", "captured", "dropped", "end")
    fields = {name: header[name] for name in rest}
    fields["lane"] = Lane(sensor, header["boot"], header["lane"])
    return Envelope(fields, header["rows"], header["flows"], header["unit_ns"], columns)
