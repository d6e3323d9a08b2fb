"""The commands as a user starts them, with the real core, on connections of a kernel: as in one process, in any fate.

Recordings of tests/captures are tiled to some hundred batches. What readers of the topics end up with after two workers
were killed in mid-stream is compared with the same capture read in one process, where there are no partitions.
"""

import json
import re
import socket
import urllib.error
import urllib.request
from collections import Counter, defaultdict

import pytest

from processor.slices import open_partition
from processor.warm import warm
from sensor.batcher import Batcher
from sensor.dissect import Dissector
from sensor.pcapfile import CaptureFile
from synfin.embedded import Reading, Source
from synfin.wire.batch import END_OF_FILE, Lane
from synfin.wire.codec import decode
from synfin.wire.jsonl import event_lines, flow_lines
from synfin.wire.topics import Topics
from tests.integration.processor_rig import Rig
from tests.support.tile import tile

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PARTITIONS = 4
PACKETS = 40_000
BATCH_ROWS = 100
SENSOR = "probe"


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiled") / "tiled.pcapng"
    tile(path, PACKETS)
    return path


@pytest.fixture
def rig(kafka, prefix, tmp_path):
    topics = Topics(prefix=prefix, partitions=PARTITIONS)
    admin = kafka.broker.admin()
    admin.create(topics.all())
    rig = Rig(kafka, topics, tmp_path, open_partition)
    try:
        yield rig
    finally:
        rig.close()
        admin.delete(topic.name for topic in topics.all())
        admin.close()


def batches_of(path):
    """The batches that a sensor would publish, in its order."""
    batcher, dissector, found = Batcher(Lane(SENSOR, 1, 0), PARTITIONS, BATCH_ROWS), Dissector(), []
    for block in CaptureFile(path).blocks():
        found += batcher.add(*dissector.dissect(block), 0)
    return found + batcher.finish(END_OF_FILE)


def rounds_of(rig, batches):
    """A batch of each partition a round, for as long as it has any; a partition's own stay in order."""
    queues = [[batch for batch in batches if batch.partition == partition] for partition in range(PARTITIONS)]
    for number in range(max(len(queue) for queue in queues)):
        yield [rig.record(queue[number]) for queue in queues if number < len(queue)]


def embedded(path):
    """Values of flows and events as one process gives them."""
    flows, events = [], []
    for records in Reading([Source(SENSOR, str(path))], None).records():
        flows += flow_lines(records).values()
        events += event_lines(records).values()
    return {"flows": flows, "events": events}


def by_view(values):
    """View to its values, in order."""
    found = defaultdict(list)
    for value in values:
        found[json.loads(value)["view_id"]].append(value)
    return found


def start_processor(rig, port=0):
    return rig.start(["-m", "processor.cli", "-v", "--metrics-port", str(port)], **environment(rig))


def start_faust(rig):
    """Faust's own command on our app."""
    return rig.start(
        ["-m", "faust", "-A", "processor.app", "worker", "--without-web", "-l", "info"], **environment(rig)
    )


def environment(rig):
    return {
        "SYNFIN_KAFKA_BROKERS": rig.kafka.bootstrap,
        "SYNFIN_TOPICS_PREFIX": rig.topics.prefix,
        "SYNFIN_PROCESSOR_GROUP": rig.topics.prefix,
    }


def get(port, path):
    """Status and text of a page on loopback; 0 when nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def assert_same_records(seen, expected):
    for topic in ("flows", "events"):
        got = [value for (name, _), records in seen.taken.items() if name == topic for _, value in records]
        assert Counter(got) == Counter(expected[topic])
        assert by_view(got) == by_view(expected[topic])
    assert len(expected["flows"]) > 1000


def test_two_workers_killed_in_mid_stream_give_the_records_of_one_process(rig, capture):
    expected = embedded(capture)  # first, as it compiles the kernels that the workers then find in the cache
    warm(PARTITIONS, lambda number, values: open_partition(number, PARTITIONS, None, values), decode)
    batches = batches_of(capture)
    assert len(batches) >= 380
    feeder = rig.feed(list(rounds_of(rig, batches)), pause_s=1.5)
    port = free_port()
    workers = [start_processor(rig, port), start_faust(rig)]
    for turn in range(2):
        rig.until_held_by(workers)
        before = rig.read().replayed
        rig.kill(workers[turn])
        workers[turn] = start_processor(rig, port) if turn == 0 else start_faust(rig)
        rig.until(lambda before=before: rig.read().replayed > before, "records sent again after the kill")
    rig.until_held_by(workers)
    feeder.finish()
    rig.until_all_is_out()
    rig.until(lambda: get(port, "/readyz") == (200, "ok\n"), "the worker is ready")
    status, metrics = get(port, "/metrics")
    assert (status, get(port, "/healthz")) == (200, (200, "ok\n"))
    lags = re.findall(r'^synfin_processor_lag_messages{partition="\d"} (.+)$', metrics, re.MULTILINE)
    assert set(lags) == {"0.0"}
    assert f"synfin_processor_partitions {len(lags)}.0" in metrics
    assert [worker.end() for worker in workers] == [0, 0]
    seen = rig.assert_whole(replayed_min=2)
    assert_same_records(seen, expected)


def test_a_wrong_flag_is_a_usage_error(rig):
    worker = rig.start(["-m", "processor.cli", "--nonsense"])
    assert worker.wait() == 2
    assert "--nonsense" in worker.said()
    assert "Traceback" not in worker.said()


def test_faust_finds_the_app_that_the_environment_describes(rig):
    code = "import processor.app as m; assert 'app' not in vars(m); print(m.app.conf.id, m.app is m.app)"
    worker = rig.start(["-c", code], SYNFIN_PROCESSOR_GROUP="ours", SYNFIN_KAFKA_BROKERS="127.0.0.1:1")
    assert worker.wait() == 0
    assert worker.said().split() == ["ours", "True"]
