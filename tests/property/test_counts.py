"""Alerts over several connections: not of batches, slices, partitions or restarts, but of what happened alone."""

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.judging import PartitionRules, count_of
from processor.partition import Message
from processor.rules import Thresholds
from processor.slices import PartitionSlices
from processor.tcp.machine import Limits
from sensor.batcher import Batcher
from synfin.compiled import ENABLED
from synfin.wire.batch import END_OF_FILE, Lane
from tests.support.crowds import SECOND, Crowd, raised, staged

pytestmark = pytest.mark.skipif(not ENABLED, reason="minutes in plain Python, in which tests/unit/aggregates runs")

LIMITS = Thresholds(syn_rate=10, storm_aborts=20)  # so that small crowds do


def clients(i):
    return f"198.51.{100 + i // 250}.{1 + i % 250}"


@cache
def crowd():
    """Something for every rule, side by side, and what must not be raised."""
    made = Crowd().many(384, "opened", 0, 1, clients, "192.0.2.9", 443)
    for window in range(3):
        made.many(150, "unanswered", 1 + 10 * window, 8, clients, "192.0.2.1", 80)
        made.many(12, "refused", 2 + 10 * window, 6, "203.0.113.7", "192.0.2.2", lambda i, w=window: 100 + 20 * w + i)
    made.many(25, "syn_scan", 12, 7, "203.0.113.8", lambda i: f"192.0.2.{i}", 22)
    made.many(25, "killed", 24, 0.01, clients, "192.0.2.3", 5432)
    made.many(30, "stray_synack", 30, 8, clients, "192.0.2.4", 80)
    made.many(1, "closed", 2, 1, clients, "192.0.2.5", 25).many(6, "refused", 33, 5, clients, "192.0.2.5", 25)
    made.many(25, "refused", 40, 8, "203.0.113.9", "192.0.2.6", lambda i: i + 1)
    made.many(40, "opened", 40, 8, "203.0.113.9", "192.0.2.6", 443)
    return made.until(100).rows()


EXPECTED = {
    "alert.syn_flood", "alert.scan_vertical", "alert.scan_horizontal", "alert.rst_storm", "alert.backscatter",
    "alert.refused_service", "alert.listener_closed",
}  # fmt: skip


@cache
def undisturbed():
    return sorted(raised(staged(*crowd()), LIMITS))


def test_the_crowd_raises_each_kind_once():
    kinds = [value.split(b'"kind":"')[1].split(b'"')[0].decode() for value in undisturbed()]
    assert sorted(kinds) == sorted(EXPECTED)


@given(st.lists(st.integers(20, 900), min_size=1, max_size=6))
@settings(max_examples=6, deadline=None)
def test_any_split_into_batches(sizes):
    assert sorted(raised(staged(*crowd(), tuple(sizes)), LIMITS)) == undisturbed()


class Pipeline:
    """Both stages of a number of partitions, with lists for topics."""

    def __init__(self, partitions):
        self.partitions = partitions
        self.slices = [PartitionSlices(p, partitions, Limits(), []) for p in range(partitions)]
        self.rules = [PartitionRules(p, partitions, LIMITS, []) for p in range(partitions)]
        self.counts = [[] for _ in range(partitions)]  # the topic: value and number
        self.offsets = [0] * partitions

    def apply(self, batch):
        """Apply a batch to its partition; the counts go into their topic."""
        number = batch.partition
        rows = list(self.slices[number].apply(batch, self.offsets[number], 1))
        self.offsets[number] += 1
        for topic, _, value, _, _, seq in rows:
            if topic.startswith("counts/"):
                self.counts[int(topic.removeprefix("counts/"))].append((value, seq.encode()))

    def judge(self, number, log, start=0, rules=None):
        """Give a part of the topic to the second stage; (alert, number) of what it raised."""
        rules, found = rules or self.rules[number], []
        for offset, (value, seq) in enumerate(log, start):
            for topic, _, alert, _, _, alert_seq in rules.apply(
                count_of(Message(number, offset, 1, value, seq)), offset, 1
            ):
                assert topic == "events"
                found.append((alert, alert_seq))
        return found


