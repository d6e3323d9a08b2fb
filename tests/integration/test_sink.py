"""The sink as a program against a real broker: killed, told things by signals, and left without its broker."""

import http.client
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from synfin.broker import EARLIEST, BrokerConfig, KafkaBroker, Record, TopicPartition, send_all
from synfin.wire.topics import Topics
from tests.unit.sink.topics import is_alert, value_of

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).resolve().parents[2]
PARTITIONS = 2
SLICES = range(6)  # partition = slice mod 2


class Processor(threading.Thread):
    """Publishes records of flows and events round by round, and in every fifth goes back and sends some again."""

    ROUNDS_MAX = 4000

    def __init__(self, broker, topics, pause_s=0.05):
        super().__init__(daemon=True)
        self.truth = {}  # (topic, slice): last n
        self.replayed = 0
        self.error = None
        self._names = (topics.flows.name, topics.events.name)
        self._broker, self._pause_s = broker, pause_s
        self._enough = threading.Event()
        self._choose = random.Random(5)

    def run(self):
        try:
            producer = self._broker.producer()
            for number in range(self.ROUNDS_MAX):
                send_all(producer, self._round(number), 60)
                if self._enough.wait(self._pause_s):
                    break
            producer.close(10)
        except Exception as error:  # noqa: BLE001  the test that waits for the thread says so
            self.error = error

    def _round(self, number):
        records = []
        for topic in self._names:
            for slice_ in SLICES:
                last = self.truth.get((topic, slice_), 0)
                back = self._choose.randrange(min(last, 30) + 1) if number % 5 == 4 else 0
                self.replayed += back
                self.truth[topic, slice_] = last + 3
                records += [self._record(topic, slice_, n) for n in range(last - back + 1, last + 4)]
        return records

    def _record(self, topic, slice_, n):
        seq = (slice_, 40, n)
        kind = b"synfin.alert.abnormal_teardown" if is_alert(*seq) else b"synfin.teardown.orderly"
        headers = (("ce_id", b"%d/%d/%d" % seq), ("ce_type", kind), ("synfin_seq", b"%d:%d:%d" % seq))
        return Record(topic, slice_ % PARTITIONS, b"1:%d" % slice_, value_of(*seq, is_alert(*seq)), headers)

    def finish(self):
        """Publish no more; fails when it had ended by itself, since then a kill may have come after the stream."""
        assert self.is_alive(), f"the input ended too early: {self.error}"
        self._enough.set()
        self.join(60)
        assert not self.is_alive()
        assert self.error is None

    def values(self, topic, slice_):
        return [value_of(slice_, 40, n, is_alert(slice_, 40, n)) for n in range(1, self.truth[topic, slice_] + 1)]


@contextmanager
def sink(bootstrap, prefix, out, *flags):
    """A sink in a process of its own; what it says on stderr is kept in `said`."""
    environment = {**os.environ, "SYNFIN_KAFKA_TIMEOUT": "20s"}
    command = [sys.executable, "-m", "sink.cli", "--brokers", bootstrap, "--prefix", prefix, "--out", out]
    command += ["--group", f"{prefix}-sink", "--metrics-port", "0", *flags]
    with (
        (out.parent / f"said-{time.monotonic_ns()}").open("w+") as said,
        subprocess.Popen(command, cwd=ROOT, stderr=said, env=environment) as process,
    ):
        process.said = lambda: Path(said.name).read_text()
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def until(true, process, what, timeout_s=90):
    """Wait for something that the process is to bring about."""
    end = time.monotonic() + timeout_s
    while not true():
        assert process.poll() is None, f"it ended before {what}: {process.said()}"
        assert time.monotonic() < end, f"{what} did not come: {process.said()}"
        time.sleep(0.05)


