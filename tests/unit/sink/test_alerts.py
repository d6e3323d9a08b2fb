import threading

import orjson
import pytest

from sink.alerts import Alert, alert_of, header, rule_of
from sink.ports import STUCK_S, AlertProducer
from synfin.broker_memory import MemoryBroker
from synfin.errors import BrokerError
from synfin.wire.topics import Topics

TOPIC = "synfin.alerts.v1"
ALERT = Alert(b"alert.x/1:abc", b"{}", b"view/alert.x/0", b"synfin.alert.x")


@pytest.mark.parametrize(
    ("event_type", "rule"),
    [
        (b"synfin.alert.abnormal_teardown", b"alert.abnormal_teardown"),
        (b"alert.abnormal_teardown", b"alert.abnormal_teardown"),
        (b"synfin.alert.agg.syn_flood", b"alert.agg.syn_flood"),
        (b"synfin.teardown.abort", None),
        (b"synfin.flow", None),
        (b"synfin.alert.", None),
        (b"alert", None),
        (b"synfin.alerting.x", None),
        (b"synfin.alert.x\n", None),
        (b"synfin.alert.\xff", None),
        (b"", None),
        (None, None),
    ],
)
def test_the_type_in_the_header_says_what_is_an_alert(event_type, rule):
    assert rule_of(event_type, b"{}") == rule


@pytest.mark.parametrize(
    ("corrects", "rule"),
    [
        ("0a1b/alert.abnormal_teardown/0", b"alert.abnormal_teardown"),
        ("0a1b/alert.tamper/12", b"alert.tamper"),
        ("0a1b/teardown.abort/0", None),
        ('x","corrects":"0a/alert.x/0', None),
        ("alert.x", None),
    ],
)
def test_what_takes_an_alert_back_goes_where_the_alert_went(corrects, rule):
    value = orjson.dumps({"kind": "revised", "corrects": corrects})
    assert rule_of(b"synfin.revised", value) == rule
    assert rule_of(b"synfin.teardown.abort", value) is None


def test_an_alert_keeps_the_id_and_value_of_its_event_and_is_keyed_by_rule_and_group():
    headers = [("ce_id", b"v/alert.x/0"), ("ce_type", b"synfin.alert.x"), ("synfin_seq", b"0:0:1")]
    alert = alert_of(b"alert.x", b"1:abc", b'{"a":1}', headers)
    assert (alert.key, alert.value) == (b"alert.x/1:abc", b'{"a":1}')
    assert alert.headers == [("ce_id", b"v/alert.x/0"), ("ce_type", b"synfin.alert.x")]
    assert alert_of(b"alert.x", None, b"{}", headers).key == b"alert.x"


@pytest.mark.parametrize("headers", [[], [("ce_id", None)], [("ce_id", b"")]])
def test_without_id_there_is_no_alert(headers):
    assert alert_of(b"alert.x", b"k", b"{}", headers) is None


def test_the_first_header_of_a_name_counts():
    assert header([("a", b"1"), ("b", b"2"), ("a", b"3")], "a") == b"1"
    assert header(None, "a") is None


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def broker():
    broker = MemoryBroker()
    broker.admin().create(Topics().all())
    return broker


@pytest.fixture
def port(broker):
    port = AlertProducer(broker, TOPIC, Clock())
    port.open()
    yield port
    port.close(0.0)


def received(broker):
    return [message for where, log in broker.logs.items() if where.topic == TOPIC for message in log]


def test_an_alert_is_acknowledged(broker, port):
    port.send(ALERT)
    assert port.unacknowledged(1.0) == 0
    (message,) = received(broker)
    assert (message.key, message.value, message.headers) == (ALERT.key, ALERT.value, tuple(ALERT.headers))


def test_one_rule_and_group_stays_in_one_partition_and_others_spread(broker, port):
    for n in range(40):
        for _ in range(2):
            port.send(Alert(b"alert.x/%d" % n, b"{}", b"%d" % n, b"synfin.alert.x"))
    assert port.unacknowledged(1.0) == 0
    partitions = {}
    for message in received(broker):
        partitions.setdefault(message.key, set()).add(message.partition)
    assert all(len(found) == 1 for found in partitions.values())
    assert set.union(*partitions.values()) == set(range(6))


def test_while_the_broker_is_away_alerts_wait_and_then_go(broker, port):
    broker.reachable = False
    port.send(ALERT)
    assert port.unacknowledged(0.0) == 1
    threading.Timer(0.05, lambda: setattr(broker, "reachable", True)).start()
    assert port.unacknowledged(10.0) == 0
    assert len(received(broker)) == 1


def test_what_the_broker_refuses_is_told_once_and_holds_up_nothing(broker, port):
    port.send(Alert(b"k", b"x" * (2 << 20), b"id", b"t"))
    port.send(ALERT)
    assert port.unacknowledged(1.0) == 0
    (reason,) = port.refused()
    assert "max.message.bytes" in reason
    assert port.refused() == []
    assert [message.value for message in received(broker)] == [ALERT.value]


def test_any_other_failure_is_an_error(broker, port):
    broker.admin().delete([TOPIC])
    port.send(ALERT)
    with pytest.raises(BrokerError, match=TOPIC):
        port.unacknowledged(1.0)


def test_a_producer_that_is_stuck_is_replaced_and_all_is_sent_again_in_order(broker, port):
    broker.wedge()
    for n in range(5):
        port.send(Alert(b"k", b"%d" % n, b"%d" % n, b"t"))
    assert port.unacknowledged(0.0) == 5
    port._clock.now += STUCK_S + 1
    port.unacknowledged(0.0)
    assert port.unacknowledged(1.0) == 0
    assert [message.value for message in received(broker)] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_producer_is_not_replaced_while_the_broker_is_away(broker, port):
    broker.reachable = False
    port.send(ALERT)
    port._clock.now += STUCK_S + 1
    assert port.unacknowledged(0.0) == 1
    broker.reachable = True
    assert port.unacknowledged(1.0) == 0
    assert len(received(broker)) == 1


def test_without_the_topic_it_does_not_open():
    with pytest.raises(BrokerError):
        AlertProducer(MemoryBroker(), TOPIC).open()
