"""Publishes batches to Kafka without ever holding up the capture.

The capture's thread only puts a batch into a queue. Our own thread writes it to the spool, sends it when a broker is
there, and frees it when it is acknowledged. What goes out is always the spool in order, so batches that waited come
before new ones, and a sensor that was killed begins where it ended. A batch may arrive twice; its number says so.
"""

import errno
import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from sensor.batcher import MAX_AGE_NS
from sensor.flight import Flight
from sensor.link import Link
from sensor.resort import Resorter
from sensor.segments import Entry, Tally
from sensor.spool import Spool
from synfin.broker import Address, Broker, Record, RefusedError
from synfin.errors import BrokerError, ContractError
from synfin.wire.batch import Batch, Lane
from synfin.wire.topics import check_partitions

LOG: Final = logging.getLogger(__name__)
TICK_S: Final = 0.5  # how often the thread looks at the time when nothing happens
ADDRESSES_S: Final = 0.25  # how old the addresses of the producer's sockets may be
CLOSE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a publisher."""

    queue_max_bytes: int = 64 << 20  # handed over and not yet on disk
    flight_max_bytes: int = 16 << 20  # sent and not acknowledged; kafka-python has no bound of its own
    stall_s: float = 30.0  # a producer that acknowledges nothing for so long is given up
    retry_s: float = 1.0  # between two attempts to reach a broker
    look_s: float = 60.0  # how often the topic's partition count is looked at
    finite: bool = False  # input that can wait: nothing is dropped for want of room, `publish` waits instead
    patience_s: float = 30.0  # how long a finite run waits without an acknowledgment
    batch_age_ns: int = MAX_AGE_NS  # at which the batches that are handed over were closed


@dataclass(frozen=True, slots=True)
class Counters:
    """Published + spooled + unacknowledged + dropped = handed over + found in the spool at the start.

    In packets that holds always, in batches as long as the spool is not sorted anew.
    """

    published: Tally = field(default_factory=Tally)
    spooled: Tally = field(default_factory=Tally)  # not sent yet
    unacknowledged: Tally = field(default_factory=Tally)  # sent
    dropped: Tally = field(default_factory=Tally)  # for good
    recovered: Tally = field(default_factory=Tally)  # found in the spool at the start


class _Answer(NamedTuple):
    generation: int  # of the producer that gives it
    at: int  # index in the spool
    rows: int
    error: BrokerError | None


class Publisher:
    """Publishes to one topic through a spool. Inert until `start`; `publish`, `poll` and `close` are for one thread.

    A sensor that drops privileges does so before `start`: no_new_privs holds for a thread and those that it starts.
    """

    def __init__(self, broker: Broker, topic: str, spool: Spool, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.counters = Counters()  # as of the thread's last turn
        self._topic = topic
        self._spool = spool
        self._link = Link(broker, topic, self.limits.retry_s, self._wake)
        self._changed = threading.Condition()
        self._queue: deque[Entry] = deque()
        self._queued = Tally()
        self._queue_bytes = 0
        self._answers: deque[_Answer] = deque()
        self._live_lanes: set[Lane] = set()
        self._awake = False
        self._reached = False  # a broker, at least once
        self._ending = False
        self._ended_s = self._patience_s = 0.0
        self._failed: Exception | None = None
        self._addresses: frozenset[Address] = frozenset()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        # Of the thread alone:
        self._dropped, self._recovered = Tally(), Tally()
        self._flight = Flight()
        self._unspooled = 0  # least index given to what is not on disk
        self._valid_from = 0  # answers of older generations speak of other indices
        self._heard_s = 0.0  # when something was acknowledged last
        self._progress_s = self._looked_s = self._asked_s = 0.0
        self._resorter: Resorter | None = None

    # For the capture's thread

    def start(self) -> None:
        """Open the spool and begin to look for a broker; UsageError when the spool cannot be used."""
        self._spool.open()
        waiting = self._spool.queue.waiting
        self._recovered.add(waiting.packets, waiting.batches)
        if waiting.batches:
            LOG.info("%d batches were found in the spool %s", waiting.batches, self._spool.folder)
        self._progress_s = time.monotonic()
        self._thread.start()

    def reach(self, timeout_s: float) -> bool:
        """Wait for a broker, so that `partitions` is what it says; False when none came."""
        with self._changed:
            self._changed.wait_for(lambda: self._reached or self._failed is not None, timeout_s)
        self.poll()
        return self._reached

    @property
    def partitions(self) -> int:
        """Partition count by which batches are to be sorted, from `start` on; stays good if the broker has another."""
        return self._spool.partitions

    @property
    def trouble(self) -> str | None:
        """Why there is no connection now, None when there is one."""
        return self._link.trouble

    def live_addresses(self) -> frozenset[Address]:
        """Sockets to the brokers, at most half a second old; for the sensor's self filter."""
        return self._addresses

    def publish(self, batch: Batch, data: bytes) -> None:
        """Hand over a batch and its bytes. Waits only in a finite run, for room; BrokerError if that never comes."""
        entry = Entry(batch.partition, batch.partitions, len(batch.segments), data)
        with self._changed:
            self._live_lanes.add(batch.lane)
            if self.limits.finite and not self._wait_for_room(len(data)):
                raise BrokerError(
                    f"no room in the spool and no broker for {self.limits.patience_s:g} s: {self.trouble}"
                )
            self._queue.append(entry)
            self._queued.add(entry.rows)
            self._queue_bytes += len(data)
            while self._queue_bytes > self.limits.queue_max_bytes and len(self._queue) > 1:
                self._dropped.add(self._unqueue().rows)  # the disk does not keep up
        self._wake()
        self.poll()

    def _unqueue(self) -> Entry:
        """Take the oldest out of the queue; the lock is held."""
        entry = self._queue.popleft()
        self._queued.add(-entry.rows, -1)
        self._queue_bytes -= len(entry.data)
        return entry

    def _wait_for_room(self, data_bytes: int) -> bool:
        def open_() -> bool:
            return not self._queue or self._queue_bytes + data_bytes <= self.limits.queue_max_bytes

        began_s = time.monotonic()
        while not open_() and self._failed is None:
            if time.monotonic() - max(began_s, self._heard_s) > self.limits.patience_s:
                return False
            self._changed.wait_for(lambda: open_() or self._failed is not None, TICK_S)
        return True

    def poll(self) -> None:
        """Raise what ended the publishing, if something did: no wrong time to ask."""
        if self._failed is not None:
            raise self._failed

    def close(self, timeout_s: float = CLOSE_S) -> int:
        """Deliver for at most so long, then end; the count of batches that were not. They stay in the spool.

        In a finite run, which has nobody else to deliver them, each acknowledgment begins that time anew.
        """
        if self._thread.ident is None:
            return 0  # never started
        with self._changed:
            self._ending = True
            self._ended_s, self._patience_s = time.monotonic(), timeout_s
            self._awake = True
            self._changed.notify_all()
        self._thread.join()
        return self.counters.spooled.batches + self.counters.unacknowledged.batches

    def _wake(self) -> None:
        """Let the thread take a turn; called in any thread, after what it is to see."""
        if self._awake:
            return  # it has not begun the turn in which it will see it
        with self._changed:
            self._awake = True
            self._changed.notify_all()

    # The thread

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        except Exception as error:  # noqa: BLE001  raised again in the capture's thread
            self._failed = error
        finally:
            self._link.close(0 if self._flight else 2.0)
            self._spool.close()
            with self._changed:
                self._changed.notify_all()

    def _turn(self) -> bool:
        """Do what there is to do; False when the end has come."""
        with self._changed:
            self._changed.wait_for(lambda: self._awake, TICK_S)
            self._awake = False
        self._settle()
        if self._link.look():
            self._begin()
        self._watch()
        more = self._store()
        self._send()
        self._count()
        if not self._ending:
            return True
        if not more and self._resorter is not None:
            self._append_all(self._resorter.flush())
            self._resorter = None
            self._send()
        done = not more and not self._flight and self._spool.queue.taken == self._spool.queue.end
        since_s = max(self._ended_s, self._heard_s) if self.limits.finite else self._ended_s
        return not done and time.monotonic() - since_s < self._patience_s

    def _settle(self) -> None:
        """Take the producers' answers, and free in the spool what is acknowledged without a gap."""
        trouble: BrokerError | None = None
        while self._answers:
            generation, index, rows, error = self._answers.popleft()
            if generation < self._valid_from:
                continue
            if error is None or isinstance(error, RefusedError):
                if self._flight.land(self._spool.queue, index, rows, delivered=error is None):
                    self._heard_s = self._progress_s = time.monotonic()
                if error is not None:
                    LOG.warning("%s; the batch is lost", error)
            elif generation == self._link.generation:
                trouble = trouble or error
        self._flight.free(self._spool.queue)
        if trouble is not None:
            self._restart(str(trouble))

    def _restart(self, why: str) -> None:
        """Give the producer up; what it did not acknowledge is taken from the spool again."""
        self._link.give_up(why)
        self._flight.give_up(self._spool.queue)

    def _begin(self) -> None:
        """Start with a new producer: see that the batches are sorted as the topic is."""
        self._progress_s = self._looked_s = time.monotonic()
        count = check_partitions(self._link.partitions)
        if self._spool.queue.layouts - {count}:
            LOG.warning("%s has %d partitions: the spool is sorted anew", self._topic, count)
            self._spool.replace(count, self._resorted(count))
            self._flight.begin_again()
            self._valid_from = self._link.generation
        self._spool.learn(count)
        with self._changed:
            self._reached = True
            self._changed.notify_all()

    def _resorted(self, count: int) -> Iterator[Entry]:
        """What waits in the spool, sorted by another partition count."""
        if self._resorter is not None and self._resorter.partitions != count:
            for entry in self._resorter.flush():
                self._spool.queue.append(entry)
            self._resorter = None
        while (taken := self._spool.queue.take()) is not None:
            index, entry = taken
            if not self._flight.has_landed(index):
                yield from self._fitting(entry, count)
        if self._resorter is not None:
            yield from self._resorter.flush(going_on=self._live_lanes)

    def _fitting(self, entry: Entry, count: int) -> Iterator[Entry]:
        """An entry as it is, or what the resorter makes of it."""
        if entry.partitions == count:
            yield entry
            return
        self._resorter = self._resorter or Resorter(count, self.limits.batch_age_ns)
        try:
            yield from self._resorter.add(entry.data)
        except ContractError as error:
            LOG.warning("a batch in the spool does not decode and is lost: %s", error)
            self._flight.lost.add(entry.rows)

    def _watch(self) -> None:
        """Give up a producer that has stopped acknowledging, and one whose topic was changed."""
        now = time.monotonic()
        producer = self._link.producer
        if now - self._asked_s > ADDRESSES_S or (producer is None) != (not self._addresses):
            self._asked_s = now
            self._addresses = self._link.addresses()
        if producer is None:
            return
        if self._flight and now - self._progress_s > self.limits.stall_s:
            self._restart(f"nothing was acknowledged for {self.limits.stall_s:g} s")
        elif now - self._looked_s > self.limits.look_s:
            self._looked_s = now
            try:
                count = producer.partitions(self._topic)
            except BrokerError as error:
                self._restart(str(error))
                return
            if count != self._link.partitions:
                self._restart(f"the topic has {count} partitions now")

    def _store(self) -> bool:
        """Write the queue to the spool; True when something had to stay in the queue."""
        while True:
            with self._changed:
                if not self._queue:
                    return False
                if self.limits.finite and not self._has_room(len(self._queue[0].data)):
                    return True
                entry = self._unqueue()
                if self.limits.finite:
                    self._changed.notify_all()
            known = self._spool.known
            self._append_all([entry] if known is None else self._fitting(entry, known))

    def _has_room(self, data_bytes: int) -> bool:
        """Whether the spool takes a batch without losing another; an empty one takes any."""
        queue = self._spool.queue
        return queue.has_room(data_bytes) or queue.head == queue.end

    def _append_all(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            at_once = self._ready() and self._spool.queue.taken == self._spool.queue.end
            index = self._append(entry, at_once)
            if at_once:
                self._hand_over(index, entry)

    def _append(self, entry: Entry, at_once: bool) -> int:
        """Index in the spool; a negative one where the disk does not take it: then it is sent at once or lost."""
        queue = self._spool.queue
        for _ in range(2):
            try:
                return queue.append(entry, taken=at_once)
            except OSError as error:
                LOG.warning("the spool does not take a batch: %s", error)
                if error.errno != errno.ENOSPC:
                    break
                queue.drop_oldest()
        if not at_once:
            self._flight.lost.add(entry.rows)
        self._unspooled -= 1
        return self._unspooled

    def _ready(self) -> bool:
        return self._link.producer is not None and self._flight.bytes < self.limits.flight_max_bytes

    def _send(self) -> None:
        """Send what waits in the spool, as far as the bound on what is in flight allows."""
        while self._ready() and (taken := self._spool.queue.take()) is not None:
            index, entry = taken
            if not self._flight.has_landed(index):
                self._hand_over(index, entry)

    def _hand_over(self, index: int, entry: Entry) -> None:
        assert self._link.producer is not None
        if not self._flight:
            self._progress_s = time.monotonic()  # the clock of a stall begins
        self._flight.send(index, entry)
        generation, rows = self._link.generation, entry.rows

        def answered(error: BrokerError | None) -> None:
            self._answers.append(_Answer(generation, index, rows, error))
            if error is not None or self._hurried():
                self._wake()

        key = str(entry.partition).encode()
        self._link.producer.send(Record(self._topic, entry.partition, key, entry.data), answered)

    def _hurried(self) -> bool:
        """Whether somebody waits for answers; otherwise the next turn is soon enough for them."""
        return self._ending or self.limits.finite or 2 * self._flight.bytes > self.limits.flight_max_bytes

    def _count(self) -> None:
        """Make the counters of this moment."""
        queue, flight, lost = self._spool.queue, self._flight, self._spool.dropped()
        again = flight.landed_ahead(queue)
        spooled = Tally(queue.waiting.batches - again.batches, queue.waiting.packets - again.packets)
        if self._resorter is not None:
            spooled.add(self._resorter.rows(), 0)
        with self._changed:
            spooled.add(self._queued.packets, self._queued.batches)
            lost.add(self._dropped.packets, self._dropped.batches)
        lost.add(flight.lost.packets, flight.lost.batches)
        self.counters = Counters(replace(flight.published), spooled, replace(flight.tally), lost, self._recovered)
