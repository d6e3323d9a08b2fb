"""How the sink says what it counted, whether it lives and whether it is ready."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Final

from sink.counters import Counters
from synfin.metrics import Probe, Sample

STALLED_S: Final = 60.0  # a loop that did not turn for so long is stuck, or the broker is away with alerts to confirm
UNSEEN_S: Final = 30.0
BEHIND_S_MAX: Final = 60.0

HELP: Final = {
    "read": "records read",
    "written": "records written to files",
    "bytes": "bytes of them",
    "replayed": "records skipped because they were there already",
    "left": "records left alone because one before them is missing",
    "malformed": "records that are none of synfin's",
    "lost": "records that retention took before they were read",
    "alerts": "alerts acknowledged",
    "unsent": "alerts without ce_id, or refused by the broker",
    "files": "files finished",
    "steps": "rounds of writing",
}


@dataclass(slots=True)
class Status:
    """What the loop last knew; the metrics port reads it from another thread. Times by the monotonic clock."""

    turned_s: float = field(default_factory=time.monotonic)  # when the loop last turned
    seen_s: float = field(default_factory=time.monotonic)  # when a broker last answered
    lags: dict[str, int] = field(default_factory=dict)  # records to be read, of each topic-partition assigned
    behind_s: dict[str, float] = field(default_factory=dict)  # age of the last record read, where there is a lag
    gaps: tuple[str, ...] = ()  # in words

    def missing(self, now_s: float) -> list[str]:
        """What keeps the sink from being ready, in words."""
        wrong = [] if self.lags else ["no partitions are assigned"]
        if now_s - self.seen_s > UNSEEN_S:
            wrong.append(f"no broker has answered for {now_s - self.seen_s:.0f} s")
        wrong += [
            f"{place} is {age_s:.0f} s behind, {self.lags.get(place, 0)} records"
            for place, age_s in sorted(self.behind_s.items())
            if age_s > BEHIND_S_MAX
        ]
        return wrong + [f"gap: {gap}" for gap in self.gaps]


def probe(counters: Counters, status: Status) -> Probe:
    """For the metrics port."""

    def samples() -> Iterator[Sample]:
        for counter in fields(counters):
            yield Sample(f"sink_{counter.name}_total", getattr(counters, counter.name), HELP[counter.name])
        yield Sample("sink_gaps", len(status.gaps), "slices in which a record is missing")
        for place, lag in sorted(status.lags.items()):
            topic, _, partition = place.rpartition("-")
            yield Sample("sink_lag_records", lag, "records not read yet", {"topic": topic, "partition": partition})

    return Probe(
        samples=samples,
        alive=lambda: time.monotonic() - status.turned_s < STALLED_S,
        missing=lambda: status.missing(time.monotonic()),
    )
