"""Records depend on the rows and their order alone: not on batches, keys, restarts, or who holds the slices."""

import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor import snapshot
from processor.counting import STATE_KEY
from processor.slices import DUPLICATE, LATE, PartitionSlices
from processor.tcp.machine import Limits, Machine
from sensor.batcher import Batcher
from synfin.errors import ContractError, UsageError
from synfin.wire.batch import END_OF_FILE, Batch, Lane
from synfin.wire.event import END_REASONS, HANDSHAKES, TEARDOWNS
from synfin.wire.key import SLICES
from tests.support.core import KEY, LANE, batches_of, flows_json, records_of, rows_of, same_records, values_of
from tests.support.tile import tile

EVICTED = END_REASONS.index("evicted")
PACKETS = 900  # every recording at least once


@cache
def tiled(host="a"):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tiled.pcapng"
        tile(path, PACKETS, host=host)
        return rows_of(path)


@cache
def undisturbed(host="a"):
    return values_of(records_of(batches_of(*tiled(host)), with_transitions=True))


def test_the_input_holds_what_matters():
    records = records_of(batches_of(*tiled()))
    handshakes = {HANDSHAKES[kind] for each in records for kind in each.flows["handshake"]}
    teardowns = {TEARDOWNS[kind] for each in records for kind in each.flows["teardown"]}
    assert handshakes >= {"three_way", "simultaneous", "rejected", "unanswered", "half_open", "tfo"}
    assert teardowns >= {"orderly", "simultaneous", "fin_then_rst", "abort", "none"}


@given(st.lists(st.integers(1, 400), min_size=1, max_size=12))
@settings(max_examples=12, deadline=None)
def test_any_split_into_batches(sizes):
    assert same_records(values_of(records_of(batches_of(*tiled(), sizes), with_transitions=True)), undisturbed())


def test_batches_of_one_row():
    assert same_records(values_of(records_of(batches_of(*tiled(), [1]), with_transitions=True)), undisturbed())


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
@settings(max_examples=6, deadline=None)
def test_any_key_of_the_index(first, second):
    machine = Machine(Limits(with_transitions=True), (first, second))
    assert same_records(values_of(records_of(batches_of(*tiled()), machine)), undisturbed())


@pytest.mark.parametrize("partitions", [1, 2, 24, 384])
def test_any_number_of_partitions(partitions):
    segments, flows = tiled()
    batcher = Batcher(LANE, partitions)
    batches = [*batcher.add(segments, flows, 0), *batcher.finish(END_OF_FILE)]
    machines = {}
    found = []
    for batch in batches:
        number = batch.partition
        if number not in machines:
            machines[number] = Machine(Limits(with_transitions=True), KEY, number, partitions)
        found.append(machines[number].apply(batch))
    assert same_records(values_of(found), undisturbed())


def numbered(state, batches, start):
    """Outputs of a partition for batches at offsets from start on, with their headers."""
    return [list(state.apply(batch, offset, 1_000)) for offset, batch in enumerate(batches, start)]


@given(st.lists(st.integers(5, 200), min_size=1, max_size=5), st.data())
@settings(max_examples=5, deadline=None)
def test_a_restart_at_any_batch_changes_nothing(sizes, data):
    batches = batches_of(*tiled(), sizes)
    whole = numbered(PartitionSlices(0, 1, Limits(), []), batches, 100)
    cut_at = data.draw(st.integers(0, len(batches)))
    before = PartitionSlices(0, 1, Limits(), [])
    numbered(before, batches[:cut_at], 100)
    values = [value for _, value in before.snapshots()]
    after = PartitionSlices(0, 1, Limits(), values)
    assert after.next() == (100 + cut_at if cut_at else 0)
    assert numbered(after, batches[cut_at:], 100 + cut_at) == whole[cut_at:]


