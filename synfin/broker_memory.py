"""Kafka's promises within one process: for tests, and wherever a list will do in place of a topic.

Partitions, offsets, order, topic settings that matter to a client, and the failures that a client has to live through:
a broker that is away, and one that stops acknowledging to the producers of the moment. Nothing is retained by time, and
compaction never runs, which Kafka does not promise to do either.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from synfin.clients import (
    EARLIEST,
    LATEST,
    Address,
    Description,
    Done,
    Message,
    Record,
    RefusedError,
    TopicPartition,
)
from synfin.errors import BrokerError
from synfin.wire.topics import Topic

_MESSAGE_MAX: Final = "1048588"  # the broker's default of max.message.bytes
_DEFAULTS: Final = {"cleanup.policy": "delete", "max.message.bytes": _MESSAGE_MAX}
_AWAY: Final = "the broker in memory is away"


class MemoryBroker:
    """Topics by name. `clock_ms` stamps the messages.

    `reachable` False keeps sends pending and refuses to open clients; `wedge` makes the producers that are open never
    acknowledge again.
    """

    def __init__(self, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self.clock_ms = clock_ms
        self.changed = threading.Condition(threading.RLock())
        self.topics: dict[str, Topic] = {}
        self.logs: dict[TopicPartition, list[Message]] = {}
        self.committed: dict[tuple[str, TopicPartition], int] = {}
        self._reachable = True
        self._producers: list[MemoryProducer] = []

    @property
    def reachable(self) -> bool:
        """Whether the broker answers."""
        return self._reachable

    @reachable.setter
    def reachable(self, value: bool) -> None:
        with self.changed:
            self._reachable = value
            producers = list(self._producers)
        for producer in producers:
            producer.deliver()

    def wedge(self) -> None:
        """Let none of the producers that are open now acknowledge anything again."""
        with self.changed:
            for producer in self._producers:
                producer.wedged = True

    def producer(self) -> "MemoryProducer":
        """Open a producer."""
        self._require()
        producer = MemoryProducer(self)
        with self.changed:
            self._producers.append(producer)
        return producer

    def forget(self, producer: "MemoryProducer") -> None:
        """Drop a producer that was closed."""
        with self.changed:
            self._producers.remove(producer)

    def consumer(self, positions: Mapping[TopicPartition, int], group: str | None = None) -> "MemoryConsumer":
        """Open a consumer."""
        self._require()
        return MemoryConsumer(self, positions, group)

    def admin(self) -> "MemoryAdmin":
        """Open an admin client."""
        self._require()
        return MemoryAdmin(self)

    def _require(self) -> None:
        if not self._reachable:
            raise BrokerError(f"opening a client: {_AWAY}")

    def log(self, where: TopicPartition) -> list[Message]:
        """Messages of a partition, from offset 0; BrokerError when there is none."""
        try:
            return self.logs[where]
        except KeyError:
            raise BrokerError(f"{where.topic} has no partition {where.partition}, or does not exist") from None

    def append(self, record: Record) -> None:
        """Append one record, or raise what Kafka would refuse it with."""
        topic, partition, key, value, headers = record
        with self.changed:
            log = self.log(TopicPartition(topic, partition))
            settings = {**_DEFAULTS, **self.topics[topic].settings}
            if settings["cleanup.policy"] == "compact" and key is None:
                raise RefusedError(f"sending to {topic}: it is compacted and takes no record without a key")
            if len(key or b"") + len(value or b"") > int(settings["max.message.bytes"]):
                raise RefusedError(f"sending to {topic}: the record is larger than max.message.bytes")
            log.append(Message(topic, partition, len(log), self.clock_ms(), key, value, headers))
            self.changed.notify_all()


class MemoryProducer:
    """Acknowledges in the caller's thread, at once or when the broker comes back."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.wedged = False
        self._broker = broker
        self._pending: deque[tuple[Record, Done]] = deque()
        self._turn = threading.Lock()  # one at a time, so that order holds

    def send(self, record: Record, done: Done) -> None:
        """Append, or keep it until the broker is back."""
        self._pending.append((record, done))
        self.deliver()

    def deliver(self) -> None:
        """Append what is pending, if the broker answers."""
        with self._turn:
            while self._pending and self._broker.reachable and not self.wedged:
                record, done = self._pending.popleft()
                try:
                    self._broker.append(record)
                except BrokerError as error:
                    done(error)
                else:
                    done(None)

    def partitions(self, topic: str) -> int:
        """Count of a topic's partitions."""
        if not self._broker.reachable:
            raise BrokerError(f"asking for the partitions of {topic}: {_AWAY}")
        try:
            return self._broker.topics[topic].partitions
        except KeyError:
            raise BrokerError(f"there is no topic {topic}; `synfin topics --create` makes what is missing") from None

    def addresses(self) -> frozenset[Address]:
        """None: there are no sockets."""
        return frozenset()

    def close(self, timeout_s: float) -> bool:
        """Give up what is pending when time runs out."""
        deadline = time.monotonic() + timeout_s
        while self._pending and time.monotonic() < deadline:
            time.sleep(0.01)
        self._broker.forget(self)
        with self._turn:
            given_up = list(self._pending)
            self._pending.clear()
        for _, done in given_up:
            done(BrokerError("the producer was closed"))
        return not given_up


