"""The sensor against a real Kafka: what it captured is in the topic, whole and without its own traffic."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sensor.capfile_writer import CaptureFileFormat, CaptureFileWriter
from sensor.capture import check_permission
from sensor.dissect import Dissector
from synfin.clients import TopicPartition
from synfin.errors import CapturePermissionError
from synfin.wire.batch import END_OF_FILE, GOES_ON, STOPPED
from synfin.wire.codec import decode
from tests.support.capture_files import pcap
from tests.support.frames import block, ethernet, ipv4, ipv6, packets, tcp
from tests.support.netns import CONVERSE, ROOT

pytestmark = pytest.mark.kafka
BATCH_S = 240


class Program:
    """A sensor on this host."""

    def __init__(self, folder, *arguments, code=None):
        self.errors = folder / "stderr"
        program = ["-c", code] if code else ["-m", "sensor.cli"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        become = ["-Z", "root"] if os.geteuid() == 0 else []  # a test's folders are not for others
        arguments = [*arguments, *become, "--spool", str(folder / "spool"), "--metrics-port", "0"]
        with self.errors.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, *program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=folder,
                env=environment,
            )

    def wait_until(self, done):
        deadline = time.monotonic() + BATCH_S
        while not done():
            assert self.process.poll() is None, self.errors.read_text()
            assert time.monotonic() < deadline, self.errors.read_text()
            time.sleep(0.1)

    def end(self, number=None):
        if number is not None:
            self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=240)  # kernels may have to be compiled first
        return self.process.returncode, out, self.errors.read_text()

    def ports(self):
        """Local ports of its established connections."""
        sockets = set()
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                if match := re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink())):
                    sockets.add(match[1])
        tables = [Path(f"/proc/net/{name}").read_text().splitlines() for name in ("tcp", "tcp6")]
        lines = [line.split() for table in tables for line in table]
        return {int(line[1].rpartition(":")[2], 16) for line in lines if line[9] in sockets and line[3] == "01"}


@pytest.fixture
def program(tmp_path):
    started = []

    def start(*arguments, **options):
        started.append(Program(tmp_path, *arguments, **options))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


def consume(kafka, topic):
    """All batches of a topic, each partition's in order."""
    start = {TopicPartition(topic.name, partition): 0 for partition in range(topic.partitions)}
    consumer = kafka.broker.consumer(start)
    try:
        ends = sum(end for _, end in consumer.bounds().values())
        messages = []
        deadline = time.monotonic() + BATCH_S
        while len(messages) < ends and time.monotonic() < deadline:
            messages += consumer.poll(0.5)
    finally:
        consumer.close()
    batches = [(message.partition, decode(message.value)) for message in messages]
    assert all(partition == batch.partition for partition, batch in batches)
    for partition in range(topic.partitions):
        assert [b.number for p, b in batches if p == partition] == list(range(sum(p == partition for p, _ in batches)))
    return [batch for _, batch in batches]


def tuples(batches):
    """(time, lower port, higher port, seq, flags) of all rows, sorted."""
    rows = []
    for batch in batches:
        flows = batch.flows[batch.segments["flow"]]
        columns = (batch.segments["t_ns"], flows["lower_port"], flows["higher_port"], batch.segments["seq"])
        rows += zip(*(column.tolist() for column in (*columns, batch.segments["flags"])), strict=True)
    return sorted(rows)


def write_file(path, repeats=1):
    """A capture file of some packets; its rows as the dissector sees them."""
    writer = CaptureFileWriter(str(path), CaptureFileFormat(), 1)
    writer.open()
    given = [*packets(), ipv4(tcp(1, 2)), ipv6(tcp(3, 4))] * repeats
    frames = block([ethernet(packet) for packet in given])
    writer.write(frames)
    writer.close()
    segments, flows = Dissector(None).dissect(frames)
    columns = (segments["t_ns"], flows["lower_port"][segments["flow"]], flows["higher_port"][segments["flow"]])
    rows = zip(*(c.tolist() for c in (*columns, segments["seq"], segments["flags"])), strict=True)
    return len(given), sorted(rows)


