"""JSONL files of one topic-partition: one that grows, `*.jsonl.live`, and those that are finished.

Names tell where the lines came from: `TOPIC-PARTITION-FIRST.jsonl.live` while it grows, with the first record's
offset, and `TOPIC-PARTITION-FIRST-LAST.jsonl` for ever after. Offsets have 20 digits, as in Kafka's own log, so that
names sort. What is in a file counts only as far as the journal says; behind that it may be torn.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from synfin.errors import StorageError, StoragePermissionError

LIVE_SUFFIX: Final = ".jsonl.live"
CLOSED_SUFFIX: Final = ".jsonl"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def storing(act: str, path: Path) -> Iterator[None]:
    """Turn an OSError into one that says what could not be done, where, and what to do about it."""
    try:
        yield
    except OSError as error:
        why = f"cannot {act} {path}: {error.strerror or error}"
        if error.errno in _FULL:
            raise StorageError(f"{why}; free space there and start again: nothing acknowledged is lost") from error
        if error.errno in _FORBIDDEN:
            raise StoragePermissionError(f"{why}; let this user write there, or name another folder") from error
        raise StorageError(f"{why}; when that is repaired, start again: nothing acknowledged is lost") from error


def sync_folder(folder: Path) -> None:
    """Make names that were given, changed or taken in this folder outlive a power loss."""
    with storing("fsync", folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, so that it outlives a power loss."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    with storing("make the folder", folder):
        folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


@dataclass(frozen=True, slots=True)
class Extent:
    """What a file holds: this is what the journal remembers of it."""

    first: int  # offsets of its first and last record
    last: int
    bytes: int
    first_ns: int | None  # event time of its first record, None when that told none


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is finished: by the record with which it reaches either, whatever time the wall clock shows."""

    bytes_max: int
    age_ns_max: int  # of event time, since the file's first record

    def due(self, size: int, first_ns: int | None, event_ns: int | None) -> bool:
        """Say whether a file of this size is to be finished, now that it holds a record of this event time."""
        if size >= self.bytes_max:
            return True
        if event_ns is None or first_ns is None:
            return False
        return event_ns - first_ns >= self.age_ns_max


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the files of one topic-partition, all in one folder."""

    folder: Path
    topic: str
    partition: int

    @property
    def stem(self) -> str:
        """What all of them begin with."""
        return f"{self.topic}-{self.partition}"

    def live(self, first: int) -> Path:
        """Path of the file that grows."""
        return self.folder / f"{self.stem}-{first:020d}{LIVE_SUFFIX}"

    def closed(self, extent: Extent) -> Path:
        """Path of the finished file."""
        return self.folder / f"{self.stem}-{extent.first:020d}-{extent.last:020d}{CLOSED_SUFFIX}"

    def found(self) -> list[Path]:
        """List the files that are there, growing and finished, by name."""
        own = re.compile(re.escape(self.stem) + r"-[0-9]{20}(-[0-9]{20}\.jsonl|\.jsonl\.live)")
        with storing("list", self.folder):
            return sorted(path for path in self.folder.iterdir() if own.fullmatch(path.name))


class LiveFile:
    """The file that grows. `append` then `sync`; a name that is new is made to last by `sync` too."""

    def __init__(self, path: Path, size: int, *, new: bool) -> None:
        self.path = path
        self.size = size
        self._new = new
        self._descriptor = -1

    def open(self) -> None:
        """Create it, or open it and cut off what stands behind `size`."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if self._new else 0)
        there = 0 if self._new or not self.path.exists() else self.path.stat().st_size
        if there < self.size:
            raise StorageError(
                f"{self.path} has {there} bytes and its journal says {self.size}: it was changed, or the disk lost "
                "what it had confirmed; restore it, or name another folder, which is filled from the topic anew"
            )
        with storing("open", self.path):
            self._descriptor = os.open(self.path, flags, 0o644)
        if there > self.size:
            with storing("cut", self.path):
                os.ftruncate(self._descriptor, self.size)

    def append(self, data: bytes) -> None:
        """Write all of it; after an error the file may be torn, which the next start repairs."""
        view = memoryview(data)
        with storing("write", self.path):
            while view:
                written = os.write(self._descriptor, view)
                self.size += written
                view = view[written:]

    def sync(self) -> None:
        """Make the bytes and the name outlive a power loss."""
        with storing("fsync", self.path):
            os.fsync(self._descriptor)
            gone = os.fstat(self._descriptor).st_nlink == 0
        if gone:
            raise StorageError(
                f"{self.path} was deleted while it grew; name another folder, which is filled from the topic anew"
            )
        if self._new:
            sync_folder(self.path.parent)
            self._new = False

    def close(self) -> None:
        """Let go of it; its name stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def finish(live: Path, closed: Path) -> None:
    """Give a file that is written and synced its lasting name."""
    with storing("rename", live):
        live.rename(closed)
    sync_folder(closed.parent)
