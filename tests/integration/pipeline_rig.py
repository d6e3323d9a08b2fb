"""The whole pipeline as processes: a sensor fed through a pipe, workers, a sink, and what stands in its files."""

import json
import re
import signal
import subprocess
import threading
import time
from collections import Counter, defaultdict
from contextlib import contextmanager

from processor.rules import NAMES
from synfin.embedded import Reading, Source
from synfin.errors import EXIT_BROKER
from synfin.wire.codec import decode
from synfin.wire.jsonl import event_lines, flow_lines
from tests.integration.processor_rig import Rig

SENSOR = "probe"
LATENCY = "200ms"  # of capture time
PAUSE_S = 0.2
SHARE = 0.003  # of what is left, in each pause: 6 % of a capture are left after three minutes, 40 % after one
PATIENCE_S = 120  # for a step that takes some seconds on a host with nothing else to do


class Pipe(threading.Thread):
    """Writes a capture into a sensor's standard input.

    Each time a share of what is left: so there is some left whenever a fault comes, on a fast host and on a slow one.
    """

    def __init__(self, capture, sink):
        super().__init__(daemon=True)
        self._left, self._sink = capture.read_bytes(), sink
        self._enough, self._cut = threading.Event(), threading.Event()
        self.error = None

    def run(self):
        try:
            with self._sink:
                while not self._enough.wait(PAUSE_S):
                    size = int(len(self._left) * SHARE)
                    self._sink.write(self._left[:size])
                    self._sink.flush()
                    self._left = self._left[size:]
                if not self._cut.is_set():
                    self._sink.write(self._left)
        except OSError as error:  # the sensor is gone: the test that waits for the thread says so
            self.error = error

    def finish(self):
        """Write all the rest at once."""
        self._enough.set()

    def cancel(self):
        self._cut.set()
        self._enough.set()
        self.join(10)


# What tiled recordings have of resets would be storms; the rules over several connections have a test of their own.
QUIET = {f"SYNFIN_RULES_{name.upper()}": "1000000000" for name in NAMES}