def test_a_restart_keeps_the_order_in_slices_that_hold_many_views():
    """Deadlines and the end of the file meet many views of a slice: their order, by which numbers go, is kept too."""
    segments, flows = tiled()
    crowded = flows.copy()
    crowded["hash"] = flows["hash"] % 4 * 96
    batches = batches_of(segments, crowded, [40])
    whole = numbered(PartitionSlices(0, 96, Limits(), []), batches, 0)
    state = PartitionSlices(0, 96, Limits(), [])
    for offset, batch in enumerate(batches):
        assert numbered(state, [batch], offset) == whole[offset : offset + 1]
        state = PartitionSlices(0, 96, Limits(), [value for _, value in state.snapshots()])


def writer_of(record):
    """Key of the snapshot that remembers that a record was written."""
    return STATE_KEY.decode() if record[0].startswith("counts") else record[5].split(":")[0]


@given(st.integers(0, 10_000))
@settings(max_examples=4, deadline=None)
def test_a_checkpoint_torn_between_slices_replays_only_what_is_missing(seed):
    """Some slices have the newer snapshot, some the older: input is read from the older on, nothing comes out twice.

    The counts are written before the slices, so where a slice has its newer snapshot, they have theirs.
    """
    chance = random.Random(seed)
    batches = batches_of(*tiled(), [90])
    state = PartitionSlices(0, 1, Limits(), [])
    older, newer = sorted(chance.sample(range(1, len(batches)), 2))
    whole = numbered(state, batches[:older], 0)
    first = dict(state.snapshots())
    whole += numbered(state, batches[older:newer], older)
    second = dict(state.snapshots())
    whole += numbered(state, batches[newer:], newer)
    kept = {key for key in first if chance.random() < 0.5} - {STATE_KEY} | {b"0"}
    values = [*first.values(), *(second[key] for key in second if key not in kept)]
    again = PartitionSlices(0, 1, Limits(), values)
    assert again.next() == older
    replayed = numbered(again, batches[older:], older)
    ahead = {key.decode() for key in second if key not in kept}
    wanted = [
        [record for record in output if offset >= newer or writer_of(record) not in ahead]
        for offset, output in enumerate(whole[older:], older)
    ]
    assert replayed == wanted


def test_numbers_of_a_slice_are_consecutive_for_each_topic():
    last = {}
    for output in numbered(PartitionSlices(0, 1, Limits(), []), batches_of(*tiled(), [50]), 7):
        for topic, _, _, _, _, seq in output:
            number, epoch, n = map(int, seq.split(":"))
            assert epoch == 7
            assert 0 <= number < SLICES
            assert n == last.get((topic, number), 0) + 1
            last[topic, number] = n
    assert len(last) > 50


def test_duplicates_and_late_batches_are_counted_and_not_applied():
    batches = batches_of(*tiled(), [40])
    state = PartitionSlices(0, 1, Limits(), [])
    once = numbered(state, batches, 0)
    sent = [each for batch in batches for each in (batch, batch)]
    values = [[(topic, key, value) for topic, key, value, *_ in output] for output in once]
    doubled = PartitionSlices(0, 1, Limits(), [])
    again = [[(topic, key, value) for topic, key, value, *_ in output] for output in numbered(doubled, sent, 0)]
    assert again[::2] == values
    assert not any(again[1::2])
    assert doubled.skipped == {DUPLICATE: len(batches), LATE: 0}


def test_an_older_boot_is_late():
    segments, flows = tiled()
    state = PartitionSlices(0, 1, Limits(), [])
    (first, *_), (old, *_) = (batches_of(segments, flows, lane=Lane("tap", boot, 0)) for boot in (5, 4))
    state.apply(first, 0, 0)
    assert list(state.apply(old, 1, 0)) == []
    assert state.skipped == {DUPLICATE: 0, LATE: 1}


