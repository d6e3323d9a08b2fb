import logging
import os
import signal
import threading

import pytest

from sink import health, service
from sink.counters import Counters, Talk
from sink.files import Rotation
from sink.health import Status
from sink.service import Service, Stop, places
from sink.settings import SinkConfig
from synfin.broker_memory import MemoryBroker
from synfin.clients import Record, TopicPartition, send_all
from synfin.errors import EXIT_INCOMPLETE, EXIT_OK, BrokerError, StorageError, UsageError
from synfin.metrics import answer
from synfin.wire.topics import Topics
from tests.unit.sink.topics import is_alert, value_of

EVENTS, FLOWS, ALERTS = "synfin.events.v1", "synfin.flows.v1", "synfin.alerts.v1"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(service, "WAIT_S", 0.02)
    monkeypatch.setattr(service, "LOOK_S", 0.0)


@pytest.fixture
def broker():
    broker = MemoryBroker()
    broker.admin().create(Topics(partitions=2).all())
    return broker


@pytest.fixture
def config(tmp_path):
    def make(**changes):
        plain = {
            "out": tmp_path / "out",
            "prefix": "synfin",
            "topics": ("flows", "events"),
            "partitions": None,
            "rotation": Rotation(1 << 30, 1 << 62),
            "group": "g",
            "once_idle_s": 0.1,
        }
        return SinkConfig(**{**plain, **changes})

    return make


def publish(broker, topic, partition, *seqs):
    records = []
    for seq in seqs:
        kind = b"synfin.alert.abnormal_teardown" if is_alert(*seq) else b"synfin.teardown.orderly"
        headers = (("ce_id", b"%d/%d/%d" % seq), ("ce_type", kind), ("synfin_seq", b"%d:%d:%d" % seq))
        records.append(Record(topic, partition, b"1:abc", value_of(*seq, is_alert(*seq)), headers))
    send_all(broker.producer(), records, 5)


def run(config, broker, stop=None, started=lambda sink, status: None):
    return Service(config, broker, stop or Stop(), started).run()


def lines(config, topic):
    return sorted(line for path in (config.out / topic).glob("*.jsonl") for line in path.read_bytes().splitlines())


def test_everything_is_read_written_and_passed_on(config, broker, capsys):
    flows, events = [(0, 0, n) for n in range(1, 30)], [(1, 0, n) for n in range(1, 30)]
    publish(broker, FLOWS, 0, *flows)
    publish(broker, EVENTS, 1, *events[:20], *events[10:])
    assert run(config(), broker) == EXIT_OK
    assert lines(config(), FLOWS) == sorted(value_of(*seq, is_alert(*seq)) for seq in flows)
    assert lines(config(), EVENTS) == sorted(value_of(*seq, is_alert(*seq)) for seq in events)
    alerts = [m for where, log in broker.logs.items() if where.topic == ALERTS for m in log]
    assert sorted(m.value for m in alerts) == sorted(value_of(*seq, alert=True) for seq in events if is_alert(*seq))
    assert {(where.topic, where.partition): n for (_, where), n in broker.committed.items()} == {
        (FLOWS, 0): 29,
        (EVENTS, 1): 39,
    }
    said = capsys.readouterr().err
    assert "68 records read: 58 written" in said
    assert "10 skipped as replayed" in said
    assert f"{len(alerts)} alerts sent" in said
    assert not list(config().out.rglob("*.live"))


def test_a_second_run_reads_on(config, broker, capsys):
    publish(broker, FLOWS, 0, (0, 0, 1))
    assert run(config(), broker) == EXIT_OK
    publish(broker, FLOWS, 0, (0, 0, 1), (0, 0, 2))
    assert run(config(), broker) == EXIT_OK
    assert "2 records read: 1 written" in capsys.readouterr().err
    assert len(lines(config(), FLOWS)) == 2


def test_only_the_partitions_and_topics_that_are_asked_for(config, broker):
    for partition in (0, 1):
        publish(broker, FLOWS, partition, (partition, 0, 1))
        publish(broker, EVENTS, partition, (partition, 0, 1))
    chosen = config(topics=("flows",), partitions=frozenset({1}))
    assert run(chosen, broker) == EXIT_OK
    assert lines(chosen, FLOWS) == [value_of(1, 0, 1, is_alert(1, 0, 1))]
    assert not (chosen.out / EVENTS).exists()


