"""What the tests of the Faust worker share: batches fed to a real broker, workers as processes, and what came out."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import kafka as kafka_python
import numpy as np

from synfin.broker import EARLIEST, Record, TopicPartition, send_all
from synfin.wire.codec import decode, encode
from synfin.wire.key import SLICES
from tests.integration.processor_batches import ROWS, batch_of, flows_of
from tests.integration.state_machine import open_partition

ROOT = Path(__file__).resolve().parents[2]
ROUNDS_MAX = 3000


class Feeder(threading.Thread):
    """Publishes rounds of records at a steady pace until it is enough, so that faults fall into the stream.

    What is left then goes out at once where `whole` says so; else it is left out.
    """

    def __init__(self, kafka, rounds, pause_s, whole):
        super().__init__(daemon=True)
        self._kafka, self._rounds, self._pause_s, self._whole = kafka, iter(rounds), pause_s, whole
        self._enough = threading.Event()
        self.error = None

    def run(self):
        try:
            producer = self._kafka.broker.producer()
            for records in self._rounds:
                send_all(producer, records, 30)
                if self._enough.wait(self._pause_s):
                    break
            for records in self._rounds if self._whole else ():
                send_all(producer, records, 30)
            producer.close(10)
        except Exception as error:  # noqa: BLE001  the test that waits for the thread says so
            self.error = error

    def finish(self):
        """Publish the end; fails when it had come by itself, since then a fault may have come after the stream."""
        assert self.is_alive(), f"the input ended too early: {self.error}"
        self._enough.set()
        self.join(60)
        assert not self.is_alive()
        assert self.error is None

    def cancel(self):
        self._whole = False
        self._enough.set()
        self.join(60)


class Worker:
    """A worker as a process. Ended by whoever started it, at the latest by the rig."""

    def __init__(self, command, log, environment, stdin=None):
        self.told = False  # to end, or to sleep
        self.log = log
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=stdin,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )

    def signal(self, number):
        self.told = self.told or number != signal.SIGCONT
        self.process.send_signal(number)

    def wait(self, timeout_s=40):
        return self.process.wait(timeout_s)

    def end(self):
        """Stop in good order; gives the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def said(self):
        return self.log.read_text()

    def begun(self):
        """How many partitions it has begun with since its start."""
        return self.said().count("goes on at offset")

    def counted(self, name):
        """A counter from the summary of a worker that ended well."""
        summary = self.said().strip().splitlines()[-1].removeprefix("processor: ")
        return next(int(part.split()[0]) for part in summary.split(", ") if part.split(" ", 1)[1] == name)


@dataclass
class Read:
    """What a reader of the output topics makes of them, by the rule of design.md section 2.6."""

    taken: dict = field(default_factory=dict)  # (topic, slice) to a list of (key, value)
    places: dict = field(default_factory=dict)  # (topic, slice) to (epoch, n)
    by_seq: dict = field(default_factory=dict)
    replayed: int = 0
    left: int = 0
    conflicts: int = 0
    misplaced: int = 0

    def take(self, topic, partition, partitions, message):
        headers = dict(message.headers)
        number, epoch, n = (int(part) for part in headers["synfin_seq"].split(b":"))
        self.misplaced += number % partitions != partition
        self.conflicts += self.by_seq.setdefault((topic, number, epoch, n), message.value) != message.value
        held = self.places.get((topic, number), (epoch, 0))
        if (epoch, n) <= held:
            self.replayed += 1
        elif n == 1 or (epoch == held[0] and n == held[1] + 1):
            self.places[topic, number] = (epoch, n)
            self.taken.setdefault((topic, number), []).append((message.key, message.value))
        else:
            self.left += 1

    def __len__(self):
        return sum(len(records) for records in self.taken.values())


