"""The publisher against a real broker that is paused, killed and started again under it.

Every batch arrives at least once, those of a partition in order, and none is lost.
"""

import contextlib
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from deploy.broker import TrialBroker
from sensor.publisher import Limits, Publisher
from sensor.segments import Tally
from sensor.spool import Spool
from synfin.broker import EARLIEST, BrokerConfig, KafkaBroker, TopicPartition
from synfin.wire.batch import Batch, Lane
from synfin.wire.segment import FLOW, SEGMENT
from synfin.wire.topics import Topics

pytestmark = pytest.mark.kafka

PARTITIONS = 4
LIMITS = Limits(retry_s=0.2, stall_s=20.0)


@pytest.fixture(scope="module")
def victim():
    """A broker that the tests of this module may ill-treat."""
    broker = TrialBroker()
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


@pytest.fixture
def kafka_(victim):
    if not victim.running:  # a test before this one failed in the middle
        victim.kill()
        victim.start()
    return KafkaBroker(BrokerConfig(bootstrap=victim.bootstrap, timeout_s=5))


@pytest.fixture
def topic(kafka_, prefix):
    packets = Topics(prefix, PARTITIONS).packets
    admin = kafka_.admin()
    admin.create([packets])
    admin.close()
    return packets.name


@pytest.fixture
def start(kafka_, topic, tmp_path):
    """Opens publishers over one spool; the last is closed at the end."""
    opened = []

    def start(limits=LIMITS, max_bytes=64 << 20):
        publisher = Publisher(kafka_, topic, Spool(tmp_path / "spool", max_bytes, PARTITIONS), limits)
        publisher.start()
        opened.append(publisher)
        return publisher

    yield start
    for publisher in opened:
        publisher.close(0)


def publish(publisher, numbers, pause_s=0.0):
    for n in numbers:
        batch = Batch(
            Lane("s", 1, 0), np.zeros(5, SEGMENT), np.zeros(0, FLOW), 0, 0, n % PARTITIONS, PARTITIONS, n // PARTITIONS
        )
        publisher.publish(batch, value(n))
        time.sleep(pause_s)


def value(n):
    return n.to_bytes(8, "little") * (100 + n % 500)


def arrived(kafka_, topic, wanted):
    """Numbers of the batches by partition, as a reader meets them; reads until `wanted` different ones have come."""
    found = {partition: [] for partition in range(PARTITIONS)}
    consumer = kafka_.consumer({TopicPartition(topic, p): EARLIEST for p in range(PARTITIONS)})
    deadline = time.monotonic() + 60
    try:
        while sum(len(set(numbers)) for numbers in found.values()) < wanted and time.monotonic() < deadline:
            for message in consumer.poll(0.5):
                number = int.from_bytes(message.value[:8], "little")
                assert message.value == value(number)
                found[message.partition].append(number)
        ends = [end for _, end in consumer.bounds().values()]
    finally:
        consumer.close()
    assert sum(ends) == sum(len(numbers) for numbers in found.values()), "the log was read to its end"
    return found


def assert_all_in_order(found, numbers):
    for partition, mine in found.items():
        assert list(dict.fromkeys(mine)) == [n for n in numbers if n % PARTITIONS == partition]


def bytes_in(folder):
    total = 0
    for path in folder.rglob("*.batches"):
        with contextlib.suppress(FileNotFoundError):  # it went meanwhile
            total += path.stat().st_size
    return total


