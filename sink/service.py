"""The sink as a program that runs: what it reads, its loop, and how it is told to end."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from sink.consumer import Arrivals, Sink
from sink.counters import Talk
from sink.health import Status
from sink.lock import FolderLock
from sink.partition import Place
from sink.ports import AlertProducer, TopicSource
from sink.settings import SinkConfig
from synfin.clients import Broker
from synfin.errors import EXIT_INCOMPLETE, BrokerError, UsageError

log: Final = logging.getLogger("sink")

WAIT_S: Final = 0.25  # how long a signal may go unheard
LOOK_S: Final = 10.0  # between two looks at the lag
PATIENCE_S: Final = 30.0  # of a run that is to end, for a broker that is away


class Stop:
    """What signals asked for. The first SIGINT or SIGTERM asks for a drained end, the second is the end."""

    def __init__(self) -> None:
        self.since_s: float | None = None
        self.rotate = False
        self.summary = False

    def listen(self) -> None:
        """Take over the signals of this process."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)
        signal.signal(signal.SIGHUP, lambda *_: setattr(self, "rotate", True))
        signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "summary", True))

    def _end(self, number: int, _frame: Any) -> None:
        if self.since_s is not None:
            os._exit(128 + number)
        self.since_s = time.monotonic()

    def asked(self) -> bool:
        """Whether the end was asked for."""
        return self.since_s is not None

    def overdue(self) -> bool:
        """Whether it was asked for so long ago that a broker is no longer waited for."""
        return self.since_s is not None and time.monotonic() - self.since_s > PATIENCE_S


def places(config: SinkConfig, broker: Broker) -> list[Place]:
    """The topic-partitions that are asked for, which must be there; UsageError where they are not."""
    names = {suffix: config.topic(suffix) for suffix in config.topics}
    alerts = [config.topic("alerts")] if "events" in names else []
    admin = broker.admin()
    try:
        found = admin.describe([*names.values(), *alerts])
    finally:
        admin.close()
    missing = [name for name in (*names.values(), *alerts) if name not in found]
    if missing:
        raise UsageError(
            f"Kafka has no topic {', '.join(missing)}; `synfin topics --create` makes them, --prefix names others"
        )
    chosen = []
    for suffix, name in names.items():
        count = found[name].partitions
        beyond = [number for number in config.partitions or () if number >= count]
        if beyond:
            raise UsageError(f"{name} has {count} partitions, 0 to {count - 1}: --partitions asks for {max(beyond)}")
        numbers = range(count) if config.partitions is None else sorted(config.partitions)
        chosen += [Place(config.out, name, number, alerts=suffix == "events") for number in numbers]
    return chosen


class Service:
    """One run of a sink. `run` does all of it and gives the exit code."""

    def __init__(self, config: SinkConfig, broker: Broker, stop: Stop, started: Callable[[Sink, Status], None]) -> None:
        self._config = config
        self._broker = broker
        self._stop = stop
        self._started = started  # is told what there is to watch
        self._status = Status()
        self._talk = Talk(log)
        self._began_s = time.monotonic()
        self._moved_s = self._began_s  # when something came last
        self._looked_s = 0.0
        self._incomplete = False

    def run(self) -> int:
        """From the lock to the summary."""
        config = self._config
        with FolderLock(config.out):
            assigned = places(config, self._broker)
            source = TopicSource(self._broker, config.group)
            alerts = AlertProducer(self._broker, config.topic("alerts"))
            sink = Sink(assigned, config.rotation, source, alerts, self._talk)
            try:
                if "events" in config.topics:
                    alerts.open()
                sink.open()
                self._started(sink, self._status)
                log.info("reading %d partitions into %s", len(assigned), config.out)
                self._work(sink)
            finally:
                sink.close()
                source.close()
                alerts.close(1.0)
            return EXIT_INCOMPLETE if self._incomplete else sink.counters.exit_code(len(sink.gaps()))

    def _work(self, sink: Sink) -> None:
        """Read until the end, and say what came of it whatever the reason for the end."""
        try:
            self._loop(sink)
            sink.finish_files(self._give_up)
        finally:
            self._say(sink.counters.summary())
            for gap in sink.gaps():
                self._say(f"gap: {gap}")

    def _loop(self, sink: Sink) -> None:
        self._moved_s = time.monotonic()
        while not self._stop.asked():
            arrivals = sink.gather(self._config.limits, WAIT_S, self._stop.asked)
            if arrivals:
                self._moved_s = time.monotonic()
                sink.step(arrivals, self._give_up)
                self._moved_s = time.monotonic()
            self._serve_requests(sink)
            self._look(sink, arrivals)
            if self._idle() and self._at_end(sink):
                return

    def _give_up(self) -> bool:
        """Whether to wait no longer for a broker that is away: only when the run is to end. Waiting, the loop turns."""
        self._status.turned_s = time.monotonic()
        finite = self._config.once_idle_s is not None
        return self._stop.overdue() or (finite and time.monotonic() - self._moved_s > PATIENCE_S)

    def _serve_requests(self, sink: Sink) -> None:
        if self._stop.rotate:
            self._stop.rotate = False
            sink.finish_files(self._give_up)
        if self._stop.summary:
            self._stop.summary = False
            self._say(sink.counters.summary())

    def _look(self, sink: Sink, arrivals: Arrivals) -> None:
        """Keep what the health port tells."""
        status, now = self._status, time.monotonic()
        status.turned_s = now
        status.gaps = tuple(sink.gaps())
        if arrivals:
            status.seen_s = now
        if now - self._looked_s < LOOK_S:
            return
        self._looked_s = now
        try:
            lags = sink.lags()
        except BrokerError as error:
            self._talk.warn("away", f"the broker does not answer: {error}")
            return
        status.seen_s = now
        status.lags = {str(sink.logs[key].place): lag for key, lag in lags.items()}
        status.behind_s = {
            str(sink.logs[key].place): time.time() - sink.logs[key].last_ms / 1000
            if sink.logs[key].last_ms
            else now - self._began_s
            for key, lag in lags.items()
            if lag
        }

    def _idle(self) -> bool:
        idle_s = self._config.once_idle_s
        return idle_s is not None and time.monotonic() - self._moved_s >= idle_s

    def _at_end(self, sink: Sink) -> bool:
        """Nothing came for a while: say whether that is because everything was read, or no longer to be waited for."""
        overdue = time.monotonic() - self._moved_s > PATIENCE_S
        try:
            left = sum(sink.lags().values())
        except BrokerError:
            if overdue:
                raise
            return False
        if left and overdue:
            self._say(f"{left} records are there that the broker does not hand over")
            self._incomplete = True
        return overdue or not left

    @staticmethod
    def _say(text: str) -> None:
        sys.stderr.write(f"sink: {text}\n")
        sys.stderr.flush()