class Rig:
    """One test's topics, workers and feeders."""

    def __init__(self, kafka, topics, folder, open_partition=open_partition):
        self.kafka, self.topics, self.folder = kafka, topics, folder
        self._open_partition = open_partition
        self.partitions = topics.partitions
        self.workers, self.feeders = [], []
        self._flows = [flows_of(partition, self.partitions) for partition in range(self.partitions)]
        self._number = 0
        self._clients, self._read_to, self.seen = {}, {}, Read()
        self.aggregates = []  # as they lie in the events topic, those that were sent again included

    def start(self, command, *, stdin=None, **environment):
        log = self.folder / f"worker-{len(self.workers)}.log"
        worker = Worker([sys.executable, *command], log, environment, stdin)
        self.workers.append(worker)
        return worker

    def worker(self, **settings):
        """A worker with the tests' state machine. Its batches are tiny: to load compiled kernels would cost seconds."""
        given = {"bootstrap": self.kafka.bootstrap, "prefix": self.topics.prefix, **settings}
        return self.start(["-m", "tests.integration.processor_worker", json.dumps(given)], SYNFIN_COMPILED="0")

    def feed(self, rounds=None, pause_s=0.1):
        """Begin to publish: rounds of records, to the last, or as many small batches as it takes."""
        feeder = Feeder(self.kafka, rounds or self.small_rounds(ROUNDS_MAX), pause_s, whole=rounds is not None)
        self.feeders.append(feeder)
        feeder.start()
        return feeder

    def small_rounds(self, count):
        """Rounds of one small batch a partition."""
        for _ in range(count):
            number, self._number = self._number, self._number + 1
            batches = [batch_of(self._flows[p], p, self.partitions, number) for p in range(self.partitions)]
            yield [self.record(batch) for batch in batches]

    def record(self, batch):
        return Record(self.topics.packets.name, batch.partition, None, encode(batch))

    def publish(self, count):
        """Publish rounds of small batches and wait for the broker's word."""
        producer = self.kafka.broker.producer()
        for records in self.small_rounds(count):
            send_all(producer, records, 30)
        producer.close(10)

    @property
    def rounds(self):
        """How many batches each partition was given."""
        return self._number

    def places(self, topic):
        return [TopicPartition(topic.name, p) for p in range(topic.partitions)]

    def _client(self, topic):
        """A consumer of the whole topic, kept open."""
        if topic.name not in self._clients:
            self._clients[topic.name] = self.kafka.broker.consumer(dict.fromkeys(self.places(topic), EARLIEST))
        return self._clients[topic.name]

    def ends(self, topic):
        """How many messages each partition of the topic was given, as an array."""
        return np.array([end for _, (_, end) in sorted(self._client(topic).bounds().items())])

    def messages(self, topic):
        """All messages of a topic, those of a partition in order."""
        consumer = self.kafka.broker.consumer(dict.fromkeys(self.places(topic), EARLIEST))
        try:
            return list(self._new_messages(consumer, {}))
        finally:
            consumer.close()

    def _new_messages(self, consumer, read):
        """Messages up to what is now the end; `read` holds where each partition was read to, and is kept up."""
        left = {place: end for place, (start, end) in consumer.bounds().items() if max(start, read.get(place, 0)) < end}
        deadline = time.monotonic() + 60
        while left:
            assert time.monotonic() < deadline, f"{left} cannot be read to the end"
            for message in consumer.poll(0.2, 2000):
                place = TopicPartition(message.topic, message.partition)
                read[place] = message.offset + 1
                if read[place] >= left.get(place, 0):
                    left.pop(place, None)
                yield message

    def read(self):
        """What readers of flows and events have by now."""
        for name, topic in (("flows", self.topics.flows), ("events", self.topics.events)):
            for message in self._new_messages(self._client(topic), self._read_to):
                if int(dict(message.headers)["synfin_seq"].split(b":")[0]) >= SLICES:
                    self.aggregates.append(message)  # of the second stage
                else:
                    self.seen.take(name, message.partition, self.partitions, message)
        return self.seen

    def undisturbed(self, upto=None):
        """What the log of packets leads to when nothing goes wrong: (topic, slice) to a list of (key, value).

        `upto`: partition to an offset before which to stop; all of it by default.
        """
        machines, expected = {}, {}
        for message in self.messages(self.topics.packets):
            if upto is not None and message.offset >= upto.get(message.partition, 0):
                continue
            machine = machines.setdefault(
                message.partition, self._open_partition(message.partition, self.partitions, None, [])
            )
            for topic, key, value, _, _, seq in machine.apply(
                decode(message.value), message.offset, message.timestamp_ms
            ):
                if topic.startswith("counts"):  # what becomes of them is another test's
                    continue
                expected.setdefault((topic, int(seq.split(":")[0])), []).append((key, value))
        return expected

    def commits(self):
        """Partition of the packets topic to committed offset; the group commits those of counts too."""
        name = self.topics.packets.name
        admin = kafka_python.KafkaAdminClient(bootstrap_servers=self.kafka.bootstrap)
        try:
            found = admin.list_group_offsets({self.topics.prefix: None})[self.topics.prefix]
            of_packets = {place: stored for place, stored in found.items() if place.topic == name}
            return {place.partition: stored.offset for place, stored in of_packets.items() if stored.offset >= 0}
        finally:
            admin.close()

    def until(self, condition, what, timeout_s=120):
        """Wait until `condition` holds; no worker may end meanwhile that was not told to."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            gone = [worker for worker in self.workers if not worker.told and worker.process.poll() is not None]
            if gone or time.monotonic() > deadline:
                said = "\n".join(f"--- {worker.log.name}\n{worker.said()[-3000:]}" for worker in gone or self.workers)
                raise AssertionError(f"{'a worker ended' if gone else f'not within {timeout_s} s'}: {what}\n{said}")
            time.sleep(0.1)

    def until_held_by(self, workers, timeout_s=120):
        """Wait until each of the workers has begun with a partition."""
        self.until(lambda: all(worker.begun() for worker in workers), "each worker holds partitions", timeout_s)

    def until_all_is_out(self, timeout_s=120):
        """Wait until readers have every record of the undisturbed run."""
        wanted = sum(len(records) for records in self.undisturbed().values())
        self.until(lambda: len(self.read()) >= wanted, f"{wanted} records after the replays", timeout_s)

    def until_replay_is_due(self, timeout_s=120):
        """Wait until each partition has written a checkpoint and has sent records since: who dies is replayed."""
        self.until(self._replay_is_due(), "a checkpoint on every partition, with records after it", timeout_s)

    def _replay_is_due(self):
        """Something that looks whether that is so, as often as it is called."""
        begun = state = self.ends(self.topics.state)
        at_state = self.ends(self.topics.events)

        def look():
            nonlocal state, at_state
            before, state, out = state, self.ends(self.topics.state), self.ends(self.topics.events)
            at_state = np.where(state > before, out, at_state)
            return (state > begun).all() and (out - at_state >= ROWS).all()

        return look

    def freeze(self, worker, timeout_s=120):
        """Stop a worker, by SIGSTOP, when what it has sent since its last checkpoint must be sent again by others.

        It is looked at again when it stands still: just before, it may have written another checkpoint.
        """
        is_due = self._replay_is_due()

        def frozen():
            if not is_due():
                return False
            worker.process.send_signal(signal.SIGSTOP)
            time.sleep(0.3)  # what it had handed to the broker arrives
            if is_due():
                return True
            worker.process.send_signal(signal.SIGCONT)
            return False

        self.until(frozen, "a checkpoint on every partition, with records after it", timeout_s)
        worker.told = True

    def kill(self, worker, timeout_s=120):
        """Kill a worker when others must send records again."""
        self.freeze(worker, timeout_s)
        worker.signal(signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL

    def assert_whole(self, replayed_min=1):
        """Nothing missing, nothing conflicting, nothing twice, and the fault really led to replays."""
        seen, expected = self.read(), self.undisturbed()
        assert seen.taken == expected
        assert (seen.conflicts, seen.misplaced) == (0, 0)
        assert seen.replayed >= replayed_min, "the fault missed the stream, so nothing was shown"
        return seen

    def close(self):
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait(10)
        for feeder in self.feeders:
            feeder.cancel()
        for client in self._clients.values():
            client.close()
