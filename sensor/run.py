"""One run of a sensor: everything opened in its order, the loop, and an end that loses nothing.

The order is the point. What can be wrong without privileges is found first; the kernels are compiled before the ring is
there; sockets, ring, file and spool are opened as root; then root is given up, and only then a packet is parsed.
"""

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from sensor.capfile_writer import CaptureFileFormat, CaptureFileWriter, Statistics
from sensor.pipeline import TICK_S, FileOutput, Limit, Output
from sensor.plan import SNAPLEN_WHOLE, Plan
from sensor.privileges import account, drop
from sensor.sources import Source, source_of
from sensor.summary import Summary
from sensor.warm import warm
from synfin.config import Settings
from synfin.errors import EXIT_BROKER, EXIT_FAILED, EXIT_INCOMPLETE, EXIT_OK

if TYPE_CHECKING:
    from sensor.publication import Publication
    from sensor.telemetry import Telemetry


def log_to_stderr(*, verbose: bool, debug: bool) -> None:
    """Let the publisher's talk go to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s" if debug else "sensor: %(message)s"))
    if not debug:
        handler.addFilter(lambda entry: not entry.name.startswith("kafka"))  # each attempt to connect; we say it once
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO if verbose or debug else logging.WARNING)


class Signals:
    """What signals asked for: the first SIGINT or SIGTERM for a drained end, the second for the end."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.stopped = False
        self.counters = False

    def listen(self) -> None:
        """Take over the signals of this process."""
        signal.signal(signal.SIGINT, self._end)
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGUSR1, self._count)

    def _end(self, number: int, _frame: FrameType | None) -> None:
        if self.stopped:
            os._exit(128 + number)
        self.stopped = True
        self._source.stop()

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.counters = True


def _publication(plan: Plan, settings: Settings) -> "Publication | None":
    if not plan.makes_batches:
        return None
    from sensor.publication import Publication  # noqa: PLC0415  half of the memory, and -w alone does without

    return Publication(plan, settings)


def _telemetry(settings: Settings, summary: Callable[[], Summary], trouble: Callable[[], str | None]) -> "Telemetry":
    from sensor.telemetry import Telemetry  # noqa: PLC0415

    telemetry = Telemetry(summary, trouble)
    telemetry.start(settings)
    return telemetry


