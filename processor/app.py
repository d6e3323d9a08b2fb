"""The Faust worker: with kafka.py the only file that knows Faust and aiokafka.

Faust assigns partitions and delivers messages. All else is ours, because its own guarantees do not hold (design.md
section 5): snapshots in our own compacted topic, missed input read again by a consumer of our own, outputs as whole
record batches through the app's producer, idempotent, one in flight, and commits of what the snapshots cover. Faust's
acks are off: in a rebalance they pass over messages that nobody applied, or wait for ever for one that it lost.

`faust -A processor.app worker` finds `app` here, made from the environment and synfin.toml when first asked for.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import faust
from aiokafka.errors import KafkaConnectionError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.supervisors import CrashingSupervisor

from processor.assignment import Assignment
from processor.health import Counters, Status
from processor.judging import STATE_KEY, PartitionRules, count_of
from processor.kafka import FETCH_BYTES_MAX, REQUEST_TIMEOUT_S, KafkaLog, KafkaOutlet, auth, seq_of
from processor.partition import Kit, Message, PartitionState, batch_of
from processor.settings import ProcessorConfig
from processor.warm import warm
from processor.windows import Spilled
from synfin.errors import BrokerError
from synfin.wire.batch import Batch
from synfin.wire.topics import OVERHEAD_BYTES, STATE_MAX_BYTES

log = logging.getLogger(__name__)

OpenPartition = Callable[[int, int, Any, list[bytes]], PartitionState]
Decode = Callable[[bytes], Batch]

SESSION_TIMEOUT_S: Final = 10.0  # how long the partitions of a worker that was killed stand still
REVOKE_TIMEOUT_S: Final = 4.0  # for the checkpoint; no heartbeat goes out meanwhile
STOP_TIMEOUT_S: Final = 15.0
RETRY_S: Final = 1.0
PATIENCE_S: Final = 5.0  # after which a start that is slow says why
TICK_S: Final = 0.5
COMMIT_S: Final = 1.0
LOOK_S: Final = 5.0
SILENT_S: Final = 10.0  # after which what the stream does not bring is read from the log: Faust may have lost it
BUFFERED_MESSAGES_MAX: Final = 32  # between consumer and agent, each up to 1 MiB
RECORD_BATCH_BYTES_MAX: Final = 512 << 10  # flows or events in one produce request


class _Producer(driver.Producer):
    """Faust's own is idempotent only with `exactly_once`, and else lets a batch pass one that failed."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


class _Transport(driver.Transport):
    Producer = _Producer


class ProcessorApp(faust.App):
    """Faust's app with our producer, our look at the topics, and no folder of its own."""

    worker: "Worker"

    def _new_transport(self) -> Any:
        return _Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Any:
        return _Transport(self.conf.broker_producer, self)

    def _create_directories(self) -> None:
        """Make none: they are for tables."""

    async def on_first_start(self) -> None:
        """Refuse to start where the worker could not work: BrokerError or UsageError."""
        await super().on_first_start()
        await self.worker.prepare()


@dataclass
class Stage:
    """One topic that is read, and its partitions in this worker's hands."""

    topic: str
    held: Assignment
    heard_s: dict[int, float] = field(default_factory=dict)  # when the stream last brought something of a partition


