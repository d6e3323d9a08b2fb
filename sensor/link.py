"""The sensor's way to Kafka: one producer at a time, opened and given up in threads that hold up nobody."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from synfin.broker import Address, Broker, Producer
from synfin.errors import BrokerError, SynfinError

LOG: Final = logging.getLogger(__name__)


class Link:
    """Opens producers for one topic. `wake` is called in other threads when there is something to `look` at.

    `generation` counts the producers that were opened, so that the answers of one that was given up can be told.
    """

    def __init__(self, broker: Broker, topic: str, retry_s: float, wake: Callable[[], None]) -> None:
        self.producer: Producer | None = None
        self.partitions = 0  # of the topic, when the producer was opened
        self.generation = 0
        self.trouble: str | None = "no broker was reached yet"  # why there is no producer
        self._broker = broker
        self._topic = topic
        self._retry_s = retry_s
        self._wake = wake
        self._lock = threading.Lock()
        self._outcome: tuple[Producer, int] | SynfinError | None = None
        self._opening = False
        self._closed = False
        self._next_try = 0.0

    def look(self) -> bool:
        """Begin to open a producer when one is wanted; True when a new one has come. Does not wait.

        Raises the error of an attempt that no repetition can mend.
        """
        with self._lock:
            outcome, self._outcome = self._outcome, None
        if isinstance(outcome, tuple):
            self.producer, self.partitions = outcome
            self.generation += 1
            LOG.info("%s is reached, %d partitions", self._topic, self.partitions)
            self.trouble = None
            return True
        if isinstance(outcome, BrokerError):
            if self.trouble != str(outcome):
                LOG.warning("%s; batches wait in the spool", outcome)
            self.trouble = str(outcome)
        elif outcome is not None:
            raise outcome
        if self.producer is None and not self._opening and time.monotonic() >= self._next_try:
            self._opening = True
            self._next_try = time.monotonic() + self._retry_s
            threading.Thread(target=self._open, name="broker-open", daemon=True).start()
        return False

    def _open(self) -> None:
        """Run in a thread of its own: kafka-python waits up to 30 s."""
        producer: Producer | None = None
        outcome: tuple[Producer, int] | SynfinError
        try:
            producer = self._broker.producer()
            outcome = producer, producer.partitions(self._topic)
        except SynfinError as error:
            outcome = error
        with self._lock:
            self._opening = False
            wanted = not self._closed and isinstance(outcome, tuple)
            self._outcome = None if self._closed else outcome
        if producer is not None and not wanted:
            producer.close(0)
        self._wake()

    def give_up(self, why: str) -> None:
        """Close the producer, whatever it still holds, and open another at the next look."""
        producer, self.producer = self.producer, None
        if producer is not None:
            LOG.warning("%s: %s; what is not acknowledged is sent again", self._topic, why)
            self.trouble = why
            threading.Thread(target=producer.close, args=(0,), name="broker-close", daemon=True).start()

    def addresses(self) -> frozenset[Address]:
        """The producer's sockets."""
        return self.producer.addresses() if self.producer is not None else frozenset()

    def close(self, timeout_s: float) -> None:
        """Close the producer; an attempt that is under way ends by itself."""
        with self._lock:
            self._closed = True
            outcome, self._outcome = self._outcome, None
        if isinstance(outcome, tuple):
            outcome[0].close(0)
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.close(timeout_s)
