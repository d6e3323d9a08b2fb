"""The sink: takes records from their topics in steps, each of which is safe before the next begins.

The way of a step: lines are written and fsynced, alerts acknowledged, journals renamed into place, finished files
renamed, and last the offsets committed, which only shows the lag to others: on start the journals alone decide.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from sink.alerts import AlertPort
from sink.counters import Counters, Talk
from sink.files import Rotation, sync_folder
from sink.partition import JOURNALS, PartitionLog, Place, Record
from sink.settings import StepLimits
from synfin.errors import BrokerError

Key = tuple[str, int]  # topic, partition
Arrivals = Mapping[Key, Sequence[Record]]  # in the order of offsets


class Source(Protocol):
    """Where records come from."""

    def bounds(self, keys: Sequence[Key]) -> Mapping[Key, tuple[int, int]]:
        """First offset that is still there, and the one behind the last; BrokerError when nobody answers in time."""

    def assign(self, offsets: Mapping[Key, int]) -> None:
        """Read these from these offsets on."""

    def poll(self, wait_s: float) -> Arrivals:
        """What has come, waiting so long at most for the first."""

    def commit(self, offsets: Mapping[Key, int]) -> None:
        """Show how far we are; BrokerError when nobody answers in time."""


class Sink:
    """The logs of all assigned topic-partitions, and the step over them."""

    def __init__(
        self, places: Sequence[Place], rotation: Rotation, source: Source, alerts: AlertPort, talk: Talk
    ) -> None:
        self.counters = Counters()
        self.logs = {(p.topic, p.partition): PartitionLog(p, rotation, self.counters, talk) for p in places}
        self._folder: Path = places[0].out / JOURNALS
        self._source = source
        self._alerts = alerts
        self._talk = talk
        self._failed: BrokerError | None = None  # how the source failed

    def open(self) -> None:
        """Bring all files to what their journals say, and begin to read there."""
        bounds = self._source.bounds(list(self.logs))
        self._source.assign({key: log.open(*bounds[key]) for key, log in self.logs.items()})

    def gather(self, limits: StepLimits, wait_s: float, stopping: Callable[[], bool]) -> Arrivals:
        """Collect what one step is to hold; empty when nothing came within `wait_s`.

        A source that fails is not asked again: what came before is returned, and the next call raises.
        """
        gathered: dict[Key, list[Record]] = {}
        size, until = 0, time.monotonic() + wait_s
        while True:
            try:
                arrivals = self._poll(max(0.0, min(until - time.monotonic(), wait_s)))
            except BrokerError as error:
                if not gathered:
                    raise
                self._failed = error
                return gathered
            for key, records in arrivals.items():
                if not gathered:
                    until = time.monotonic() + limits.age_s_max
                gathered.setdefault(key, []).extend(records)
                size += sum(len(record.value or b"") for record in records)
            if stopping() or size >= limits.bytes_max or time.monotonic() >= until:
                return gathered

    def _poll(self, wait_s: float) -> Arrivals:
        if self._failed is not None:
            raise self._failed
        return self._source.poll(wait_s)

    def step(self, arrivals: Arrivals, give_up: Callable[[], bool] = lambda: False) -> None:
        """Make everything that arrived safe. A file that is due ends a round, and the rest follows in the next."""
        waiting = {key: records for key, records in arrivals.items() if records}
        while waiting:
            logs = [self.logs[key] for key in waiting]
            used = {key: self.logs[key].take(records) for key, records in waiting.items()}
            self._settle(logs, give_up)
            waiting = {key: records[used[key] :] for key, records in waiting.items() if used[key] < len(records)}
        self._commit([self.logs[key] for key, records in arrivals.items() if records])

    def finish_files(self, give_up: Callable[[], bool] = lambda: False) -> None:
        """Finish all live files now."""
        for log in self.logs.values():
            log.finish_file()
        self._settle([log for log in self.logs.values() if log.due], give_up)

    def _settle(self, logs: Sequence[PartitionLog], give_up: Callable[[], bool]) -> None:
        for log in logs:
            log.sync()
        self._await_alerts(logs, give_up)
        for log in logs:
            log.keep()
        if logs:
            sync_folder(self._folder)
        for log in logs:
            log.rotate()
        self.counters.steps += 1

    def _await_alerts(self, logs: Sequence[PartitionLog], give_up: Callable[[], bool]) -> None:
        """While the broker is away nothing moves on, for as long as nobody asks us to end."""
        alerts = [alert for log in logs for alert in log.alerts]
        for alert in alerts:
            self._alerts.send(alert)
        while alerts and (open_ := self._alerts.unacknowledged(0.5)):
            text = f"alerts that the broker has not acknowledged: {open_}"
            if give_up():
                raise BrokerError(f"{text}; they and the records with them come again at the next start")
            self._talk.warn("alerts", f"{text}; waiting")
        refused = self._alerts.refused() if alerts else []
        for reason in refused:
            self._talk.warn("unsent", f"an alert is not passed on: {reason}")
        self.counters.unsent += len(refused)
        self.counters.alerts += len(alerts) - len(refused)

    def _commit(self, logs: Sequence[PartitionLog]) -> None:
        try:
            self._source.commit({(log.place.topic, log.place.partition): log.next for log in logs})
        except BrokerError as error:
            self._talk.warn("commit", f"offsets could not be committed, which only shows as lag: {error}")

    def lags(self) -> dict[Key, int]:
        """Ask the broker how many records are still to be read of each."""
        bounds = self._source.bounds(list(self.logs))
        return {key: max(0, bounds[key][1] - max(bounds[key][0], log.next)) for key, log in self.logs.items()}

    def gaps(self) -> list[str]:
        """Name the gaps that are open."""
        return [f"{log.place}: {log.gap_text(number)}" for log in self.logs.values() for number in log.once.gaps]

    def close(self) -> None:
        """Let go of the files, as they are."""
        for log in self.logs.values():
            log.close()
