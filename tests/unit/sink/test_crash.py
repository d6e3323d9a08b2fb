"""Whatever point the sink is stopped at, its files hold each record once and its alerts went out."""

import logging
import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from sink.consumer import Sink
from sink.counters import Talk
from sink.files import Rotation
from sink.partition import Place
from synfin.once import Once, Seq, Verdict
from tests.unit.sink.disk import Budget, Crash, Disk
from tests.unit.sink.histories import histories
from tests.unit.sink.topics import Topics, is_alert, value_of

EVENTS, FLOWS = "synfin.events.v1", "synfin.flows.v1"
KEYS = [(EVENTS, 0), (EVENTS, 1), (FLOWS, 0)]
SECONDS = 10**9


class Bench:
    """A folder on a disk that fails, topics that do not, and a sink that is started again and again."""

    def __init__(self, folder, monkeypatch, rotation):
        self.budget = Budget()
        self.topics = Topics(self.budget)
        self.folder = folder
        self.rotation = rotation
        for sub in ("journal", EVENTS, FLOWS):  # folders are there and durable; make_folder has its own test
            (folder / sub).mkdir(parents=True)
        self.disk = Disk(folder, monkeypatch, self.budget)
        self.sink = None

    def start(self):
        places = [Place(self.folder, topic, number, alerts=topic == EVENTS) for topic, number in KEYS]
        self.sink = Sink(places, self.rotation, self.topics, self.topics, Talk(logging.getLogger("sink.test")))
        self.sink.open()

    def act(self, action, crash_after=None, power=None):
        """Run it, with a crash after so many operations; say whether it came to its end."""
        self.budget.left = crash_after
        try:
            if self.sink is None:
                self.start()
            action(self.sink)
        except Crash:
            self.budget.left = None
            self.sink = None
            self.topics.forget()
            if power is None:
                self.disk.killed()
            else:
                self.disk.power_lost(power)
            return False
        self.budget.left = None
        return True

    def step(self, sink):
        sink.step(self.topics.poll(0))

    def run_out(self, sink):
        while arrivals := self.topics.poll(0):
            sink.step(arrivals)

    def stop(self):
        self.sink.close()
        self.sink = None

    def lines(self, topic, partition):
        files = sorted((self.folder / topic).glob(f"{topic}-{partition}-*"))
        return [line for file in files for line in file.read_bytes().splitlines()]

    def check(self):
        for key in KEYS:
            once, expected = Once(), []
            for record in self.topics.logs[key]:
                seq = Seq(*map(int, dict(record.headers)["synfin_seq"].split(b":")))
                if once.judge(seq, record.offset) is Verdict.TAKE:
                    expected.append(record)
            assert self.lines(*key) == [record.value for record in expected], key
            self.check_names(*key, [record.offset for record in expected])
        self.check_alerts()

    def check_names(self, topic, partition, offsets):
        """Names tell the offsets of the first and last line, and nothing else lies there."""
        for file in sorted((self.folder / topic).glob(f"{topic}-{partition}-*")):
            mine, offsets = offsets[: (n := len(file.read_bytes().splitlines()))], offsets[n:]
            name = f"{topic}-{partition}-{mine[0]:020d}"
            expected = f"{name}.jsonl.live" if file.name.endswith(".live") else f"{name}-{mine[-1]:020d}.jsonl"
            assert file.name == expected

    def check_alerts(self):
        sent = {(alert.id, alert.key, alert.value, alert.type) for alert in self.topics.alerts}
        truth = set()
        for topic, number in KEYS:
            for record in self.topics.logs[topic, number] if topic == EVENTS else ():
                seq = tuple(map(int, dict(record.headers)["synfin_seq"].split(b":")))
                if is_alert(*seq):
                    key = b"alert.abnormal_teardown/1:community"
                    truth.add((b"%d/%d/%d" % seq, key, value_of(*seq, alert=True), b"alert.abnormal_teardown"))
        assert sent == truth

    def confirmed_alerts_are_sent(self):
        """Wherever the journals stand, the alerts before them are with the broker: nobody sends them again."""
        bench_sink = Sink(
            [Place(self.folder, *KEYS[0], alerts=True), Place(self.folder, *KEYS[1], alerts=True)],
            self.rotation,
            self.topics,
            self.topics,
            Talk(logging.getLogger("sink.test")),
        )
        bench_sink.open()
        ids = {alert.id for alert in self.topics.alerts}
        for key, log in bench_sink.logs.items():
            for record in self.topics.logs[key][: log.next]:
                headers = dict(record.headers)
                if headers["ce_type"].startswith(b"alert."):
                    assert headers["ce_id"] in ids
        bench_sink.close()


