"""Source and alert port over the clients that all stages share."""

import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sink.alerts import Alert
from sink.consumer import Arrivals, Key
from sink.partition import Record
from synfin.clients import EARLIEST, Broker, Consumer, Producer, RefusedError, TopicPartition
from synfin.clients import Record as Sent
from synfin.errors import BrokerError

POLL_RECORDS_MAX: Final = 4000
BOUNDS_TIMEOUT_S: Final = 5.0
# A producer that acknowledged nothing for so long, although something is pending, is given up for a new one: kafka-
# python's idempotent one has been seen to wait for ever. What is sent twice has the same id.
STUCK_S: Final = 60.0


class TopicSource:
    """Reads topic-partitions that it is told, and commits to a group for others to see."""

    def __init__(self, broker: Broker, group: str) -> None:
        self._broker = broker
        self._group = group
        self._consumer: Consumer | None = None

    def bounds(self, keys: Sequence[Key]) -> Mapping[Key, tuple[int, int]]:
        """Ask the broker; before `assign` by a consumer that reads nothing."""
        if self._consumer is not None:
            return {(place.topic, place.partition): found for place, found in self._ask(self._consumer).items()}
        consumer = self._broker.consumer({TopicPartition(*key): EARLIEST for key in keys})
        try:
            return {(place.topic, place.partition): found for place, found in self._ask(consumer).items()}
        finally:
            consumer.close()

    @staticmethod
    def _ask(consumer: Consumer) -> dict[TopicPartition, tuple[int, int]]:
        return consumer.bounds(BOUNDS_TIMEOUT_S)

    def assign(self, offsets: Mapping[Key, int]) -> None:
        """Open the consumer that reads."""
        self._consumer = self._broker.consumer({TopicPartition(*key): n for key, n in offsets.items()}, self._group)

    def poll(self, wait_s: float) -> Arrivals:
        """Take what is there."""
        assert self._consumer is not None
        arrivals: dict[Key, list[Record]] = {}
        for message in self._consumer.poll(wait_s, POLL_RECORDS_MAX):
            arrivals.setdefault((message.topic, message.partition), []).append(message)
        return arrivals

    def commit(self, offsets: Mapping[Key, int]) -> None:
        """Commit to the group."""
        assert self._consumer is not None
        self._consumer.commit({TopicPartition(*key): offset for key, offset in offsets.items()})

    def close(self) -> None:
        """Close the consumer, if there is one."""
        if self._consumer is not None:
            self._consumer.close()


class AlertProducer:
    """Sends alerts and knows which are not acknowledged. `open` acts."""

    def __init__(self, broker: Broker, topic: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._broker = broker
        self._topic = topic
        self._clock = clock
        self._changed = threading.Condition()
        self._pending: dict[int, Alert] = {}  # by order of sending
        self._failed: BrokerError | None = None
        self._refused: list[str] = []
        self._moved_s = 0.0  # when something was acknowledged last, or sent while nothing was pending
        self._sent = 0
        self._partitions = 0
        self._producer: Producer | None = None

    def open(self) -> None:
        """Connect; BrokerError when nobody answers, or there is no such topic."""
        self._producer = self._broker.producer()
        self._partitions = self._producer.partitions(self._topic)

    def send(self, alert: Alert) -> None:
        """Hand it over."""
        with self._changed:
            if not self._pending:
                self._moved_s = self._clock()
            number, self._sent = self._sent, self._sent + 1
            self._pending[number] = alert
        self._hand_over(number, alert)

    def _hand_over(self, number: int, alert: Alert) -> None:
        producer = self._producer
        assert producer is not None

        def done(error: BrokerError | None) -> None:
            with self._changed:
                if error is not None and producer is not self._producer:
                    return  # it was given up, and its successor sends this again
                if isinstance(error, RefusedError):
                    self._refused.append(str(error))
                else:
                    self._failed = error or self._failed
                self._pending.pop(number, None)
                self._moved_s = self._clock()
                self._changed.notify_all()

        # By a hash of our own: one rule and group stays in one partition whatever client sends it.
        partition = zlib.crc32(alert.key) % self._partitions
        producer.send(Sent(self._topic, partition, alert.key, alert.value, tuple(alert.headers)), done)

    def unacknowledged(self, wait_s: float) -> int:
        """Wait, then count what is pending; a producer that is stuck is replaced, and sends it again."""
        with self._changed:
            self._changed.wait_for(lambda: not self._pending or self._failed is not None, wait_s)
            if self._failed is not None:
                raise self._failed
            pending = dict(self._pending)
            stuck = bool(pending) and self._clock() - self._moved_s > STUCK_S
        if stuck:
            self._begin_anew(pending)
        return len(pending)

    def refused(self) -> list[str]:
        """Give the reasons once."""
        with self._changed:
            reasons, self._refused = self._refused, []
        return reasons

    def _begin_anew(self, pending: Mapping[int, Alert]) -> None:
        given_up = self._producer
        assert given_up is not None
        with self._changed:
            self._moved_s = self._clock()
        try:
            producer = self._broker.producer()
        except BrokerError:
            return  # the broker is away, and the one there is may go on when it comes back
        with self._changed:
            self._producer = producer
        given_up.close(0.0)
        for number, alert in pending.items():
            self._hand_over(number, alert)

    def close(self, timeout_s: float) -> None:
        """Close; what is pending comes again at the next start, because the journal did not move."""
        if self._producer is not None:
            self._producer.close(timeout_s)
