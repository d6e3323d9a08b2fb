"""One partition, driven through crashes at every place: readers end up with what an undisturbed run gives."""

import asyncio
import json
import random

import pytest

from processor.partition import Partition, RevokedError
from synfin.errors import BrokerError, UsageError
from tests.integration.state_machine import Machine
from tests.unit.processor_app.broker_double import BrokerDouble, decode, kit_of, values


def run(broker, offsets, kit=None, ours=lambda: True):
    """A life: take these messages of the stream, without a checkpoint at the end."""
    partition = Partition(0, kit or kit_of(broker))

    async def live():
        for offset in offsets:
            await partition.take(broker.message(offset), ours)

    asyncio.run(live())
    return partition


def checkpoint(partition):
    asyncio.run(partition.checkpoint())


def undisturbed(log):
    """Records of the log applied once, in order."""
    machine, out = Machine([]), []
    for offset, value in enumerate(log):
        if value is not None and value != b"bad":
            out += machine.apply(decode(value), offset, 1000 + offset)
    return [(topic, key, value) for topic, key, value, *_ in out]


def deduplicated(broker):
    """What readers take: for each topic and slice n+1, and nothing else."""
    held, taken, seen = {}, [], {}
    for topic, key, value, headers in broker.records():
        number, epoch, n = (int(part) for part in headers["synfin_seq"].split(b":"))
        assert seen.setdefault((topic, number, epoch, n), value) == value, "a replay that differs"
        if n == held.get((topic, number), 0) + 1:
            held[topic, number] = n
            taken.append((topic, key, value))
    return taken


def by_slice(records):
    found = {}
    for topic, key, value in records:
        found.setdefault((topic, key.split(b"/")[0]), []).append(value)
    return found


def test_a_record_carries_its_headers_and_goes_to_the_partition_of_the_same_number():
    broker = BrokerDouble(values(3))
    run(broker, range(3))
    topic, key, value, headers = broker.sent[0]
    content = json.loads(value)
    assert topic == content["topic"]
    assert headers == {
        "ce_id": key,
        "ce_type": topic.encode(),
        "synfin_seq": f"{content['slice']}:0:{content['n']}".encode(),
    }
    assert [(t, k, v) for t, k, v, _ in broker.sent if t == "flows"] == [
        record for record in undisturbed(broker.log) if record[0] == "flows"
    ]


@pytest.mark.parametrize("seed", range(30))
def test_crashes_anywhere_between_snapshots_lose_and_double_nothing(seed):
    chance = random.Random(seed)
    broker = BrokerDouble(values(60))
    committed = 0
    while committed < 60:
        partition = Partition(0, kit_of(broker))
        begin, end = committed, min(60, committed + chance.randint(1, 25))

        async def live(partition=partition, begin=begin, end=end):
            for offset in range(begin, end):
                await partition.take(broker.message(offset), lambda: True)
                if chance.random() < 0.15 or end == 60 == offset + 1:
                    await partition.checkpoint()
                    snapshots = [json.loads(value)["next"] for _, value in broker.state]
                    assert partition.durable <= max(snapshots)

        asyncio.run(live())
        # A commit may lag behind what is durable by any amount, and the stream begins there.
        committed = chance.randint(committed, partition.durable) if partition.durable < 60 else 60
    assert by_slice(deduplicated(broker)) == by_slice(undisturbed(broker.log))


def test_what_the_snapshots_cover_is_not_applied_again():
    broker = BrokerDouble(values(20))
    checkpoint(run(broker, range(12)))
    before = len(broker.sent)
    kit = kit_of(broker)
    partition = run(broker, range(5, 12), kit)
    assert (len(broker.sent), kit.counters.skipped, partition.durable) == (before, 7, 12)


def test_messages_between_snapshot_and_stream_are_read_from_the_log_in_order():
    broker = BrokerDouble(values(20))
    checkpoint(run(broker, range(5)))
    kit = kit_of(broker)
    partition = run(broker, [15, 16], kit)
    assert (kit.counters.caught_up, partition.position) == (10, 17)
    assert by_slice(deduplicated(broker)) == by_slice(undisturbed(broker.log[:17]))