def test_a_gap_makes_the_run_incomplete_and_is_named(config, broker, capsys):
    publish(broker, FLOWS, 0, (0, 0, 1), (0, 0, 3))
    seen = []
    assert run(config(), broker, started=lambda sink, status: seen.append((sink, status))) == EXIT_INCOMPLETE
    assert "gap: synfin.flows.v1-0: slice 0 waits for 0:0:2" in capsys.readouterr().err
    ((sink, status),) = seen
    code, _, body = answer(health.probe(sink.counters, status), "/readyz")
    assert code == 503
    assert b"gap: synfin.flows.v1-0: slice 0 waits for 0:0:2" in body


def test_a_sink_that_has_read_all_is_ready_and_counts(config, broker):
    publish(broker, FLOWS, 1, (1, 0, 1), (1, 0, 1))
    seen = []
    assert run(config(), broker, started=lambda sink, status: seen.append((sink, status))) == EXIT_OK
    ((sink, status),) = seen
    probe = health.probe(sink.counters, status)
    assert answer(probe, "/readyz")[::2] == (200, b"ok\n")
    assert answer(probe, "/healthz")[0] == 200
    text = answer(probe, "/metrics")[2].decode()
    assert "synfin_sink_written_total 1.0" in text
    assert "synfin_sink_replayed_total 1.0" in text
    assert 'synfin_sink_lag_records{partition="1",topic="synfin.flows.v1"} 0.0' in text


def test_an_alert_that_the_broker_refuses_stays_in_the_file_and_is_counted(config, broker, capsys):
    room = 1_048_588 - len(b"1:abc")  # as an event it just fits; the alert's key is longer
    value = b'{"a":"%s"}' % (b"x" * (room - 8))
    headers = (("ce_id", b"big"), ("ce_type", b"synfin.alert.x"), ("synfin_seq", b"0:0:1"))
    send_all(broker.producer(), [Record(EVENTS, 0, b"1:abc", value, headers)], 5)
    publish(broker, EVENTS, 0, (0, 0, 2), (0, 0, 3))
    assert run(config(), broker) == EXIT_INCOMPLETE
    assert len(lines(config(), EVENTS)) == 3
    assert "1 alerts sent, 1 not" in capsys.readouterr().err


@pytest.mark.parametrize("missing", [FLOWS, EVENTS, ALERTS])
def test_a_missing_topic_is_named(config, broker, missing):
    broker.admin().delete([missing])
    with pytest.raises(UsageError, match=rf"no topic {missing}; `synfin topics --create`"):
        run(config(), broker)


def test_flows_alone_need_no_alerts_topic(config, broker):
    broker.admin().delete([EVENTS, ALERTS])
    assert run(config(topics=("flows",)), broker) == EXIT_OK


def test_a_partition_beyond_the_topic_is_refused(config, broker):
    with pytest.raises(UsageError, match=r"flows.v1 has 2 partitions, 0 to 1: --partitions asks for 7"):
        places(config(partitions=frozenset({1, 7})), broker)


def test_a_broker_that_is_away_at_start_is_an_error(config, broker):
    broker.reachable = False
    with pytest.raises(BrokerError):
        run(config(), broker)


def test_a_run_that_is_to_end_gives_a_lost_broker_up(config, broker, monkeypatch, capsys):
    monkeypatch.setattr(service, "PATIENCE_S", 0.3)
    with pytest.raises(BrokerError):
        run(config(), broker, started=lambda *_: setattr(broker, "reachable", False))
    assert "0 records read" in capsys.readouterr().err


def test_alerts_that_nobody_confirms_are_given_up_only_at_the_end_and_come_again(config, broker, monkeypatch):
    monkeypatch.setattr(service, "PATIENCE_S", 0.3)
    publish(broker, EVENTS, 1, (1, 0, 1), (1, 0, 2), (1, 0, 3))
    with pytest.raises(BrokerError, match=r"has not acknowledged: 1; .* come again"):
        run(config(), broker, started=lambda *_: broker.wedge())
    assert run(config(), broker) == EXIT_OK
    assert len(lines(config(), EVENTS)) == 3
    assert len([m for where, log in broker.logs.items() if where.topic == ALERTS for m in log]) == 1


