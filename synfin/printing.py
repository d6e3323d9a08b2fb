"""Records on standard output: JSON lines as they come, or lines for a person."""

import sys
import time
from dataclasses import replace
from itertools import islice
from typing import Final, Protocol

import orjson

from synfin.view.flow_text import FlowText
from synfin.view.style import style_for
from synfin.wire.event import Records
from synfin.wire.jsonl import Lines, Room, event_lines, flow_lines

ALIGNED: Final = 256  # lines that are aligned with one another, and held at a time
TOGETHER: Final = 256  # records whose lines are written at a time: they stay in the cache until they are copied out
BAR: Final = 30  # characters
BAR_EVERY_S: Final = 0.2


class Printer(Protocol):
    """Something that records go to."""

    def take(self, records: Records) -> None:
        """Print what of them is wanted."""

    def rehearse(self, records: Records) -> None:
        """Compile what `take` will need, and print nothing."""

    def finish(self) -> None:
        """Print what was kept back."""


class JsonPrinter:
    """One JSON object a line, in the order of writing."""

    def __init__(self, *, events: bool) -> None:
        self._events = events
        self._room = Room()

    def take(self, records: Records) -> None:
        """Write the lines."""
        rows = records.events if self._events else records.flows
        for first in range(0, len(rows), TOGETHER):
            some = rows[first : first + TOGETHER]
            part = replace(records, events=some) if self._events else replace(records, flows=some)
            _write((event_lines if self._events else flow_lines)(part, self._room))

    def rehearse(self, records: Records) -> None:
        """Render the lines for nobody."""
        (event_lines if self._events else flow_lines)(records)

    def finish(self) -> None:
        """Nothing was kept back."""


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

    def finish(self) -> None:
        """Write them in their order."""
        self._kept.sort(key=lambda item: item[0])
        sys.stdout.buffer.writelines(value + b"\n" for _, value in self._kept)


class TextPrinter:
    """One line a connection for a person."""

    def __init__(self) -> None:
        self._text = FlowText(style_for(sys.stdout))
        self._begun = False

    def take(self, records: Records) -> None:
        """Print a line for each flow."""
        values = flow_lines(records).values()
        while chosen := [orjson.loads(value) for value in islice(values, ALIGNED)]:
            lines = list(self._text.lines(chosen))
            if not self._begun:
                print(self._text.header())
                self._begun = True
            print("\n".join(lines), flush=True)

    def rehearse(self, records: Records) -> None:
        """Render the lines for nobody."""
        flow_lines(records)

    def finish(self) -> None:
        """Say so when there was nothing."""
        if not self._begun:
            sys.stderr.write("no TCP connection\n")


def _write(lines: Lines) -> None:
    if len(lines):
        sys.stdout.buffer.write(lines.buffer.data)
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
