"""The outside of a batch's bytes: header, checksum, and columns as byte planes in compressed blocks.

`docs/wire-format.md` describes every byte. What a column means is not known here; see codec.py.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

import crc32c
import numpy as np
import numpy.typing as npt
import zstandard

from synfin.errors import ContractError
from synfin.wire.batch import GOES_ON, STOPPED, Batch, Lane
from synfin.wire.key import SLICES
from synfin.wire.planes import split

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

_APART_FROM: Final = 1_024  # a plane this long is compressed apart: its bytes are of another kind than its neighbour's
# Level 1, but for the shortest match: three or four equal bytes in a plane are chance, and cost more than they save.
_COMPRESSION: Final = zstandard.ZstdCompressionParameters.from_level(1, source_size=16_384, min_match=7)


class Column(NamedTuple):
    """The numbers begin to end of an array, under an id. They are unsigned and contiguous, of 32 bits or 64."""

    id: int
    numbers: npt.NDArray[Any]
    begin: int
    end: int
    keep: bool = False  # list it although all its numbers are 0: it says how long a table is


def column(number: int, values: npt.NDArray[Any], *, keep: bool = False) -> Column:
    """A column of all values, whatever their layout."""
    dtype = np.uint64 if values.dtype.itemsize == 8 else np.uint32
    return Column(number, np.ascontiguousarray(values, dtype), 0, len(values), keep)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A batch without its rows: what the header says, and the columns by id, uninterpreted."""

    batch: dict[str, Any]  # the arguments of Batch, but segments and flows
    rows: int
    flows: int
    unit_ns: int
    columns: dict[int, tuple[int, list[npt.NDArray[np.uint8] | None]]]  # id: count, byte planes with None for zeros


def _body_of(columns: Sequence[Column]) -> tuple[npt.NDArray[np.uint8], list[int], int]:
    """The planes of the columns and behind them the directory, where each begins, and how many columns there are."""
    room = sum((each.end - each.begin) * each.numbers.itemsize + _ENTRY.itemsize for each in columns)
    body, at = np.empty(room, np.uint8), 0
    begins, entries = [], []
    for number, numbers, begin, end, keep in columns:
        mask = int(split(numbers, np.uint64(begin), np.uint64(end), body, np.uint64(at))) if end > begin else 0
        if mask or keep:
            entries.append((number, mask, end - begin))
        for _ in range(mask.bit_count()):
            begins.append(at)
            at += end - begin
    directory = np.array(entries, _ENTRY).view(np.uint8)
    body[at : at + len(directory)] = directory
    return body[: at + len(directory)], [*begins, at], len(entries)


def _blocks(body: npt.NDArray[np.uint8], begins: Sequence[int]) -> tuple[bytes, list[Any]]:
    """Compress the body, the long planes apart and runs of short ones together. The table of blocks, and the blocks."""
    compressor = zstandard.ZstdCompressor(compression_params=_COMPRESSION)
    cuts = {0, len(body)}
    for begin, end in pairwise([*begins, len(body)]):
        if end - begin >= _APART_FROM:
            cuts |= {begin, end}
    table, blocks = [], []
    for begin, end in pairwise(sorted(cuts)):
        raw = body[begin:end]
        packed = compressor.compress(raw.data)
        blocks.append(packed if len(packed) < len(raw) else raw)
        table.append((len(blocks[-1]), len(raw)))
    return np.array(table, _BLOCK).tobytes(), blocks


def pack(batch: Batch, unit_ns: int, columns: Sequence[Column]) -> bytes:
    """The bytes of a batch from its header fields and columns; a column of zeros is left out."""
    sensor = batch.lane.sensor.encode()
    body, begins, count = _body_of(columns)
    table, blocks = _blocks(body, begins)
    tail = b"".join((sensor, table, *blocks))
    fields = (
        *(batch.lane.boot, batch.lane.lane, batch.partition, batch.partitions, batch.end, len(sensor)),
        *(batch.number, batch.clock_epoch, len(batch.segments), batch.first_ns, batch.last_ns),
        *(batch.captured, batch.dropped, len(batch.flows), unit_ns, count, len(blocks)),
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
    """Cut the body into the planes that the directory at its end lists."""
    end, at = len(body) - count * _ENTRY.itemsize, 0
    if end < 0:
        raise ContractError(f"a directory of {count} columns in a body of {len(body)} bytes")
    columns: dict[int, tuple[int, list[npt.NDArray[np.uint8] | None]]] = {}
    for number, mask, length in np.frombuffer(body, _ENTRY, count, end).tolist():
        if number in columns:
            raise ContractError(f"column {number} twice")
        planes: list[npt.NDArray[np.uint8] | None] = [None] * 8
        for k in range(8):
            if mask >> k & 1:
                if at + length > end:
                    raise ContractError(f"column {number} reaches beyond the {end} bytes of the planes")
                planes[k] = np.frombuffer(body, np.uint8, length, at)
                at += length
        columns[number] = (length, planes)
    if at != end:
        raise ContractError(f"{end - at} bytes behind the last column")
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
