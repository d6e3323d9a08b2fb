"""CPU time of a batch from the publisher's hands to the broker's acknowledgment, against a real broker of this host.

    python bench/produce.py [--megabytes 64] [--rounds 5] [--brokers HOST:PORT]

"client" is kafka-python alone, as synfin/broker.py sets it up; "publisher" is what a sensor pays, with the queue
between the threads, the spool's write and its checksum. Batches of opaque bytes tell what a size costs, and batches of
made-up web traffic what a packet costs. It is the CPU time of all threads of this process, not the broker's; of
several rounds the fastest counts, since the others met a neighbour.
"""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.traffic import web
from deploy.broker import TrialBroker
from sensor.batcher import Batcher
from sensor.publisher import Publisher
from sensor.spool import Spool
from synfin.broker import BrokerConfig, KafkaBroker, Record, send_all
from synfin.wire.batch import Batch, Lane
from synfin.wire.codec import encode
from synfin.wire.segment import FLOW, SEGMENT
from synfin.wire.topics import Topics

PARTITIONS = 24
LANE = Lane("bench", 1, 0)
TIMEOUT_S = 300.0


class Load(NamedTuple):
    """What is sent in one round."""

    name: str
    batches: list[tuple[Batch, bytes]]

    @property
    def packets(self) -> int:
        """Rows of all batches."""
        return sum(len(batch.segments) for batch, _ in self.batches)

    @property
    def size(self) -> int:
        """Bytes of all batches."""
        return sum(len(data) for _, data in self.batches)


def opaque(name: str, size: int, total: int) -> Load:
    """Batches of random bytes; no packets are claimed of them."""
    rows, flows = np.zeros(0, SEGMENT), np.zeros(0, FLOW)
    count = total // size
    batches = [Batch(LANE, rows, flows, 0, 0, n % PARTITIONS, PARTITIONS, n // PARTITIONS) for n in range(count)]
    return Load(name, [(batch, os.urandom(size)) for batch in batches])


def traffic(name: str, packets: int, total: int) -> Load:
    """Full batches of made-up web traffic, as a sensor under load closes them, sent over and over."""
    segments, flows = web(packets)
    batches = [batch for batch in Batcher(LANE, 1, max_age_ns=10**12).add(segments, flows, 0) if len(batch.segments)]
    encoded = [(batch, encode(batch)) for batch in batches]
    rounds = max(1, total // sum(len(data) for _, data in encoded))
    return Load(name, encoded * rounds)


def cpu_s(work: Callable[[], None]) -> tuple[float, float]:
    """CPU time of this process, and time by the clock."""
    cpu, clock = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - clock


def by_client(broker: KafkaBroker, topic: str, load: Load) -> tuple[float, float]:
    """Send all through one producer and wait for all."""
    producer = broker.producer()
    producer.partitions(topic)
    records = [Record(topic, n % PARTITIONS, b"0", data) for n, (_, data) in enumerate(load.batches)]
    try:
        return cpu_s(lambda: send_all(producer, records, TIMEOUT_S))
    finally:
        producer.close(10)


def by_publisher(broker: KafkaBroker, topic: str, load: Load) -> tuple[float, float]:
    """Publish all and wait until the publisher has seen every acknowledgment."""
    folder = Path(tempfile.mkdtemp(prefix="synfin-bench-"))
    publisher = Publisher(broker, topic, Spool(folder, configured=PARTITIONS))
    publisher.start()
    while publisher.trouble is not None:
        time.sleep(0.05)

    def work() -> None:
        for n, (batch, data) in enumerate(load.batches):
            publisher.publish(_placed(batch, n), data)
        while publisher.counters.published.batches < len(load.batches):
            time.sleep(0.02)

    try:
        return cpu_s(work)
    finally:
        publisher.close(10)
        shutil.rmtree(folder)


def _placed(batch: Batch, n: int) -> Batch:
    """The same rows under the number of a partition: what is in the bytes does not matter to the broker."""
    return Batch(batch.lane, batch.segments, batch.flows, 0, 0, n % PARTITIONS, PARTITIONS, n)


@contextlib.contextmanager
def bootstrap(given: str | None) -> Iterator[str]:
    """The broker that was named, or one of our own."""
    if given:
        yield given
        return
    with TrialBroker() as broker:
        yield broker.bootstrap


def fastest(rounds: int, measure: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    return min(measure() for _ in range(rounds))


def report(load: Load, how: str, cpu: float, clock: float) -> None:
    """One line of the table."""
    count = len(load.batches)
    packet = f"{1e9 * cpu / load.packets:8.1f}" if load.packets else " " * 8
    rates = f"{load.size / cpu / 1e6:8.0f} {load.size / clock / 1e6:8.0f}"
    print(f"{load.name:<14} {how:<10} {load.size // count:8d} {1e6 * cpu / count:10.0f} {packet} {rates}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=64, help="sent a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--brokers", help="instead of a broker of our own")
    args = parser.parse_args()
    total = args.megabytes << 20
    loads = [opaque("1 KiB", 1 << 10, total // 16), opaque("64 KiB", 64 << 10, total)]
    loads.append(traffic("web traffic", 200_000, total))
    with bootstrap(args.brokers) as address:
        broker = KafkaBroker(BrokerConfig(bootstrap=address))
        packets = Topics(f"bench-{os.getpid()}", PARTITIONS).packets
        admin = broker.admin()
        admin.create([packets])
        print(f"{'':<25} {'bytes':>8} {'us/batch':>10} {'ns/packet':>8} {'MB/cpu s':>7} {'MB/s':>8}")
        for load in loads:
            for how, send in (("client", by_client), ("publisher", by_publisher)):
                report(load, how, *fastest(args.rounds, partial(send, broker, packets.name, load)))
        admin.delete([packets.name])
        admin.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