def test_a_second_sink_in_the_folder_is_refused(config, broker):
    refused = []

    def second(*_):
        with pytest.raises(StorageError, match="in use by the sink with pid") as raised:
            run(config(), broker)
        refused.append(raised)

    assert run(config(), broker, started=second) == EXIT_OK
    assert refused


@pytest.fixture
def listening():
    before = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    }
    stop = Stop()
    stop.listen()
    yield stop
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_finishes_and_summarises(config, broker, listening, number, capsys):
    publish(broker, FLOWS, 0, (0, 0, 1))
    endless = config(once_idle_s=None)

    def end_when_written(sink, status):
        def watch():
            while not sink.counters.written:
                gone.wait(0.01)
            os.kill(os.getpid(), number)

        threading.Thread(target=watch).start()

    gone = threading.Event()
    assert run(endless, broker, listening, end_when_written) == EXIT_OK
    assert len(lines(endless, FLOWS)) == 1
    assert "1 records read: 1 written" in capsys.readouterr().err


def test_sighup_finishes_files_and_sigusr1_prints(config, broker, listening, capsys):
    publish(broker, FLOWS, 0, (0, 0, 1))
    endless = config(once_idle_s=None)

    def talk_to_it(sink, status):
        def watch():
            while not sink.counters.written:
                gone.wait(0.01)
            os.kill(os.getpid(), signal.SIGHUP)
            while not sink.counters.files:
                gone.wait(0.01)
            publish(broker, FLOWS, 0, (0, 0, 2))
            while sink.counters.written < 2:
                gone.wait(0.01)
            os.kill(os.getpid(), signal.SIGUSR1)
            while listening.summary:
                gone.wait(0.01)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=watch).start()

    gone = threading.Event()
    assert run(endless, broker, listening, talk_to_it) == EXIT_OK
    assert sorted(path.name for path in (endless.out / FLOWS).iterdir()) == [
        f"{FLOWS}-0-{0:020d}-{0:020d}.jsonl",
        f"{FLOWS}-0-{1:020d}-{1:020d}.jsonl",
    ]
    assert capsys.readouterr().err.count("2 records read: 2 written") == 2


def test_the_same_kind_of_trouble_is_said_once_in_a_while_and_counted(caplog):
    now = [0.0]
    talk = Talk(logging.getLogger("sink.test"), 10.0, lambda: now[0])
    for at in (0.0, 1.0, 2.0, 10.0, 11.0, 30.0):
        now[0] = at
        talk.warn("gap", f"at {at:g}")
    talk.warn("other", "else")
    assert [record.message for record in caplog.records] == [
        "at 0",
        "at 10 (and 2 more like it since the last report)",
        "at 30 (and 1 more like it since the last report)",
        "else",
    ]


def test_readiness_in_words():
    status = Status(turned_s=0.0, seen_s=0.0)
    assert status.missing(31.0) == ["no partitions are assigned", "no broker has answered for 31 s"]
    status.lags, status.behind_s, status.seen_s = {"t-0": 5, "t-1": 1}, {"t-0": 61.0, "t-1": 2.0}, 30.0
    assert status.missing(31.0) == ["t-0 is 61 s behind, 5 records"]


def test_the_summary_adds_up():
    counters = Counters(read=10, written=4, bytes=99, replayed=3, left=2, malformed=1)
    assert counters.summary().startswith("10 records read: 4 written (99 bytes), 3 skipped as replayed, 2 left alone")
    assert {field: health.HELP[field] for field in Counters.__dataclass_fields__} == health.HELP


def test_committed_offsets_only_show(config, broker):
    publish(broker, FLOWS, 0, (0, 0, 1))
    assert run(config(), broker) == EXIT_OK
    broker.committed["g", TopicPartition(FLOWS, 0)] = 0
    assert run(config(), broker) == EXIT_OK
    assert len(lines(config(), FLOWS)) == 1
