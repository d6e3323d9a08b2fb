"""CPU time of a batch through the processor: from the topic to states and records in their topics, on a real broker.

    python bench/consume.py [--packets 2000000] [--partitions 6] [--brokers HOST:PORT]

Made-up web traffic is published once; then a worker, each time a process of its own, reads all of it and does more from
line to line: "consume" hands each message to our code and lets it fall (Faust and aiokafka), "decode" makes rows of it,
"apply" runs the core over them, "send" publishes the records and writes the checkpoints: the whole processor. CPU time
of all threads of the worker, not the broker's, from the first batch to the last.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.decode import processor
from bench.produce import bootstrap
from bench.traffic import web
from processor.checkpoint import Cadence
from processor.settings import ProcessorConfig
from sensor.batcher import Batcher
from synfin.broker import BrokerConfig, KafkaBroker, Record, send_all
from synfin.wire.batch import STOPPED, Batch, Lane
from synfin.wire.codec import decode, encode
from synfin.wire.envelope import MAGIC
from synfin.wire.segment import FLOW, SEGMENT
from synfin.wire.topics import Topics

STAGES = ("consume", "decode", "apply", "send")
TIMEOUT_S = 300.0
NEVER = Cadence(age_s=1e9, age_s_max=1e9, input_bytes_min=1 << 60)


class Dropped:
    """A partition's state that makes nothing of a batch, or passes it to the core and drops what comes back."""

    def __init__(self, core: Any = None) -> None:
        self._core = core

    def apply(self, batch: Batch, offset: int, arrived_ms: int) -> list[Any]:
        """Give nothing back."""
        if self._core is not None:
            self._core.apply(batch, offset, arrived_ms)
        return []

    def next(self) -> int:
        """Begin at the beginning."""
        return 0

    def snapshots(self) -> list[tuple[bytes, bytes]]:
        """Keep nothing."""
        return []

    def snapshot_bytes(self) -> int:
        """Size of nothing."""
        return 0


class Stopwatch:
    """CPU and clock since the first batch."""

    def __init__(self) -> None:
        self.begun: tuple[float, float] | None = None

    def begin(self) -> None:
        """Start, the first time."""
        if self.begun is None:
            self.begun = time.process_time(), time.perf_counter()

    def read(self) -> tuple[float, float]:
        """Seconds of CPU and by the clock."""
        assert self.begun is not None
        return time.process_time() - self.begun[0], time.perf_counter() - self.begun[1]


def stage_of(name: str, partitions: int, watch: Stopwatch) -> tuple[Any, Any]:
    """`open_partition` and `decode` for a stage."""
    from processor.slices import open_partition as open_core

    rows, flows = np.zeros(0, SEGMENT), np.zeros(0, FLOW)
    empty = Batch(Lane("bench", 1, 0), rows, flows, 0, 0, 0, partitions)

    def open_partition(*arguments: Any) -> Any:
        core = open_core(*arguments) if name in {"apply", "send"} else None
        return core if name == "send" else Dropped(core)

    def no_decode(data: bytes) -> Any:
        watch.begin()
        return replace(empty, partition=data[0])  # the first byte was put there by publish()

    def real_decode(data: bytes) -> Batch:
        watch.begin()
        return decode(data if data[:1] == MAGIC[:1] else data[1:])  # the batch that warms the kernels has no such byte

    return open_partition, no_decode if name == "consume" else real_decode


