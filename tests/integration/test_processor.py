"""Whatever is done to the workers, readers end up with what an undisturbed run gives (design.md section 5).

The workers are real processes in a real consumer group on a real broker. In place of the core stands a state machine
whose every record depends on the whole past of its slice, so that one message lost, doubled or out of order shows.
"""

import signal
import time
from types import SimpleNamespace

import kafka as kafka_python
import pytest
from kafka.admin import ConfigResource

from synfin.broker import BrokerConfig, KafkaBroker, Record, send_all
from synfin.wire.codec import encode
from synfin.wire.topics import Topics
from tests.integration.processor_batches import batch_of, flows_of
from tests.integration.processor_rig import Rig

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PARTITIONS = 4


@pytest.fixture
def rig(kafka, prefix, tmp_path):
    topics = Topics(prefix=prefix, partitions=PARTITIONS)
    admin = kafka.broker.admin()
    admin.create(topics.all())
    rig = Rig(kafka, topics, tmp_path)
    try:
        yield rig
    finally:
        rig.close()
        admin.delete(topic.name for topic in topics.all())
        admin.close()


@pytest.fixture
def own_rig(own_kafka, prefix, tmp_path):
    """A rig on a broker of the test's own, which it may kill."""
    own_kafka.start()
    broker = KafkaBroker(BrokerConfig(bootstrap=own_kafka.bootstrap, timeout_s=20))
    topics = Topics(prefix=prefix, partitions=PARTITIONS)
    admin = broker.admin()
    admin.create(topics.all())
    admin.close()
    rig = Rig(SimpleNamespace(bootstrap=own_kafka.bootstrap, broker=broker), topics, tmp_path)
    try:
        yield rig
    finally:
        rig.close()


def test_a_worker_stopped_in_good_order_leaves_nothing_to_do_again(rig):
    rig.publish(20)
    first = rig.worker()
    rig.until(lambda: sum(rig.ends(rig.topics.events)) > 0, "the first records")
    assert first.end() == 0
    rig.publish(20)
    second = rig.worker()
    rig.until_all_is_out()
    assert second.end() == 0
    seen = rig.assert_whole(replayed_min=0)
    assert (seen.replayed, seen.left) == (0, 0)
    assert rig.commits() == dict.fromkeys(range(PARTITIONS), 40)
    assert second.counted("skipped") == 0


def test_two_workers_killed_in_mid_stream_twice(rig):
    feeder = rig.feed()
    workers = [rig.worker(), rig.worker()]
    for turn in range(2):
        rig.until_held_by(workers)
        before = rig.read().replayed
        rig.kill(workers[turn])
        workers[turn] = rig.worker()
        rig.until(lambda before=before: rig.read().replayed > before, "records sent again after the kill")
    rig.until_held_by(workers)
    feeder.finish()
    rig.until_all_is_out()
    assert [worker.end() for worker in workers] == [0, 0]
    rig.assert_whole(replayed_min=2)
    assert rig.commits() == dict.fromkeys(range(PARTITIONS), rig.rounds)


def test_a_worker_stopped_beyond_its_session_comes_back_as_a_stranger(rig):
    feeder = rig.feed()
    sleeper, other = rig.worker(), rig.worker()
    rig.until_held_by([sleeper, other])
    begun = sleeper.begun()
    rig.freeze(sleeper)
    rig.until(lambda: rig.read().replayed > 0, "the other has taken over")
    sleeper.signal(signal.SIGCONT)
    rig.until(lambda: sleeper.begun() > begun, "the sleeper holds partitions again")
    feeder.finish()
    rig.until_all_is_out()
    assert (sleeper.end(), other.end()) == (0, 0)
    rig.assert_whole()


def test_workers_come_and_go(rig):
    feeder = rig.feed()
    first, second = rig.worker(), rig.worker()
    rig.until_held_by([first, second])
    rig.until_replay_is_due()
    assert second.end() == 0
    third = rig.worker()
    rig.until_held_by([first, third])
    rig.until_replay_is_due()
    feeder.finish()
    rig.until_all_is_out()
    assert (first.end(), third.end()) == (0, 0)
    assert min(worker.counted("batches") for worker in (first, second, third)) > 0
    rig.assert_whole(replayed_min=0)
    assert rig.commits() == dict.fromkeys(range(PARTITIONS), rig.rounds)


