"""The outside of a batch's bytes: header, checksum, and columns as byte planes in compressed blocks.

`docs/wire-format.md` describes every byte. What a column means is not known here; see codec.py.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import crc32c
import numpy as np
import numpy.typing as npt
import zstandard

from synfin.errors import ContractError
from synfin.wire.batch import GOES_ON, STOPPED, Batch, Lane
from synfin.wire.columns import NAMES
from synfin.wire.key import SLICES
from synfin.wire.planes import (
    ABSENT,
    BEYOND,
    COLUMNS_MAX,
    COUNT,
    COUNT_WRONG,
    ENTRY_BYTES,
    LEFT_OVER,
    TOO_WIDE,
    TWICE,
    put_directory,
    put_group,
    put_spans,
    read_directory,
    take_group,
    take_spans,
)

MAGIC: Final = b"synfin\x00\x01"  # the last byte is the version
ROWS_MAX: Final = 65_536
FLOWS_MAX: Final = 65_536
SENSOR_BYTES_MAX: Final = 64
BODY_BYTES_MAX: Final = 16 * 2**20  # decompressed; a batch of 65 536 rows that no prediction fits has 14 MiB
BLOCKS_MAX: Final = 256

# magic, length, crc32c | boot, lane, partition, partitions, end, sensor bytes, number, epoch, rows, first, last,
# captured, dropped, flows, unit, columns, blocks
_HEADER: Final = struct.Struct("<8sII QHHHBBQIIqqQQIIHH")
_CHECKED_FROM: Final = 16
_BLOCK: Final = struct.Struct("<II")  # stored size, decompressed size
assert _HEADER.size == 92

_APART_FROM: Final = 1_024  # a plane this long is compressed apart: its bytes are of another kind than its neighbour's
# Level 1, but for the shortest match: three or four equal bytes in a plane are chance, and cost more than they save.
_COMPRESSION: Final = zstandard.ZstdCompressionParameters.from_level(1, source_size=16_384, min_match=7)


class Writer:
    """Columns on their way into a body. Numbers are unsigned and contiguous, of 32 bits or 64."""

    def __init__(self, room: int) -> None:
        """`room` is the bytes that all numbers take as they are."""
        self.body = np.empty(room + COLUMNS_MAX * ENTRY_BYTES, np.uint8)
        self.entries = np.empty((COLUMNS_MAX, 3), np.uint64)
        self.used = np.zeros(2, np.uint64)

    def group(self, number: int, numbers: npt.NDArray[Any], *, keep: bool = False) -> None:
        """Columns `number` and up, one for each row of numbers[columns, length].

        With `keep` the first is listed although all its numbers are 0: it says how long a table is.
        """
        if numbers.shape[1]:
            out = (self.body, self.entries, self.used)
            put_group(numbers.reshape(-1), np.uint64(numbers.shape[1]), np.uint64(number), keep, out)

    def spans(self, number: int, numbers: npt.NDArray[Any], spans: npt.NDArray[np.uint64]) -> None:
        """Columns `number` and up, one for each of the spans numbers[spans[k, 0]:spans[k, 1]]."""
        put_spans(numbers, spans, np.uint64(number), (self.body, self.entries, self.used))

    def close(self) -> tuple[npt.NDArray[np.uint8], list[int]]:
        """The body with its directory, and where it may be cut: around each long plane."""
        cuts, at = [0], 0
        for _, mask, count in self.entries[: int(self.used[1])].tolist():
            planes = int(mask).bit_count()
            if count >= _APART_FROM:
                cuts += range(at, at + planes * count + 1, count)
            at += planes * count
        put_directory((self.body, self.entries, self.used))
        return self.body[: int(self.used[0])], cuts


@dataclass(frozen=True, slots=True)
class Envelope:
    """A batch without its rows: what the header says, and the columns by id, uninterpreted."""

    batch: dict[str, Any]  # the arguments of Batch, but segments and flows
    rows: int
    flows: int
    unit_ns: int
    body: npt.NDArray[np.uint8]
    table: npt.NDArray[np.uint64]  # [256, 3]: see planes.read_directory

    def count(self, number: int, most: int) -> int:
        """How long a column is, which is how long its table is; 0 when it is absent."""
        length = int(self.table[number, COUNT])
        if length == ABSENT:
            return 0
        if length > most:
            raise ContractError(f"{NAMES[number]}: a table of {length} where {most} are the most that can be used")
        return length

    def group(self, number: int, bits: npt.NDArray[np.uint64], length: int, dtype: Any) -> npt.NDArray[Any]:
        """Columns `number` and up as numbers[columns, length]; zeros for those that are absent."""
        numbers = np.zeros((len(bits), length), dtype)
        source = (self.body, self.table)
        fault = take_group(source, np.uint64(length), np.uint64(number), bits, numbers.reshape(-1))
        self._check(fault, length)
        return numbers

    def spans(self, number: int, bits: npt.NDArray[np.uint64], spans: npt.NDArray[np.uint64], numbers: Any) -> None:
        """Columns `number` and up into the spans of numbers, which hold 0."""
        fault = take_spans((self.body, self.table), spans, np.uint64(number), bits, numbers)
        begin, end = spans[int(fault[1]) - number].tolist() if fault[0] else (0, 0)
        self._check(fault, end - begin)

    def _check(self, fault: tuple[int, int], due: int) -> None:
        code, number = fault[0], int(fault[1])
        if code == COUNT_WRONG:
            raise ContractError(f"{NAMES[number]}: {int(self.table[number, COUNT])} numbers where {due} are due")
        if code == TOO_WIDE:
            raise ContractError(f"{NAMES[number]}: a number of more bits than the column has")


def _blocks(body: npt.NDArray[np.uint8], cuts: Sequence[int]) -> tuple[bytes, list[Any]]:
    """Compress the body by pieces. The table of blocks, and the blocks: as they are where that is no longer."""
    compressor = zstandard.ZstdCompressor(compression_params=_COMPRESSION)
    table, blocks = [], []
    for begin, end in pairwise([*cuts, len(body)]):
        if end > begin:
            raw = body[begin:end].data
            packed = compressor.compress(raw)
            blocks.append(packed if len(packed) < len(raw) else raw)
            table.append(_BLOCK.pack(len(blocks[-1]), len(raw)))
    return b"".join(table), blocks


def pack(batch: Batch, unit_ns: int, writer: Writer) -> bytes:
    """The bytes of a batch from its header fields and columns."""
    sensor = batch.lane.sensor.encode()
    table, blocks = _blocks(*writer.close())
    tail = b"".join((sensor, table, *blocks))
    fields = (
        *(batch.lane.boot, batch.lane.lane, batch.partition, batch.partitions, batch.end, len(sensor)),
        *(batch.number, batch.clock_epoch, len(batch.segments), batch.first_ns, batch.last_ns),
        *(batch.captured, batch.dropped, len(batch.flows), unit_ns, int(writer.used[1]), len(blocks)),
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


def _unblock(stored: bytes, raw: int, decompressor: zstandard.ZstdDecompressor) -> bytes:
    """Decompress one block, whose size is known beforehand."""
    if len(stored) == raw:
        return stored
    try:
        # The frame's own word on its size is what the library would allocate by.
        size = zstandard.get_frame_parameters(stored).content_size
        if size != raw:
            raise ContractError(f"a block whose frame says {size} bytes where the table says {raw}")
        out: bytes = decompressor.decompress(stored, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ContractError(f"a block that does not decompress: {error}") from error
    if len(out) != raw:
        raise ContractError(f"a block of {len(out)} bytes where the table says {raw}")
    return out


def _body(data: bytes, at: int, blocks: int) -> bytes:
    """Planes and directory, from the table of blocks at `at` and what it lists."""
    begin = at + blocks * _BLOCK.size
    if begin > len(data):
        raise ContractError(f"a table of {blocks} blocks that is longer than the batch")
    table = list(_BLOCK.iter_unpack(data[at:begin]))
    stored, raw = sum(size for size, _ in table), sum(whole for _, whole in table)
    if begin + stored != len(data):
        raise ContractError(f"blocks of {stored} bytes where {len(data) - begin} follow their table")
    if raw > BODY_BYTES_MAX:
        raise ContractError(f"blocks of {raw} bytes when decompressed: at most {BODY_BYTES_MAX}")
    pieces, decompressor = [], zstandard.ZstdDecompressor()
    for size, whole in table:
        pieces.append(_unblock(data[begin : begin + size], whole, decompressor))
        begin += size
    return b"".join(pieces)


def _directory(body: npt.NDArray[np.uint8], columns: int) -> npt.NDArray[np.uint64]:
    """Where the planes of each column are: see planes.read_directory."""
    end = len(body) - columns * ENTRY_BYTES
    if end < 0:
        raise ContractError(f"a directory of {columns} columns in a body of {len(body)} bytes")
    table = np.full((COLUMNS_MAX, 3), ABSENT, np.uint64)
    fault, about = read_directory(body, np.uint64(end), table)
    if fault == TWICE:
        raise ContractError(f"column {about} twice")
    if fault == BEYOND:
        raise ContractError(f"column {about} reaches beyond the {end} bytes of the planes")
    if fault == LEFT_OVER:
        raise ContractError(f"{about} bytes behind the last column")
    return table


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
    body = np.frombuffer(_body(data, at, header["blocks"]), np.uint8)
    table = _directory(body, header["columns"])
    rest = ("first_ns", "last_ns", "partition", "partitions", "number", "clock_epoch", "captured", "dropped", "end")
    fields = {name: header[name] for name in rest}
    fields["lane"] = Lane(sensor, header["boot"], header["lane"])
    return Envelope(fields, header["rows"], header["flows"], header["unit_ns"], body, table)
