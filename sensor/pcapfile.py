"""Capture files as blocks of frames: pcap and pcapng, from a file, a pipe or standard input, gzipped or not.

Memory stays the same for a file of any size, and no byte of the file is believed before it is checked. A file that
ends or breaks in the middle gives the frames before that place, and then says where and why (`torn`).
"""

import os
import select
import stat
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sensor.frames import FRAME, NO_INTERFACE, FrameBlock
from sensor.lent import Arrays
from sensor.records import (
    CURSOR,
    INTERFACE,
    PCAP_RECORD,
    PCAP_RECORD_MODIFIED,
    SCALE_DIVIDE,
    SCALE_MULTIPLY,
    SCALE_SHIFT,
    WALK_BAD_INTERFACE,
    WALK_BAD_LENGTH,
    WALK_BAD_TRAILER,
    WALK_FULL,
    WALK_SECTION,
    walk_pcap,
    walk_pcapng,
)
from synfin.errors import CaptureError

# Holds the largest record or block several times over, and some ten thousand frames: a block is a batch in one process,
# and the core looks up each flow of a batch once.
BUFFER_BYTES: Final = 4 << 20
READ_BYTES: Final = 512 << 10  # about a level-2 cache
BLOCK_FRAMES: Final = 16_384
INTERFACES_MAX: Final = 65_536  # of a section; the largest real captures have some hundreds

_PCAP_HEADER: Final = 24
_SECTION_HEADER: Final = 28
_SECTION_MAGIC: Final = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
_GZIP_MAGIC: Final = b"\x1f\x8b"
_MAGICS: Final = {  # of a pcap file: ns in a unit of the fraction, bytes of a record's header
    0xA1B2C3D4: (1000, PCAP_RECORD),
    0xA1B23C4D: (1, PCAP_RECORD),
    0xA1B2CD34: (1000, PCAP_RECORD_MODIFIED),
}
_OPTION_NAME: Final = 2
NAME_BYTES_MAX: Final = 255  # of a name that is kept: a section may have 65 536 interfaces
_OPTION_TSRESOL: Final = 9
_OPTION_TSOFFSET: Final = 14
_CELLS: Final = {field: place for place, field in enumerate(CURSOR.names or ())}
_U64_MAX: Final = 2**64 - 1
_NS_MAX: Final = 2**63 - 1
_REASONS: Final = {
    WALK_BAD_LENGTH: "a record claims {} bytes",
    WALK_BAD_TRAILER: "a block's two lengths differ, the first is {}",
    WALK_BAD_INTERFACE: "a packet of interface {}, which no block before describes",
}


class _CorruptError(Exception):
    """What is wrong at the cursor, or where the gzip stream ends; becomes `torn`."""


class _Source:
    """The bytes of a file descriptor; a gzip stream is unpacked on the way."""

    def __init__(self, fd: int, regular: bool) -> None:
        self._fd = fd
        self._regular = regular
        self._unpack: Any = None
        self._packed = b""
        self.taken = 0  # bytes read from the descriptor

    def read_into(self, room: memoryview) -> int:
        """Read once, up to len(room) bytes; 0 at the end."""
        if self._unpack is not None:
            return self._unpack_into(room)
        n = os.readv(self._fd, [room])
        self.taken += n
        return n

    def waits(self) -> bool:
        """Tell whether the next read may wait for somebody to write."""
        if self._regular:
            return False
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return not poll.poll(0)

    def unpack(self, begun: bytes) -> None:
        """Take what comes for a gzip stream that began with these bytes."""
        self._unpack, self._packed = zlib.decompressobj(31), begun

    def _unpack_into(self, room: memoryview) -> int:
        while True:
            if not self._packed:
                self._packed = os.read(self._fd, 1 << 18)
                self.taken += len(self._packed)
            if not self._packed:
                if not self._unpack.eof:
                    raise _CorruptError("the gzip stream is cut off")
                return 0
            if self._unpack.eof:  # another member follows
                self._unpack = zlib.decompressobj(31)
            try:
                data = self._unpack.decompress(self._packed, len(room))
            except zlib.error as error:
                raise _CorruptError(f"the gzip stream is broken ({error})") from error
            self._packed = self._unpack.unused_data if self._unpack.eof else self._unpack.unconsumed_tail
            if data:
                room[: len(data)] = data
                return len(data)


