"""Rows to batches: in order within a partition, numbered, closed by size and age, ended everywhere."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from sensor.batcher import HEARTBEAT_NS, NO_AGE_NS, OPEN_NS, OPEN_ROWS_MAX, SETTLE_NS, Batcher
from synfin.wire.batch import END_OF_FILE, GOES_ON, STOPPED, Lane
from synfin.wire.codec import decode, encode
from synfin.wire.segment import FLOW, SEGMENT
from tests.support.batches import any_batch, cut, flow_row, same

LANE = Lane("s", 3, 1)
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def traffic(n=4_000, m=200, seed=1, gap=1_000_000):
    """Rows whose `seq` is their number, over flows of all partitions."""
    rng = np.random.default_rng(seed)
    flows = np.array([flow_row((0x0A000000 + i, 80), (0xC0A80001, 40_000 + i)) for i in range(m)], FLOW)
    rows = np.zeros(n, SEGMENT)
    rows["t_ns"] = START + np.cumsum(rng.integers(0, gap, n))
    rows["flow"] = rng.integers(0, m, n)
    rows["seq"] = np.arange(n)
    rows["frame"] = np.arange(n)
    return rows, flows


def run(batcher, blocks, end=END_OF_FILE):
    out = []
    for rows, flows in blocks:
        out += batcher.add(rows, flows, 0)
    return out + batcher.finish(end)


def of_partition(batches, partition):
    return [batch for batch in batches if batch.partition == partition]


def check_lane(batches, partitions):
    """What a processor relies on: numbers without a gap, watermarks that hold, rows in the partition of their flow."""
    for partition in range(partitions):
        mine = of_partition(batches, partition)
        assert [batch.number for batch in mine] == list(range(len(mine)))
        for batch in mine:
            assert (batch.lane, batch.partitions) == (LANE, partitions)
            times = [batch.first_ns, *batch.segments["t_ns"].tolist(), batch.last_ns]
            assert times == sorted(times)
            assert (batch.flows["hash"] % 384 % partitions == partition).all()
            used = np.unique(batch.segments["flow"], return_index=True)
            assert used[0].tolist() == list(range(len(batch.flows)))  # all are used
            assert sorted(used[1].tolist()) == used[1].tolist()  # in the order of appearance
        for before, after in pairwise(mine):
            assert before.clock_epoch <= after.clock_epoch
            if before.clock_epoch == after.clock_epoch:
                assert before.last_ns <= after.last_ns
                assert not len(after.segments) or before.last_ns <= after.segments["t_ns"][0]


@pytest.mark.parametrize("partitions", [1, 2, 24, 384])
@pytest.mark.parametrize("sizes", [[5_000], [1], [777, 3, 100]])
def test_rows_keep_their_order_within_a_partition_and_come_to_that_of_their_flow(partitions, sizes):
    rows, flows = traffic()
    batches = run(Batcher(LANE, partitions, max_rows=50), cut(rows, flows, sizes))
    check_lane(batches, partitions)
    for partition in range(partitions):
        mine = [batch for batch in of_partition(batches, partition) if len(batch.segments)]
        expected = rows[flows["hash"][rows["flow"]] % 384 % partitions == partition]
        found = np.concatenate([batch.segments for batch in mine]) if mine else rows[:0]
        assert found["seq"].tolist() == expected["seq"].tolist()
        assert found["t_ns"].tolist() == expected["t_ns"].tolist()
        tuples = [batch.flows[batch.segments["flow"]] for batch in mine]
        assert not mine or np.concatenate(tuples).tobytes() == flows[expected["flow"]].tobytes()


@pytest.mark.parametrize("max_age_ns", [NO_AGE_NS, 20_000_000, 1_000_000, 0])
def test_how_the_rows_fall_into_blocks_changes_no_batch(max_age_ns):
    rows, flows = traffic(900, 20)
    rows["t_ns"][500:] -= 5 * SECOND  # the clock steps
    rows["t_ns"][::11] -= 3_000_000  # and some rows come out of order
    whole = run(Batcher(LANE, 4, max_rows=64, max_age_ns=max_age_ns), [(rows, flows)])
    check_lane(whole, 4)
    for sizes in ([1], [64], [7, 300]):
        parts = run(Batcher(LANE, 4, max_rows=64, max_age_ns=max_age_ns), cut(rows, flows, sizes))
        assert all(same(one, other) for one, other in zip(whole, parts, strict=True))


def test_a_batch_spans_no_more_than_its_age_and_the_row_that_ends_it():
    rows, flows = traffic(4_000, 200)
    batches = run(Batcher(LANE, 24, max_age_ns=20_000_000), [(rows, flows)])
    check_lane(batches, 24)
    assert len(batches) > 24 * (rows["t_ns"][-1] - rows["t_ns"][0]) // 50_000_000
    for batch in batches:
        times = batch.segments["t_ns"]
        assert not len(times) or (times[:-1] - times[0] < 20_000_000).all()


def test_a_full_batch_is_closed_with_the_time_of_its_last_row():
    rows, flows = traffic(10, 1)
    batcher = Batcher(LANE, 1, max_rows=4)
    batches = batcher.add(rows, flows, 3)
    assert [len(batch.segments) for batch in batches] == [4, 4]
    assert [batch.last_ns for batch in batches] == [rows["t_ns"][3], rows["t_ns"][7]]
    assert [batch.captured for batch in batches] == [4, 8]
    assert {batch.dropped for batch in batches} == {3}
    last = batcher.finish(STOPPED)
    assert (len(last), len(last[0].segments), last[0].end, last[0].captured) == (1, 2, STOPPED, 10)


def test_a_batch_of_exactly_its_size_leaves_nothing_behind():
    rows, flows = traffic(8, 1)
    batcher = Batcher(LANE, 1, max_rows=4)
    assert [len(batch.segments) for batch in batcher.add(rows, flows, 0)] == [4, 4]
    assert [len(batch.segments) for batch in batcher.finish(END_OF_FILE)] == [0]


def test_nothing_is_written_to_the_rows_that_are_given():
    rows, flows = traffic(50, 5)
    rows["t_ns"][30:] -= 1_000
    before = rows.tobytes(), flows.tobytes()
    batches = Batcher(LANE, 2, max_rows=10).add(rows, flows, 0)
    kept = [batch.segments.tobytes() for batch in batches]
    rows["seq"], flows["hash"] = 0, 0
    assert [batch.segments.tobytes() for batch in batches] == kept
    assert before[0] != rows.tobytes()


def test_age_is_that_of_capture_time():
    rows, flows = traffic(3, 1)
    rows["t_ns"] = START + np.array((0, 900_000_000, 1_000_000_000))
    batcher = Batcher(LANE, 1)
    assert batcher.add(rows[:2], flows, 0) == []
    (batch,) = batcher.add(rows[2:], flows, 0)
    assert (len(batch.segments), batch.first_ns, batch.last_ns) == (3, START, START + SECOND)


def test_a_row_of_one_partition_ages_the_batches_of_the_others():
    rows, flows = traffic(400, 200)
    batcher = Batcher(LANE, 24)
    batcher.add(rows, flows, 0)
    late = rows[:1].copy()
    late["t_ns"] = START + 60 * SECOND
    batches = batcher.add(late, flows, 0)
    assert sum(len(batch.segments) for batch in batches) >= 400
    assert {batch.last_ns for batch in batches} == {START + 60 * SECOND}


def test_latency_may_be_less():
    rows, flows = traffic(2, 1)
    rows["t_ns"] = START + np.array((0, 50_000_000))
    assert len(Batcher(LANE, 1, max_age_ns=50_000_000).add(rows, flows, 0)) == 1
    assert len(Batcher(LANE, 1, max_age_ns=50_000_001).add(rows, flows, 0)) == 0


def test_a_tick_closes_what_is_old_and_promises_less_than_the_time_it_says():
    rows, flows = traffic(1, 1)
    batcher = Batcher(LANE, 1)
    assert batcher.tick(START) == []  # a lane without rows says nothing
    batcher.add(rows, flows, 0)
    start = int(rows["t_ns"][0])
    assert batcher.tick(start + SECOND - 1) == []
    (batch,) = batcher.tick(start + SECOND)
    assert (len(batch.segments), batch.last_ns) == (1, start + SECOND - SETTLE_NS)
    late = rows.copy()
    late["t_ns"] = start + 1
    batcher.add(late, flows, 0)
    (batch,) = batcher.finish(STOPPED)
    assert batch.segments["t_ns"][0] == start + SECOND - SETTLE_NS  # what was promised holds


def test_a_clock_that_is_set_back_closes_the_batch_at_once():
    rows, flows = traffic(1, 1)
    batcher = Batcher(LANE, 1)
    batcher.add(rows, flows, 0)
    (batch,) = batcher.tick(START - 3600 * SECOND)
    assert batch.last_ns == rows["t_ns"][0]


def test_heartbeats_go_to_the_partitions_that_had_rows_and_to_no_other():
    rows, flows = traffic(5, 1)
    batcher = Batcher(LANE, 24)
    batcher.add(rows, flows, 0)
    home = int(flows["hash"][0]) % 384 % 24
    now = int(rows["t_ns"][-1])
    said = []
    for step in range(1, 601):  # a minute, ten ticks a second
        said += batcher.tick(now + step * 100_000_000)
    assert {batch.partition for batch in said} == {home}
    assert [len(batch.segments) for batch in said] == [5, 0, 0, 0, 0, 0]
    assert [batch.number for batch in said] == list(range(6))
    gaps = np.diff([batch.last_ns for batch in said])
    assert (gaps >= HEARTBEAT_NS).all()
    assert (gaps < HEARTBEAT_NS + SECOND).all()
    assert all(batch.first_ns == batch.last_ns for batch in said[1:])
    assert all(same(decode(encode(batch)), replace(batch, segments=zero_frames(batch.segments))) for batch in said)


def zero_frames(rows):
    rows = rows.copy()
    rows["frame"] = 0
    return rows


def test_heartbeats_end_when_no_connection_can_be_open_any_more():
    rows, flows = traffic(1, 1)
    batcher = Batcher(LANE, 1)
    batcher.add(rows, flows, 0)
    now = int(rows["t_ns"][-1])
    said = [batch for step in range(10, 9_000, 10) for batch in batcher.tick(now + step * SECOND)]
    assert said[-1].last_ns <= now + OPEN_NS
    assert said[-1].last_ns > now + OPEN_NS - 2 * HEARTBEAT_NS
    assert len(said) == OPEN_NS // HEARTBEAT_NS
    (batch,) = batcher.add(replace_time(rows, now + 9_500 * SECOND), flows, 0) + batcher.tick(now + 9_501 * SECOND)
    assert batch.number == len(said)


def replace_time(rows, t_ns):
    rows = rows.copy()
    rows["t_ns"] = t_ns
    return rows


def test_a_step_of_the_clock_closes_all_batches_and_begins_another_epoch():
    rows, flows = traffic(600, 50)
    rows["t_ns"][300:] -= 3600 * SECOND
    batches = run(Batcher(LANE, 4), [(rows, flows)])
    check_lane(batches, 4)
    high = int(rows["t_ns"][299])
    for epoch, part in ((0, rows[:300]), (1, rows[300:])):
        mine = [batch for batch in batches if batch.clock_epoch == epoch and len(batch.segments)]
        found = sorted(seq for batch in mine for seq in batch.segments["seq"].tolist())
        assert found == part["seq"].tolist()
        assert {batch.last_ns for batch in mine} == {high if epoch == 0 else int(rows["t_ns"][-1])}


def test_the_silent_hear_of_another_epoch_at_the_next_tick():
    rows, flows = traffic(60, 30)
    batcher = Batcher(LANE, 4)
    batcher.add(rows, flows, 0)
    now = int(rows["t_ns"][-1])
    batcher.tick(now + 2 * SECOND)
    back = rows[:1].copy()
    back["t_ns"] = now - 3600 * SECOND
    batcher.add(back, flows, 0)
    said = batcher.tick(now - 3600 * SECOND + SETTLE_NS)
    home = int(flows["hash"][rows["flow"][0]]) % 4
    assert {batch.partition for batch in said} == {0, 1, 2, 3} - {home}
    assert {(batch.clock_epoch, batch.last_ns) for batch in said} == {(1, now - 3600 * SECOND)}


@pytest.mark.parametrize("end", [END_OF_FILE, STOPPED])
def test_the_end_and_the_last_time_go_to_all_partitions_once(end):
    rows, flows = traffic(40, 3)
    batches = run(Batcher(LANE, 24, max_rows=2), [(rows, flows)], end)
    check_lane(batches, 24)
    for partition in range(24):
        *rest, last = of_partition(batches, partition)
        assert (last.end, last.last_ns) == (end, int(rows["t_ns"][-1]))
        assert all(batch.end == GOES_ON for batch in rest)


def test_a_lane_without_rows_ends_without_a_word():
    assert Batcher(LANE, 24).finish(STOPPED) == []
    batcher = Batcher(LANE, 24)
    assert batcher.add(*[each[:0] for each in traffic(1, 1)], 9) == []
    assert batcher.finish(END_OF_FILE) == []


def test_a_connection_that_comes_in_many_blocks_stands_once_in_the_dictionary():
    rows, flows = traffic(500, 1)
    (batch,) = run(Batcher(LANE, 1, max_age_ns=1 << 62), cut(rows, flows, [1]))
    assert (len(batch.segments), len(batch.flows)) == (500, 1)


def test_flows_that_differ_in_their_domain_alone_stay_apart():
    rows, _ = traffic(3, 1)
    flows = np.array([flow_row((1, 80), (2, 90), domain) for domain in (0, 7, 2**32 - 1)], FLOW)
    rows["flow"] = (2, 0, 1)
    (batch,) = run(Batcher(LANE, 1), cut(rows, flows, [1]))
    assert batch.flows["domain"].tolist() == [2**32 - 1, 0, 7]


def test_wild_rows_come_through_unchanged():
    wild = any_batch(11, 400, 60, "wild")
    batches = run(Batcher(LANE, 2, max_rows=33, max_age_ns=1 << 62), cut(wild.segments, wild.flows, [29]))
    for partition in range(2):
        mine = of_partition(batches, partition)
        found = np.concatenate([batch.segments for batch in mine])
        expected = wild.segments[wild.flows["hash"][wild.segments["flow"]] % 384 % 2 == partition].copy()
        expected["flow"] = found["flow"]
        assert found.tobytes() == expected.tobytes()


def test_memory_is_bounded_with_many_partitions():
    batcher = Batcher(LANE, 384)
    rows, flows = traffic(OPEN_ROWS_MAX // 384 + 1, 1, gap=1)
    batches = batcher.add(rows, flows, 0)
    assert [len(batch.segments) for batch in batches] == [OPEN_ROWS_MAX // 384]


@pytest.mark.parametrize(("partitions", "rows"), [(0, 5), (5, 5), (768, 5), (24, 0)])
def test_what_cannot_be_is_refused(partitions, rows):
    with pytest.raises(ValueError, match=r"partitions|rows"):
        Batcher(LANE, partitions, max_rows=rows)


def test_a_batch_outgrows_the_first_memory_and_keeps_its_rows_and_flows():
    rows, flows = traffic(5_000, 700, gap=1_000)
    batches = run(Batcher(LANE, 2, max_age_ns=1 << 62), cut(rows, flows, [333]))
    check_lane(batches, 2)
    assert [batch.number for batch in batches] == [0, 0]
    for batch in batches:
        expected = rows[flows["hash"][rows["flow"]] % 384 % 2 == batch.partition]
        assert batch.segments["seq"].tolist() == expected["seq"].tolist()
        assert batch.flows[batch.segments["flow"]].tobytes() == flows[expected["flow"]].tobytes()


def test_a_small_batch_is_closed_before_the_first_memory_is_full():
    rows, flows = traffic(100, 1, gap=1)
    assert [len(batch.segments) for batch in Batcher(LANE, 1, max_rows=40).add(rows, flows, 0)] == [40, 40]
