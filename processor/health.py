"""What a worker counts, and how it says whether it lives and is ready."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from processor.windows import Spilled
from synfin.metrics import Probe, Sample

STALLED_S: Final = 30.0  # a loop that did not turn for so long is stuck: no batch, no checkpoint takes a second of it
UNSEEN_S: Final = 30.0
BEHIND_S_MAX: Final = 60.0

HELP: Final = {
    "batches": "batches applied",
    "segments": "rows in them",
    "input_bytes": "bytes of input applied",
    "flows": "flow records sent",
    "events": "event records sent",
    "counts": "records of counts sent",
    "skipped": "messages that the snapshots already covered",
    "caught_up": "messages read again because the snapshots were older than the stream",
    "input_lost": "offsets that retention took before they were processed",
    "dead_letters": "messages sent to the dead letter",
    "checkpoints": "checkpoints written",
    "snapshot_bytes": "bytes of snapshots written",
    "rebalances": "times that the partitions were given back",
}


@dataclass(slots=True)
class Counters:
    """Since the start of the worker; each becomes `synfin_processor_<name>_total`."""

    batches: int = 0
    segments: int = 0
    input_bytes: int = 0
    flows: int = 0
    events: int = 0
    counts: int = 0
    skipped: int = 0
    caught_up: int = 0
    input_lost: int = 0
    dead_letters: int = 0
    checkpoints: int = 0
    snapshot_bytes: int = 0
    rebalances: int = 0


@dataclass(slots=True)
class Status:
    """What the worker's loop last knew; the metrics port reads it from another thread. Times by the monotonic clock."""

    turned_s: float = field(default_factory=time.monotonic)  # when the loop last turned
    seen_s: float = field(default_factory=time.monotonic)  # when a broker last answered
    lags: dict[int, int] = field(default_factory=dict)  # messages not applied yet, of each partition assigned
    behind_s: dict[int, float] = field(default_factory=dict)  # age of the last message applied, where there is a lag

    counts_lag: int = 0  # records of counts not applied yet, of all partitions assigned

    def note(self, now_s: float, ends: Mapping[int, int], positions: Mapping[int, tuple[int, int]]) -> None:
        """Note that the loop turns: where the log of each partition assigned ends, and what (next, arrived_ms) is."""
        lags, behind_s = {}, {}
        for number, end in ends.items():
            position, arrived_ms = positions.get(number, (end, 0))
            lags[number] = lag = max(0, end - position)
            if lag:
                behind_s[number] = time.time() - arrived_ms / 1000
        self.turned_s, self.lags, self.behind_s = now_s, lags, behind_s

    def missing(self, now_s: float) -> list[str]:
        """What keeps the worker from being ready, in words."""
        wrong = []
        if not self.lags:
            wrong.append("no partitions are assigned")
        if now_s - self.seen_s > UNSEEN_S:
            wrong.append(f"no broker has answered for {now_s - self.seen_s:.0f} s")
        wrong += [
            f"partition {number} is {age_s:.0f} s behind, {self.lags.get(number, 0)} messages"
            for number, age_s in sorted(self.behind_s.items())
            if age_s > BEHIND_S_MAX
        ]
        return wrong


def probe(counters: Counters, status: Status, judged: Counters, spilled: Spilled) -> Probe:
    """For the metrics port; `judged` counts what the second stage does, `spilled` what its bounds cost."""

    def samples() -> Iterator[Sample]:
        for counter in fields(counters):
            yield Sample(f"processor_{counter.name}_total", getattr(counters, counter.name), HELP[counter.name])
        yield Sample("processor_judged_counts_total", judged.batches, "records of counts that the rules were given")
        yield Sample("processor_alerts_total", judged.events, "alerts of rules over several connections sent")
        yield Sample(
            "processor_judged_keys_dropped_total", spilled.keys, "addresses and services that made way for others"
        )
        yield Sample("processor_judged_sensors_dropped_total", spilled.sensors, "sensors that made way for others")
        yield Sample("processor_judged_early_total", spilled.early, "times that rules did not wait for all partitions")
        yield Sample("processor_counts_lag", status.counts_lag, "records of counts not applied yet")
        yield Sample("processor_partitions", len(status.lags), "partitions assigned")
        for number, lag in sorted(status.lags.items()):
            yield Sample("processor_lag_messages", lag, "messages not applied yet", {"partition": str(number)})

    return Probe(
        samples=samples,
        alive=lambda: time.monotonic() - status.turned_s < STALLED_S,
        missing=lambda: status.missing(time.monotonic()),
    )
