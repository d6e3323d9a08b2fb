"""The broker in memory keeps the promises that the stages lean on; the real one is held to the same in integration."""

import threading

import pytest

from synfin.broker import EARLIEST, LATEST, Record, RefusedError, TopicPartition, send_all
from synfin.broker_memory import MemoryBroker
from synfin.errors import BrokerError
from synfin.wire.topics import Topic, Topics

TOPICS = Topics(partitions=2)
EVENTS = TOPICS.events.name
FIRST, SECOND = TopicPartition(EVENTS, 0), TopicPartition(EVENTS, 1)


@pytest.fixture
def broker():
    made = MemoryBroker(clock_ms=iter(range(1000, 100_000)).__next__)
    made.admin().create(TOPICS.all())
    return made


def send(broker, *records):
    producer = broker.producer()
    send_all(producer, records, 5)
    producer.close(0)


def test_offsets_count_from_zero_in_each_partition_and_messages_keep_what_was_sent(broker):
    headers = (("ce_id", b"x"),)
    send(broker, Record(EVENTS, 0, b"k", b"a", headers), Record(EVENTS, 1, None, b"b"), Record(EVENTS, 0, None, b"c"))
    consumer = broker.consumer({FIRST: EARLIEST, SECOND: EARLIEST})
    got = consumer.poll(0)
    assert [tuple(m) for m in got] == [
        (EVENTS, 0, 0, 1000, b"k", b"a", headers),
        (EVENTS, 0, 1, 1002, None, b"c", ()),
        (EVENTS, 1, 0, 1001, None, b"b", ()),
    ]
    assert consumer.poll(0) == []
    assert consumer.bounds() == {FIRST: (0, 2), SECOND: (0, 1)}


@pytest.mark.parametrize(("start", "values"), [(EARLIEST, b"abc"), (1, b"bc"), (LATEST, b""), (3, b""), (9, b"abc")])
def test_a_consumer_begins_where_it_is_told(broker, start, values):
    send(broker, *(Record(EVENTS, 0, None, bytes([value])) for value in b"abc"))
    consumer = broker.consumer({FIRST: start})
    assert b"".join(m.value for m in consumer.poll(0)) == values
    send(broker, Record(EVENTS, 0, None, b"d"))
    assert [m.value for m in consumer.poll(0)] == [b"d"]


def test_a_poll_gives_no_more_than_it_was_asked_for(broker):
    send(broker, *(Record(EVENTS, p, None, bytes([n])) for n in range(5) for p in (0, 1)))
    consumer = broker.consumer({FIRST: EARLIEST, SECOND: EARLIEST})
    sizes = [len(consumer.poll(0, max_records=4)) for _ in range(4)]
    assert sizes == [4, 4, 2, 0]


def test_a_poll_wakes_when_something_comes(broker):
    consumer = broker.consumer({FIRST: LATEST})
    found = []
    reader = threading.Thread(target=lambda: found.extend(consumer.poll(30)))
    reader.start()
    send(broker, Record(EVENTS, 0, None, b"late"))
    reader.join(10)
    assert [m.value for m in found] == [b"late"]


def test_commits_need_a_group_and_are_kept(broker):
    with pytest.raises(BrokerError, match="without a group"):
        broker.consumer({FIRST: EARLIEST}).commit({FIRST: 1})
    broker.consumer({FIRST: EARLIEST}, "sink").commit({FIRST: 7})
    assert broker.committed == {("sink", FIRST): 7}


def test_what_the_topic_does_not_take_is_refused(broker):
    with pytest.raises(RefusedError, match="without a key"):
        send(broker, Record(TOPICS.state.name, 0, None, b"x"))
    with pytest.raises(RefusedError, match="larger"):
        send(broker, Record(EVENTS, 0, None, bytes(1 << 21)))
    send(broker, Record(TOPICS.state.name, 0, b"7", bytes(16 << 20)))
    with pytest.raises(BrokerError, match="no partition 2"):
        send(broker, Record(EVENTS, 2, None, b"x"))


def test_while_it_is_away_nothing_opens_and_sends_wait_in_order(broker):
    producer = broker.producer()
    consumer = broker.consumer({FIRST: EARLIEST}, "g")
    broker.reachable = False
    for opening in (broker.producer, broker.admin, lambda: broker.consumer({FIRST: 0})):
        with pytest.raises(BrokerError, match="away"):
            opening()
    answers = []
    for n in range(3):
        producer.send(Record(EVENTS, 0, None, bytes([n])), answers.append)
    assert answers == []
    assert consumer.poll(0) == []
    for asking in (consumer.bounds, lambda: consumer.commit({FIRST: 0}), lambda: producer.partitions(EVENTS)):
        with pytest.raises(BrokerError, match="away"):
            asking()
    broker.reachable = True
    assert answers == [None] * 3
    assert [m.value for m in consumer.poll(0)] == [b"\0", b"\1", b"\2"]


def test_a_wedged_producer_answers_nothing_and_a_new_one_does(broker):
    old = broker.producer()
    broker.wedge()
    answers = []
    old.send(Record(EVENTS, 0, None, b"lost"), answers.append)
    send(broker, Record(EVENTS, 0, None, b"new"))
    assert answers == []
    assert not old.close(0)
    assert isinstance(answers[0], BrokerError)
    assert [m.value for m in broker.logs[FIRST]] == [b"new"]


def test_send_all_gives_up_in_time(broker):
    producer = broker.producer()
    broker.wedge()
    with pytest.raises(BrokerError, match=r"2 records were not acknowledged within 0\.05 s"):
        send_all(producer, [Record(EVENTS, 0, None, b"x")] * 2, 0.05)


def test_topics_are_described_created_once_and_deleted(broker):
    admin = broker.admin()
    found = admin.describe([EVENTS, "other"])
    assert list(found) == [EVENTS]
    assert (found[EVENTS].partitions, found[EVENTS].replication) == (2, 1)
    assert found[EVENTS].settings["retention.ms"] == str(7 * 24 * 3_600_000)
    admin.create([Topic(EVENTS, 5)])
    assert broker.topics[EVENTS].partitions == 2
    with pytest.raises(BrokerError, match="3 replicas"):
        admin.create([Topic("other", 1)], replication=3)
    admin.delete([EVENTS, "other"])
    assert admin.describe([EVENTS]) == {}
    with pytest.raises(BrokerError, match="has no partition"):
        broker.consumer({FIRST: 0})
    with pytest.raises(BrokerError, match="synfin topics --create"):
        broker.producer().partitions(EVENTS)
