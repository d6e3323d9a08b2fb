"""What a sensor says at its end and on SIGUSR1."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a sensor that only writes a file does without them
    from sensor.dissect import Counters as Dissected
    from sensor.publisher import Counters as Published


@dataclass(frozen=True, slots=True)
class Summary:
    """Counters since the start."""

    captured: int
    received: int
    dropped: int  # by the kernel
    live: bool  # else from a file, where nothing is received and nothing dropped
    own: int = 0  # packets of the sensor's own connections to the brokers
    published: "Published | None" = None
    dissected: "Dissected | None" = None

    def lines(self) -> list[str]:
        """Three lines as tcpdump's, and then what became of the packets that went to Kafka."""
        lines = [f"{self.captured} packets captured"]
        if self.live:
            lines += [f"{self.received} packets received by filter", f"{self.dropped} packets dropped by kernel"]
        if self.published is not None:
            p = self.published
            lines += [
                f"{p.published.packets} packets published ({p.published.batches} batches)",
                f"{p.spooled.packets} packets spooled ({p.spooled.batches} batches)",
                f"{p.dropped.packets} packets dropped ({p.dropped.batches} batches)",
                f"{p.unacknowledged.packets} packets unacknowledged ({p.unacknowledged.batches} batches)",
            ]
            if self.own:
                lines.append(f"{self.own} packets of its own to the brokers left out")
        return lines

    def as_json(self) -> dict[str, Any]:
        """The same as an object, with all counters."""
        result: dict[str, Any] = {"captured": self.captured}
        if self.live:
            result |= {"received": self.received, "dropped": self.dropped}
        if self.dissected is not None:
            result |= {"frames": asdict(self.dissected), "self": self.own}
        if self.published is not None:
            result |= {"publisher": asdict(self.published)}
        return result
