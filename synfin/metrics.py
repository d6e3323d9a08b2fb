"""Counters for Prometheus, and whether a stage lives and is ready, on a port of loopback.

Nothing is counted here: a scrape asks the stage for its counters as they stand, so the hot path pays nothing.
Names are in base units; one that ends in `_total` is a counter, any other a gauge. No label holds an address or a port.
"""

import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final

from synfin.config import Settings
from synfin.errors import UsageError

PREFIX: Final = "synfin_"
TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure at one moment."""

    name: str  # without the prefix: "sensor_frames_total"
    value: float
    help: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Probe:
    """What a stage answers with; all three are called from the server's threads and must not block."""

    samples: Callable[[], Iterable[Sample]]
    alive: Callable[[], bool]  # the loop turns
    missing: Callable[[], list[str]]  # what keeps it from being ready, in words; empty when it is


class _Collector:
    """Shape in which prometheus-client takes figures that are kept elsewhere."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    def collect(self) -> Iterable[Any]:
        from prometheus_client.core import (  # noqa: PLC0415  an extra, and only when scraped
            CounterMetricFamily,
            GaugeMetricFamily,
        )

        families: dict[str, Any] = {}
        for sample in self._probe.samples():
            kind = CounterMetricFamily if sample.name.endswith("_total") else GaugeMetricFamily
            if sample.name not in families:
                families[sample.name] = kind(PREFIX + sample.name, sample.help, labels=list(sample.labels))
            families[sample.name].add_metric(list(sample.labels.values()), sample.value)
        return families.values()


def load() -> bool:
    """Import what a scrape needs; False without prometheus-client.

    start() does it; a program calls it earlier when it is about to lose the right to read its own environment.
    """
    try:
        import prometheus_client  # noqa: F401, PLC0415
    except ModuleNotFoundError:
        return False
    return True


def render(probe: Probe) -> bytes:
    """All samples in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415

    registry = CollectorRegistry()
    registry.register(_Collector(probe))
    return generate_latest(registry)


def answer(probe: Probe, path: str) -> tuple[int, str, bytes]:
    """HTTP status, type and body for a path."""
    if path == "/metrics":
        return 200, TEXT, render(probe)
    if path == "/healthz":
        return (200, TEXT, b"ok\n") if probe.alive() else (503, TEXT, b"the loop stands still\n")
    if path == "/readyz":
        missing = probe.missing()
        return (503, TEXT, "".join(f"{line}\n" for line in missing).encode()) if missing else (200, TEXT, b"ok\n")
    return 404, TEXT, b"there are /metrics, /healthz and /readyz\n"


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind, without the base class's question to the DNS for a name that is used nowhere."""
        TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  as inherited
        """One line where the base class prints a traceback, most often for a client that went away."""
        sys.stderr.write(f"metrics: {sys.exception()!r}\n")


class Server:
    """Serves a probe on 127.0.0.1 from a thread of its own."""

    def __init__(self, port: int, probe: Probe) -> None:
        self.port = port  # 0: any free one, known after start()
        self._probe = probe
        self._http: _Http | None = None

    def start(self) -> None:
        """Listen; OSError when the port is taken."""
        probe = self._probe

        class Handler(BaseHTTPRequestHandler):
            timeout = 10  # of a client that says nothing

            def do_GET(self) -> None:
                status, kind, body = answer(probe, self.path.partition("?")[0])
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  as inherited
                """Say nothing: stderr is for people."""

        self._http = _Http(("127.0.0.1", self.port), Handler)
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, name="metrics", daemon=True).start()

    def stop(self) -> None:
        """Close the port; nothing happens when it was not open."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None


def start(settings: Settings, part: str, probe: Probe) -> Server | None:
    """Serve a stage's probe on its `PART.metrics_port`; None where there is none.

    The usual port may be taken, by another stage of the same kind, and prometheus-client may be missing: that is said
    and no more. A port that the user named must work, else it is a UsageError.
    """
    name = f"{part}.metrics_port"
    port, chosen = settings[name], settings.origins[name] != "default"
    if port == 0:
        return None
    if not load():
        _complain(chosen, f"port {port}: metrics need the package prometheus-client (synfin[metrics])")
        return None
    server = Server(port, probe)
    try:
        server.start()
    except OSError as error:
        _complain(chosen, f"port {port} on loopback: {error.strerror}; {name} names another one for metrics")
        return None
    return server


def _complain(chosen: bool, message: str) -> None:
    if chosen:
        raise UsageError(message)
    sys.stderr.write(f"no metrics: {message}\n")