async def consume(config: ProcessorConfig, name: str, batches: int, partitions: int) -> dict[str, float]:
    """Run a worker until it has applied everything."""
    from processor.app import build_app

    watch = Stopwatch()
    open_partition, stage_decode = stage_of(name, partitions, watch)
    if name != "send":
        config = replace(config, cadence=NEVER)
    app = build_app(config, open_partition, stage_decode)
    starting = asyncio.create_task(app.start())
    deadline = time.monotonic() + TIMEOUT_S
    while app.worker.assignment is None and not starting.done():
        await asyncio.wait([starting], timeout=0.02)
    if starting.done():
        starting.result()
    watch.begun = None  # the kernels have been warmed
    while app.worker.counters.batches < batches:
        if time.monotonic() > deadline or app.crash_reason is not None:
            raise SystemExit(f"{name}: {app.worker.counters} {app.crash_reason!r}")
        await asyncio.sleep(0.02)
    cpu_s, clock_s = watch.read()
    await starting
    await app.stop()
    counters = app.worker.counters
    return {
        "cpu_s": cpu_s,
        "clock_s": clock_s,
        "segments": counters.segments,
        "records": counters.flows + counters.events,
        "checkpoints": counters.checkpoints,
        "snapshot_bytes": counters.snapshot_bytes,
    }


def batches_of(packets: int, partitions: int) -> Iterator[Batch]:
    """As a sensor under load closes them."""
    segments, flows = web(packets)
    batcher = Batcher(Lane("bench", 1, 0), partitions, max_age_ns=10**12)
    yield from batcher.add(segments, flows, 0)
    yield from batcher.finish(STOPPED)


def publish(broker: KafkaBroker, topic: str, packets: int, partitions: int) -> tuple[int, int, int]:
    """Count of batches, of packets, and of bytes."""
    records, rows = [], 0
    for batch in batches_of(packets, partitions):
        value = bytes([batch.partition]) + encode(batch)
        records.append(Record(topic, batch.partition, b"%d" % batch.partition, value))
        rows += len(batch.segments)
    producer = broker.producer()
    producer.partitions(topic)
    send_all(producer, records, TIMEOUT_S)
    producer.close(10)
    return len(records), rows, sum(len(record.value or b"") for record in records)


def child(arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a stage in a process of its own."""
    command = [sys.executable, __file__, "--stage", json.dumps(arguments)]
    return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def stage(given: dict[str, Any]) -> int:
    """The child's side."""
    config = ProcessorConfig(
        broker=BrokerConfig(bootstrap=given["brokers"]),
        topics=Topics(prefix=given["prefix"]),
        group=f"{given['prefix']}-{given['name']}",
    )
    figures = asyncio.run(consume(config, given["name"], given["batches"], given["partitions"]))
    print(json.dumps(figures))
    return 0


def report(address: str, packets: int, partitions: int) -> None:
    """Publish, run every stage, and print."""
    broker = KafkaBroker(BrokerConfig(bootstrap=address))
    topics = Topics(f"bench-{os.getpid()}", partitions)
    admin = broker.admin()
    admin.create(topics.all())
    try:
        batches, rows, size = publish(broker, topics.packets.name, packets, partitions)
        print(f"  {batches} batches of {rows} packets, {size / rows:.2f} bytes a packet, {partitions} partitions\n")
        print(f"  {'':<10} {'us/message':>10} {'ns/packet':>10} {'M packets/s':>12}")
        for name in STAGES:
            given = {"brokers": address, "prefix": topics.prefix, "name": name}
            got = child({**given, "batches": batches, "partitions": partitions})
            cpu_s = got["cpu_s"]
            line = f"{1e6 * cpu_s / batches:10.0f} {1e9 * cpu_s / rows:10.1f} {rows / cpu_s / 1e6:12.2f}"
            print(f"  {name:<10} {line}", flush=True)
        print(f"\n  {got['records']} records, {got['checkpoints']} checkpoints of {got['snapshot_bytes'] / 1e6:.1f} MB")
    finally:
        admin.delete(topic.name for topic in topics.all())
        admin.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--packets", type=int, default=2_000_000)
    parser.add_argument("--partitions", type=int, default=6)
    parser.add_argument("--brokers", help="a broker of yours, else one is started")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        return stage(json.loads(options.stage))
    print(f"{processor()}, Python {platform.python_version()}")
    with bootstrap(options.brokers) as address:
        report(address, options.packets, options.partitions)
    return 0


if __name__ == "__main__":
    sys.exit(main())
