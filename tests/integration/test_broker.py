"""The Kafka driver against a real broker."""

import threading
from dataclasses import replace

import pytest

from synfin.broker import EARLIEST, LATEST, BrokerConfig, KafkaBroker, Record, TopicPartition, send_all
from synfin.errors import BrokerError

pytestmark = pytest.mark.kafka


def read(consumer, count, timeout_s=30.0):
    """The next `count` messages."""
    found = []
    while len(found) < count and timeout_s > 0:
        found += consumer.poll(0.5)
        timeout_s -= 0.5
    return found


def test_opaque_bytes_arrive_as_they_were_in_order_per_partition(kafka, topics):
    name = topics.packets.name
    sent = [
        Record(name, n % 2, str(n % 2).encode(), bytes([n % 256, 0, 255]) * (1 + 37 * n), (("n", str(n).encode()),))
        for n in range(300)
    ]
    producer = kafka.broker.producer()
    try:
        assert producer.partitions(name) == 2
        send_all(producer, sent, 30)
        (address,) = {(a.remote_ip, a.remote_port) for a in producer.addresses()}
        assert f"{address[0]}:{address[1]}" == kafka.bootstrap
    finally:
        assert producer.close(10)

    consumer = kafka.broker.consumer({TopicPartition(name, p): EARLIEST for p in (0, 1)})
    try:
        got = read(consumer, len(sent))
    finally:
        consumer.close()
    for partition in (0, 1):
        mine = [m for m in got if m.partition == partition]
        assert [m.offset for m in mine] == list(range(150))
        assert [(m.key, m.value, m.headers) for m in mine] == [
            (r.key, r.value, r.headers) for r in sent if r.partition == partition
        ]


def test_a_consumer_begins_where_it_is_told_and_its_commit_is_seen(kafka, topics, prefix):
    name = topics.events.name
    first, second = TopicPartition(name, 0), TopicPartition(name, 1)
    producer = kafka.broker.producer()
    send_all(producer, [Record(name, p, None, b"%d" % n) for n in range(10) for p in (0, 1)], 30)

    consumer = kafka.broker.consumer({first: 7, second: LATEST}, group=f"{prefix}-group")
    try:
        assert [(m.partition, m.value) for m in read(consumer, 3)] == [(0, b"7"), (0, b"8"), (0, b"9")]
        send_all(producer, [Record(name, 1, None, b"new")], 30)
        assert [(m.partition, m.offset, m.value) for m in read(consumer, 1)] == [(1, 10, b"new")]
        assert consumer.bounds() == {first: (0, 10), second: (0, 11)}
        consumer.commit({first: 10, second: 11})
        assert consumer._client.committed(consumer._assigned[second]) == 11
    finally:
        consumer.close()
        producer.close(10)


class Foreign(str):
    """A header's name as another client may write it: no UTF-8."""

    __slots__ = ()

    def encode(self, *_):
        return b"\xff\xfe"


def test_a_header_whose_name_is_no_utf_8_costs_no_more_than_its_record(kafka, topics):
    name = topics.events.name
    producer = kafka.broker.producer()
    send_all(producer, [Record(name, p, b"k", b"before") for p in (0, 1)], 30)
    send_all(producer, [Record(name, 1, b"k", b"foreign", ((Foreign("x"), b"v"),)) for _ in range(3)], 30)
    send_all(producer, [Record(name, p, b"k", b"after") for p in (0, 1)], 30)
    producer.close(10)
    consumer = kafka.broker.consumer({TopicPartition(name, p): EARLIEST for p in (0, 1)})
    try:
        found = read(consumer, 7)
    finally:
        consumer.close()
    values = {p: [(m.offset, m.value) for m in found if m.partition == p] for p in (0, 1)}
    assert values[0] == [(0, b"before"), (1, b"after")]
    assert values[1] == [(0, b"before"), (1, None), (2, None), (3, None), (4, b"after")]
    assert {(m.key, m.headers) for m in found if m.value is None} == {(None, ())}


def test_log_append_time_is_the_brokers(kafka, topics):
    producer = kafka.broker.producer()
    send_all(producer, [Record(topics.packets.name, 0, b"0", b"x")], 30)
    producer.close(10)
    admin = kafka.broker.admin()
    settings = admin.describe([topics.packets.name])[topics.packets.name].settings
    admin.close()
    assert settings["message.timestamp.type"] == "LogAppendTime"


def test_topics_are_created_with_their_settings_and_once(kafka, topics):
    admin = kafka.broker.admin()
    try:
        admin.create(topics.all())  # they exist
        found = admin.describe(topic.name for topic in topics.all())
        for topic in topics.all():
            assert found[topic.name].partitions == topic.partitions
            assert found[topic.name].replication == 1
            assert {key: found[topic.name].settings[key] for key in topic.settings} == dict(topic.settings)
        assert admin.describe(["no-such-topic"]) == {}
        admin.delete(["no-such-topic"])
    finally:
        admin.close()


def test_a_snapshot_of_sixteen_mebibytes_can_be_read(kafka, topics):
    # Written as the processor will, by a client that allows such requests; read through the door.
    import kafka as kafka_python

    value = bytes(16 << 20)
    writer = kafka_python.KafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=20 << 20)
    writer.send(topics.state.name, value, b"7", partition=0).get(30)
    writer.close()
    consumer = kafka.broker.consumer({TopicPartition(topics.state.name, 0): EARLIEST})
    try:
        (message,) = read(consumer, 1)
    finally:
        consumer.close()
    assert message.value == value


def test_a_topic_that_nobody_made_is_named_and_not_made(kafka, prefix):
    producer = KafkaBroker(replace(kafka.config, timeout_s=2)).producer()
    with pytest.raises(BrokerError, match=r"no such topic.*synfin topics --create"):
        producer.partitions(f"{prefix}.packets.v1")
    producer.close(0)
    admin = kafka.broker.admin()
    assert admin.describe([f"{prefix}.packets.v1"]) == {}
    admin.close()


def test_a_broker_that_does_not_answer_is_named_and_nothing_is_left_running():
    driver = KafkaBroker(BrokerConfig(bootstrap="127.0.0.1:1", timeout_s=0.5))
    before = {thread.ident for thread in threading.enumerate()}
    for opening in (driver.producer, driver.admin, lambda: driver.consumer({TopicPartition("t", 0): 0})):
        # Refused, or on a busy host timed out before the refusal was read: the client's own word, whichever it is.
        with pytest.raises(BrokerError, match=r"Kafka at 127\.0\.0\.1:1 does not answer; .*\(Kafka\w+: .+\)"):
            opening()
    assert {thread.ident for thread in threading.enumerate()} <= before
