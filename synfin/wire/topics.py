"""The topics: names, partitions, and the settings that the design leans on.

Every name begins with a prefix, `synfin` unless told otherwise, and ends with the version of what the values hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from synfin.errors import UsageError

SLICES: Final = 384  # as synfin.wire.key, whose import would bring numba to programs that have no other use for it
PREFIX: Final = "synfin"
PARTITIONS: Final = 24  # fixed at creation, since it is part of where state lives
MIB: Final = 1 << 20
VALUE_MAX_BYTES: Final = MIB  # Kafka's own limit, for all but snapshots
STATE_MAX_BYTES: Final = 16 * MIB  # a snapshot of one slice
OVERHEAD_BYTES: Final = 64 << 10  # key, headers and framing, which max.message.bytes counts as well

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it should be; `settings` are the broker's names and values, and what is not named is its default."""

    name: str
    partitions: int
    settings: Mapping[str, str] = field(default_factory=dict)


def _kept_for(retention_ms: int, **others: str) -> dict[str, str]:
    named = {key.replace("_", "."): value for key, value in others.items()}
    return {"cleanup.policy": "delete", "retention.ms": str(retention_ms), **named}


def _compacted(value_max_bytes: int) -> dict[str, str]:
    return {"cleanup.policy": "compact", "max.message.bytes": str(value_max_bytes + OVERHEAD_BYTES)}


def check_partitions(partitions: int) -> int:
    """The count itself; UsageError when it does not divide the number of slices."""
    if partitions < 1 or SLICES % partitions:
        divisors = " ".join(str(n) for n in range(1, SLICES + 1) if SLICES % n == 0)
        raise UsageError(f"{partitions} partitions do not divide {SLICES} slices evenly; take one of {divisors}")
    return partitions


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one installation. `partitions` is shared by all that hold what belongs to a connection."""

    prefix: str = PREFIX
    partitions: int = PARTITIONS

    def __post_init__(self) -> None:
        check_partitions(self.partitions)

    @property
    def packets(self) -> Topic:
        """Columnar batches of the sensors. LogAppendTime: by the log alone a sensor is declared gone."""
        settings = _kept_for(6 * _HOUR_MS, message_timestamp_type="LogAppendTime")
        return Topic(f"{self.prefix}.packets.v1", self.partitions, settings)

    @property
    def events(self) -> Topic:
        """JSON events, by community id."""
        return Topic(f"{self.prefix}.events.v1", self.partitions, _kept_for(7 * _DAY_MS))

    @property
    def flows(self) -> Topic:
        """JSON flow records, by view id."""
        return Topic(f"{self.prefix}.flows.v1", self.partitions, _kept_for(7 * _DAY_MS))

    @property
    def state(self) -> Topic:
        """Snapshots, by slice."""
        return Topic(f"{self.prefix}.state.v1", self.partitions, _compacted(STATE_MAX_BYTES))

    @property
    def counts(self) -> Topic:
        """Additive counts, by service. LogAppendTime: by the log alone a partition counts as silent."""
        settings = _kept_for(_DAY_MS, message_timestamp_type="LogAppendTime")
        return Topic(f"{self.prefix}.counts.v1", self.partitions, settings)

    @property
    def alerts(self) -> Topic:
        """JSON alerts, by rule and group."""
        return Topic(f"{self.prefix}.alerts.v1", 6, _kept_for(30 * _DAY_MS))

    @property
    def sensors(self) -> Topic:
        """Health of the sensors, by sensor id."""
        return Topic(f"{self.prefix}.sensors.v1", 1, _compacted(VALUE_MAX_BYTES))

    @property
    def deadletter(self) -> Topic:
        """What did not decode, as it came; the reason is in the headers."""
        settings = _kept_for(14 * _DAY_MS, max_message_bytes=str(VALUE_MAX_BYTES + OVERHEAD_BYTES))
        return Topic(f"{self.prefix}.deadletter.v1", 1, settings)

    def all(self) -> tuple[Topic, ...]:
        """Every topic, in the order in which a record meets them."""
        return (
            self.packets,
            self.events,
            self.flows,
            self.state,
            self.counts,
            self.alerts,
            self.sensors,
            self.deadletter,
        )
