"""Alerts over several connections on a real broker: a flood of a sensor's rows is one alert, whoever is killed."""

import json
import signal
from collections import Counter

import pytest

from processor.slices import open_partition
from processor.warm import warm
from sensor.batcher import Batcher
from synfin.wire.batch import END_OF_FILE, Lane
from synfin.wire.codec import decode
from synfin.wire.topics import Topics
from tests.integration.processor_rig import Rig
from tests.support.crowds import SECOND, Crowd, raised, staged

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PARTITIONS = 4
SENSOR = "tap"


@pytest.fixture
def rig(kafka, prefix, tmp_path):
    topics = Topics(prefix=prefix, partitions=PARTITIONS)
    admin = kafka.broker.admin()
    admin.create(topics.all())
    rig = Rig(kafka, topics, tmp_path, open_partition)
    try:
        yield rig
    finally:
        rig.close()
        admin.delete(topic.name for topic in topics.all())
        admin.close()


def clients(i):
    return f"198.51.{100 + i // 250}.{1 + i % 250}"


def crowd():
    """Two floods and two scans, far enough from one another to be two each, and clients all along."""
    made = Crowd()
    for at_s in (20, 120):
        for window in range(2):
            made.many(1100, "unanswered", at_s + 10 * window, 9, clients, "192.0.2.1", 80)
        made.many(30, "refused", at_s, 9, "203.0.113.7", "192.0.2.2", lambda i: 100 + i)
    return made.many(600, "closed", 0, 240, clients, "192.0.2.9", 443).rows()


def batches_of(segments, flows):
    batcher, found = Batcher(Lane(SENSOR, 1, 0), PARTITIONS, 60), []
    for at_ns in range(int(segments["t_ns"][0]), int(segments["t_ns"][-1]) + SECOND, SECOND):
        now = (segments["t_ns"] >= at_ns) & (segments["t_ns"] < at_ns + SECOND)
        found += batcher.add(segments[now], flows, 0)
        found += batcher.tick(at_ns + SECOND)
    return found + batcher.finish(END_OF_FILE)


def rounds_of(rig, batches):
    """A few batches a round, in the order in which the sensor closed them."""
    for first in range(0, len(batches), 4):
        yield [rig.record(batch) for batch in batches[first : first + 4]]


def environment(rig):
    return {
        "SYNFIN_KAFKA_BROKERS": rig.kafka.bootstrap,
        "SYNFIN_TOPICS_PREFIX": rig.topics.prefix,
        "SYNFIN_PROCESSOR_GROUP": rig.topics.prefix,
    }


def start(rig):
    return rig.start(["-m", "processor.cli", "-v", "--metrics-port", "0"], **environment(rig))


def test_floods_and_scans_are_each_one_alert_though_workers_are_killed(rig, tmp_path):
    segments, flows = crowd()
    expected = {json.loads(value)["id"]: value for value in raised(staged(segments, flows, (500,), SENSOR))}
    assert Counter(json.loads(value)["kind"] for value in expected.values()) == {
        "alert.syn_flood": 2,
        "alert.scan_vertical": 2,
    }
    warm(PARTITIONS, lambda number, values: open_partition(number, PARTITIONS, None, values), decode)
    batches = batches_of(segments, flows)
    feeder = rig.feed(list(rounds_of(rig, batches)), pause_s=0.1)
    worker = start(rig)
    for killed in range(2):
        rig.until(lambda least=50 * (killed + 1): rig.ends(rig.topics.counts).sum() > least, "counts are sent")
        worker.signal(signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL
        worker = start(rig)
    feeder.join(240)
    assert feeder.error is None

    def ids():
        rig.read()
        return {json.loads(message.value)["id"] for message in rig.aggregates}

    rig.until(lambda: ids() >= expected.keys(), "the alerts are in the events", 240)
    rig.until_all_is_out()
    assert worker.end() == 0
    sink = rig.start(
        ["-m", "sink.cli", "--once-idle", "3", "--out", str(tmp_path / "out"), "--metrics-port", "0"],
        SYNFIN_KAFKA_BROKERS=rig.kafka.bootstrap,
        SYNFIN_TOPICS_PREFIX=rig.topics.prefix,
        SYNFIN_SINK_GROUP=f"{rig.topics.prefix}-sink",
    )
    assert sink.wait(120) == 0, sink.said()
    alerts = [message for message in rig.messages(rig.topics.alerts) if b'"aggregate"' in message.value]
    assert Counter(message.value for message in alerts) == Counter(expected.values())
    assert {dict(message.headers)["ce_id"].decode() for message in alerts} == expected.keys()
    lines = [line for path in (tmp_path / "out").rglob("*.jsonl*") for line in path.read_bytes().splitlines()]
    assert sorted(line for line in lines if b'"aggregate"' in line) == sorted(expected.values())
