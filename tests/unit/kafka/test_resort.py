"""Batches sorted again for another partition count: the same rows, in order, as if they had always been sorted so."""

import time
from collections import defaultdict

import numpy as np
import pytest

from sensor.batcher import NO_AGE_NS, Batcher
from sensor.publisher import Limits, Publisher
from sensor.resort import Resorter
from sensor.segments import Entry
from sensor.spool import Spool
from synfin.broker import TopicPartition
from synfin.broker_memory import MemoryBroker
from synfin.errors import ContractError
from synfin.wire.batch import END_OF_FILE, GOES_ON, STOPPED, Lane
from synfin.wire.codec import decode, encode
from synfin.wire.key import slice_of, tuple_hash
from synfin.wire.segment import FLOW, SEGMENT
from synfin.wire.topics import Topics

LANE = Lane("here", 7, 0)
SECOND = 10**9


def some_flows(count, seed):
    random = np.random.default_rng(seed)
    flows = np.zeros(count, FLOW)
    flows["lower_ip"][:, 1] = 0xFFFF_0A00_0000 + random.integers(0, 1 << 20, count)
    flows["higher_ip"][:, 1] = 0xFFFF_0B00_0000 + random.integers(0, 1 << 20, count)
    flows["lower_port"], flows["higher_port"] = random.integers(1, 65535, (2, count))
    flows["family"] = 4
    for flow in flows:
        words = (*flow["lower_ip"], flow["lower_port"], *flow["higher_ip"], flow["higher_port"])
        flow["hash"] = tuple_hash(*(np.uint64(word) for word in words))
    return flows


