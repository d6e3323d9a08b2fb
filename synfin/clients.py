"""What producer, consumer and admin offer the stages: Protocols of at most four methods each.

Drivers: `synfin.broker.KafkaBroker` for a real Kafka, `synfin.broker_memory.MemoryBroker` within one process.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from synfin.errors import BrokerError
from synfin.wire.topics import Topic

EARLIEST: Final = -2  # where a consumer begins; the numbers of Kafka's ListOffsets
LATEST: Final = -1


class RefusedError(BrokerError):
    """Kafka refuses this one record, and would again: it is too large, or not what the topic takes."""


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Record(NamedTuple):
    """What is sent. The partition is always named: it says where state lives, so no hash of a client chooses it."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None  # None deletes the key of a compacted topic
    headers: tuple[tuple[str, bytes], ...] = ()


class Message(NamedTuple):
    """What is received."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int  # of appending, where the topic says LogAppendTime
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class Address(NamedTuple):
    """Both ends of a socket to a broker, as text and number."""

    local_ip: str
    local_port: int
    remote_ip: str
    remote_port: int


class Description(NamedTuple):
    """A topic as the broker has it, with all of its settings."""

    partitions: int
    replication: int
    settings: Mapping[str, str]


Done = Callable[[BrokerError | None], None]  # called once a record, in another thread: None when it is acknowledged


class Producer(Protocol):
    """Sends records; those of one partition arrive in the order of sending."""

    def send(self, record: Record, done: Done) -> None:
        """Hand a record over, without waiting. Memory is not bounded here: who sends counts what is not done."""

    def partitions(self, topic: str) -> int:
        """Count of a topic's partitions; BrokerError when there is no such topic. May wait, at the first call."""

    def addresses(self) -> frozenset[Address]:
        """The sockets that are open to brokers now."""

    def close(self, timeout_s: float) -> bool:
        """Wait until all is acknowledged, then close; False when time ran out, and what is pending is given up."""


class Consumer(Protocol):
    """Reads the partitions that it was opened with, each in order."""

    def poll(self, timeout_s: float, max_records: int = 500) -> list[Message]:
        """Give the next messages, those of one partition in order; none when nothing came in time."""

    def bounds(self, timeout_s: float = 15.0) -> dict[TopicPartition, tuple[int, int]]:
        """First offset that each partition still has, and the one of its next message; BrokerError without an answer.

        `timeout_s` is for each of the two questions.
        """

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Store the next offset to read, for whoever looks at the group's lag."""

    def close(self) -> None:
        """Close without committing."""


class Admin(Protocol):
    """Looks after topics."""

    def describe(self, names: Iterable[str]) -> dict[str, Description]:
        """Those of the topics that exist."""

    def create(self, topics: Iterable[Topic], replication: int = 1) -> None:
        """Create topics and wait until each partition has a leader; one that exists is left as it is."""

    def delete(self, names: Iterable[str]) -> None:
        """Delete topics; one that does not exist is no error."""

    def close(self) -> None:
        """Close the connections."""


class Broker(Protocol):
    """Opens clients. Each may wait `timeout_s` for a broker and raises BrokerError when none answers."""

    def producer(self) -> Producer:
        """Open a producer."""

    def consumer(self, positions: Mapping[TopicPartition, int], group: str | None = None) -> Consumer:
        """Open a consumer of these partitions from these offsets, EARLIEST or LATEST; `group` only for commits.

        An offset that retention has taken begins at the earliest: the reader sees the jump.
        """

    def admin(self) -> Admin:
        """Open an admin client."""


def send_all(producer: Producer, records: Iterable[Record], timeout_s: float) -> None:
    """Send records and wait until all are acknowledged; BrokerError with the first failure, or when time runs out."""
    failed: list[BrokerError] = []
    changed = threading.Condition()
    waiting = 0

    def done(error: BrokerError | None) -> None:
        nonlocal waiting
        with changed:
            waiting -= 1
            if error is not None:
                failed.append(error)
            changed.notify()

    for record in records:
        with changed:
            waiting += 1
        producer.send(record, done)
    with changed:
        finished = changed.wait_for(lambda: not waiting or failed, timeout_s)
    if failed:
        raise failed[0]
    if not finished:
        raise BrokerError(f"{waiting} records were not acknowledged within {timeout_s:g} s; is the broker overloaded?")
