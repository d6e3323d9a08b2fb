"""Which packets of captures pass a filter."""

import contextlib
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from sensor.frames import FrameBlock
from sensor.pcapfile import CaptureFile
from synfin.errors import UsageError
from synfin.filter.fields import Analysis, Field, Option, Stream
from synfin.filter.masks import mask
from synfin.filter.tree import Filter
from synfin.filter.values import Mask
from synfin.packets.streams import Streams
from synfin.packets.table import Context, PacketTable

_ENDS: Final = ("tcp.completeness", "tcp.analysis.initial_rtt")  # what only the end of a capture tells


def needs_streams(fields: Iterable[Field]) -> bool:
    """Whether connections must be followed for these fields."""
    return any(
        isinstance(field.source, Stream | Analysis) or (isinstance(field.source, Option) and field.source.relative)
        for field in fields
    )


def needs_the_end(fields: Iterable[Field]) -> bool:
    """Whether one of these fields is known after the last packet only."""
    return any(field.name in _ENDS for field in fields)


TWICE: Final = f"{' and '.join(_ENDS)} take two readings"


def read_again(path: str, why: str) -> None:
    """Raise UsageError where a capture can be read once only: standard input, and pipes that have a name."""
    if path == "-":
        raise UsageError(f"{why}, so it cannot be standard input")
    with contextlib.suppress(OSError):  # opening tells what is wrong
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise UsageError(f"{why}, so it cannot be {path}, which is no regular file")


def finals(path: str) -> Streams:
    """The streams of a capture after its last packet."""
    context = Context()
    for block in CaptureFile(path).blocks():
        context.table(block, streams=True)
    return context.streams


class Tables:
    """The tables of captures that are read block by block, one capture after the other."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self._fields = tuple(fields)
        self._streams = needs_streams(self._fields)
        self._path: str | None = None
        self._context = Context()

    def of(self, path: str, block: FrameBlock) -> PacketTable:
        """The table of a capture's next block; the first block of a capture begins it anew."""
        if self._path != path or not block.first_frame:
            self._path = path
            twice = needs_the_end(self._fields)
            if twice:
                read_again(path, TWICE)
            self._context = Context(finals(path) if twice else None)
        return self._context.table(block, streams=self._streams)


class Selection:
    """A filter over the packets of captures."""

    def __init__(self, made: Filter) -> None:
        self._made = made
        self._tables = Tables(made.fields)

    def mask(self, path: str, block: FrameBlock) -> Mask:
        """Which frames of a capture's next block pass."""
        return mask(self._made, self._tables.of(path, block))


def tables(path: str, fields: Iterable[Field]) -> Iterator[tuple[FrameBlock, PacketTable]]:
    """The blocks of a capture with their tables."""
    made = Tables(fields)
    for block in CaptureFile(path).blocks():
        yield block, made.of(path, block)