class Pipeline(Rig):
    """One test's topics, its sensor, workers and sink. Every process is ended here, if not before."""

    def __init__(self, kafka, topics, folder):
        super().__init__(kafka, topics, folder)
        self.out = folder / "out"
        self.sensor = self.sink = None
        self.restarted = 0
        self._supervised = None
        self._environment = {
            "SYNFIN_KAFKA_BROKERS": kafka.bootstrap,
            "SYNFIN_TOPICS_PREFIX": topics.prefix,
            "SYNFIN_PROCESSOR_GROUP": topics.prefix,
            "SYNFIN_SINK_GROUP": f"{topics.prefix}-sink",
            **QUIET,
        }

    # Processes

    def start_sensor(self, capture):
        """Begin to publish a capture; gives the pipe through which it comes."""
        command = ["-m", "sensor.cli", "-r", "-", "--brokers", self.kafka.bootstrap, "--sensor-id", SENSOR]
        command += ["--topic", self.topics.packets.name, "--latency", LATENCY, "--metrics-port", "0"]
        command += ["--spool", str(self.folder / "spool"), "-Z", "root", "-v"]
        self.sensor = self.start(command, stdin=subprocess.PIPE)
        pipe = Pipe(capture, self.sensor.process.stdin)
        self.feeders.append(pipe)
        pipe.start()
        return pipe

    def processor(self):
        return self.start(["-m", "processor.cli", "-v", "--metrics-port", "0"], **self._environment)

    def start_sink(self):
        command = ["-m", "sink.cli", "-v", "--out", str(self.out), "--metrics-port", "0"]
        self.sink = self.start(command, **self._environment)

    @contextmanager
    def supervised(self, workers):
        """Start workers again that end because of the broker, as a supervisor does, while one waits in here."""
        for client in self._clients.values():  # they know a broker that is no more
            client.close()
        self._clients.clear()
        self._supervised = workers
        try:
            yield
        finally:
            self._supervised = None

    def _restart_ended(self):
        for index, worker in enumerate(self._supervised or ()):
            if worker.process.poll() is not None:
                assert worker.wait() == EXIT_BROKER, self._tails([worker])
                worker.told = True
                self._supervised[index] = self.processor()
                self.restarted += 1

    def until(self, condition, what, timeout_s=60):
        """Wait as the rig does; workers that are supervised may end."""

        def holds():
            self._restart_ended()
            return condition()

        super().until(holds, what, timeout_s)

    def stop_sensor(self):
        self.sensor.process.send_signal(signal.SIGSTOP)

    def continue_sensor(self):
        self.sensor.process.send_signal(signal.SIGCONT)

    def begin(self, capture):
        """Sink, two workers that have begun with the batches of a sensor; the workers and the pipe."""
        self.start_sink()
        workers = [self.processor(), self.processor()]
        pipe = self.start_sensor(capture)
        self.until(lambda: self.ends(self.topics.packets).min() > 1, "batches on all partitions", PATIENCE_S)
        self.until_held_by(workers, PATIENCE_S)
        return workers, pipe

    def finish_sensor(self, pipe, timeout_s=PATIENCE_S):
        """Let the capture go out to its end."""
        pipe.finish()
        self.sensor.told = True
        self.until(lambda: self.sensor.process.poll() is not None, "the sensor's end", timeout_s)
        assert pipe.error is None, pipe.error
        assert self.sensor.wait() == 0, self.sensor.said()[-3000:]
        return self.batches()

    def batches(self):
        """How many messages the packets topic was given."""
        return int(self.ends(self.topics.packets).sum())

    # The sink

    def counted(self):
        """The sink's counters of this moment: (records read, written, skipped as replayed)."""
        line = r"sink: (\d+) records read: (\d+) written .*?, (\d+) skipped as replayed"
        before = len(re.findall(line, self.sink.said()))
        self.sink.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 30
        while len(found := re.findall(line, self.sink.said())) == before:
            assert self.sink.process.poll() is None, f"the sink ended:\n{self.sink.said()[-3000:]}"
            assert time.monotonic() < deadline, f"the sink does not say its counters:\n{self.sink.said()[-3000:]}"
            time.sleep(0.05)
        return tuple(int(number) for number in found[-1])

    def until_replayed(self, before, timeout_s=PATIENCE_S):
        """Wait until the sink has skipped more than `before` records."""
        self.until(lambda: self.counted()[2] > before, f"more than {before} records skipped by the sink", timeout_s)

    def finish(self, workers, written, timeout_s=PATIENCE_S):
        """Wait until all stands in the files, stop workers and sink in good order; the sink's last counters."""
        self.until(lambda: self.counted()[1] >= written, f"{written} records in the sink's files", timeout_s)
        ends = dict(enumerate(self.ends(self.topics.packets).tolist()))
        # While they run: of two that stop at the same time, one may find the group on the move, and its commit refused.
        self.until(lambda: self.commits() == ends, "all that there is applied and committed", timeout_s)
        for worker in workers:
            worker.signal(signal.SIGTERM)
        assert [worker.wait() for worker in workers] == [0] * len(workers), self._tails(workers)
        sent = int(self.ends(self.topics.flows).sum() + self.ends(self.topics.events).sum())
        self.until(lambda: self.counted()[0] >= sent, f"the sink reads the {sent} records of the topics", timeout_s)
        assert self.sink.end() == 0, self._tails([self.sink])
        read, kept, skipped = re.findall(r"(\d+) records read: (\d+) written .*?, (\d+) skipped", self.sink.said())[-1]
        assert (int(read), int(kept) + int(skipped)) == (sent, sent), "what was read is written or a replay"
        return int(kept), int(skipped)

    @staticmethod
    def _tails(workers):
        return "\n".join(f"--- {worker.log.name}\n{worker.said()[-3000:]}" for worker in workers)

    def lines(self, topic):
        """Lines of a topic's finished files, those of a partition in order."""
        folder = self.out / topic.name
        assert not list(folder.glob("*.live")), "a file was not finished"
        numbers = range(topic.partitions)
        files = [path for number in numbers for path in sorted(folder.glob(f"{topic.name}-{number}-*.jsonl"))]
        assert len(files) == len(list(folder.iterdir()))
        return [line for path in files for line in path.read_bytes().splitlines()]

    def assert_same_records(self, expected):
        """`design.md` section 5: the multiset of values is equal, and within one view their order."""
        for topic in (self.topics.flows, self.topics.events):
            kind = topic.name.split(".")[-2]
            got, wanted = self.lines(topic), expected[kind]
            missing, more = Counter(wanted) - Counter(got), Counter(got) - Counter(wanted)
            shown = f"{kind}: missing {_first(missing)}\nmore than expected {_first(more)}"
            assert not missing, shown
            assert not more, shown
            assert by_view(got) == by_view(wanted)

    def lanes(self):
        """(sensor, boot) of what was published and decodes, and the count of rows."""
        decoded = [decode(message.value) for message in self.messages(self.topics.packets)]
        return {(batch.lane.sensor, batch.lane.boot) for batch in decoded}, sum(len(b.segments) for b in decoded)


def _first(records, count=3):
    return f"{records.total()}: {b' '.join(list(records)[:count]).decode()[:1500]}"


def by_view(lines):
    """View to its lines, in order."""
    found = defaultdict(list)
    for line in lines:
        found[json.loads(line)["view_id"]].append(line)
    return found


def embedded(capture):
    """Lines of flows and events that one process gives for a capture."""
    lines = {"flows": [], "events": []}
    for records in Reading([Source(SENSOR, str(capture))], None).records():
        lines["flows"] += flow_lines(records).values()
        lines["events"] += event_lines(records).values()
    return lines