class Worker:
    """What Faust calls of ours: an agent for each stage, timers, two signals."""

    def __init__(
        self, app: ProcessorApp, config: ProcessorConfig, open_partition: OpenPartition, decode: Decode
    ) -> None:
        """Inert; `prepare` looks at the topics."""
        self._app, self._config = app, config
        self._open_partition, self._decode = open_partition, decode
        self._log = KafkaLog(config, config.topics.packets.name, STATE_KEY.__ne__)
        self.counters, self.judged, self.spilled = Counters(), Counters(), Spilled()
        self.assignment: Assignment | None = None  # of packets
        self.status = Status()
        self._stages: dict[str, Stage] = {}  # by topic, in the order in which records meet them
        self.durable = True  # whether all that was applied is, once stopped

    async def prepare(self) -> None:
        """Wait for a broker, look whether the topics fit, and have the kernels ready before partitions wait for us."""
        config = self._config
        partitions = config.partitions(await self._reach([*config.by_slice(), config.topics.deadletter.name]))
        kit = Kit(
            packets=self._log,
            outlet=self._outlet(),
            open_state=lambda number, values: self._open_partition(number, partitions, config.core, values),
            decode=batch_of(self._decode, partitions, self.counters),
            commit=self._commit_of(config.topics.packets.name),
            cadence=config.cadence,
            counters=self.counters,
        )
        warming = asyncio.create_task(asyncio.to_thread(warm, partitions, kit.open_state, self._decode))
        done, _ = await asyncio.wait([warming], timeout=PATIENCE_S)
        if not done:
            log.warning("compiling the kernels: the first start on a host takes minutes")
        await warming
        counts = config.topics.counts.name
        rules = Kit(
            packets=KafkaLog(config, counts, STATE_KEY.__eq__),
            outlet=self._outlet(),
            open_state=lambda number, values: PartitionRules(number, partitions, config.rules, values, self.spilled),
            decode=count_of,
            commit=self._commit_of(counts),
            source="counts",
            cadence=config.cadence,
            counters=self.judged,
        )
        self.assignment = Assignment(kit)
        for topic, its in ((config.topics.packets.name, kit), (counts, rules)):
            held = self.assignment if its is kit else Assignment(its)
            self._stages[topic] = Stage(topic, held)

    def _outlet(self) -> KafkaOutlet:
        producer: Any = self._app.producer
        return KafkaOutlet(self._config.topics, producer._ensure_producer)  # noqa: SLF001  Faust has no other way to it

    async def _reach(self, topics: list[str]) -> dict[str, int]:
        broker, begun = self._config.broker, time.monotonic()
        while True:
            try:
                return await self._log.partitions(topics)
            except KafkaConnectionError:
                if time.monotonic() - begun > broker.timeout_s:
                    where = f"Kafka at {broker.bootstrap} does not answer"
                    raise BrokerError(f"{where}; is it running, is --brokers right?") from None
                await asyncio.sleep(RETRY_S)
            except KafkaError as error:
                raise BrokerError(f"Kafka at {broker.bootstrap} says {error!r}") from error

    def _ours(self, generation: int) -> Callable[[], bool]:
        """Whether what belongs to a generation of the group is still this worker's to do."""
        app = self._app
        return lambda: generation == app.consumer_generation_id and app.flow_control.is_active() and not app.should_stop

    async def take(self, message: Any) -> None:
        """Apply a message of the stream."""
        arrived_ms = round(message.timestamp * 1000)  # Faust made seconds of it
        seq = seq_of(message.headers)
        taken = Message(message.partition, message.offset, arrived_ms, message.value, seq)
        stage = self._stages[message.topic]  # Faust starts nothing before prepare() is done
        stage.heard_s[message.partition] = time.monotonic()
        await self._guarded(stage.held.take(taken, self._ours(message.generation_id)))

    def _commit_of(self, topic: str) -> Callable[[dict[int, int]], Awaitable[bool]]:
        async def commit(offsets: dict[int, int]) -> bool:
            places = {TP(topic, number): offset for number, offset in offsets.items()}
            return bool(await self._consumer()._commit(places))  # noqa: SLF001  Faust's own: only what it saw acked

        return commit

    def _consumer(self) -> Any:
        return self._app.consumer

    async def commit(self) -> None:
        """Commit what has become durable since the last time."""
        for stage in self._stages.values():
            await self._guarded(stage.held.commit())

    async def _guarded(self, work: Awaitable[Any]) -> None:
        """An error ends the worker; Faust alone would skip the message and go on."""
        try:
            await work
        except Exception as error:
            await self._app.crash(error)
            raise

    async def tick(self) -> None:
        """Note that the loop turns and where it stands, and write the checkpoints that are due."""
        for stage in self._stages.values():
            await self._tick(stage, time.monotonic())

    async def _tick(self, stage: Stage, now_s: float) -> None:
        positions, consumer = stage.held.positions(), self._consumer()
        mine = [place for place in consumer.assignment() if place.topic == stage.topic]
        marks = {place.partition: consumer.highwater(place) or 0 for place in mine}
        lags = {number: max(0, mark - positions.get(number, (mark, 0))[0]) for number, mark in marks.items()}
        if stage.held is self.assignment:
            self.status.note(now_s, marks, positions)
        else:
            self.status.counts_lag = sum(lags.values())
        await self._guarded(stage.held.tick())
        ours = self._ours(self._app.consumer_generation_id)
        for number, mark in marks.items():
            silent_s = now_s - stage.heard_s.setdefault(number, now_s)
            if silent_s > SILENT_S and mark > positions.get(number, (0, 0))[0]:
                await self._guarded(stage.held.reach(number, mark, ours))
                consumer.resume_partitions({TP(stage.topic, number)})  # it may have stayed paused

    async def look(self) -> None:
        """Ask for metadata, to know whether a broker is there."""
        producer: Any = self._app.producer
        if await producer._ensure_producer().client.force_metadata_update():  # noqa: SLF001
            self.status.seen_s = time.monotonic()

    async def revoked(self, *_: Any, **__: Any) -> None:
        """Let go of everything: whoever comes next, perhaps we, begins with the snapshots."""
        for stage in self._stages.values():
            stage.heard_s.clear()
        await self._guarded(asyncio.gather(*(stage.held.drop(REVOKE_TIMEOUT_S) for stage in self._stages.values())))

    async def stopping(self, *_: Any, **__: Any) -> None:
        """Write the last checkpoints and commit them."""
        closing = [stage.held.close(STOP_TIMEOUT_S) for stage in self._stages.values()]
        self.durable = all(await asyncio.gather(*closing))


