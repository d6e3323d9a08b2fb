"""What a sensor says to Prometheus and to those who watch over it."""

import time
from collections.abc import Callable
from typing import Final

from sensor.summary import Summary
from synfin import metrics
from synfin.config import Settings
from synfin.metrics import Probe, Sample

_STANDS_S: Final = 30.0  # a loop that did not turn for so long stands still


class Telemetry:
    """Counters as of the loop's last turn; the loop alone asks the kernel, because asking resets its numbers."""

    def __init__(self, summary: Callable[[], Summary], trouble: Callable[[], str | None]) -> None:
        self._summary = summary
        self._trouble = trouble
        self._last: Summary | None = None
        self._turned_s = time.monotonic()
        self._server: metrics.Server | None = None

    def start(self, settings: Settings) -> None:
        """Open the port."""
        self._server = metrics.start(settings, "sensor", Probe(self._samples, self._alive, self._missing))

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.stop()

    def turn(self) -> None:
        """Note that the loop turns, and its counters."""
        self._turned_s = time.monotonic()
        if self._server is not None:
            self._last = self._summary()

    def _alive(self) -> bool:
        return time.monotonic() - self._turned_s < _STANDS_S

    def _missing(self) -> list[str]:
        trouble = self._trouble()
        return [f"broker: {trouble}"] if trouble else []

    def _samples(self) -> list[Sample]:
        last = self._last
        if last is None:
            return []
        samples = [
            Sample("sensor_packets_total", last.captured, "Packets captured."),
            Sample("sensor_received_total", last.received, "Packets that the kernel's filter accepted."),
            Sample("sensor_dropped_total", last.dropped, "Packets dropped by the kernel."),
            Sample("sensor_self_total", last.own, "Packets of the sensor's own to the brokers, left out."),
        ]
        if last.dissected is not None:
            outcomes = last.dissected
            text = "What became of the frames."
            samples += [
                Sample("sensor_frames_total", outcomes[name], text, {"outcome": name})
                for name in outcomes
                if name != "frames"
            ]
        if last.published is not None:
            p = last.published
            states = {"published": p.published, "dropped": p.dropped}
            text = "Packets handed to the publisher."
            samples += [Sample("sensor_publisher_total", t.packets, text, {"fate": name}) for name, t in states.items()]
            waiting = {"spooled": p.spooled, "unacknowledged": p.unacknowledged}
            text = "Batches that wait."
            samples += [Sample("sensor_waiting", t.batches, text, {"where": name}) for name, t in waiting.items()]
        return samples
