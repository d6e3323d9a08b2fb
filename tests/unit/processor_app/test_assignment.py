"""Who may touch the partitions when: rebalances, ends and failures in the middle of work."""

import asyncio

import pytest

from processor.assignment import Assignment
from processor.checkpoint import Cadence
from synfin.errors import BrokerError
from tests.unit.processor_app.broker_double import BrokerDouble, Clock, kit_of, values
from tests.unit.processor_app.test_partition import by_slice, deduplicated, undisturbed


def yes():
    return True


async def take(assignment, broker, offsets, ours=yes):
    for offset in offsets:
        await assignment.take(broker.message(offset), ours)


def test_a_revocation_writes_a_checkpoint_commits_it_and_forgets_the_state():
    broker = BrokerDouble(values(30))
    kit = kit_of(broker)
    assignment = Assignment(kit)

    async def live():
        await take(assignment, broker, range(10))
        await assignment.drop(5)
        assert assignment.positions() == {}
        await take(assignment, broker, range(8, 30))  # begins with the snapshots again, and skips two
        await assignment.drop(5)

    asyncio.run(live())
    assert broker.committed == [{0: 10}, {0: 30}]
    assert (kit.counters.skipped, kit.counters.rebalances) == (2, 2)
    assert by_slice(deduplicated(broker)) == by_slice(undisturbed(broker.log))


def test_what_is_not_ours_any_more_is_left_alone():
    broker = BrokerDouble(values(5))
    assignment = Assignment(kit_of(broker))
    asyncio.run(take(assignment, broker, range(5), lambda: False))
    assert (broker.sent, assignment.positions()) == ([], {})


def test_work_that_was_cancelled_is_forgotten_so_that_no_snapshot_is_ahead_of_the_outputs():
    broker = BrokerDouble(values(20))
    assignment = Assignment(kit_of(broker))

    async def live():
        await take(assignment, broker, range(5))
        send, asked = broker.send, asyncio.Event()

        async def hang(*_):
            asked.set()
            await asyncio.Event().wait()

        broker.send = hang
        task = asyncio.create_task(take(assignment, broker, [5]))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        broker.send = send
        assert await assignment.close(5)

    asyncio.run(live())
    assert broker.state == []
    asyncio.run(take(Assignment(kit_of(broker)), broker, range(20)))
    assert by_slice(deduplicated(broker)) == by_slice(undisturbed(broker.log))


def test_after_a_refused_record_nothing_is_sent_written_or_committed():
    broker = BrokerDouble(values(20), fail_after=6)
    assignment = Assignment(kit_of(broker))

    async def live():
        with pytest.raises(BrokerError):
            await take(assignment, broker, range(20))
        sent = len(broker.sent)
        broker.fail_after = None
        await take(assignment, broker, range(20))
        await assignment.tick()
        assert not await assignment.close(5)
        assert len(broker.sent) == sent

    asyncio.run(live())
    assert (broker.state, broker.committed) == ([], [])


def test_a_broker_that_does_not_answer_holds_up_no_revocation():
    broker = BrokerDouble(values(20))
    assignment = Assignment(kit_of(broker))

    async def live():
        await take(assignment, broker, range(5))
        settle, broker.settle = broker.settle, asyncio.Event().wait
        await assignment.drop(0.01)
        broker.settle = settle
        assert assignment.positions() == {}
        await take(assignment, broker, range(20))

    asyncio.run(live())
    assert broker.committed == []
    assert by_slice(deduplicated(broker)) == by_slice(undisturbed(broker.log))


def test_a_checkpoint_is_written_when_it_is_due_by_age_without_another_message():
    broker, clock = BrokerDouble(values(5)), Clock()
    assignment = Assignment(kit_of(broker, clock, Cadence(age_s=10)))

    async def live():
        await take(assignment, broker, range(5))
        clock.now_s = 9.9
        await assignment.tick()
        await assignment.commit()
        assert broker.committed == []
        clock.now_s = 10.0
        await assignment.tick()
        await assignment.commit()
        await assignment.commit()

    asyncio.run(live())
    assert broker.committed == [{0: 5}]


def test_a_commit_that_the_group_refused_is_tried_again():
    broker = BrokerDouble(values(5))
    kit = kit_of(broker, Clock(), Cadence(age_s=0))
    assignment = Assignment(kit)

    async def live():
        await take(assignment, broker, range(5))
        commit, answers = broker.commit, [False, True]

        async def refuse(offsets):
            await commit(offsets)
            return answers.pop(0)

        object.__setattr__(kit, "commit", refuse)
        for _ in range(3):
            await assignment.commit()

    asyncio.run(live())
    assert broker.committed == [{0: 5}, {0: 5}]


def test_what_the_stream_does_not_bring_is_reached_from_the_log():
    broker = BrokerDouble(values(12))
    assignment = Assignment(kit_of(broker))

    async def live():
        await take(assignment, broker, range(5))
        await assignment.reach(0, 12, yes)

    asyncio.run(live())
    assert assignment.positions() == {0: (12, 1011)}
    assert by_slice(deduplicated(broker)) == by_slice(undisturbed(broker.log))


@pytest.mark.parametrize(
    ("input_bytes", "snapshot_bytes", "age_s", "cost_s", "due"),
    [
        (0, 0, 0.0, 0.0, False),
        ((1 << 20) - 1, 0, 9.9, 0.0, False),
        (1 << 20, 0, 0.0, 0.0, True),
        (5 << 20, 6 << 20, 0.0, 0.0, False),  # the input does not outweigh the snapshots
        (6 << 20, 6 << 20, 0.0, 0.0, True),
        (1, 6 << 20, 10.0, 0.1, True),
        (1, 6 << 20, 10.0, 1.0, False),  # a checkpoint that takes a second is worth one in twenty
        (1, 6 << 20, 20.0, 1.0, True),
        (1, 6 << 20, 600.0, 1e6, True),  # but no replay reaches back further
    ],
)
def test_when_a_checkpoint_is_due(input_bytes, snapshot_bytes, age_s, cost_s, due):
    assert Cadence().due(input_bytes, snapshot_bytes, age_s, cost_s) is due