@cache
def batches(partitions, max_rows=200):
    batcher = Batcher(Lane("tap", 1, 0), partitions, max_rows)
    found = []
    segments, flows = crowd()
    for at_ns in range(int(segments["t_ns"][0]), int(segments["t_ns"][-1]) + SECOND, SECOND):
        now = (segments["t_ns"] >= at_ns) & (segments["t_ns"] < at_ns + SECOND)
        found += batcher.add(segments[now], flows, 0)
        found += batcher.tick(at_ns + SECOND)
    return tuple(found + batcher.finish(END_OF_FILE))


@pytest.mark.parametrize("partitions", [1, 2, 24])
def test_any_number_of_partitions_with_snapshots_in_between(partitions):
    line = Pipeline(partitions)
    for i, batch in enumerate(batches(partitions)):
        line.apply(batch)
        if i % 97 == 50:  # another worker takes over
            number = batch.partition
            values = [value for _, value in line.slices[number].snapshots()]
            line.slices[number] = PartitionSlices(number, partitions, Limits(), values)
    found = [alert for number in range(partitions) for alert, _ in line.judge(number, line.counts[number])]
    assert sorted(found) == undisturbed()


@cache
def counted(partitions=2):
    line = Pipeline(partitions)
    for batch in batches(partitions):
        line.apply(batch)
    return line


@given(st.integers(0, 2**30))
@settings(max_examples=8, deadline=None)
def test_the_partitions_are_read_as_far_apart_as_may_be(seed):
    """Records of one partition stay in order; it may be over before another begins."""
    chance = random.Random(seed)
    found = []
    for number, log in enumerate(counted(8).counts):
        pace = {part: chance.choice((0, 0.01, 0.5, 1)) for part in range(8)}
        at, order = dict.fromkeys(pace, 0), []
        for value, seq in log:
            part = int(seq.split(b":")[0])
            at[part] += pace[part] * chance.random()
            order.append((at[part] + part * (not pace[part]), len(order), (value, seq)))
        rules = PartitionRules(number, 8, LIMITS, [])
        found += [alert for alert, _ in counted(8).judge(number, [each for *_, each in sorted(order)], rules=rules)]
    assert sorted(found) == undisturbed()


@given(st.data())
@settings(max_examples=8, deadline=None)
def test_a_second_stage_that_begins_again_at_any_record_gives_the_same_with_the_same_numbers(data):
    log = counted().counts[0]
    whole = counted().judge(0, log, rules=PartitionRules(0, 2, LIMITS, []))
    cut = data.draw(st.integers(1, len(log)))
    before = PartitionRules(0, 2, LIMITS, [])
    first = counted().judge(0, log[:cut], rules=before)
    values = [value for _, value in before.snapshots()]
    assert first + counted().judge(0, log[cut:], cut, PartitionRules(0, 2, LIMITS, values)) == whole


@given(st.data())
@settings(max_examples=6, deadline=None)
def test_counts_that_a_first_stage_sent_again_count_once(data):
    log = counted().counts[1]
    whole = counted().judge(1, log, rules=PartitionRules(1, 2, LIMITS, []))
    first, last = sorted(data.draw(st.lists(st.integers(0, len(log)), min_size=2, max_size=2)))
    again = [*log[:last], *log[first:]]
    assert counted().judge(1, again, rules=PartitionRules(1, 2, LIMITS, [])) == whole


def test_a_first_stage_that_begins_again_numbers_its_records_as_before():
    whole, line = counted(1), Pipeline(1)
    every = batches(1)
    for batch in every[: len(every) // 2]:
        line.apply(batch)
    values = [value for _, value in line.slices[0].snapshots()]
    line.slices[0] = PartitionSlices(0, 1, Limits(), values)
    for batch in every[len(every) // 2 :]:
        line.apply(batch)
    assert line.counts == whole.counts


@pytest.mark.parametrize("ahead", [0, 1, 20])
def test_counts_that_are_ahead_of_the_slices_skip_what_those_have_again(ahead):
    """The worker died when it had written the counts, and of the slices none: theirs are of a checkpoint before."""
    whole, line = counted(1), Pipeline(1)
    every = batches(1)
    half = len(every) // 2
    for batch in every[:half]:
        line.apply(batch)
    _, *slices = [value for _, value in line.slices[0].snapshots()]
    for batch in every[half : half + ahead]:
        line.apply(batch)
    counts, *_ = [value for _, value in line.slices[0].snapshots()]
    line.slices[0], line.offsets[0] = PartitionSlices(0, 1, Limits(), [*slices, counts]), half
    assert line.slices[0].next() == half
    for batch in every[half:]:
        line.apply(batch)
    assert line.counts == whole.counts
