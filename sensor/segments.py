"""A queue of batches on disk: bounded, in order, every record with its checksum.

The records lie in files named by the index of their first record. A record is

    crc32c u32 | length u32 | rows u32 | partition u16 | partitions u16 | index u64 | the batch's bytes

little-endian, the checksum over all that follows it; indices are consecutive. The file `head` holds the first index
that was not acknowledged. Nothing is synced before the end: a killed process loses nothing by that, and a host that
loses its power some seconds.

When the queue is full its oldest file goes: what is lost is one stretch, and not a hole here and there.
"""

import errno
import os
import struct
from array import array
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from crc32c import crc32c

RECORD: Final = struct.Struct("<IIIHHQ")
HEAD: Final = struct.Struct("<QI")  # index, crc32c of its bytes
FILE_MAX_BYTES: Final = 8 << 20
FILES_MIN: Final = 16  # so that a small queue does not lose half of itself at once
SUFFIX: Final = ".batches"


class Entry(NamedTuple):
    """One batch as it is sent."""

    partition: int
    partitions: int
    rows: int
    data: bytes


@dataclass(slots=True)
class Tally:
    """How many batches, and how many packets in them."""

    batches: int = 0
    packets: int = 0

    def add(self, packets: int, batches: int = 1) -> None:
        """Count `batches` that hold `packets` together; both may be negative."""
        self.batches += batches
        self.packets += packets


@dataclass(slots=True)
class _File:
    """`sizes` in bytes and `rows` of its records, the first of which has the index `first`; 8 bytes a record."""

    path: Path
    first: int
    sizes: "array[int]" = field(default_factory=lambda: array("I"))
    rows: "array[int]" = field(default_factory=lambda: array("I"))
    bytes: int = 0

    @property
    def end(self) -> int:
        return self.first + len(self.sizes)

    def note(self, size: int, rows: int) -> None:
        """Add one record at the end."""
        self.sizes.append(size)
        self.rows.append(rows)
        self.bytes += size

    def offset(self, index: int) -> int:
        """Where the record with this index begins."""
        return sum(self.sizes[: index - self.first])

    def since(self, index: int) -> tuple[int, int]:
        """(packets, batches) of the records from this index on."""
        rows = self.rows[max(0, index - self.first) :]
        return sum(rows), len(rows)


def _pack(entry: Entry, index: int) -> bytes:
    """Head of a record."""
    rest = RECORD.pack(0, len(entry.data), entry.rows, entry.partition, entry.partitions, index)[4:]
    return int(crc32c(entry.data, crc32c(rest))).to_bytes(4, "little") + rest


def _unpack(head: bytes, data: bytes, index: int) -> Entry | None:
    """The entry of a record, None when a byte of it is wrong."""
    if len(head) < RECORD.size:
        return None
    crc, length, rows, partition, partitions, found = RECORD.unpack(head)
    if found != index or length != len(data) or crc32c(data, crc32c(head[4:])) != crc:
        return None
    return Entry(partition, partitions, rows, data)


def _scan(path: Path, first: int, whole: bool, layouts: set[int]) -> _File:
    """Find the records of a file by their heads; `whole` verifies them too, and stops before the first that is torn.

    Adds the partition counts of the records to `layouts`.
    """
    found = _File(path, first)
    with path.open("rb") as file:
        limit = os.fstat(file.fileno()).st_size
        while len(head := file.read(RECORD.size)) == RECORD.size:
            _, length, rows, _, partitions, index = RECORD.unpack(head)
            size = RECORD.size + length
            if index != found.end or found.bytes + size > limit:
                break
            if whole and _unpack(head, file.read(length), index) is None:
                break
            found.note(size, rows)
            layouts.add(partitions)
            file.seek(found.bytes)
    return found