def forge_stale_snapshots(rig, stale):
    """Leave nothing but older snapshots in the state topic, as compaction does after a worker that slept wrote late."""
    name = rig.topics.state.name
    admin = kafka_python.KafkaAdminClient(bootstrap_servers=rig.kafka.bootstrap)
    # A topic that is only compacted lets nobody delete from it.
    admin.alter_configs([ConfigResource("TOPIC", name, {"cleanup.policy": "compact,delete"})])
    admin.delete_records({kafka_python.TopicPartition(name, p): -1 for p in range(PARTITIONS)})
    admin.close()
    producer = rig.kafka.broker.producer()
    send_all(producer, [Record(name, m.partition, m.key, m.value) for m in stale], 30)
    producer.close(10)


def test_a_snapshot_older_than_the_commit_is_caught_up_from_the_log(rig):
    rig.publish(20)
    first = rig.worker()
    rig.until(lambda: rig.commits() == dict.fromkeys(range(PARTITIONS), 20), "the first commit")
    stale = rig.messages(rig.topics.state)
    rig.publish(60)
    rig.until(lambda: rig.commits() == dict.fromkeys(range(PARTITIONS), 80), "the second commit")
    assert first.end() == 0
    forge_stale_snapshots(rig, stale)
    rig.publish(10)
    second = rig.worker()
    rig.until_all_is_out()
    assert second.end() == 0
    assert second.counted("caught up") == 60 * PARTITIONS
    rig.assert_whole(replayed_min=60 * PARTITIONS)


def test_without_snapshots_everything_is_made_again_alike(rig):
    """A commit without a snapshot (the state topic was made anew) says nothing: the log is read from its beginning."""
    rig.publish(20)
    first = rig.worker()
    rig.until(lambda: rig.commits() == dict.fromkeys(range(PARTITIONS), 20), "a commit")
    assert first.end() == 0
    forge_stale_snapshots(rig, [])
    rig.publish(10)
    second = rig.worker()
    rig.until_all_is_out()
    assert second.end() == 0
    rig.assert_whole(replayed_min=20 * PARTITIONS)


def test_what_does_not_decode_goes_to_the_dead_letter_and_stops_nobody(rig):
    flows = [flows_of(p, PARTITIONS) for p in range(PARTITIONS)]
    good = encode(batch_of(flows[1], 1, PARTITIONS, 7))
    bad = [
        (b"", "", 1),
        (b"\xff" * 100, "", 1),
        (good[:-9], "", 1),
        (encode(batch_of(flows[1], 1, 2, 7)), "cut for 2 partitions, the topic has 4", 1),
        (good, "the batch is for partition 1", 3),
        (encode(batch_of(flows[0], 3, PARTITIONS, 7)), "its slice is not of this partition", 3),
        (bytes((1 << 20) - 100), "", 1),
    ]
    worker = rig.worker()
    rig.publish(5)
    producer = rig.kafka.broker.producer()
    send_all(producer, [Record(rig.topics.packets.name, p, None, value) for value, _, p in bad], 30)
    rig.publish(5)
    rig.until(lambda: sum(rig.commits().values()) == 10 * PARTITIONS + len(bad), "all is committed")
    assert worker.end() == 0
    assert worker.counted("batches") == 10 * PARTITIONS
    assert worker.counted("dead letters") == len(bad)

    letters = {message.key: message for message in rig.messages(rig.topics.deadletter)}
    place = {1: 5, 3: 5}
    for value, reason, partition in bad:
        letter = letters[f"{partition}-{place[partition]}".encode()]
        place[partition] += 1
        headers = dict(letter.headers)
        assert letter.value == value
        assert headers["reason"]
        assert reason in headers["reason"].decode()
        assert headers["partition"] == str(partition).encode()
    assert len(letters) == len(bad)


def test_a_broker_that_is_killed_and_comes_back_is_waited_for(own_kafka, own_rig):
    rig = own_rig
    worker = rig.worker()
    feeder = rig.feed()
    rig.until_replay_is_due()
    own_kafka.kill()
    time.sleep(3)
    assert worker.process.poll() is None
    own_kafka.start()
    sent = rig.rounds
    rig.until(lambda: rig.rounds > sent + 20, "the input goes on")
    feeder.finish()
    rig.until_all_is_out()
    assert worker.end() == 0
    rig.assert_whole(replayed_min=0)
    assert rig.commits() == dict.fromkeys(range(PARTITIONS), rig.rounds)