def test_a_sensor_that_the_log_has_not_heard_for_five_minutes_is_lost():
    segments, flows = tiled()
    cut_short = segments[:40]
    batch = batches_of(cut_short, flows)[0]
    state = PartitionSlices(0, 1, Limits(), [])
    first = list(state.apply(batch, 0, 1_000_000))
    other = Batch(Lane("other", 1, 0), segments[:0], flows[:0], batch.last_ns, batch.last_ns)
    quiet = state.apply(other, 1, 1_000_000 + 300_000)
    assert [topic for topic, *_ in quiet if not topic.startswith("counts")] == []
    lost = list(state.apply(Batch(other.lane, segments[:0], flows[:0], 1, batch.last_ns, number=1), 2, 1_300_001))
    ended = [value for topic, _, value, *_ in first + lost if topic == "flows"]
    reasons = [orjson.loads(value)["end_reason"] for value in ended]
    assert set(reasons) == {"sensor_lost", "end"}  # what had ended by itself says so
    assert reasons.count("sensor_lost") > 5
    assert state.machine.views_live == 0


def test_views_of_a_full_slice_give_way_and_say_so():
    records = records_of(batches_of(*tiled()), views_per_slice=1)
    found = values_of(records)
    evicted = [each for each in records if EVICTED in each.flows["end_reason"]]
    assert evicted
    assert same_records(values_of(records_of(batches_of(*tiled(), [7]), views_per_slice=1)), found)


def test_snapshots_of_other_layouts_and_configurations_are_refused_by_name():
    state = PartitionSlices(0, 1, Limits(), [])
    numbered(state, batches_of(*tiled()), 0)
    value = next(value for key, value in state.snapshots() if key != STATE_KEY)
    with pytest.raises(UsageError, match="configuration"):
        snapshot.decode(value, Limits(views_per_slice=5))
    older = value[:4] + (99).to_bytes(2, "little") + value[6:]
    with pytest.raises(UsageError, match="layout 99"):
        snapshot.decode(older, Limits())
    with pytest.raises(UsageError, match="does not belong"):
        PartitionSlices(1, 2, Limits(), [value])


@given(st.integers(0, 2**30), st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_a_flipped_bit_of_a_snapshot_is_an_error_and_never_another_state(at, bit):
    value = filled_snapshot()
    at %= len(value)
    broken = bytes([*value[:at], value[at] ^ 1 << bit, *value[at + 1 :]])
    if at in (6, 7):  # the slice's number stands outside the checksum, and is checked against the partition's
        return
    with pytest.raises((ContractError, UsageError)):
        snapshot.decode(broken, Limits())


def test_a_flipped_bit_in_front_of_a_snapshot_is_an_error():
    value = filled_snapshot()
    outside = range(6, 8)  # of the checksum: the slice's number, as above
    for at in sorted(set(range(snapshot.PREFIX.size)) - set(outside)):
        for bit in range(8):
            with pytest.raises((ContractError, UsageError)):
                snapshot.decode(bytes([*value[:at], value[at] ^ 1 << bit, *value[at + 1 :]]), Limits())


@pytest.mark.parametrize("name", ["rst_form", "local_how", "orient", "reset_by", "first_closer"])
def test_a_number_that_would_be_read_beyond_a_table_is_an_error(name):
    state = PartitionSlices(0, 1, Limits(), [])
    numbered(state, batches_of(*tiled())[:1], 0)
    taken = max(snapshot.take(state.machine), key=lambda one: len(one.views))
    snapshot.decode(snapshot.encode(taken, Limits()), Limits())
    taken.views[name][0] = 200
    with pytest.raises(ContractError, match="out of its range"):
        snapshot.decode(snapshot.encode(taken, Limits()), Limits())


@cache
def filled_snapshot():
    state = PartitionSlices(0, 1, Limits(), [])
    numbered(state, batches_of(*tiled())[:1], 0)
    return max((value for _, value in state.snapshots()), key=len)


def test_both_hosts_captures_tell_of_the_same_connections():
    """Of a connection that both saw open, the flow_id is one and the view_ids are two."""
    seen = [flows_json(records_of(batches_of(*tiled(host), lane=Lane(host, 1, 0)))) for host in "ab"]
    flows, views = ([{record[name] for record in records} for records in seen] for name in ("flow_id", "view_id"))
    assert len(flows[0] & flows[1]) > len(flows[0]) // 2
    assert not views[0] & views[1]