def some_batches(partitions, end=STOPPED, seconds=10, lane=LANE, step_back=False, seed=1, age_ns=SECOND, live=True):
    """What a sensor with so many partitions publishes of 4 000 rows, in the order of publishing."""
    random = np.random.default_rng(seed)
    flows = some_flows(100, seed)
    batcher = Batcher(lane, partitions, max_rows=64, max_age_ns=age_ns)
    batches = []
    rows = np.zeros(4000, SEGMENT)
    rows["t_ns"] = SECOND * 1000 + np.sort(random.integers(0, seconds * SECOND, len(rows)))
    if step_back:
        rows["t_ns"][2000:] -= 100 * SECOND
    rows["flow"] = random.integers(0, len(flows), len(rows))
    rows["seq"] = np.arange(len(rows))
    rows["flags"] = 0x10
    for start in range(0, len(rows), 200):
        block = rows[start : start + 200]
        batches += batcher.add(block, flows, dropped=start // 100)
        if live:
            batches += batcher.tick(int(block["t_ns"][-1]) + 1000)
    return batches + batcher.finish(end)


def entries_of(batches):
    return [Entry(b.partition, b.partitions, len(b.segments), encode(b)) for b in batches]


def resorted(batches, partitions, age_ns=SECOND):
    resorter = Resorter(partitions, age_ns)
    made = [new for entry in entries_of(batches) for new in resorter.add(entry.data)]
    made += resorter.flush()
    assert resorter.rows() == 0
    decoded = [decode(entry.data) for entry in made]
    for entry, batch in zip(made, decoded, strict=True):
        assert (entry.partition, entry.partitions, entry.rows) == (batch.partition, partitions, len(batch.segments))
    return decoded


def by_flow(batches):
    """Rows of each flow in the order in which a reader of its partition meets them."""
    found = defaultdict(list)
    for batch in batches:
        for row in batch.segments:
            flow = batch.flows[row["flow"]]
            found[flow.tobytes()].append((int(row["t_ns"]), int(row["seq"]), int(row["flags"]), batch.clock_epoch))
    return dict(found)


def assert_well_sorted(batches, partitions):
    numbers, marks = defaultdict(int), {}
    for batch in batches:
        assert batch.number == numbers[batch.partition]
        numbers[batch.partition] += 1
        for flow in batch.flows:
            assert int(slice_of(flow["hash"])) % partitions == batch.partition
        epoch, mark = marks.get(batch.partition, (0, 0))
        if batch.clock_epoch == epoch:
            assert not len(batch.segments) or batch.segments["t_ns"].min() >= mark, "older than a watermark"
        assert batch.clock_epoch >= epoch
        marks[batch.partition] = batch.clock_epoch, batch.last_ns


@pytest.mark.parametrize(("before", "after"), [(24, 12), (12, 24), (24, 1), (1, 16), (24, 32)])
def test_every_row_is_there_in_its_flows_order_at_its_time(before, after):
    batches = some_batches(before)
    sorted_ = resorted(batches, after)
    assert by_flow(sorted_) == by_flow(batches)
    assert_well_sorted(sorted_, after)
    assert {b.lane for b in sorted_} == {LANE}
    assert max(b.dropped for b in sorted_) == max(b.dropped for b in batches)
    ends = [b.partition for b in sorted_ if b.end == STOPPED]
    assert sorted(ends) == list(range(after)), "the end is said to all partitions, once"


@pytest.mark.parametrize("age_ns", [SECOND // 10, SECOND, 20 * SECOND, NO_AGE_NS])
def test_a_row_waits_for_those_that_lay_in_open_batches_longer(age_ns):
    """Without ticks, as of a file: after a pause of the capture many batches are closed by the first row."""
    batches = some_batches(24, age_ns=age_ns, seconds=400, live=False)
    sorted_ = resorted(batches, 16, age_ns)
    assert by_flow(sorted_) == by_flow(batches)
    assert_well_sorted(sorted_, 16)


def test_a_step_of_the_clock_stays_one():
    batches = some_batches(24, end=END_OF_FILE, step_back=True)
    sorted_ = resorted(batches, 12)
    assert by_flow(sorted_) == by_flow(batches)
    assert_well_sorted(sorted_, 12)
    assert {b.clock_epoch for b in sorted_} == {0, 1}


def test_lanes_are_kept_apart_and_one_without_an_end_gets_none():
    other = Lane("here", 7, 1)
    first, second = some_batches(24), some_batches(24, end=GOES_ON, lane=other, seed=2)
    mixed = [batch for pair in zip(first, second, strict=False) for batch in pair]
    mixed += first[len(second) :] + second[len(first) :]
    sorted_ = resorted(mixed, 12)
    for lane, batches, end in ((LANE, first, STOPPED), (other, second, GOES_ON)):
        mine = [batch for batch in sorted_ if batch.lane == lane]
        assert by_flow(mine) == by_flow(batches)
        assert_well_sorted(mine, 12)
        assert {b.end for b in mine} == {GOES_ON, end}


def test_what_does_not_decode_is_a_contract_error():
    with pytest.raises(ContractError):
        Resorter(12).add(b"not a batch")


def test_a_sensor_sorted_for_24_finds_12_and_nothing_is_lost(tmp_path):
    """Half is in the spool when the broker comes, and half is published after, still sorted for 24."""
    broker = MemoryBroker()
    topics = Topics(partitions=12)
    broker.reachable = False
    publisher = Publisher(broker, topics.packets.name, Spool(tmp_path), Limits(retry_s=0.02))
    publisher.start()
    assert publisher.partitions == 24
    batches = some_batches(24)
    half = len(batches) // 2
    for batch in batches[:half]:
        publisher.publish(batch, encode(batch))
    broker.reachable = True
    broker.admin().create([topics.packets])
    for batch in batches[half:]:
        publisher.publish(batch, encode(batch))
    assert publisher.close(30) == 0
    assert publisher.partitions == 12
    arrived = []
    for partition in range(12):
        messages = broker.logs[TopicPartition(topics.packets.name, partition)]
        arrived += [decode(message.value) for message in messages]
        assert all(batch.partitions == 12 for batch in arrived)
    assert by_flow(arrived) == by_flow(batches)
    assert_well_sorted(arrived, 12)
    assert publisher.counters.published.packets == 4000
    assert publisher.counters.dropped.packets == 0


class Keeping:
    """A broker whose first producers keep what they are given; `kept` has a list of (record, done) for each."""

    def __init__(self, broker, keep, answer):
        self.broker, self.keep, self.answer = broker, keep, answer
        self.kept = []

    def producer(self):
        producer = self.broker.producer()
        if len(self.kept) < self.keep:
            mine = []
            self.kept.append(mine)
            producer.send = lambda record, done: self.send(mine, record, done)
        return producer

    def send(self, mine, record, done):
        mine.append((record, done))
        if self.answer(len(self.kept), len(mine)):
            done(None)


def eventually(condition, timeout_s=30.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def test_what_is_said_of_the_queue_before_it_was_sorted_means_nothing_after(tmp_path):
    """The first producer acknowledges each second batch, the rest when the queue is another; the second nothing."""
    memory = MemoryBroker()
    before, after = Topics(partitions=24).packets, Topics(partitions=12).packets
    memory.admin().create([before])
    broker = Keeping(memory, keep=2, answer=lambda producer, n: producer == 1 and n % 2 == 0)
    publisher = Publisher(broker, before.name, Spool(tmp_path), Limits(retry_s=0.02, stall_s=0.3))
    publisher.start()
    eventually(lambda: publisher.trouble is None)
    batches = some_batches(24)
    for batch in batches:
        publisher.publish(batch, encode(batch))
    eventually(lambda: len(broker.kept[0]) == len(batches))
    memory.admin().delete([before.name])
    memory.admin().create([after])
    eventually(lambda: len(broker.kept) == 2 and len(broker.kept[1]) > 0)
    for n, (_, done) in enumerate(broker.kept[0], 1):
        if n % 2:
            done(None)
    assert publisher.close(30) == 0
    arrived = [decode(m.value) for p in range(12) for m in memory.logs[TopicPartition(after.name, p)]]
    assert by_flow(arrived) == by_flow(batches[::2]), "what was acknowledged is in the topic of before"
    assert_well_sorted(arrived, 12)
