"""What a processor needs to know before it starts, and whether the topics fit."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from processor.checkpoint import Cadence
from processor.rules import NAMES, Thresholds
from processor.tcp.machine import Limits
from synfin.broker import BrokerConfig
from synfin.config import Settings
from synfin.errors import BrokerError, UsageError
from synfin.wire.topics import Topics, check_partitions


@dataclass(frozen=True, slots=True)
class ProcessorConfig:
    """Configuration of one worker; all workers of a group have the same."""

    broker: BrokerConfig = field(default_factory=BrokerConfig)
    topics: Topics = field(default_factory=Topics)  # only names: the count of partitions is the broker's
    group: str = "synfin-processor"
    cadence: Cadence = field(default_factory=Cadence)
    core: Limits | None = None  # None: the core's own defaults
    rules: Thresholds = field(default_factory=Thresholds)

    @classmethod
    def of(cls, settings: Settings) -> "ProcessorConfig":
        """What the table of settings says."""
        return cls(
            broker=BrokerConfig.of(settings, "synfin-processor"),
            topics=Topics(prefix=settings["topics.prefix"]),
            group=settings["processor.group"],
            core=Limits(settings["processor.views_per_slice"], settings["processor.transitions"]),
            rules=Thresholds(**{name: settings[f"rules.{name}"] for name in NAMES}),
        )

    def by_slice(self) -> list[str]:
        """Topics whose partitions go by the slice, so that all have the same number of them."""
        topics = self.topics
        return [topic.name for topic in (topics.packets, topics.flows, topics.events, topics.state, topics.counts)]

    def partitions(self, counts: Mapping[str, int]) -> int:
        """How many partitions there are, from the count of each topic that exists."""
        by_slice, deadletter = self.by_slice(), self.topics.deadletter.name
        missing = [name for name in (*by_slice, deadletter) if name not in counts]
        if missing:
            raise BrokerError(
                f"Kafka at {self.broker.bootstrap} has no topic {', '.join(missing)}; "
                "`synfin topics --create` makes what is missing"
            )
        if len({counts[name] for name in by_slice}) > 1:
            shown = ", ".join(f"{name} {counts[name]}" for name in by_slice)
            raise UsageError(f"these topics must have the same number of partitions: {shown}")
        return check_partitions(counts[by_slice[0]])