def size(out):
    """Bytes in files of records."""
    total = 0
    for path in out.glob("*.v1/*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # renamed meanwhile
            continue
    return total


def lines(out, topic, partition):
    files = sorted((out / topic).glob(f"{topic}-{partition}-*"))
    return [line for path in files for line in path.read_bytes().splitlines()]


def counted(said, what):
    return int(re.search(rf"(\d+) {what}", said.splitlines()[-1])[1])


def all_messages(broker, topic, partitions):
    """Everything that a topic holds."""
    consumer = broker.consumer({TopicPartition(topic, number): EARLIEST for number in range(partitions)})
    try:
        left = sum(end - first for first, end in consumer.bounds().values())
        found, end = [], time.monotonic() + 60
        while len(found) < left and time.monotonic() < end:
            found += consumer.poll(0.5)
        assert len(found) == left
        return found
    finally:
        consumer.close()


def check(out, processor, topics, broker):
    """Files hold each record once and in order; the alerts topic, without doubles, holds all alerts."""
    for topic in (topics.flows.name, topics.events.name):
        assert not list((out / topic).glob("*.live"))
        for partition in range(PARTITIONS):
            written = lines(out, topic, partition)
            for slice_ in SLICES[partition::PARTITIONS]:
                mine = [line for line in written if b'"id":"%d/' % slice_ in line]
                assert mine == processor.values(topic, slice_)
            assert len(written) == sum(processor.truth[topic, slice_] for slice_ in SLICES[partition::PARTITIONS])
    alerts = {}
    for message in all_messages(broker, topics.alerts.name, 6):
        alerts.setdefault(dict(message.headers)["ce_id"], set()).add((message.key, message.value, message.partition))
    assert all(len(same) == 1 for same in alerts.values()), "one id, one alert"
    truth = {
        b"%d/40/%d" % (slice_, n): value_of(slice_, 40, n, alert=True)
        for slice_ in SLICES
        for n in range(1, processor.truth[topics.events.name, slice_] + 1)
        if is_alert(slice_, 40, n)
    }
    assert {alert_id: next(iter(same))[1] for alert_id, same in alerts.items()} == truth
    assert all(next(iter(same))[0].startswith(b"alert.abnormal_teardown/1:") for same in alerts.values())


def test_killed_twice_in_the_stream_it_writes_each_record_once(kafka, topics, prefix, tmp_path):
    out = tmp_path / "out"
    processor = Processor(kafka.broker, topics)
    processor.start()
    flags = ("--rotate-bytes", "60000")
    for _ in range(2):
        with sink(kafka.bootstrap, prefix, out, *flags) as process:
            before = size(out) if out.exists() else 0
            until(lambda more=before + 150_000: size(out) > more, process, "150 kB more")
            process.kill()
            assert process.wait() == -signal.SIGKILL
    with sink(kafka.bootstrap, prefix, out, *flags) as process:
        before = size(out)
        until(lambda: size(out) > before + 50_000, process, "50 kB more")
        processor.finish()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, process.said()
    with sink(kafka.bootstrap, prefix, out, *flags, "--once-idle", "1") as process:
        assert process.wait(90) == 0, process.said()
        last = process.said()

    check(out, processor, topics, kafka.broker)
    sent = sum(processor.truth.values()) + processor.replayed
    assert processor.replayed > 0
    assert counted(last, "records read") < sent / 2, "the journal, not the topic's beginning"
    for topic in (topics.flows.name, topics.events.name):
        for partition in range(PARTITIONS):
            assert len(list((out / topic).glob(f"{topic}-{partition}-*.jsonl"))) >= 3
    marks = {TopicPartition(name, n): EARLIEST for name in (topics.flows.name, topics.events.name) for n in (0, 1)}
    consumer = kafka.broker.consumer(marks, f"{prefix}-sink")
    try:
        ends = {where: end for where, (_, end) in consumer.bounds().items()}
        committed = {where: consumer._client.committed(mark) for where, mark in consumer._assigned.items()}
    finally:
        consumer.close()
    assert committed == ends


def test_replays_within_the_topic_are_skipped_and_counted(kafka, topics, prefix, tmp_path):
    processor = Processor(kafka.broker, topics, pause_s=0.001)
    processor.start()
    while sum(processor.truth.values()) < 2000:
        time.sleep(0.01)
    processor.finish()
    with sink(kafka.bootstrap, prefix, tmp_path / "out", "--once-idle", "1") as process:
        assert process.wait(90) == 0, process.said()
    check(tmp_path / "out", processor, topics, kafka.broker)
    assert processor.replayed > 0
    assert counted(process.said(), "skipped as replayed") == processor.replayed
    assert counted(process.said(), "written") == sum(processor.truth.values())


def test_it_outlives_its_broker(own_kafka, prefix, tmp_path):
    own_kafka.start()
    broker = KafkaBroker(BrokerConfig(bootstrap=own_kafka.bootstrap, timeout_s=20))
    topics = Topics(prefix=prefix, partitions=PARTITIONS)
    admin = broker.admin()
    admin.create(topics.all())
    admin.close()
    out = tmp_path / "out"
    processor = Processor(broker, topics)
    processor.start()
    with sink(own_kafka.bootstrap, prefix, out) as process:
        until(lambda: out.exists() and size(out) > 30_000, process, "30 kB")
        own_kafka.kill()
        time.sleep(3)  # several attempts of the consumer, and steps whose alerts and commits nobody answers
        own_kafka.start()
        before = size(out)
        until(lambda: size(out) > before + 50_000, process, "50 kB more after the broker's return", timeout_s=240)
        processor.finish()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, process.said()
    with sink(own_kafka.bootstrap, prefix, out, "--once-idle", "1") as process:
        assert process.wait(90) == 0, process.said()
    check(out, processor, topics, broker)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answer(port, path):
    """Status and body; none while nobody listens yet."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except ConnectionRefusedError:
        return 0, ""
    finally:
        connection.close()


def test_signals_and_the_metrics_port(kafka, topics, prefix, tmp_path):
    out, port = tmp_path / "out", free_port()
    producer = kafka.broker.producer()
    processor = Processor(kafka.broker, topics)
    name = topics.flows.name
    send_all(producer, [processor._record(name, 0, n) for n in (1, 2, 1)], 30)
    with sink(kafka.bootstrap, prefix, out, "--topics", "flows", "--metrics-port", str(port)) as process:
        until(lambda: "synfin_sink_written_total 2.0" in answer(port, "/metrics")[1], process, "two lines")
        until(lambda: answer(port, "/readyz") == (200, "ok\n"), process, "readiness")
        assert "synfin_sink_replayed_total 1.0" in answer(port, "/metrics")[1]
        assert [path.name for path in (out / name).iterdir()] == [f"{name}-0-{0:020d}.jsonl.live"]

        process.send_signal(signal.SIGHUP)
        finished = out / name / f"{name}-0-{0:020d}-{1:020d}.jsonl"
        until(finished.exists, process, "the finished file")
        process.send_signal(signal.SIGUSR1)
        until(lambda: "3 records read: 2 written" in process.said(), process, "the counters")

        send_all(producer, [processor._record(name, 0, n) for n in (5, 6)], 30)
        until(lambda: answer(port, "/readyz")[0] == 503, process, "the gap")
        assert f"{name}-0: slice 0 waits for 0:40:3: " in answer(port, "/readyz")[1]
        send_all(producer, [processor._record(name, 0, n) for n in (3, 4, 5, 6, 7)], 30)
        until(lambda: answer(port, "/readyz") == (200, "ok\n"), process, "the end of the gap")

        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, process.said()
    assert producer.close(10)
    assert lines(out, name, 0) == [value_of(0, 40, n, is_alert(0, 40, n)) for n in range(1, 8)]