class MemoryConsumer:
    """Reads the lists."""

    def __init__(self, broker: MemoryBroker, positions: Mapping[TopicPartition, int], group: str | None) -> None:
        self._broker = broker
        self._group = group
        self._next: dict[TopicPartition, int] = {}
        for where, offset in positions.items():
            end = len(broker.log(where))
            known = {EARLIEST: 0, LATEST: end}.get(offset, offset)
            self._next[where] = known if known <= end else 0  # out of range: from the earliest

    def poll(self, timeout_s: float, max_records: int = 500) -> list[Message]:
        """Wait until something comes."""
        with self._broker.changed:
            self._broker.changed.wait_for(self._ready, timeout_s)
            found: list[Message] = []
            if self._broker.reachable:
                for where, offset in self._next.items():
                    some = self._broker.log(where)[offset : offset + max_records - len(found)]
                    self._next[where] += len(some)
                    found += some
            return found

    def _ready(self) -> bool:
        behind = (offset < len(self._broker.log(where)) for where, offset in self._next.items())
        return self._broker.reachable and any(behind)

    def bounds(self, timeout_s: float = 15.0) -> dict[TopicPartition, tuple[int, int]]:  # noqa: ARG002  asks nobody
        """Where the lists begin and end."""
        if not self._broker.reachable:
            raise BrokerError(f"asking for the bounds of partitions: {_AWAY}")
        return {where: (0, len(self._broker.log(where))) for where in self._next}

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Note the offsets in the broker's `committed`."""
        if self._group is None:
            raise BrokerError("committing: the consumer was opened without a group")
        if not self._broker.reachable:
            raise BrokerError(f"committing: {_AWAY}")
        for where, offset in offsets.items():
            self._broker.committed[self._group, where] = offset

    def close(self) -> None:
        """Nothing is held."""


class MemoryAdmin:
    """Makes and removes the lists."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def describe(self, names: Iterable[str]) -> dict[str, Description]:
        """Those of the topics that exist."""
        topics = self._broker.topics
        return {
            name: Description(topics[name].partitions, 1, {**_DEFAULTS, **topics[name].settings})
            for name in names
            if name in topics
        }

    def create(self, topics: Iterable[Topic], replication: int = 1) -> None:
        """Create what does not exist."""
        if replication != 1:
            raise BrokerError(f"creating topics: {replication} replicas are more than the one broker in memory")
        with self._broker.changed:
            for topic in topics:
                if topic.name not in self._broker.topics:
                    self._broker.topics[topic.name] = topic
                    for partition in range(topic.partitions):
                        self._broker.logs[TopicPartition(topic.name, partition)] = []

    def delete(self, names: Iterable[str]) -> None:
        """Delete what exists."""
        with self._broker.changed:
            for name in names:
                topic = self._broker.topics.pop(name, None)
                for partition in range(topic.partitions if topic else 0):
                    del self._broker.logs[TopicPartition(name, partition)]

    def close(self) -> None:
        """Nothing is held."""
