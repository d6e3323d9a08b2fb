"""A stage's counters as Prometheus reads them, and its health."""

import http.client
import socket
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from synfin import metrics
from synfin.config import Settings
from synfin.errors import UsageError
from synfin.metrics import Probe, Sample, Server


def probe(samples=(), alive=True, missing=()):
    return Probe(lambda: samples, lambda: alive, lambda: list(missing))


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.fixture
def served():
    servers = []

    def serve(a_probe):
        server = Server(0, a_probe)
        server.start()
        servers.append(server)
        return server.port

    yield serve
    for server in servers:
        server.stop()


def test_counters_and_gauges_as_they_stand_at_the_scrape(served):
    frames = 0
    stage = Probe(
        lambda: [
            Sample("sensor_frames_total", frames, "Frames captured"),
            Sample("sink_lag_records", 7, "Records behind", {"partition": "1"}),
            Sample("sink_lag_records", 9, "Records behind", {"partition": "2"}),
        ],
        lambda: True,
        list,
    )
    port = served(stage)
    frames = 12
    status, text = get(port, "/metrics")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert status == 200
    assert families["synfin_sensor_frames"].type == "counter"
    assert [s.value for s in families["synfin_sensor_frames"].samples] == [12]
    lag = families["synfin_sink_lag_records"]
    assert (lag.type, lag.documentation) == ("gauge", "Records behind")
    assert [(s.labels, s.value) for s in lag.samples] == [({"partition": "1"}, 7), ({"partition": "2"}, 9)]


@pytest.mark.parametrize(
    ("stage", "path", "status", "said"),
    [
        (probe(), "/healthz", 200, "ok\n"),
        (probe(alive=False), "/healthz", 503, "the loop stands still\n"),
        (probe(), "/readyz?x=1", 200, "ok\n"),
        (probe(missing=["no partition", "no broker"]), "/readyz", 503, "no partition\nno broker\n"),
        (probe(), "/elsewhere", 404, "there are /metrics, /healthz and /readyz\n"),
    ],
)
def test_health_and_readiness(served, stage, path, status, said):
    assert get(served(stage), path) == (status, said)


def settings(port, origin):
    return Settings({"sink.metrics_port": port}, {"sink.metrics_port": origin})


def test_the_listener_is_on_loopback_alone_and_stops():
    server = metrics.start(settings(0, "default"), "sink", probe())
    assert server is None
    server = Server(0, probe())
    server.start()
    assert get(server.port, "/healthz")[0] == 200
    server.stop()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        get(server.port, "/healthz")


def test_the_listener_asks_no_name_server(monkeypatch):
    monkeypatch.setattr(socket, "getfqdn", lambda *_: pytest.fail("asked for a name"))
    server = Server(0, probe())
    server.start()
    server.stop()


def test_a_taken_port_is_fatal_only_when_it_was_asked_for(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert metrics.start(settings(port, "default"), "sink", probe()) is None
        assert f"no metrics: port {port}" in capsys.readouterr().err
        with pytest.raises(UsageError, match=r"Address already in use.*sink.metrics_port"):
            metrics.start(settings(port, "flag --metrics-port"), "sink", probe())


def test_without_prometheus_client_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    assert metrics.start(settings(9472, "default"), "sink", probe()) is None
    assert "synfin[metrics]" in capsys.readouterr().err


def test_a_stage_that_fails_to_count_costs_one_line(served, capsys):
    def broken():
        raise RuntimeError("no counters")

    port = served(Probe(broken, lambda: True, list))
    with pytest.raises(http.client.RemoteDisconnected):
        get(port, "/metrics")
    assert get(port, "/healthz")[0] == 200
    assert capsys.readouterr().err == "metrics: RuntimeError('no counters')\n"
