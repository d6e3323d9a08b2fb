"""What a sink is told, by flags, environment or file. Light to import: a wrong flag is noticed before anything else."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sink.files import Rotation
from synfin.config import Settings
from synfin.errors import UsageError
from synfin.wire.topics import SLICES

TOPICS: Final = ("flows", "events")
PARTITIONS_MAX: Final = SLICES  # no topic of ours can have more


@dataclass(frozen=True, slots=True)
class StepLimits:
    """When what has come is written: by age or bytes, whichever is first."""

    age_s_max: float = 1.0
    bytes_max: int = 8 << 20


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """What a sink is told."""

    out: Path
    prefix: str
    topics: tuple[str, ...]  # some of TOPICS
    partitions: frozenset[int] | None  # None: all
    rotation: Rotation
    group: str
    once_idle_s: float | None = None  # end when nothing came for so long; None: never
    limits: StepLimits = field(default_factory=StepLimits)

    def topic(self, suffix: str) -> str:
        """Full name of a topic."""
        return f"{self.prefix}.{suffix}.v1"


def parse_partitions(text: str) -> frozenset[int] | None:
    """Numbers and ranges with commas between them, as 0,1,5-7; None for `all`."""
    if text == "all":
        return None
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,4})\s*(?:-\s*([0-9]{1,4})\s*)?", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last or last >= PARTITIONS_MAX:
            raise UsageError(f"--partitions: {part.strip()!r} in {text!r} is no partition and no range, as in 0,1,5-7")
        numbers.update(range(first, last + 1))
    return frozenset(numbers)


def configuration(settings: Settings, once_idle_s: float | None) -> SinkConfig:
    """Read the settings of a sink; UsageError where a value makes no sense."""
    topics = tuple(dict.fromkeys(settings["sink.topics"]))
    unknown = [name for name in topics if name not in TOPICS]
    if unknown:
        raise UsageError(f"--topics: {unknown[0]!r} is not a topic of records; there are {' and '.join(TOPICS)}")
    if once_idle_s is not None and not 0 < once_idle_s < float("inf"):
        raise UsageError(f"--once-idle: {once_idle_s:g} is not a number of seconds above 0")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", settings["topics.prefix"]):
        raise UsageError(f"--prefix: {settings['topics.prefix']!r} is not what the name of a topic may begin with")
    for name, flag in (("sink.rotate_size", "--rotate-bytes"), ("sink.rotate_seconds", "--rotate-seconds")):
        if not settings[name]:
            raise UsageError(f"{flag}: 0 would finish a file before its first record; give more")
    return SinkConfig(
        out=settings["sink.folder"],
        prefix=settings["topics.prefix"],
        topics=topics,
        partitions=parse_partitions(settings["sink.partitions"]),
        rotation=Rotation(settings["sink.rotate_size"], settings["sink.rotate_seconds"] * 10**9),
        group=settings["sink.group"],
        once_idle_s=once_idle_s,
    )