class Run:
    """The parts of one run, in the order in which they are opened."""

    def __init__(self, plan: Plan, settings: Settings) -> None:
        self.plan = plan
        self.settings = settings
        self.who = account(settings["sensor.user"])
        self.source = source_of(plan, settings)
        self.signals = Signals(self.source)
        snaplen = plan.snaplen if plan.file is not None and plan.snaplen < SNAPLEN_WHOLE else None
        self.limit = Limit(plan.count, snaplen)
        self.writer: CaptureFileWriter | None = None
        self.publication = _publication(plan, settings)
        self.telemetry: Telemetry | None = None

    def open(self) -> None:
        """Compile; open what needs privileges; give them up; open the rest."""
        warm(self.plan)
        if self.publication is not None:
            self.publication.warm()
        self.source.open()
        self.writer = self._open_writer()
        if self.publication is not None:
            self.publication.open(self.who)
        if self.who is not None:
            self._say(drop(self.who))
        if self.publication is not None:
            self.publication.start()
            self.telemetry = _telemetry(self.settings, self.summary, self.publication.trouble)

    def _open_writer(self) -> CaptureFileWriter | None:
        plan, source = self.plan, self.source
        if plan.write is None:
            return None
        form = CaptureFileFormat(plan.classic, plan.snaplen, source.interface, plan.filter)
        # A file that is written beside is renamed at the end, when the folder's owner is no longer who we are.
        beside = plan.file is not None and plan.write != "-" and self.who is None
        writer = CaptureFileWriter(plan.write, form, source.link, unbuffered=plan.unbuffered, beside=beside)
        writer.open()
        return writer

    def outputs(self) -> list[Output]:
        """What takes the frames."""
        outputs: list[Output] = [] if self.writer is None else [FileOutput(self.writer)]
        return outputs if self.publication is None else [*outputs, self.publication.output]

    def loop(self) -> None:
        """Take blocks until there are no more, or no more are wanted."""
        outputs, source, limit = self.outputs(), self.source, self.limit
        ticked = time.monotonic()
        for block in source.blocks():
            if len(block):
                wanted = limit.cut(block)
                dropped = source.statistics()[1]
                for output in outputs:
                    output.take(wanted, dropped)
                if limit.reached:
                    source.stop()
                    break
            now = time.monotonic()
            if now - ticked >= TICK_S:
                ticked = now
                self._tick(outputs, source.now_ns())
            self._answer()

    def _tick(self, outputs: list[Output], now_ns: int | None) -> None:
        if self.telemetry is not None:
            self.telemetry.turn()
        if now_ns is not None:
            for output in outputs:
                output.tick(now_ns)
        if self.publication is not None:
            self.publication.check()

    def _answer(self) -> None:
        """Print the counters when SIGUSR1 asked for them."""
        if self.signals.counters:
            self.signals.counters = False
            self._print(self.summary(), to_stdout=False)

    def finish(self) -> int:
        """Hand on what is open and close the file; the count of batches that were not delivered."""
        received, dropped = self.source.statistics()
        if self.writer is not None:
            statistics = Statistics(time.time_ns(), self.limit.captured, received, dropped)
            self.writer.close(statistics if self.source.live else None)
        if self.publication is None:
            return 0
        cut_short = self.source.live or self.signals.stopped or self.limit.reached
        return self.publication.finish(whole_file=not cut_short)

    def abandon(self) -> None:
        """Close what is still open, after an error too."""
        if self.telemetry is not None:
            self.telemetry.stop()
        self.source.close()
        if self.writer is not None:
            self.writer.close(complete=False)
        if self.publication is not None:
            self.publication.clean_up()

    def summary(self) -> Summary:
        """Counters of this moment."""
        received, dropped = self.source.statistics()
        part = self.publication
        if part is None:
            return Summary(self.limit.captured, received, dropped, self.source.live)
        published = part.kafka.publisher.counters if part.kafka else None
        dissected, own = part.dissector.counters, part.own.packets
        return Summary(self.limit.captured, received, dropped, self.source.live, own, published, dissected)

    def _say(self, text: str) -> None:
        if not self.plan.quiet:
            sys.stderr.write(f"sensor: {text}\n")

    def _print(self, summary: Summary, *, to_stdout: bool) -> None:
        if self.plan.as_json:
            (sys.stdout if to_stdout else sys.stderr).write(json.dumps(summary.as_json()) + "\n")
        else:
            sys.stderr.write("".join(f"{line}\n" for line in summary.lines()))
        sys.stderr.flush()

    def greet(self) -> None:
        """Say what is captured and where it goes, as tcpdump does."""
        where = [self.plan.write] if self.plan.write else []
        if self.plan.publishes:
            where.append(f"{self.settings['topics.packets']} at {','.join(self.settings['kafka.brokers'])}")
        if self.source.live:
            bound = f"snapshot length {self.plan.snaplen} bytes"
            self._say(f"listening on {self.source.interface}, {bound}, to {' and '.join(where) or 'nowhere'}")

    def end(self, undelivered: int) -> int:
        """Print the summary; the exit code."""
        summary = self.summary()
        self._print(summary, to_stdout=True)
        trouble = self.source.trouble()
        if trouble:
            sys.stderr.write(f"sensor: {trouble}\n")
            if self.source.live:
                return EXIT_FAILED
        if undelivered and not self.source.live:
            why = self.publication.trouble() if self.publication else None
            where = ",".join(self.settings["kafka.brokers"])
            sys.stderr.write(
                f"sensor: {undelivered} batches were not delivered to {where}: {why or 'no acknowledgment came'}\n"
            )
            return EXIT_BROKER
        lost = summary.published.dropped.batches if summary.published else 0
        return EXIT_INCOMPLETE if trouble or summary.dropped or lost else EXIT_OK


def run_sensor(plan: Plan, settings: Settings) -> int:
    """Run a sensor from its flags to its exit code."""
    run = Run(plan, settings)
    try:
        run.open()
        run.signals.listen()
        run.greet()
        run.loop()
        return run.end(run.finish())
    finally:
        run.abandon()