def test_a_capture_file_is_published_whole_and_ends(kafka, topics, program, tmp_path):
    frames, expected = write_file(tmp_path / "in.pcapng", repeats=500)
    arguments = ("-r", "in.pcapng", "--brokers", kafka.bootstrap, "--topic", topics.packets.name, "--json")
    code, out, said = program(*arguments, "--sensor-id", "host-ä").end()
    assert code == 0, said
    batches = consume(kafka, topics.packets)
    assert tuples(batches) == expected
    assert [batch.end for batch in batches if batch.end] == [END_OF_FILE] * topics.packets.partitions
    assert {batch.lane.sensor for batch in batches} == {"host-ä"}
    summary = json.loads(out)
    assert summary["captured"] == summary["frames"]["frames"] == frames
    assert summary["publisher"]["published"]["packets"] == len(expected)
    assert summary["publisher"]["published"]["batches"] == len(batches)
    assert not (tmp_path / "spool" / "g0").exists() or not list((tmp_path / "spool" / "g0").glob("*.batches"))


def test_a_replay_publishes_what_came_and_heartbeats_while_its_file_is_silent(kafka, topics, program, tmp_path):
    first, later = (ethernet(ipv4(tcp(port, 80))) for port in (1025, 1026))
    (tmp_path / "in.pcap").write_bytes(pcap([(1000, 0, first), (4600, 0, later)]))  # an hour of silence
    sensor = program("-r", "in.pcap", "--speed", "10", "--brokers", kafka.bootstrap, "--topic", topics.packets.name)
    sensor.wait_until(lambda: len(consume(kafka, topics.packets)) >= 4)
    assert [row[1:3] for row in tuples(consume(kafka, topics.packets))] == [(1025, 80)]
    code, _, said = sensor.end(signal.SIGTERM)
    assert code == 0, said


def test_a_live_capture_publishes_all_but_its_own_traffic(kafka, topics, program):
    try:
        check_permission("lo")
    except CapturePermissionError as error:
        pytest.skip(str(error))
    port = int(kafka.bootstrap.rpartition(":")[2])
    mine = 20000 + os.getpid() % 10000
    connect = (sys.executable, "-c", CONVERSE, "127.0.0.1", str(mine))
    sensor = program(
        "-i", "lo", "--brokers", kafka.bootstrap, "--topic", topics.packets.name, "--latency", "300ms", "-v",
        f"tcp port {port} or tcp port {mine}",
    )  # fmt: skip
    sensor.wait_until(lambda: "listening on lo" in sensor.errors.read_text() and sensor.ports())
    subprocess.run([*connect, "5", "3000"], check=True, timeout=60)
    time.sleep(2)  # batches by age go out while it runs, and make traffic of their own
    own_ports = sensor.ports()
    subprocess.run([*connect, "5", "3000"], check=True, timeout=60)
    code, _, said = sensor.end(signal.SIGINT)
    assert code == 0, said
    batches = consume(kafka, topics.packets)
    rows = tuples(batches)
    talked = [row for row in rows if mine in row[1:3]]
    assert sum(1 for row in talked if row[4] & 0x02) == 20  # SYN and SYN+ACK of ten connections, each once
    assert sum(1 for row in talked if row[4] & 0x01) == 20
    assert own_ports
    assert not [row for row in rows if own_ports & set(row[1:3])]
    left_out = int(re.search(r"(\d+) packets of its own to the brokers left out", said)[1])
    captured = int(re.search(r"(\d+) packets captured", said)[1])
    assert left_out > 10
    assert captured == left_out + len(rows)
    assert f"{len(rows)} packets published" in said
    assert {batch.end for batch in batches} == {GOES_ON, STOPPED}
    assert {int(local) for batch in batches for local in batch.segments["local"]} == {3}  # loopback: both ends are here
    assert all(np.all(np.diff(batch.segments["t_ns"]) >= 0) for batch in batches)


def test_a_file_that_no_broker_takes_ends_with_5(program, tmp_path):
    write_file(tmp_path / "in.pcapng")
    impatient = "import sys, sensor.delivery as d\nd.CONNECTED_S = 2.0\nfrom sensor.cli import main\nsys.exit(main())"
    code, _, said = program("-r", "in.pcapng", "--brokers", "localhost:1", code=impatient).end()
    assert code == 5
    assert re.search(r"^sensor: localhost:1 does not answer, so nothing was read: ", said, re.MULTILINE)


def test_what_it_dissects_may_be_tried_without_a_broker(program, tmp_path):
    frames, expected = write_file(tmp_path / "in.pcapng")
    code, out, _ = program("-r", "in.pcapng", "--dry-run", "--json").end()
    assert code == 0
    summary = json.loads(out)
    assert summary["captured"] == frames
    assert summary["frames"]["tcp"] == len(expected)
    assert "publisher" not in summary
