"""What a worker says when it cannot work, and how it ends: one line, an exit code, no traceback."""

import json
import signal
import socket
from dataclasses import replace

import pytest

from synfin.broker import Record, send_all
from synfin.wire.topics import Topics
from tests.integration.processor_rig import Rig

pytestmark = pytest.mark.kafka


@pytest.fixture
def rig(kafka, topics, tmp_path):
    rig = Rig(kafka, topics, tmp_path)
    try:
        yield rig
    finally:
        rig.close()


def refused(worker, code):
    """The one line that a worker ended with."""
    assert worker.wait() == code
    lines = [line for line in worker.said().splitlines() if "[^" not in line]
    assert len(lines) == 1, worker.said()
    return lines[0]


def test_missing_topics_are_named(kafka, prefix, tmp_path):
    rig = Rig(kafka, Topics(prefix=prefix, partitions=2), tmp_path)
    try:
        line = refused(rig.worker(), 5)
    finally:
        rig.close()
    assert f"has no topic {prefix}.packets.v1, {prefix}.flows.v1" in line
    assert "`synfin topics --create`" in line


def test_partition_counts_that_differ_are_named(kafka, prefix, tmp_path):
    topics = Topics(prefix=prefix, partitions=2)
    admin = kafka.broker.admin()
    admin.create([topic if topic != topics.flows else replace(topic, partitions=3) for topic in topics.all()])
    rig = Rig(kafka, topics, tmp_path)
    try:
        line = refused(rig.worker(), 2)
    finally:
        rig.close()
        admin.delete(topic.name for topic in topics.all())
        admin.close()
    assert f"{prefix}.packets.v1 2, {prefix}.flows.v1 3" in line


def test_snapshots_of_another_layout_stop_the_worker(rig):
    rig.publish(1)
    producer = rig.kafka.broker.producer()
    other = json.dumps({"layout": 7, "number": 0, "epoch": 0, "next": 1}).encode()
    send_all(producer, [Record(rig.topics.state.name, p, b"0", other) for p in range(2)], 20)
    producer.close(10)
    line = refused(rig.worker(), 2)
    assert "layout 7, this program has layout 1" in line
    assert rig.ends(rig.topics.events).sum() == 0


def test_without_a_broker_it_gives_up_with_5(tmp_path, kafka, prefix):
    with socket.socket() as taken:  # bound and not listening: refuses, and nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        rig = Rig(kafka, Topics(prefix=prefix, partitions=2), tmp_path)
        try:
            line = refused(rig.worker(bootstrap=place, timeout_s=2), 5)
        finally:
            rig.close()
    assert f"Kafka at {place} does not answer" in line
    assert "--brokers" in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_ends_with_0(rig, number):
    worker = rig.worker()
    rig.publish(3)
    rig.until(lambda: worker.begun() == 2, "it holds both partitions")
    worker.signal(number)
    assert worker.wait() == 0
    assert rig.read().taken == rig.undisturbed(rig.commits())
    assert "Traceback" not in worker.said()
