"""The capture file that `-w` writes: pcapng with nanoseconds and directions, or classic pcap.

Only whole records are handed to the operating system, so a file that a signal ends is a whole file, and one that a full
disk ends is cut back to its last whole record.
"""

import os
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from sensor.capfile_blocks import Scratch
from sensor.frames import CAPLEN_MAX, LINK_RAW, LINK_RAW_BSD, LINK_RAW_OPENBSD, FrameBlock
from synfin import __version__
from synfin.errors import CaptureError

_BUFFER_BYTES: Final = 1 << 18
_PARTS_MAX: Final = 64  # of one writev; systems take 1024
_STDOUT: Final = 1
_LINK_BITS: Final = 16
_LINK_MAX: Final = 0xFFFF
_PCAP_MAGIC_NS: Final = 0xA1B23C4D
_SECTION, _INTERFACE, _STATISTICS = 0x0A0D0D0A, 1, 5  # block types
_BYTE_ORDER: Final = 0x1A2B3C4D
_OPT_END, _SHB_USERAPPL, _IF_NAME, _IF_TSRESOL, _IF_FILTER = 0, 4, 2, 9, 11
_ISB_FILTERACCEPT, _ISB_OSDROP, _ISB_USRDELIV = 6, 7, 8
_NANOSECONDS: Final = b"\x09"


@dataclass(frozen=True, slots=True)
class CaptureFileFormat:
    """What the file's headers say of the capture."""

    classic: bool = False
    snaplen: int = CAPLEN_MAX
    interface: str = ""  # no name: the frames come from a file
    filter: str = ""
    interfaces: Sequence[str] | None = None  # names by FRAME.interface: those of the file that the frames come from


_Records = tuple[bytes, npt.NDArray[np.uint8]]  # what has to stand before them, and they; valid until the next block