def test_a_message_that_the_stream_lost_is_read_from_the_log():
    broker = BrokerDouble(values(10))
    kit = kit_of(broker)
    run(broker, [0, 1, 2, 4, 3, 5, 9], kit)
    assert (kit.counters.caught_up, kit.counters.skipped) == (4, 1)
    assert by_slice(deduplicated(broker)) == by_slice(undisturbed(broker.log))


def test_offsets_without_a_message_are_no_gap():
    broker = BrokerDouble([b"0000", b"0001", None, None, b"0004", None])
    run(broker, [0, 1, 4])
    assert by_slice(deduplicated(broker)) == by_slice(undisturbed(broker.log))


def test_without_a_snapshot_it_begins_with_the_oldest_message_whatever_was_committed():
    broker = BrokerDouble(values(10), first=3)
    kit = kit_of(broker)
    partition = Partition(0, kit)
    asyncio.run(partition.take(broker.message(8), lambda: True))
    assert (kit.counters.caught_up, kit.counters.input_lost) == (5, 0)
    assert {record[3]["synfin_seq"].split(b":")[1] for record in broker.sent} <= {b"%d" % n for n in range(3, 9)}


def test_input_that_retention_took_is_counted_and_the_rest_goes_on(caplog):
    broker = BrokerDouble(values(20))
    checkpoint(run(broker, range(5)))
    broker.first = 9
    kit = kit_of(broker)
    partition = run(broker, [12], kit)
    assert (kit.counters.input_lost, kit.counters.caught_up, partition.position) == (4, 3, 13)
    assert "offsets 5 to 8 were deleted" in caplog.text


def test_input_lost_while_the_worker_runs_is_counted_too():
    broker = BrokerDouble(values(20))
    kit = kit_of(broker)
    partition = Partition(0, kit)
    asyncio.run(partition.take(broker.message(0), lambda: True))
    broker.first = 6
    asyncio.run(partition.take(broker.message(8), lambda: True))
    assert (kit.counters.input_lost, kit.counters.caught_up) == (5, 2)


def test_a_partition_taken_away_while_it_catches_up_stops_there():
    broker, seen = BrokerDouble(values(50)), []
    broker.on_read = seen.append
    with pytest.raises(RevokedError):
        run(broker, [40], ours=lambda: len(seen) < 10)
    assert len(seen) == 10


def test_a_partition_taken_away_while_it_loads_opens_nothing():
    broker = BrokerDouble(values(5))
    with pytest.raises(RevokedError):
        run(broker, [0], ours=lambda: False)
    assert broker.sent == []


@pytest.mark.parametrize("value", [b"bad", b"", None, b"alien"])
def test_what_is_no_batch_of_the_partition_goes_to_the_dead_letter_as_it_came(value):
    broker = BrokerDouble([b"0000", value, b"0002"])
    kit = kit_of(broker)
    partition = run(broker, range(3), kit)
    ((_, key, buried, headers),) = [record for record in broker.sent if record[0] == "deadletter"]
    assert (key, buried) == (b"0-1", value or b"")
    assert (headers["partition"], headers["offset"], headers["arrived_ms"]) == (b"0", b"1", b"1001")
    assert headers["reason"] == (
        b"the batch was cut for 2 partitions, the topic has 4" if value == b"alien" else b"not a batch"
    )
    assert (kit.counters.dead_letters, kit.counters.batches, partition.position) == (1, 2, 3)


def test_a_dead_letter_at_the_end_of_the_log_is_committed_past():
    broker = BrokerDouble([b"0000", b"bad"])
    partition = run(broker, range(2))
    checkpoint(partition)
    assert partition.durable == 2


def test_a_checkpoint_without_news_writes_nothing():
    broker = BrokerDouble(values(3))
    partition = run(broker, range(3))
    checkpoint(partition)
    written = len(broker.state)
    checkpoint(partition)
    assert len(broker.state) == written > 0


def test_a_refused_record_leaves_no_checkpoint_behind():
    broker = BrokerDouble(values(10), fail_after=4)
    with pytest.raises(BrokerError):
        run(broker, range(10))
    assert broker.state == []


def test_snapshots_of_another_layout_are_named():
    broker = BrokerDouble(values(3))
    broker.state = [(b"0", json.dumps({"layout": 9, "number": 0, "epoch": 0, "next": 1}).encode())]
    with pytest.raises(UsageError, match="layout 9, this program has layout 1"):
        run(broker, [0])
