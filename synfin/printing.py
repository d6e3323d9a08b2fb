"""Records on standard output: JSON lines as they come, or lines for a person."""

import sys
import time
from dataclasses import replace
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from synfin.view.flow_text import ALIGNED, FlowText
from synfin.view.style import style_for
from synfin.wire.event import FLOW_RECORD, Records
from synfin.wire.jsonl import Room, event_lines, flow_lines

# Records whose lines are written at a time: some 600 kB, which stay in the cache until they are copied out.
FLOWS_TOGETHER: Final = 256
EVENTS_TOGETHER: Final = 1024
BAR: Final = 30  # characters
BAR_EVERY_S: Final = 0.2


class Printer(Protocol):
    """Something that records go to."""

    def take(self, records: Records) -> None:
        """Print what of them is wanted, or keep it until there is more."""

    def rehearse(self, records: Records) -> None:
        """Compile what `take` will need, and print nothing."""

    def flush(self) -> None:
        """Print what was kept to be printed with what comes."""

    def finish(self) -> None:
        """Print all that was kept."""


class JsonPrinter:
    """One JSON object a line, in the order of writing."""

    def __init__(self, *, events: bool) -> None:
        self._events = events
        self._room = Room()

    def take(self, records: Records) -> None:
        """Write the lines."""
        if self._events:
            for first in range(0, len(records.events), EVENTS_TOGETHER):
                some = records.events[first : first + EVENTS_TOGETHER]
                _write(event_lines(replace(records, events=some), self._room).buffer)
        else:
            for first in range(0, len(records.flows), FLOWS_TOGETHER):
                some = records.flows[first : first + FLOWS_TOGETHER]
                _write(flow_lines(replace(records, flows=some), self._room).buffer)

    def rehearse(self, records: Records) -> None:
        """Render the lines for nobody."""
        (event_lines if self._events else flow_lines)(records)

    def flush(self) -> None:
        """Nothing was kept."""

    def finish(self) -> None:
        """Nothing was kept."""


class SortedPrinter:
    """JSON lines of flows by the time of their first packet; all are kept until the end."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, bytes]] = []

    def take(self, records: Records) -> None:
        """Keep the lines."""
        self._kept += zip(records.flows["start_ns"].tolist(), flow_lines(records).values(), strict=True)

    def rehearse(self, records: Records) -> None:
        """Render the lines for nobody."""
        flow_lines(records)

    def flush(self) -> None:
        """Nothing can be written before the last has come."""

    def finish(self) -> None:
        """Write them in their order."""
        self._kept.sort(key=lambda item: item[0])
        sys.stdout.buffer.writelines(value + b"\n" for _, value in self._kept)


class TextPrinter:
    """One line a connection for a person, some hundred aligned with one another; `nothing` is said of none."""

    def __init__(self, nothing: str = "no TCP connection") -> None:
        self._nothing = nothing
        self._text = FlowText(style_for(sys.stdout))
        self._held = np.zeros(ALIGNED, FLOW_RECORD)
        self._n = 0
        self._begun = False

    def take(self, records: Records) -> None:
        """Hold the flows, and print when there are enough."""
        taken = 0
        while taken < len(records.flows):
            some = records.flows[taken : taken + ALIGNED - self._n]
            held = self._held[self._n : self._n + len(some)]
            held.view(np.uint8)[:] = some.view(np.uint8)  # as bytes: numpy copies a record field by field
            self._n += len(some)
            taken += len(some)
            if self._n == ALIGNED:
                self.flush()

    def rehearse(self, records: Records) -> None:
        """Render the lines for nobody."""
        FlowText(style_for(sys.stdout)).lines(records.flows)

    def flush(self) -> None:
        """Print the lines."""
        held, self._n = self._held[: self._n], 0
        if not len(held):
            return
        lines = self._text.lines(held)
        if not self._begun:
            sys.stdout.buffer.write(self._text.header().encode() + b"\n")
            self._begun = True
        _write(lines)

    def finish(self) -> None:
        """Print what was kept back; say so when there was nothing."""
        self.flush()
        if not self._begun:
            sys.stderr.write(f"{self._nothing}\n")


def _write(lines: npt.NDArray[np.uint8]) -> None:
    if len(lines):
        sys.stdout.buffer.write(lines.data)
        sys.stdout.buffer.flush()


class Progress:
    """A bar on standard error, when that is a terminal and standard output is not, and the input has an end."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty() and not sys.stdout.isatty()
        self._next_s = time.monotonic() + BAR_EVERY_S

    def show(self, done: int, size: int | None) -> None:
        """Draw the bar anew when it is time."""
        now_s = time.monotonic()
        if not self._shown or not size or now_s < self._next_s:
            return
        self._next_s = now_s + BAR_EVERY_S
        full = BAR * min(done, size) // size
        sys.stderr.write(f"\r[{'#' * full}{'.' * (BAR - full)}] {100 * done // size:3d} %")
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the bar away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