class Segments:
    """The queue in `folder`, at most `max_bytes`. Opens at once; not for several threads.

    Indices: `head` <= `taken` <= `end`. What lies before `head` is acknowledged, from `taken` on nobody has read it.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.dropped = Tally()  # never taken: the queue was full, or a record was damaged
        self.waiting = Tally()  # from `taken` on
        self.bytes = 0
        self.layouts: set[int] = set()  # partition counts by which the batches are sorted; some may have gone
        self._file_bytes = max(1, min(FILE_MAX_BYTES, max_bytes // FILES_MIN))
        self._files: deque[_File] = deque()
        self._write_fd = -1
        self._read_fd = -1
        self._reading: _File | None = None
        self._read_at = 0  # offset in _reading of the record _read_next
        self._read_next = -1
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._head_fd = os.open(folder / "head", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.head = self.end = self._saved_head()
        self._recover()
        self.taken = self.head
        self.waiting = self._unread()

    def _saved_head(self) -> int:
        saved = os.pread(self._head_fd, HEAD.size, 0)
        if len(saved) < HEAD.size:
            return 0
        index, crc = HEAD.unpack(saved)
        return int(index) if crc32c(saved[:8]) == crc else 0

    def _recover(self) -> None:
        """Find the files of a run before. Only the last can be torn, and it is cut; none is appended to."""
        paths = sorted(self.folder.glob(f"*{SUFFIX}"))
        for path in paths:
            found = _scan(path, int(path.stem), whole=path is paths[-1], layouts=self.layouts)
            if path is paths[-1]:
                os.truncate(path, found.bytes)
            if found.sizes and found.end > self.head:
                self._files.append(found)
                self.bytes += found.bytes
            else:
                path.unlink()
        if self._files:
            self.head = max(self.head, self._files[0].first)
            self.end = self._files[-1].end

    def _unread(self) -> Tally:
        tally = Tally()
        for file in self._files:
            tally.add(*file.since(self.taken))
        return tally

    def has_room(self, data_bytes: int) -> bool:
        """Whether a batch of this size can be appended without dropping another."""
        return self.bytes + RECORD.size + data_bytes <= self.max_bytes

    def append(self, entry: Entry, taken: bool = False) -> int:
        """Append a batch and return its index. `taken`: the caller has it, and everything before it was taken.

        Drops the oldest file while there is no room. OSError when the disk does not take it: nothing was appended then.
        """
        while self._files and not self.has_room(len(entry.data)):
            self.drop_oldest()
        file = self._file_for(RECORD.size + len(entry.data))
        index, head = self.end, _pack(entry, self.end)
        size = len(head) + len(entry.data)
        if os.writev(self._write_fd, [head, entry.data]) != size:
            os.ftruncate(self._write_fd, file.bytes)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file.path))
        file.note(size, entry.rows)
        self.bytes += size
        self.layouts.add(entry.partitions)
        self.end += 1
        if taken:
            assert self.taken == index, "something before it was not taken"
            self.taken = self.end
        else:
            self.waiting.add(entry.rows)
        return index

    def _file_for(self, size: int) -> _File:
        """The file to write to: the last, or a new one where it is full."""
        if self._write_fd >= 0 and self._files and self._files[-1].bytes + size <= self._file_bytes:
            return self._files[-1]
        self._stop_writing()
        path = self.folder / f"{self.end:020d}{SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        self._write_fd = os.open(path, flags, 0o600)
        self._files.append(_File(path, self.end))
        self._free()  # the one before it may have waited only for this
        return self._files[-1]

    def _stop_writing(self) -> None:
        if self._write_fd >= 0:
            os.close(self._write_fd)
            self._write_fd = -1

    def drop_oldest(self) -> None:
        """Drop the oldest file. What was taken of it, acknowledged or not, is in somebody's hands and not counted."""
        if not self._files:
            return
        if len(self._files) == 1:
            self._stop_writing()
        file = self._files.popleft()
        self._lose(file)
        self.bytes -= file.bytes
        self.head = max(self.head, file.end)
        file.path.unlink(missing_ok=True)

    def _lose(self, file: _File) -> None:
        """Count what nobody has taken of a file as dropped, and go on behind it."""
        packets, batches = file.since(self.taken)
        self.dropped.add(packets, batches)
        self.waiting.add(-packets, -batches)
        self.taken = max(self.taken, file.end)

    def take(self) -> tuple[int, Entry] | None:
        """The next batch with its index, None when all were taken. A damaged one is lost with the rest of its file."""
        while self.taken < self.end:
            file = self._file_at(self.taken)
            if file is None:
                continue
            size = file.sizes[self.taken - file.first]
            record = os.pread(self._read_fd, size, self._read_at)
            entry = _unpack(record[: RECORD.size], record[RECORD.size :], self.taken)
            if entry is None:
                self._lose(file)
                continue
            self._read_at += size
            self.taken += 1
            self._read_next = self.taken
            self.waiting.add(-entry.rows, -1)
            return self.taken - 1, entry
        return None

    def _file_at(self, index: int) -> _File | None:
        """The file that holds a record, opened for reading at it; None when there was none, and `taken` went on."""
        if self._reading is None or not self._reading.first <= index < self._reading.end:
            file = next(file for file in self._files if file.end > index)
            if file.first > index:  # a file before it was cut, or somebody removed one; how many rows is unknown
                self.dropped.add(0, file.first - index)
                self.taken = file.first
                return None
            if self._read_fd >= 0:
                os.close(self._read_fd)
            self._read_fd = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
            self._reading, self._read_next = file, -1
        if self._read_next != index:  # some were taken without reading, or are taken again
            self._read_next, self._read_at = index, self._reading.offset(index)
        return self._reading

    def rewind(self) -> None:
        """Take again from the first that was not acknowledged."""
        self.taken = self.head
        self.waiting = self._unread()

    def acknowledge(self, index: int) -> None:
        """Note that everything before `index` is acknowledged, and remove the files that nobody needs."""
        if index <= self.head:
            return
        assert index <= self.taken, "what was not taken cannot be acknowledged"
        self.head = index
        saved = index.to_bytes(8, "little")
        os.pwrite(self._head_fd, saved + int(crc32c(saved)).to_bytes(4, "little"), 0)
        self._free()

    def _free(self) -> None:
        while self._files and self._files[0].end <= self.head and (len(self._files) > 1 or self._write_fd < 0):
            file = self._files.popleft()
            self.bytes -= file.bytes
            file.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Sync what is left, or remove the last file where all of it is acknowledged."""
        if self._write_fd >= 0:
            os.fsync(self._write_fd)
        self._stop_writing()
        self._free()
        for descriptor in (self._read_fd, self._head_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self._read_fd = self._head_fd = -1