class CaptureFile:
    """A capture file that is read once, from front to back; "-" is standard input.

    `frames` and `bytes_read` count while blocks are taken; `size` is None where it cannot be known. After the last
    block `torn` says where and why the file ended before its time; None for a whole file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.name = "standard input" if self.path == "-" else self.path
        self.frames = 0
        self.bytes_read = 0
        self.size: int | None = None
        self.torn: str | None = None
        self.interfaces: list[str] = []  # names, those of pcapng alone; "" for one without

    def blocks(self) -> Iterator[FrameBlock]:
        """Open the file and give its frames in order. CaptureError for what cannot be read or is no capture."""
        try:
            fd = os.dup(0) if self.path == "-" else os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise CaptureError(f"{self.name}: cannot be opened: {error.strerror}") from error
        try:
            status = os.fstat(fd)
            self.size = status.st_size if stat.S_ISREG(status.st_mode) else None
            yield from _Reader(self, _Source(fd, self.size is not None)).blocks()
        finally:
            os.close(fd)


class _Reader:
    """One pass over a file. Delivered frames lie in the buffer, so bytes are added behind them, never moved."""

    def __init__(self, file: CaptureFile, source: _Source) -> None:
        self._file = file
        self._source = source
        self._buffers, self._rows = Arrays(BUFFER_BYTES, np.uint8), Arrays(BLOCK_FRAMES, FRAME)
        self._buffer = self._buffers.take()
        self._base = 0  # place in the file of the buffer's first byte
        self._cursor = np.zeros(1, CURSOR)
        self._cells = self._cursor.view(np.uint64).data  # the same, at a third of the cost of numpy's way
        self._interfaces = np.zeros(8, INTERFACE)
        self._order = "<"
        self._ended = False
        self._pcapng = False

    def blocks(self) -> Iterator[FrameBlock]:
        """Give blocks of at least one frame; sets `torn` at the end."""
        try:
            self._begin()
        except (_CorruptError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise CaptureError(f"{self._file.name}: cannot be read as a capture file: {why}") from error
        more = True
        while more:
            frames = self._rows.take()
            try:
                more = self._fill(frames)
            except (_CorruptError, OSError) as error:
                more = False
                self._file.torn = self._describe(error)
            n = self._get("n")
            if n:
                self._file.frames += n
                yield FrameBlock(self._buffer, frames[:n], self._file.frames - n)

    def _describe(self, error: _CorruptError | OSError) -> str:
        at = self._base + self._get("at")
        n = self._file.frames + self._get("n")
        why = f"reading failed: {error.strerror}" if isinstance(error, OSError) else error
        return f"{self._file.name}: at byte {at}, after {n} frames: {why}"

    def _get(self, field: str) -> int:
        return self._cells[_CELLS[field]]

    def _set(self, **fields: int) -> None:
        for field, value in fields.items():
            self._cells[_CELLS[field]] = value

    def _fill(self, frames: npt.NDArray[np.void]) -> bool:
        """Walk until there are frames; False at the end of the file."""
        self._set(n=0)
        while True:
            if self._pcapng:
                walk_pcapng(self._buffer, self._cursor, self._interfaces, frames)
            else:
                walk_pcap(self._buffer, self._cursor, frames)
            status = self._get("status")
            if status == WALK_SECTION:
                self._read_section()
            elif status in _REASONS:
                raise _CorruptError(_REASONS[status].format(self._get("value")))
            elif status == WALK_FULL or (self._get("n") and self._should_deliver()):
                return True
            elif not self._refill():
                return False

    def _should_deliver(self) -> bool:
        """Tell whether to give away the frames at hand: no room for more, or a pipe whose writer keeps us waiting."""
        return self._get("end") == len(self._buffer) or self._source.waits()

    def _refill(self) -> bool:
        """Bring more bytes behind those not used up; False at the end of the file."""
        at, end = self._get("at"), self._get("end")
        if self._ended:
            if at < end or self._get("skip"):
                raise _CorruptError("the file is cut off in the middle of a record")
            return False
        if end == len(self._buffer):
            old, self._buffer = self._buffer, self._buffers.take()
            self._buffer[: end - at] = old[at:end]
            self._base += at
            self._set(at=0, end=end - at)
        self._skip()
        self._read()
        return True

    def _skip(self) -> None:
        """Read past what belongs to a block that nobody needs; all bytes at hand are used up then."""
        skip, end = self._get("skip"), self._get("end")
        room = self._buffer.data[end:]  # of a buffer that is not full, see _refill
        while skip and not self._ended:
            n = self._source.read_into(room[: min(skip, len(room))])
            self._ended = n == 0
            self._base += n
            skip -= n
        self._set(skip=skip)

    def _read(self) -> None:
        """Read once, so much that it is still in the cache when it is walked."""
        end = self._get("end")
        n = self._source.read_into(self._buffer.data[end : end + READ_BYTES])
        self._ended = n == 0
        self._set(end=end + n)
        self._file.bytes_read = self._source.taken

    def _at_hand(self, wanted: int) -> bool:
        """Read on until so many bytes are there, if they come."""
        while self._get("end") < wanted and not self._ended:
            self._read()
        return self._get("end") >= wanted

    def _begin(self) -> None:
        """Read the file's header. CaptureError for what is none."""
        self._at_hand(len(_SECTION_MAGIC))
        if bytes(self._buffer[:2]) == _GZIP_MAGIC and self._get("end") >= 2:
            self._source.unpack(bytes(self._buffer[: self._get("end")]))
            self._set(end=0)
            self._ended = False
            self._at_hand(len(_SECTION_MAGIC))
        if self._get("end") == 0:
            raise _CorruptError("it is empty")
        if bytes(self._buffer[:4]) == _SECTION_MAGIC:
            self._pcapng = True
            if not self._at_hand(_SECTION_HEADER):
                raise _CorruptError("its first block is cut off")
            self._read_section()
        else:
            self._begin_pcap()

    def _begin_pcap(self) -> None:
        whole = self._at_hand(_PCAP_HEADER)
        head = bytes(self._buffer[:_PCAP_HEADER])
        for order in "<>":
            magic, major, _minor, _zone, _sigfigs, _snaplen, link = struct.unpack(order + "IHHIIII", head)
            if magic in _MAGICS and self._get("end") >= len(_SECTION_MAGIC):
                break
        else:
            shown = head[: min(4, self._get("end"))].hex(" ")
            raise _CorruptError(f"it begins with {shown}, which is neither pcap nor pcapng")
        if not whole:
            raise _CorruptError(f"its header is cut off ({self._get('end')} of {_PCAP_HEADER} bytes)")
        if major != 2:
            raise _CorruptError(f"pcap version {major} is not known, only version 2")
        fraction_ns, header = _MAGICS[magic]
        self._set(at=_PCAP_HEADER, swapped=order == ">", fraction_ns=fraction_ns, header=header, link=link & 0xFFFF)

    def _read_section(self) -> None:
        """Read the section header or interface block at the cursor, and pass it."""
        at, end = self._get("at"), self._get("end")
        if bytes(self._buffer[at : at + 4]) != _SECTION_MAGIC:
            total = int(struct.unpack_from(self._order + "I", self._buffer.data, at + 4)[0])
            self._add_interface(bytes(self._buffer[at : at + total]))
            self._set(at=at + total)
            return
        head = bytes(self._buffer[at : at + _SECTION_HEADER])
        for self._order in "<>":
            _kind, total, magic, major, minor, _length = struct.unpack_from(self._order + "IIIHHq", head)
            if magic == _BYTE_ORDER_MAGIC:
                break
        else:
            raise _CorruptError(f"a section header without byte-order magic ({head[8:12].hex(' ')})")
        if major != 1:
            raise _CorruptError(f"pcapng version {major}.{minor} is not known, only version 1")
        if total < _SECTION_HEADER or total % 4:
            raise _CorruptError(f"a section header claims {total} bytes")
        before = self._get("interfaces_before") + self._get("interfaces")
        self._set(swapped=self._order == ">", interfaces=0, interfaces_before=before)
        self._set(at=min(at + total, end), skip=max(at + total - end, 0))

    def _add_interface(self, block: bytes) -> None:
        number = self._get("interfaces")
        if len(block) < 20 or number == INTERFACES_MAX:
            raise _CorruptError(f"interface block {number} of {len(block)} bytes")
        if number == len(self._interfaces):
            self._interfaces = np.concatenate([self._interfaces, np.zeros(number, INTERFACE)])
        link, _reserved, snaplen = struct.unpack_from(self._order + "HHI", block, 8)
        resolution, offset_s, name = self._interface_options(block[16:-4])
        if len(self._file.interfaces) < NO_INTERFACE:
            self._file.interfaces.append(name)
        kind, scale, ticks_max = _scale(resolution)
        offset_ns = offset_s * 1_000_000_000 % 2**64
        self._interfaces[number] = (kind, scale, ticks_max, offset_ns, snaplen, link)
        self._set(interfaces=number + 1)

    def _interface_options(self, options: bytes) -> tuple[int, int, str]:
        """if_tsresol (6 for microseconds when absent), if_tsoffset (seconds) and if_name."""
        resolution, offset_s, name, at = 6, 0, "", 0
        while at + 4 <= len(options):
            code, length = struct.unpack_from(self._order + "HH", options, at)
            value = options[at + 4 : at + 4 + length]
            if code == 0 or len(value) < length:
                break
            if code == _OPTION_TSRESOL and length == 1:
                resolution = value[0]
            if code == _OPTION_TSOFFSET and length == 8:
                offset_s = struct.unpack(self._order + "q", value)[0]
            if code == _OPTION_NAME:
                name = value[:NAME_BYTES_MAX].decode("utf-8", "replace")
            at += 4 + (length + 3 & ~3)
        return resolution, offset_s, name


def _scale(resolution: int) -> tuple[int, int, int]:
    """Kind, scale and largest count of INTERFACE for an if_tsresol byte; both ends of the scale are nonsense in use."""
    power = resolution & 0x7F
    if resolution & 0x80:
        if power < 64:
            return SCALE_SHIFT, power, min((_NS_MAX // 1_000_000_000) << power, _U64_MAX)
        return SCALE_DIVIDE, min(2**power // 1_000_000_000, _U64_MAX), _U64_MAX
    if power <= 9:
        factor = 10 ** (9 - power)
        return SCALE_MULTIPLY, factor, _NS_MAX // factor
    return SCALE_DIVIDE, min(10 ** (power - 9), _U64_MAX), _U64_MAX
