"""Where a sensor's frames come from: an interface, or a capture file. Both look like a live capture to the loop."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from sensor.bpf_join import SocketView, socket_filter
from sensor.bpf_run import BlockFilter
from sensor.capture import LiveCapture, check_permission, has_packet_sockets, open_live
from sensor.frames import LINK_ETHERNET, LINK_RAW, LINK_SLL2, FrameBlock
from sensor.interfaces import default_route, find
from sensor.pace import Pace
from sensor.pcapfile import CaptureFile
from sensor.plan import Plan
from sensor.ring import RingShape
from synfin.config import Settings
from synfin.errors import CaptureError, UsageError

_KIB: Final = 1024
_RETIRE_MS_MAX: Final = 50


class LiveSource:
    """An interface."""

    live = True

    def __init__(self, plan: Plan, settings: Settings) -> None:
        """Find the interface and try the filter, which is all that can go wrong without privileges."""
        self._plan = plan
        self.interface = plan.interface or default_route()
        self.link: int | None = None
        latency_ms = settings["sensor.latency"] // 1_000_000
        self._timeout_s = min(0.1, max(latency_ms, 2) / 2000)
        retire_ms = max(1, min(_RETIRE_MS_MAX, latency_ms // 4))
        self._shape = RingShape(retire_ms=retire_ms)
        if plan.buffer_kib is not None:
            blocks = max(2, -(-plan.buffer_kib * _KIB // self._shape.block_bytes))
            self._shape = replace(self._shape, blocks=blocks)
        if has_packet_sockets():
            found = find(self.interface)
            self.link = found.link
            socket_filter(plan.filter or None, SocketView(found.link, plan.snaplen, plan.direction))
            check_permission(self.interface)

    def open(self) -> None:
        """Open socket and ring."""
        plan = self._plan
        self._capture: LiveCapture = open_live(
            self.interface,
            plan.filter or None,
            plan.snaplen,
            direction=plan.direction,
            promiscuous=plan.promiscuous,
            shape=self._shape,
        )
        self.link = self._capture.link

    def blocks(self) -> Iterator[FrameBlock]:
        """Blocks of the ring."""
        return self._capture.blocks(self._timeout_s)

    def now_ns(self) -> int:
        """The time by the clock that stamps the frames."""
        return time.time_ns()

    def stop(self) -> None:
        """Take nothing new."""
        self._capture.stop()

    def statistics(self) -> tuple[int, int]:
        """Ask the kernel."""
        return self._capture.statistics()

    def trouble(self) -> str | None:
        """Say that the interface was lost."""
        return self._capture.lost

    def close(self) -> None:
        """Close the capture, if it was opened."""
        if hasattr(self, "_capture"):
            self._capture.close()


def _check_filter(tried: BlockFilter) -> None:
    """Raise the UsageError of a filter that no common link type has a meaning for, before anything is opened."""
    first: UsageError | None = None
    for link in (LINK_ETHERNET, LINK_RAW, LINK_SLL2):
        try:
            tried.program(link)
        except UsageError as error:
            first = first or error
        else:
            return
    if first is not None:
        raise first


class FileSource:
    """A capture file, or standard input."""

    live = False
    link = None
    interface = ""

    def __init__(self, plan: Plan) -> None:
        assert plan.file is not None
        self._path = plan.file
        self._filter = BlockFilter(plan.filter) if plan.filter else None
        if self._filter:
            _check_filter(self._filter)
        self._file = CaptureFile("-")
        self._file.name = "standard input" if self._path == "-" else self._path
        self._pace = None if plan.speed is None else Pace(plan.speed)
        self._stopped = False

    def open(self) -> None:
        """Open the file while we may: it becomes standard input, which is read when the privileges are gone."""
        if self._path == "-":
            return
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise CaptureError(f"{self._path}: cannot be opened: {error.strerror}") from None
        os.dup2(fd, 0)
        os.close(fd)

    def blocks(self) -> Iterator[FrameBlock]:
        """Blocks of the file, as far as the filter accepts their frames, when they are due."""
        if self._pace is None:
            return self._accepted()
        return self._pace.of(self._accepted(), lambda: self._stopped)

    def _accepted(self) -> Iterator[FrameBlock]:
        for block in self._file.blocks():
            if self._stopped:
                return
            if self._filter is None:
                yield block
            else:
                yield replace(block, frames=block.frames[self._filter.mask(block)])

    def now_ns(self) -> int | None:
        """How far the file has come; None where no time passes in it but that of its frames."""
        return None if self._pace is None else self._pace.now_ns()

    def stop(self) -> None:
        """End after the block at hand."""
        self._stopped = True

    def statistics(self) -> tuple[int, int]:
        """Nothing of that kind: a file holds what it holds."""
        return 0, 0

    def trouble(self) -> str | None:
        """Say where and why the file ended before its time."""
        return self._file.torn

    def close(self) -> None:
        """Nothing is left open."""


Source = LiveSource | FileSource


def source_of(plan: Plan, settings: Settings) -> Source:
    """The source that the flags name. Raises UsageError, CaptureError and CapturePermissionError."""
    return LiveSource(plan, settings) if plan.file is None else FileSource(plan)
