"""Sensor, Kafka, Faust, sink: what stands in the files is what one process makes of the same capture, in any fate.

The recordings of tests/captures are tiled to some 400 batches. All are the commands that a user starts. A pipe feeds
the sensor, so that faults fall in mid-stream: after snapshots, and before the input has ended.
"""

import json
import time
from types import SimpleNamespace

import pytest

from processor.slices import open_partition
from processor.warm import warm
from synfin.broker import BrokerConfig, KafkaBroker, Record, send_all
from synfin.wire.codec import decode, encode
from synfin.wire.topics import Topics
from tests.integration.pipeline_rig import PATIENCE_S, SENSOR, Pipeline, embedded
from tests.integration.processor_batches import batch_of, flows_of
from tests.support.tile import tile

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PARTITIONS = 6
PACKETS = 40_000
BATCHES_MIN = 380


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiled") / "tiled.pcapng"
    tile(path, PACKETS)
    return path


@pytest.fixture(scope="module")
def expected(capture):
    """What one process gives; made once, and with it the compiled kernels that the processes of the tests load."""
    records = embedded(capture)
    assert len(records["flows"]) >= 4000
    assert len(records["events"]) >= 10_000
    assert warm(PARTITIONS, lambda number, values: open_partition(number, PARTITIONS, None, values), decode)
    return records


def made(kafka, prefix, folder):
    """A pipeline whose topics are there."""
    topics = Topics(prefix=prefix, partitions=PARTITIONS)
    admin = kafka.broker.admin()
    admin.create(topics.all())
    admin.close()
    return Pipeline(kafka, topics, folder)


@pytest.fixture
def pipeline(kafka, prefix, tmp_path):
    pipeline = made(kafka, prefix, tmp_path)
    try:
        yield pipeline
    finally:
        pipeline.close()
        admin = kafka.broker.admin()
        admin.delete(topic.name for topic in pipeline.topics.all())
        admin.close()


def assert_alerts(pipeline, expected):
    """The alerts topic holds every alert among the events; a sink that was not killed sends none twice."""
    ids = [dict(message.headers)["ce_id"].decode() for message in pipeline.messages(pipeline.topics.alerts)]
    wanted = [event["id"] for event in map(json.loads, expected["events"]) if event["kind"].startswith("alert.")]
    assert sorted(ids) == sorted(wanted)
    assert wanted


def test_a_sensor_stopped_and_continued_two_workers_and_a_sink_give_the_records_of_one_process(
    pipeline, capture, expected
):
    workers, pipe = pipeline.begin(capture)
    pipeline.until(lambda: pipeline.batches() >= 50, "some batches", PATIENCE_S)
    pipeline.stop_sensor()
    time.sleep(2)
    pipeline.continue_sensor()
    assert pipeline.finish_sensor(pipe) >= BATCHES_MIN
    written, _ = pipeline.finish(workers, sum(map(len, expected.values())))
    assert written == sum(map(len, expected.values()))
    pipeline.assert_same_records(expected)
    assert_alerts(pipeline, expected)
    lanes, rows = pipeline.lanes()
    assert ({sensor for sensor, _ in lanes}, len(lanes)) == ({SENSOR}, 1)
    assert rows == PACKETS
    assert min(worker.counted("batches") for worker in workers) > 0


def test_workers_killed_in_mid_stream_twice_leave_nothing_out_and_nothing_twice(pipeline, capture, expected):
    workers, pipe = pipeline.begin(capture)
    for turn in range(2):
        skipped = pipeline.counted()[2]
        pipeline.kill(workers[turn], PATIENCE_S)
        pipeline.stop_sensor()  # what is skipped from here on was sent before the kill
        workers[turn] = pipeline.processor()
        pipeline.until_replayed(skipped)
        pipeline.continue_sensor()
        pipeline.until_held_by(workers, PATIENCE_S)
    assert pipeline.finish_sensor(pipe) >= BATCHES_MIN
    written, skipped = pipeline.finish(workers, sum(map(len, expected.values())))
    assert written == sum(map(len, expected.values()))
    assert skipped >= 2
    pipeline.assert_same_records(expected)
    assert_alerts(pipeline, expected)


def bad_batches(pipeline):
    """(value, partition, words of the reason) of batches that no worker can apply, some made of a real one."""
    real = next(m for m in pipeline.messages(pipeline.topics.packets) if m.partition == 2 and len(m.value) > 500)
    turned = bytearray(real.value)
    turned[len(turned) // 2] ^= 0x10
    foreign = encode(batch_of(flows_of(1, 4), 1, 4, 7))
    return [
        (b"\xff" * 100, 0, ""),
        (bytes(turned), 2, ""),
        (real.value[:-9], 2, ""),
        (real.value, 3, "the batch is for partition 2"),
        (foreign, 1, "cut for 4 partitions, the topic has 6"),
    ]


def test_a_batch_that_does_not_decode_goes_to_the_dead_letter_and_nothing_else_is_lost(pipeline, capture, expected):
    workers, pipe = pipeline.begin(capture)
    pipeline.until(lambda: pipeline.ends(pipeline.topics.packets).min() > 8, "batches on all partitions", PATIENCE_S)
    bad = bad_batches(pipeline)
    again = [message for message in pipeline.messages(pipeline.topics.packets) if message.offset in {2, 7}]
    name = pipeline.topics.packets.name
    producer = pipeline.kafka.broker.producer()
    send_all(producer, [Record(name, partition, None, value) for value, partition, _ in bad], 30)
    send_all(producer, [Record(name, message.partition, message.key, message.value) for message in again], 30)
    producer.close(10)
    pipeline.finish_sensor(pipe)
    written, _ = pipeline.finish(workers, sum(map(len, expected.values())))
    assert written == sum(map(len, expected.values()))
    pipeline.assert_same_records(expected)
    letters = pipeline.messages(pipeline.topics.deadletter)
    assert len(again) == 2 * PARTITIONS
    assert sorted(letter.value for letter in letters) == sorted(value for value, _, _ in bad)
    for value, partition, words in bad:
        headers = dict(next(letter for letter in letters if letter.value == value).headers)
        assert words in headers["reason"].decode()
        assert headers["reason"]
        assert headers["partition"] == str(partition).encode()
    assert sum(worker.counted("dead letters") for worker in workers) >= len(bad)


def test_a_broker_killed_in_mid_stream_and_started_again_changes_no_record(
    own_kafka, prefix, tmp_path, capture, expected
):
    own_kafka.start()
    broker = KafkaBroker(BrokerConfig(bootstrap=own_kafka.bootstrap, timeout_s=60))
    pipeline = made(SimpleNamespace(bootstrap=own_kafka.bootstrap, broker=broker), prefix, tmp_path)
    try:
        workers, pipe = pipeline.begin(capture)
        pipeline.until_replay_is_due(PATIENCE_S)
        before = pipeline.counted()[1]
        own_kafka.kill()
        time.sleep(3)
        own_kafka.start()
        with pipeline.supervised(workers):
            pipeline.until(lambda: pipeline.counted()[1] > before, "records after the broker's return", PATIENCE_S)
            pipeline.until_held_by(workers, PATIENCE_S)
            pipeline.finish_sensor(pipe)
            pipeline.until(
                lambda: pipeline.counted()[1] >= sum(map(len, expected.values())),
                "all records in the files",
                PATIENCE_S,
            )
        written, _ = pipeline.finish(workers, sum(map(len, expected.values())))
        assert written == sum(map(len, expected.values()))
        pipeline.assert_same_records(expected)
    finally:
        pipeline.close()
