"""What Faust is told, and the way of records through its producer."""

import asyncio
import importlib

import pytest

from processor.health import Status
from processor.settings import ProcessorConfig
from synfin.broker import BrokerConfig
from synfin.errors import BrokerError, UsageError
from synfin.wire.topics import Topics

app = importlib.import_module("processor.app")


class ProducerDouble:
    """aiokafka's producer as KafkaOutlet uses it; each sent batch waits for the test's word."""

    BATCH_RECORDS_MAX = 3

    def __init__(self):
        self.sent = []  # (topic, partition, records, future)

    def create_batch(self):
        return BatchDouble(self.BATCH_RECORDS_MAX)

    async def send_batch(self, batch, topic, *, partition):
        assert batch.closed
        future = asyncio.get_running_loop().create_future()
        self.sent.append((topic, partition, batch.records, future))
        return future


class BatchDouble:
    def __init__(self, room):
        self.records, self.closed, self._room = [], False, room

    def append(self, *, timestamp, key, value, headers):
        if len(self.records) == self._room:
            return None
        self.records.append(value)
        return object()

    def record_count(self):
        return len(self.records)

    def close(self):
        self.closed = True


def records(*numbers):
    return [(b"k", b"%d" % number, []) for number in numbers]


async def until_sent(producer, count):
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(producer.sent) == count


def test_a_second_batch_of_a_partition_waits_for_the_first_and_others_do_not():
    async def live():
        producer = ProducerDouble()
        outlet = app.KafkaOutlet(Topics(), lambda: producer)
        first = asyncio.create_task(outlet.send("flows", 0, records(*range(5))))  # two batches
        await until_sent(producer, 1)
        await outlet.send("flows", 1, records(7))
        await outlet.send("events", 0, records(8))
        await until_sent(producer, 3)
        producer.sent[0][3].set_result(None)
        await first
        assert [sent[:3] for sent in producer.sent] == [
            ("synfin.flows.v1", 0, [b"0", b"1", b"2"]),
            ("synfin.flows.v1", 1, [b"7"]),
            ("synfin.events.v1", 0, [b"8"]),
            ("synfin.flows.v1", 0, [b"3", b"4"]),
        ]
        settling = asyncio.create_task(outlet.settle())
        await until_sent(producer, 4)
        assert not settling.done()
        for sent in producer.sent[1:]:
            sent[3].set_result(None)
        await settling

    asyncio.run(live())


def test_after_the_first_failure_nothing_more_is_sent():
    async def live():
        producer = ProducerDouble()
        outlet = app.KafkaOutlet(Topics(), lambda: producer)
        await outlet.send("flows", 0, records(1))
        producer.sent[0][3].set_exception(OSError("gone"))
        await asyncio.sleep(0)
        for work in (outlet.send("events", 3, records(2)), outlet.send("flows", 0, records(3)), outlet.settle()):
            with pytest.raises(BrokerError, match="gone"):
                await work
        assert len(producer.sent) == 1

    asyncio.run(live())


def test_who_is_cancelled_while_waiting_leaves_the_batch_in_flight():
    async def live():
        producer = ProducerDouble()
        outlet = app.KafkaOutlet(Topics(), lambda: producer)
        await outlet.send("flows", 0, records(1))
        settling = asyncio.create_task(outlet.settle())
        await asyncio.sleep(0)
        settling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await settling
        assert not producer.sent[0][3].cancelled()
        producer.sent[0][3].set_result(None)
        await outlet.settle()

    asyncio.run(live())


def test_faust_is_told_what_keeps_the_protocol():
    made = app.build_app(ProcessorConfig(), open_partition=lambda *_: None, decode=lambda _: None)
    conf = made.conf
    assert conf.processing_guarantee.value == "at_least_once"
    assert conf.agent_supervisor.__name__ == "CrashingSupervisor"
    assert (conf.broker_session_timeout, conf.stream_wait_empty, conf.web_enabled) == (10, False, False)
    assert (conf.topic_allow_declare, conf.topic_disable_leader, conf.table_standby_replicas) == (False, True, 0)
    assert 16 <= conf.stream_buffer_maxsize <= 64
    assert str(conf.store) == "memory:"
    assert conf.producer_max_request_size > 16 << 20
    assert app._Producer._settings_extra(None) == {"acks": "all", "enable_idempotence": True}
    assert [agent.name for agent in made.agents.values()] == ["packets", "counts"]
    assert all(agent.channel.acks is False for agent in made.agents.values())  # else Faust commits by its own lights


def test_tls_always_comes_with_a_context_that_verifies():
    for config in (
        BrokerConfig(security="SSL"),
        BrokerConfig(security="SASL_SSL", sasl_mechanism="SCRAM-SHA-256", sasl_user="u", sasl_password="p"),
    ):
        told = app.driver.credentials_to_aiokafka_auth(app.auth(config))
        assert told["security_protocol"] == config.security
        assert told["ssl_context"].check_hostname
    assert (told["sasl_mechanism"], told["sasl_plain_username"]) == ("SCRAM-SHA-256", "u")
    plain = BrokerConfig(security="SASL_PLAINTEXT", sasl_mechanism="PLAIN", sasl_user="u", sasl_password="p")
    told = app.driver.credentials_to_aiokafka_auth(app.auth(plain))
    assert (told["security_protocol"], told["ssl_context"]) == ("SASL_PLAINTEXT", None)
    assert app.auth(BrokerConfig()) is None


COUNTS = {
    "synfin.packets.v1": 6,
    "synfin.flows.v1": 6,
    "synfin.events.v1": 6,
    "synfin.state.v1": 6,
    "synfin.counts.v1": 6,
}
LETTERS = {"synfin.deadletter.v1": 1}


def test_topics_that_fit():
    assert ProcessorConfig().partitions({**COUNTS, **LETTERS}) == 6


@pytest.mark.parametrize(
    ("counts", "error", "says"),
    [
        (COUNTS, BrokerError, "no topic synfin.deadletter.v1; `synfin topics --create`"),
        ({}, BrokerError, "no topic synfin.packets.v1, synfin.flows.v1, synfin.events.v1, synfin.state.v1, "),
        (
            {**COUNTS, **LETTERS, "synfin.state.v1": 12},
            UsageError,
            "packets.v1 6, synfin.flows.v1 6, synfin.events.v1 6, synfin.state.v1 12",
        ),
        ({**dict.fromkeys(COUNTS, 7), **LETTERS}, UsageError, "7 partitions do not divide 384"),
    ],
)
def test_topics_that_do_not_fit_are_named(counts, error, says):
    with pytest.raises(error, match=says):
        ProcessorConfig().partitions(counts)


def test_readiness_names_what_is_missing():
    status = Status(turned_s=100.0, seen_s=100.0)
    assert status.missing(100.0) == ["no partitions are assigned"]
    status.note(100.0, {0: 10, 1: 5}, {0: (10, 1), 1: (5, 1)})
    assert status.missing(110.0) == []
    assert status.missing(140.0) == ["no broker has answered for 40 s"]
    status.note(100.0, {0: 10, 1: 5, 2: 7}, {0: (4, 0), 1: (5, 0)})
    assert status.lags == {0: 6, 1: 0, 2: 0}
    (behind,) = status.missing(110.0)
    assert behind.startswith("partition 0 is ")
    assert behind.endswith(" s behind, 6 messages")
