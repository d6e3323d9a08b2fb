"""The publisher over a broker in memory: nothing lost, in order, bounded, and never in the capture's way."""

import errno
import os
import threading
import time
from collections import deque

import numpy as np
import pytest

from sensor.publisher import Limits, Publisher
from sensor.segments import Segments, Tally
from sensor.spool import Spool
from synfin.broker import TopicPartition
from synfin.broker_memory import MemoryBroker, MemoryProducer
from synfin.errors import BrokerError, UsageError
from synfin.wire.batch import Batch, Lane
from synfin.wire.segment import FLOW, SEGMENT
from synfin.wire.topics import Topic, Topics

LANE = Lane("s", 1, 0)
QUICK = Limits(retry_s=0.02, stall_s=60.0)
PACKETS = Topics(partitions=4).packets


def batch(n, rows=3, partitions=4):
    return Batch(LANE, np.zeros(rows, SEGMENT), np.zeros(0, FLOW), 0, 0, n % partitions, partitions, n)


def data(n, size=100):
    return n.to_bytes(8, "little") * (size // 8)


@pytest.fixture
def broker():
    made = MemoryBroker()
    made.admin().create([PACKETS])
    return made


@pytest.fixture
def opened():
    """Publishers of a test; whatever is left open is closed."""
    publishers = []
    yield publishers
    for publisher in publishers:
        publisher.close(0)


@pytest.fixture
def start(tmp_path, opened):
    def start(broker, limits=QUICK, max_bytes=1 << 20, configured=4):
        spool = Spool(tmp_path / "spool", max_bytes, configured)
        publisher = Publisher(broker, PACKETS.name, spool, limits)
        publisher.start()
        opened.append(publisher)
        return publisher

    return start


def log(broker, partition):
    return [message.value for message in broker.logs[TopicPartition(PACKETS.name, partition)]]


def assert_all_in_order(broker, count, first=0):
    """Every batch has arrived, those of a partition in order; a batch may have come twice."""
    for partition in range(4):
        seen = list(dict.fromkeys(log(broker, partition)))
        assert seen == [data(n) for n in range(first, count) if n % 4 == partition]


def eventually(condition, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def total(counters):
    parts = (counters.published, counters.spooled, counters.unacknowledged, counters.dropped)
    return Tally(sum(p.batches for p in parts), sum(p.packets for p in parts))


def test_batches_arrive_in_order_with_the_partition_as_key(broker, start):
    publisher = start(broker)
    for n in range(200):
        publisher.publish(batch(n), data(n))
    assert publisher.close(10) == 0
    assert_all_in_order(broker, 200)
    for partition in range(4):
        assert {m.key for m in broker.logs[TopicPartition(PACKETS.name, partition)]} == {str(partition).encode()}
    assert publisher.counters.published == Tally(200, 600) == total(publisher.counters)


def test_a_broker_that_is_away_at_the_start_gets_everything_when_it_comes(broker, start):
    broker.reachable = False
    publisher = start(broker)
    for n in range(50):
        publisher.publish(batch(n), data(n))
    eventually(lambda: publisher.counters.spooled == Tally(50, 150))
    eventually(lambda: publisher.trouble == "opening a client: the broker in memory is away")
    broker.reachable = True
    for n in range(50, 60):
        publisher.publish(batch(n), data(n))
    assert publisher.close(10) == 0
    assert_all_in_order(broker, 60)
    assert publisher.counters.published == Tally(60, 180)


def test_a_broker_that_keeps_everybody_waiting_does_not_hold_up_the_capture(broker, start):
    held = threading.Event()

    class Slow:
        def producer(self):
            held.wait(30)
            return broker.producer()

    publisher = start(Slow())
    for n in range(100):
        publisher.publish(batch(n), data(n))
    eventually(lambda: publisher.counters.spooled.batches == 100)  # the queue was emptied while the opening waits
    held.set()
    assert publisher.close(10) == 0
    assert_all_in_order(broker, 100)


def test_a_full_spool_loses_the_oldest_and_says_how_many(broker, start):
    broker.reachable = False
    publisher = start(broker, max_bytes=4096)
    for n in range(400):
        publisher.publish(batch(n, rows=1 + n % 3), data(n))
    rows = sum(1 + n % 3 for n in range(400))
    eventually(lambda: total(publisher.counters) == Tally(400, rows))
    dropped = publisher.counters.dropped
    assert dropped.batches == 400 - publisher.counters.spooled.batches
    assert dropped.packets == sum(1 + n % 3 for n in range(dropped.batches))
    broker.reachable = True
    assert publisher.close(10) == 0
    assert_all_in_order(broker, 400, first=dropped.batches)
    assert publisher.counters.published.batches == 400 - dropped.batches
    assert publisher.counters.dropped == dropped


def test_a_producer_that_acknowledges_nothing_any_more_is_replaced_and_nothing_is_lost(broker, start):
    publisher = start(broker, limits=Limits(retry_s=0.02, stall_s=0.2))
    for n in range(40):
        publisher.publish(batch(n), data(n))
    eventually(lambda: publisher.counters.published.batches == 40)
    broker.wedge()
    for n in range(40, 80):
        publisher.publish(batch(n), data(n))
    assert publisher.close(20) == 0
    assert_all_in_order(broker, 80)
    assert publisher.counters.published == Tally(80, 240) == total(publisher.counters)


def test_what_is_in_flight_is_bounded_and_the_rest_waits_on_disk(broker, start):
    publisher = start(broker, limits=Limits(retry_s=0.02, flight_max_bytes=1000))
    eventually(lambda: publisher.trouble is None)
    broker.reachable = False  # the producer is open and its sends stay pending
    for n in range(100):
        publisher.publish(batch(n), data(n))
    eventually(lambda: total(publisher.counters).batches == 100)
    assert publisher.counters.unacknowledged.batches == 11  # 96 bytes each
    assert publisher.counters.spooled.batches == 89
    broker.reachable = True
    assert publisher.close(10) == 0
    assert_all_in_order(broker, 100)


def test_what_a_sensor_could_not_deliver_the_next_one_sends_first(broker, start):
    broker.reachable = False
    publisher = start(broker)
    for n in range(30):
        publisher.publish(batch(n), data(n))
    assert publisher.close(0.05) == 30
    broker.reachable = True
    publisher = start(broker)
    for n in range(30, 40):
        publisher.publish(batch(n), data(n))
    assert publisher.close(10) == 0
    assert_all_in_order(broker, 40)
    assert publisher.counters.recovered == Tally(30, 90)
    assert publisher.counters.published == Tally(40, 120)
    publisher = start(broker)
    assert publisher.close(10) == 0
    assert publisher.counters.recovered == Tally(), "nothing is left when all was acknowledged"


def test_a_batch_that_the_broker_refuses_is_dropped_alone(broker, start):
    broker.topics[PACKETS.name] = Topic(PACKETS.name, 4, {"max.message.bytes": "1000"})
    publisher = start(broker)
    for n in range(20):
        publisher.publish(batch(n), data(n) if n != 7 else bytes(2000))
    assert publisher.close(10) == 0
    assert publisher.counters.dropped == Tally(1, 3)
    assert publisher.counters.published == Tally(19, 57)
    assert log(broker, 3) == [data(n) for n in (3, 11, 15, 19)]


def test_a_topic_that_is_missing_is_named_and_waited_for(start):
    broker = MemoryBroker()
    publisher = start(broker)
    publisher.publish(batch(0), data(0))
    eventually(lambda: "synfin topics --create" in (publisher.trouble or ""))
    broker.admin().create([PACKETS])
    assert publisher.close(10) == 0
    assert_all_in_order(broker, 1)


def test_a_partition_count_that_no_slice_fits_ends_the_run(start):
    broker = MemoryBroker()
    broker.admin().create([Topic(PACKETS.name, 5, {})])
    publisher = start(broker)
    publisher.publish(batch(0), data(0))
    eventually(lambda: publisher._failed is not None)
    with pytest.raises(UsageError, match="5 partitions do not divide 384"):
        publisher.poll()
    assert publisher.close(0) == 1


def test_the_count_is_the_configured_one_until_a_broker_was_reached_and_then_the_brokers(start):
    broker = MemoryBroker()
    publisher = start(broker, configured=12)
    assert publisher.partitions == 12
    publisher.close(0)
    broker.admin().create([PACKETS])
    publisher = start(broker, configured=12)
    eventually(lambda: publisher.partitions == 4)
    publisher.close(0)
    publisher = start(MemoryBroker(), configured=12)
    assert publisher.partitions == 4
    publisher.close(0)


def test_a_finite_run_waits_for_room_and_loses_nothing(broker, start):
    broker.reachable = False
    limits = Limits(retry_s=0.02, finite=True, queue_max_bytes=500, patience_s=20)
    publisher = start(broker, limits, max_bytes=4096)
    back = threading.Timer(0.3, lambda: setattr(broker, "reachable", True))
    back.start()
    for n in range(400):
        publisher.publish(batch(n), data(n))
    back.join()
    assert publisher.close(20) == 0
    assert_all_in_order(broker, 400)
    assert publisher.counters.dropped == Tally()


def test_a_finite_run_waits_for_as_long_as_acknowledgments_come(broker, start, monkeypatch):
    waiting, send = deque(), MemoryProducer.send
    monkeypatch.setattr(MemoryProducer, "send", lambda *given: waiting.append(given))
    publisher = start(broker, Limits(retry_s=0.02, finite=True))

    def acknowledge():
        for _ in range(12):
            time.sleep(0.5)
            eventually(lambda: waiting)
            send(*waiting.popleft())

    broker_thread = threading.Thread(target=acknowledge)
    broker_thread.start()
    for n in range(12):
        publisher.publish(batch(n), data(n))
    assert publisher.close(4) == 0
    broker_thread.join()
    assert_all_in_order(broker, 12)


def test_a_finite_run_without_a_broker_ends_with_what_is_undelivered(broker, start):
    broker.reachable = False
    limits = Limits(retry_s=0.02, finite=True, queue_max_bytes=500, patience_s=0.2)
    publisher = start(broker, limits, max_bytes=4096)
    published, said = 0, ""
    for published in range(400):
        try:
            publisher.publish(batch(published), data(published))
        except BrokerError as error:
            said = str(error)
            break
    assert said.startswith("no room in the spool and no broker for 0.2 s: opening a client")
    eventually(lambda: total(publisher.counters).batches == published)
    assert publisher.close(0.1) == published
    assert publisher.counters.dropped == Tally()


@pytest.fixture
def broken_disk(monkeypatch):
    """A disk that does not take the batches with these numbers."""
    numbers = set()
    real = Segments.append

    def append(self, entry, taken=False):
        if int.from_bytes(entry.data[:8], "little") in numbers:
            raise OSError(errno.EIO, "input/output error")
        return real(self, entry, taken)

    monkeypatch.setattr(Segments, "append", append)
    return numbers


def test_what_the_disk_does_not_take_is_sent_all_the_same_while_there_is_a_broker(broker, start, broken_disk):
    publisher = start(broker)
    eventually(lambda: publisher.trouble is None)
    broken_disk.update(range(3, 9))
    for n in range(10):
        publisher.publish(batch(n), data(n))
        eventually(lambda n=n: publisher.counters.published.batches == n + 1)
    assert publisher.close(10) == 0
    assert_all_in_order(broker, 10)
    assert publisher.counters.dropped == Tally()


def test_what_the_disk_does_not_take_is_lost_and_counted_while_there_is_none(broker, start, broken_disk):
    broker.reachable = False
    broken_disk.add(5)
    publisher = start(broker)
    for n in range(10):
        publisher.publish(batch(n), data(n))
    eventually(lambda: total(publisher.counters) == Tally(10, 30))
    broker.reachable = True
    assert publisher.close(10) == 0
    assert publisher.counters.dropped == Tally(1, 3)
    assert publisher.counters.published == Tally(9, 27)
    assert log(broker, 1) == [data(1), data(9)]


def test_what_was_sent_without_the_disk_is_counted_when_its_producer_fails(broker, start, broken_disk):
    publisher = start(broker, limits=Limits(retry_s=0.02, stall_s=0.2))
    eventually(lambda: publisher.trouble is None)
    broken_disk.add(1)
    broker.wedge()
    for n in range(3):
        publisher.publish(batch(n), data(n))
    eventually(lambda: publisher.counters.published.batches == 2)
    assert publisher.close(10) == 0
    assert publisher.counters.dropped == Tally(1, 3)
    assert total(publisher.counters) == Tally(3, 9)
    assert (log(broker, 0), log(broker, 1), log(broker, 2)) == ([data(0)], [], [data(2)])


def test_a_full_disk_gives_the_oldest_for_the_newest(broker, start, monkeypatch):
    broker.reachable = False
    publisher = start(broker, max_bytes=4096)  # files of 256 bytes: two batches each
    real, left = os.writev, [10]

    def writev(descriptor, parts):
        left[0] -= 1
        if left[0] < 0 and left[0] % 2:  # each second write finds no room until a file has gone
            return real(descriptor, [parts[0]])
        return real(descriptor, parts)

    monkeypatch.setattr(os, "writev", writev)
    for n in range(12):
        publisher.publish(batch(n), data(n))
    eventually(lambda: total(publisher.counters) == Tally(12, 36))
    broker.reachable = True
    assert publisher.close(10) == 0
    assert publisher.counters.dropped == Tally(4, 12)
    assert_all_in_order(broker, 12, first=4)


def test_a_queue_that_the_disk_does_not_empty_is_bounded(broker, start, monkeypatch):
    publisher = start(broker, limits=Limits(retry_s=0.02, queue_max_bytes=1000))
    eventually(lambda: publisher.trouble is None)
    gate = threading.Event()
    real = type(publisher._spool.queue).append

    def append(self, entry, taken=False):
        gate.wait(30)
        return real(self, entry, taken)

    monkeypatch.setattr(type(publisher._spool.queue), "append", append)
    for n in range(100):
        publisher.publish(batch(n), data(n))
    assert publisher._queue_bytes <= 1000
    gate.set()
    assert publisher.close(10) == 0
    assert publisher.counters.dropped.batches == 100 - publisher.counters.published.batches
    assert 10 <= publisher.counters.published.batches <= 12
    assert total(publisher.counters) == Tally(100, 300)


def test_answers_of_a_producer_that_was_given_up_count_once(broker, start):
    publisher = start(broker, limits=Limits(retry_s=0.02, stall_s=0.2))
    eventually(lambda: publisher.trouble is None)
    first = publisher._link.producer
    kept = []

    def keep(record, done):
        kept.append((record, done))

    first.send = keep
    for n in range(8):
        publisher.publish(batch(n), data(n))
    eventually(lambda: publisher.counters.published.batches == 8)  # by the producer that replaced it
    for record, done in kept:
        broker.append(record)
        done(None)
    publisher.publish(batch(8), data(8))
    assert publisher.close(10) == 0
    assert publisher.counters.published == Tally(9, 27) == total(publisher.counters)
    assert len(kept) == 8
    assert_all_in_order(broker, 9)


def test_what_was_acknowledged_out_of_order_is_not_sent_again(broker, start):
    """One partition stands still while the others go on, as when one of several brokers dies."""
    publisher = start(broker, limits=Limits(retry_s=0.02, stall_s=0.3))
    eventually(lambda: publisher.trouble is None)
    first = publisher._link.producer
    real = first.send
    first.send = lambda record, done: real(record, done) if record.partition else None
    for n in range(40):
        publisher.publish(batch(n), data(n))
    assert publisher.close(20) == 0
    for partition in range(4):
        assert log(broker, partition) == [data(n) for n in range(40) if n % 4 == partition], "once"
    assert publisher.counters.published == Tally(40, 120) == total(publisher.counters)