class _Form(Protocol):
    """One of the two file formats."""

    def header(self) -> bytes: ...
    def records(self, block: FrameBlock) -> _Records: ...
    def trailer(self, statistics: "Statistics | None") -> bytes: ...


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the end of a live capture."""

    t_ns: int
    captured: int
    received: int
    dropped: int


def _file_link(link: int) -> int:
    """LINKTYPE_ of a file: raw IP has platform numbers, of which a file knows none."""
    return LINK_RAW if link in (LINK_RAW_BSD, LINK_RAW_OPENBSD) else link


class _Pcap:
    """Classic pcap: one link type, no direction."""

    def __init__(self, form: CaptureFileFormat, link: int | None) -> None:
        self._form = form
        self._link = link
        self._scratch = Scratch()

    def header(self) -> bytes:
        return b"" if self._link is None else self._file_header(self._link)

    def _file_header(self, link: int) -> bytes:
        return struct.pack("<IHHiIII", _PCAP_MAGIC_NS, 2, 4, 0, 0, self._form.snaplen, _file_link(link))

    def records(self, block: FrameBlock) -> _Records:
        head = b""
        for link in np.unique(block.frames["link"]):
            if self._link is None:  # known from the first frame only: the frames come from a file
                self._link = int(link)
                head = self._file_header(self._link)
            if _file_link(int(link)) != _file_link(self._link):
                raise CaptureError(
                    f"frames of link types {self._link} and {link}: classic pcap holds one, write pcapng (no --pcap, "
                    "another name than *.pcap)"
                )
        return head, self._scratch.pcap_records(block)

    def trailer(self, statistics: Statistics | None) -> bytes:
        del statistics  # has no place in it
        return self._file_header(1) if self._link is None else b""


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _block(kind: int, body: bytes, options: bytes) -> bytes:
    if options:
        options += _option(_OPT_END, b"")
    total = 12 + len(body) + len(options)
    return struct.pack("<II", kind, total) + body + options + struct.pack("<I", total)


class _Pcapng:
    """pcapng: an interface block for each link type and name, directions, statistics at the end."""

    def __init__(self, form: CaptureFileFormat, link: int | None) -> None:
        self._form = form
        self._first = link
        self._scratch = Scratch()
        self._numbers: dict[int, int] = {}

    def header(self) -> bytes:
        body = struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1)
        section = _block(_SECTION, body, _option(_SHB_USERAPPL, f"synfin {__version__}".encode()))
        return section if self._first is None else section + self._interface(self._first)

    def _interface(self, key: int) -> bytes:
        """The block of an interface by its link type, and above that its number in the file that is copied."""
        self._numbers[key] = len(self._numbers)
        link, name = key & _LINK_MAX, self._name(key >> _LINK_BITS)
        options = _option(_IF_NAME, name.encode()[:0xFFFF]) if name else b""
        options += _option(_IF_TSRESOL, _NANOSECONDS)
        if self._form.filter:
            options += _option(_IF_FILTER, b"\x00" + self._form.filter.encode()[:0xFFFE])  # 0: libpcap's language
        return _block(_INTERFACE, struct.pack("<HHI", _file_link(link), 0, self._form.snaplen), options)

    def _name(self, number: int) -> str:
        names = self._form.interfaces
        if names is None:
            return self._form.interface
        return names[number] if number < len(names) else ""

    def records(self, block: FrameBlock) -> _Records:
        keys = block.frames["link"].astype(np.uint32)
        if self._form.interfaces is not None:
            keys |= block.frames["interface"].astype(np.uint32) << np.uint32(_LINK_BITS)
        there = [int(key) for key in np.unique(keys)]
        head = b"".join(self._interface(key) for key in there if key not in self._numbers)
        interfaces = np.zeros(len(keys), np.uint64)
        for key in there:
            interfaces[keys == key] = self._numbers[key]
        return head, self._scratch.pcapng_records(block, interfaces)

    def trailer(self, statistics: Statistics | None) -> bytes:
        if statistics is None or not self._numbers:
            return b""
        counts = (
            (_ISB_FILTERACCEPT, statistics.received),
            (_ISB_OSDROP, statistics.dropped),
            (_ISB_USRDELIV, statistics.captured),
        )
        options = b"".join(_option(code, struct.pack("<Q", count)) for code, count in counts)
        body = struct.pack("<III", 0, statistics.t_ns >> 32, statistics.t_ns & 0xFFFFFFFF)
        return _block(_STATISTICS, body, options)


class CaptureFileWriter:
    """Writes blocks of frames to one capture file: a path, or "-" for stdout.

    `link` is the LINKTYPE_ of a live capture, None when only the frames know theirs. With `beside` the file appears
    under its name when it is closed as complete, for input that has an end.
    """

    def __init__(
        self, path: str, form: CaptureFileFormat, link: int | None, *, unbuffered: bool = False, beside: bool = False
    ) -> None:
        """Note what to write; `open` opens it."""
        self._path = path
        self._form: _Form = _Pcap(form, link) if form.classic else _Pcapng(form, link)
        self._unbuffered = unbuffered
        self._final = Path(path)
        self._beside = self._final.with_name(f".{self._final.name}.{os.getpid()}.part") if beside else None
        self._fd = -1
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._whole = 0  # bytes of whole records in the file
        self.frames = 0

    def open(self) -> None:
        """Create the file and write its header at once, so that a reader can follow. Raises CaptureError."""
        try:
            if self._path == "-":
                sys.stdout.flush()
                self._fd = os.dup(_STDOUT)
            else:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                self._fd = os.open(self._beside or self._final, flags, 0o666)
        except OSError as error:
            raise self._failed(error) from None
        self._waiting.append(self._form.header())
        self.flush()

    def _failed(self, error: OSError) -> CaptureError:
        return CaptureError(f"-w {self._path}: {error.strerror}")

    def write(self, block: FrameBlock) -> None:
        """Append the frames of a block. Raises CaptureError, and BrokenPipeError when the reader of stdout has gone."""
        if not len(block):
            return
        head, records = self._form.records(block)
        self.frames += len(block)
        self._waiting_bytes += len(head) + len(records)
        if self._unbuffered or self._waiting_bytes >= _BUFFER_BYTES:
            self._write([*self._waiting, head, records.data])
        else:
            self._waiting += [head, records.tobytes()]

    def flush(self) -> None:
        """Hand what waits to the operating system."""
        self._write(list(self._waiting))

    def _write(self, records: list[bytes | memoryview]) -> None:
        """Hand whole records on, those that waited among them."""
        self._waiting.clear()
        self._waiting_bytes = 0
        total = sum(len(part) for part in records)
        try:
            while records:
                done = os.writev(self._fd, records[:_PARTS_MAX])
                while records and done >= len(records[0]):
                    done -= len(records.pop(0))
                if done:
                    records[0] = memoryview(records[0])[done:]
        except BrokenPipeError:
            raise
        except OSError as error:
            with suppress(OSError):  # no file but a pipe: nothing to cut
                os.ftruncate(self._fd, self._whole)
            raise self._failed(error) from None
        self._whole += total

    def close(self, statistics: Statistics | None = None, *, complete: bool = True) -> None:
        """Write what waits and the end; a file that was written beside gets its name, or goes when it is incomplete."""
        if self._fd < 0:
            return
        try:
            if complete:
                self._waiting.append(self._form.trailer(statistics))
                self.flush()
        finally:
            os.close(self._fd)
            self._fd = -1
        if self._beside is not None:
            self._settle(self._beside, complete=complete)

    def _settle(self, beside: Path, *, complete: bool) -> None:
        try:
            if complete:
                beside.replace(self._final)
            else:
                beside.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error) from None