STORY = [
    [(0, 0, n) for n in (1, 2, 3, 2, 3)] + [(1, 5, n) for n in (1, 2, 1, 2)] + [(0, 9, 1)],
    [(2, 0, n) for n in (1, 2, 3, 4, 3, 4, 5, 6)],
    [(0, 0, 1), (0, 0, 3), (0, 0, 2), (0, 0, 3)],
]


def told(tmp_path, monkeypatch, rotation):
    bench = Bench(tmp_path / "out", monkeypatch, rotation)
    for key, places in zip(KEYS, STORY, strict=True):
        for place in places:
            bench.topics.add(*key, place)
    return bench


@pytest.mark.parametrize("power", [False, True], ids=["killed", "power lost"])
@pytest.mark.parametrize("rotation", [Rotation(1 << 30, 1 << 62), Rotation(300, 5 * SECONDS)], ids=["one file", "many"])
def test_stopped_at_every_single_point(tmp_path, monkeypatch, rotation, power):
    with monkeypatch.context() as patch:
        bench = told(tmp_path / "whole", patch, rotation)
        assert bench.act(bench.run_out)
        bench.check()
        operations = bench.budget.spent
        bench.disk.close_all()
    assert operations > 30
    for point in range(operations):
        with monkeypatch.context() as patch:
            bench = told(tmp_path / str(point), patch, rotation)
            assert not bench.act(bench.run_out, point, random.Random(point) if power else None)
            bench.confirmed_alerts_are_sent()
            assert bench.act(bench.run_out)
            bench.check()
            bench.disk.close_all()


class Restarts(RuleBasedStateMachine):
    """Topics that grow and a sink that is stopped anywhere, any number of times, in any way."""

    folders = None  # made by the test
    number = 0

    @initialize(
        bytes_max=st.sampled_from((1, 200, 1000, 1 << 30)), age_ns_max=st.sampled_from((SECONDS, 9 * SECONDS, 1 << 62))
    )
    def begin(self, bytes_max, age_ns_max):
        Restarts.number += 1
        self.patch = pytest.MonkeyPatch()
        folder = self.folders / str(Restarts.number)
        self.bench = Bench(folder, self.patch, Rotation(bytes_max, age_ns_max))

    @rule(key=st.sampled_from(KEYS), history=histories(slices=2, length=12))
    def produce(self, key, history):
        """Histories follow one another as epochs: what they hold stays apart."""
        shift = 1000 * len(self.bench.topics.logs[key])
        for slice_, epoch, n in history:
            self.bench.topics.add(*key, (slice_, epoch + shift, n))

    @rule(crash_after=st.none() | st.integers(0, 25), power=st.none() | st.randoms(use_true_random=False))
    def step(self, crash_after, power):
        self.bench.act(self.bench.step, crash_after, power)

    @rule(crash_after=st.none() | st.integers(0, 25), power=st.none() | st.randoms(use_true_random=False))
    def finish_files(self, crash_after, power):
        self.bench.act(Sink.finish_files, crash_after, power)

    @rule()
    def stop(self):
        if self.bench.sink is not None:
            self.bench.stop()

    def teardown(self):
        if not hasattr(self, "bench"):
            return
        try:
            assert self.bench.act(self.bench.run_out)
            self.bench.check()
            assert self.bench.sink.gaps() == []
        finally:
            self.bench.disk.close_all()
            self.patch.undo()


def test_restarts(tmp_path):
    Restarts.folders = tmp_path
    Restarts.TestCase.settings = settings(
        max_examples=60, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
    )
    Restarts.TestCase("runTest").runTest()
