"""Packets of captures into a capture file: `synfin read -w`."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sensor.capfile_writer import CaptureFileFormat, CaptureFileWriter
from sensor.frames import FrameBlock
from sensor.pcapfile import CaptureFile
from synfin.errors import UsageError
from synfin.filter.values import Mask

FrameChoice = Callable[[str, FrameBlock], Mask]  # which frames of a capture's next block


@dataclass(slots=True)
class Copied:
    """How many packets were read and written, and what was wrong with files that ended before their time."""

    read: int
    written: int
    torn: list[str]


def copy(paths: list[str], to: str, choice: FrameChoice | None) -> Copied:
    """Write the chosen frames of captures, one after the other, with their times, lengths, directions and interfaces.

    The file gets its name when it is complete. CaptureError, and UsageError for classic pcap with what it cannot hold.
    """
    done, names = Copied(0, 0, []), list[str]()
    classic = to.endswith(".pcap")
    if _has_a_name(to):
        to = os.path.realpath(to)  # a link goes on naming the file that is written
    writer = CaptureFileWriter(to, CaptureFileFormat(classic, interfaces=names), None, beside=_has_a_name(to))
    writer.open()
    complete = False
    try:
        for path in paths:
            _copy_one(CaptureFile(path), writer, (names, choice), done)
        complete = True
    finally:
        writer.close(complete=complete)
    done.written = writer.frames
    return done


def _copy_one(
    capture: CaptureFile, writer: CaptureFileWriter, how: tuple[list[str], FrameChoice | None], done: Copied
) -> None:
    names, choice = how
    first = len(names)
    for block in capture.blocks():
        names[first:] = capture.interfaces or [""]
        frames = block.frames[choice(capture.path, block)] if choice else block.frames.copy()
        if first and len(frames):
            frames["interface"] = np.minimum(frames["interface"].astype(np.uint32) + first, 0xFFFF)
        writer.write(replace(block, frames=frames))
        done.read += len(block)
    done.torn += [capture.torn] if capture.torn else []


def _has_a_name(path: str) -> bool:
    """Whether a file can be written beside and renamed: not standard output, nor what is there and no regular file."""
    if path == "-":
        return False
    with suppress(OSError):
        return stat.S_ISREG(Path(path).stat().st_mode)
    return True


def check_target(path: str) -> None:
    """Refuse a target of no name. UsageError."""
    if not path or Path(path).is_dir():
        raise UsageError(f"-w {path}: a file is wanted")