def _faust_settings(config: ProcessorConfig) -> dict[str, Any]:
    return {
        "broker": [f"kafka://{server}" for server in config.broker.servers()],
        "broker_client_id": config.broker.client_id,
        "broker_credentials": auth(config.broker),
        "broker_session_timeout": SESSION_TIMEOUT_S,
        "broker_request_timeout": REQUEST_TIMEOUT_S,
        "agent_supervisor": CrashingSupervisor,
        "consumer_max_fetch_size": FETCH_BYTES_MAX,
        "producer_max_batch_size": RECORD_BATCH_BYTES_MAX,
        "producer_max_request_size": STATE_MAX_BYTES + OVERHEAD_BYTES,
        "producer_request_timeout": REQUEST_TIMEOUT_S,
        "stream_buffer_maxsize": BUFFERED_MESSAGES_MAX,
        "stream_wait_empty": False,
        "store": "memory://",
        "table_standby_replicas": 0,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "web_enabled": False,
    }


def build_app(
    config: ProcessorConfig, open_partition: OpenPartition | None = None, decode: Decode | None = None
) -> ProcessorApp:
    """Wire a worker; nothing is connected before the app starts. The doors of the core are the real ones by default."""
    if open_partition is None:
        from processor.slices import open_partition as open_slices

        open_partition = open_slices
    if decode is None:
        from synfin.wire import codec

        decode = codec.decode
    app = ProcessorApp(config.group, **_faust_settings(config))
    worker = app.worker = Worker(app, config, open_partition, decode)
    raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}

    async def apply(stream: Any) -> None:
        async for event in stream.events():
            await worker.take(event.message)

    for name, topic in (("packets", config.topics.packets), ("counts", config.topics.counts)):
        app.agent(app.topic(topic.name, acks=False, **raw), name=name, concurrency=1)(apply)
    app.timer(TICK_S)(worker.tick)
    app.timer(COMMIT_S)(worker.commit)
    app.timer(LOOK_S)(worker.look)
    app.on_partitions_revoked.connect(worker.revoked, weak=False)
    app.on_before_shutdown.connect(worker.stopping, weak=False)
    return app


def __getattr__(name: str) -> Any:
    """Make `app` from the configuration when Faust's own command asks for it."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from synfin.config import resolve

    made = globals()["app"] = build_app(ProcessorConfig.of(resolve("processor", {})))
    return made