def eventually(condition, timeout_s=60.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def total(counters):
    parts = (counters.published, counters.spooled, counters.unacknowledged, counters.dropped)
    return Tally(sum(p.batches for p in parts), sum(p.packets for p in parts))


def test_a_broker_that_is_paused_and_one_that_is_killed_in_mid_stream(victim, kafka_, topic, start):
    publisher = start()
    publish(publisher, range(300))
    eventually(lambda: publisher.counters.published.batches > 0)
    assert {f"{a.remote_ip}:{a.remote_port}" for a in publisher.live_addresses()} == {victim.bootstrap}

    victim.pause()
    publish(publisher, range(300, 600), pause_s=0.005)
    assert publisher.counters.published.batches <= 300
    victim.resume()

    publish(publisher, range(600, 700))
    victim.kill()
    publish(publisher, range(700, 1000), pause_s=0.005)
    assert publisher.counters.published.batches < 1000
    victim.start()
    publish(publisher, range(1000, 1300))

    assert publisher.close(60) == 0
    assert publisher.counters.published == Tally(1300, 6500) == total(publisher.counters)
    assert_all_in_order(arrived(kafka_, topic, 1300), range(1300))


def test_a_broker_that_is_away_at_the_start_and_then_appears(victim, kafka_, topic, start):
    victim.stop()
    publisher = start()
    publish(publisher, range(200))
    eventually(lambda: publisher.counters.spooled == Tally(200, 1000))
    assert publisher.trouble is not None
    victim.start()
    publish(publisher, range(200, 300))
    assert publisher.close(60) == 0
    assert_all_in_order(arrived(kafka_, topic, 300), range(300))


def test_the_bound_of_the_spool_holds_while_the_broker_is_away(victim, kafka_, topic, start, tmp_path):
    publisher = start(replace(LIMITS, flight_max_bytes=50_000, stall_s=300), max_bytes=300_000)
    eventually(lambda: publisher.trouble is None)
    victim.kill()
    for n in range(600):
        publish(publisher, [n])
        if n % 50 == 0:
            assert bytes_in(tmp_path / "spool") <= 300_000
    eventually(lambda: total(publisher.counters) == Tally(600, 3000))
    dropped = publisher.counters.dropped
    assert dropped.packets == 5 * dropped.batches > 0
    victim.start()
    assert publisher.close(60) == 0
    assert publisher.counters.published.batches == 600 - dropped.batches
    assert publisher.counters.dropped == dropped
    found = arrived(kafka_, topic, 600 - dropped.batches)
    numbers = sorted(n for mine in found.values() for n in set(mine))
    assert_all_in_order(found, numbers)
    # What was in flight when the broker died was kept in memory; of what waited on disk the oldest went.
    assert numbers[-1] == 599
    gap = next(n for n in range(600) if n not in numbers)
    assert numbers == [*range(gap), *range(gap + dropped.batches, 600)]


def test_a_producer_that_hears_nothing_is_given_up_and_what_it_held_is_sent_again(victim, kafka_, topic, start):
    publisher = start(limits=replace(LIMITS, stall_s=1.0))
    publish(publisher, range(100))
    eventually(lambda: publisher.counters.published.batches == 100)
    first = publisher._link.generation
    victim.pause()
    try:
        publish(publisher, range(100, 200))
        eventually(lambda: "nothing was acknowledged for 1 s" in (publisher.trouble or ""))
    finally:
        victim.resume()
    assert publisher.close(60) == 0
    assert publisher._link.generation > first
    assert publisher.counters.published == Tally(200, 1000)
    assert_all_in_order(arrived(kafka_, topic, 200), range(200))


CHILD = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[5:]
from tests.integration.test_publisher import LIMITS, PARTITIONS, eventually, publish, total
from sensor.publisher import Publisher
from sensor.spool import Spool
from synfin.broker import BrokerConfig, KafkaBroker
bootstrap, topic, folder, count = sys.argv[1:5]
publisher = Publisher(KafkaBroker(BrokerConfig(bootstrap=bootstrap)), topic, Spool(Path(folder)), LIMITS)
publisher.start()
publish(publisher, range(int(count)))
eventually(lambda: total(publisher.counters).batches == int(count))
print("on disk", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("paused", [False, True])
def test_a_sensor_that_is_killed_loses_nothing_that_it_had_closed(victim, kafka_, topic, start, tmp_path, paused):
    publisher = start()  # so that the spool knows the partition count
    publisher.close(10)
    if paused:
        victim.pause()
    try:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, victim.bootstrap, topic, str(tmp_path / "spool"), "300", *sys.path],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert child.stdout.readline() == "on disk\n"
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
    finally:
        if paused:
            victim.resume()
    publisher = start()
    assert publisher.counters.recovered.batches <= 300
    if paused:
        assert publisher._recovered == Tally(300, 1500)
    publish(publisher, range(300, 350))
    assert publisher.close(60) == 0
    assert_all_in_order(arrived(kafka_, topic, 350), range(350))
