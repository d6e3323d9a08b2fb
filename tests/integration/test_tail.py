"""`synfin tail` at a real broker: what comes is printed as it comes, and what a replay brings again is not."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from synfin.broker import Record, send_all
from tests.integration.processor_rig import Rig

pytestmark = pytest.mark.kafka

TOP = Path(__file__).resolve().parents[2]
DEMO = TOP / "synfin" / "demo" / "connections.pcapng"


def read(form):
    command = [sys.executable, "-m", "synfin.cli", "read", form, str(DEMO)]
    done = subprocess.run(
        command, env={**os.environ, "SYNFIN_COMPILED": "0"}, cwd=TOP, stdout=subprocess.PIPE, check=True
    )
    return done.stdout.splitlines()


def publish(kafka, topic, values, ids=None):
    """Values as slice 1 numbers them, each sent twice, as after a replay; with ids, as the sink passes alerts on."""
    records = []
    for i, value in enumerate(values):
        header = ("ce_id", ids[i]) if ids else ("synfin_seq", b"1:0:%d" % (i + 1))
        records.append(Record(topic.name, 1, None, value, (header,)))
    producer = kafka.broker.producer()
    send_all(producer, records, 30)
    send_all(producer, records[-2:], 30)
    producer.close(10)


@pytest.fixture
def rig(kafka, topics, tmp_path):
    made = Rig(kafka, topics, tmp_path)
    yield made
    made.close()


def tail(kafka, topics, *words):
    command = [
        sys.executable,
        "-m",
        "synfin.cli",
        "tail",
        "--brokers",
        kafka.bootstrap,
        "--prefix",
        topics.prefix,
        *words,
    ]
    return subprocess.run(
        command, cwd=TOP, env={**os.environ, "TZ": "UTC", "NO_COLOR": "1"}, capture_output=True, timeout=60, check=False
    )


def test_flows_are_printed_as_they_stand_in_the_topic_and_once(kafka, topics):
    flows = read("--json")
    publish(kafka, topics.flows, flows)
    publish(kafka, topics.flows, [*flows, b'{"type": "flow"}'])  # the last alone is new
    done = tail(kafka, topics, "--from-start", "-c", "4")
    assert done.stdout.splitlines() == [*flows, b'{"type": "flow"}'], done.stderr.decode()
    assert done.returncode == 0


def test_a_filter_chooses_and_a_person_sees_the_words_of_read(kafka, topics):
    publish(kafka, topics.flows, [b"no record", *read("--json")])
    done = tail(kafka, topics, "--from-start", "--text", "-c", "1", 'synfin.teardown == "abort" and tcp.port == 44629')
    heading, line = done.stdout.decode().splitlines()
    assert heading.split() == ["TIME", "ORIGINATOR", "RESPONDER", "OPENED", "SENT", "RECEIVED", "ENDED", "STATES"]
    assert re.search(r"127\.0\.0\.1:53608 .* orig reset .* ALERT abnormal teardown", line)
    assert "1 values of" in done.stderr.decode()


def test_what_follows_a_gap_is_left_alone_and_that_is_said(kafka, topics):
    one, two, three = (b'{"n": %d}' % n for n in (1, 2, 3))
    numbered = {n: ("synfin_seq", b"1:0:%d" % n) for n in (1, 2, 3)}
    sent = [(one, 1), (three, 3), (two, 2), (three, 3)]  # 2 is missing until a replay brings it and 3
    producer = kafka.broker.producer()
    send_all(producer, [Record(topics.flows.name, 1, None, value, (numbered[n],)) for value, n in sent], 30)
    producer.close(10)
    done = tail(kafka, topics, "--from-start", "-c", "3")
    assert done.stdout.splitlines() == [one, two, three]
    assert done.stderr.decode().count("1:0:2 has not come") == 1


def test_alerts_that_come_twice_are_shown_once(kafka, topics):
    alerts = [line for line in read("--events") if b'"kind":"alert.' in line]
    other = json.dumps({**json.loads(alerts[0]), "id": "other"}).encode()
    publish(kafka, topics.alerts, [alerts[0], other], [b"1", b"2"])
    done = tail(kafka, topics, "--alerts", "--from-start", "--text", "-c", "2")
    assert done.stdout.decode().count("alert.abnormal_teardown") == 2
    publish(kafka, topics.alerts, [alerts[0], b'{"kind": "new"}'], [b"1", b"3"])
    done = tail(kafka, topics, "--alerts", "--from-start", "-c", "3")
    assert done.stdout.splitlines() == [alerts[0], other, b'{"kind": "new"}']


def test_what_comes_later_is_printed_when_it_comes(kafka, topics, rig):
    flows = read("--json")
    publish(kafka, topics.flows, flows[:1])
    follower = rig.start(["-m", "synfin.cli", "tail", "--brokers", kafka.bootstrap, "--prefix", topics.prefix])

    def seen():
        publish(kafka, topics.flows, flows[:1])  # of which nothing is seen but that it has begun
        return flows[0].decode() in follower.said()

    rig.until(seen, "the follower prints", 60)
    assert follower.said().count('"type":"flow"') == 1
    follower.signal(signal.SIGTERM)
    assert follower.wait() == -signal.SIGTERM


def test_records_of_strangers_are_shown_as_what_they_are_and_end_nothing(kafka, topics):
    alert = {**json.loads(next(line for line in read("--events") if b'"kind":"alert.' in line))}
    deep = b'{"kind": ' + b"[" * 900 + b"]" * 900 + b"}"
    huge = {**alert, "orig": {"ip": "1.2.3.4", "port": 2**64 - 1}}
    values = [
        json.dumps({**alert, "severity": []}).encode(),
        deep,
        json.dumps(huge).encode(),
        json.dumps(alert).encode(),
    ]
    publish(kafka, topics.events, values)
    done = tail(kafka, topics, "--events", "--from-start", "--text", "-c", "4")
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout.splitlines()) == 5
    done = tail(kafka, topics, "--events", "--from-start", "-c", "2", f"tcp.port == {alert['orig']['port']}")
    assert len(done.stdout.splitlines()) == 2, done.stderr.decode()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--events", "tcp.completeness == 31"), 2, "not known of an event"),
        (("frame.len > 3",), 2, "only of its packets"),
        (("-c", "0"), 2, "-c: a number above 0"),
        (("--prefix", "nobody"), 5, "there is no topic nobody.flows.v1"),
    ],
)
def test_what_is_wrong_is_said(kafka, topics, words, code, says):
    done = tail(kafka, topics, *words)
    assert (done.returncode, done.stdout) == (code, b"")
    assert says in done.stderr.decode()
