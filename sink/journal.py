"""The journal of one topic-partition: how far its records are safe in files, and which files.

One small JSON object with a checksum, written beside and renamed into place, so that there is always a whole one. On
start it decides: the live file is cut to its bytes, and reading goes on at its offset.
"""

import json
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sink.files import Extent, storing
from synfin.errors import StorageError
from synfin.once import Gap, Seq

VERSION: Final = 1
SUFFIX: Final = ".journal"


@dataclass(frozen=True, slots=True)
class Journal:
    """What is known of one topic-partition at the end of a step."""

    topic: str
    partition: int
    next: int  # offset of the first record that no step has dealt with
    taken: dict[int, tuple[int, int]] = field(default_factory=dict)  # slice: (epoch, n)
    gaps: dict[int, Gap] = field(default_factory=dict)
    open_slices: frozenset[int] = frozenset()
    live: Extent | None = None  # of the file that grows
    finishing: Extent | None = None  # of a file that is written, and may not have its lasting name yet


def journal_path(folder: Path, topic: str, partition: int) -> Path:
    """Where the journal of a topic-partition lies."""
    return folder / f"{topic}-{partition}{SUFFIX}"


def encode(journal: Journal) -> bytes:
    """Write it as one line of JSON, whose last field is the CRC-32 of all before it."""
    fields = {
        "v": VERSION,
        "topic": journal.topic,
        "partition": journal.partition,
        "next": journal.next,
        "live": _extent_fields(journal.live),
        "finishing": _extent_fields(journal.finishing),
        "slices": {str(slice_): list(place) for slice_, place in journal.taken.items()},
        "gaps": {str(s): [gap.first.epoch, gap.first.n, gap.offset, gap.left] for s, gap in journal.gaps.items()},
        "open": sorted(journal.open_slices),
    }
    body = json.dumps(fields, separators=(",", ":")).encode()[:-1]
    return body + b',"crc32":%d}\n' % zlib.crc32(body)


def decode(data: bytes, topic: str, partition: int) -> Journal:
    """Read what `encode` wrote for this topic-partition; ValueError with the reason when it is anything else."""
    body, _, tail = data.rpartition(b',"crc32":')
    if not body or tail != b"%d}\n" % zlib.crc32(body):
        raise ValueError("its checksum is wrong")
    fields = json.loads(body + b"}")
    if fields["v"] != VERSION:
        raise ValueError(f"it has version {fields['v']}, and this synfin writes version {VERSION}")
    if (fields["topic"], fields["partition"]) != (topic, partition):
        raise ValueError(f"it is that of {fields['topic']}-{fields['partition']}")
    return Journal(
        topic=topic,
        partition=partition,
        next=fields["next"],
        taken={int(slice_): (epoch, n) for slice_, (epoch, n) in fields["slices"].items()},
        gaps={int(slice_): _gap(int(slice_), *numbers) for slice_, numbers in fields["gaps"].items()},
        open_slices=frozenset(fields["open"]),
        live=_extent(fields["live"]),
        finishing=_extent(fields["finishing"]),
    )


def _gap(slice_: int, epoch: int, n: int, offset: int, left: int) -> Gap:
    return Gap(Seq(slice_, epoch, n), offset, left)


def _extent_fields(extent: Extent | None) -> list[int | None] | None:
    return None if extent is None else [extent.first, extent.last, extent.bytes, extent.first_ns]


def _extent(fields: Any) -> Extent | None:
    return None if fields is None else Extent(*fields)


def load(path: Path, topic: str, partition: int) -> Journal | None:
    """Read the journal of a topic-partition, None where there is none."""
    with storing("read", path):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
    try:
        return decode(data, topic, partition)
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"the journal {path} cannot be used: {error}. Without it nobody knows what the files hold: restore it, or "
            "name another folder, which is filled from the topic anew"
        ) from error


def save(path: Path, journal: Journal) -> None:
    """Write it beside and rename it into place; the name lasts when the folder has been synced too."""
    beside = path.with_name(path.name + ".new")
    with storing("write", beside):
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            data = encode(journal)
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        beside.rename(path)
