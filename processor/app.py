"""The Faust worker: the only file that knows Faust and aiokafka.

Faust assigns partitions and delivers messages. All else is ours, because its own guarantees do not hold (design.md
section 5): snapshots in our own compacted topic, missed input read again by a consumer of our own, outputs as whole
record batches through the app's producer, idempotent, one in flight, and commits of what the snapshots cover. Faust's
acks are off: in a rebalance they pass over messages that nobody applied, or wait for ever for one that it lost.

`faust -A processor.app worker` finds `app` here, made from the environment and synfin.toml when first asked for.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.supervisors import CrashingSupervisor

from processor.assignment import Assignment
from processor.health import Counters, Status
from processor.partition import Kit, Message, PartitionState, Record
from processor.settings import ProcessorConfig
from processor.warm import warm
from synfin.broker import BrokerConfig
from synfin.errors import BrokerError
from synfin.wire.batch import Batch
from synfin.wire.topics import OVERHEAD_BYTES, STATE_MAX_BYTES, Topics

log = logging.getLogger(__name__)

OpenPartition = Callable[[int, int, Any, list[bytes]], PartitionState]
Decode = Callable[[bytes], Batch]

SESSION_TIMEOUT_S: Final = 10.0  # how long the partitions of a worker that was killed stand still
REQUEST_TIMEOUT_S: Final = 30.0
REVOKE_TIMEOUT_S: Final = 4.0  # for the checkpoint; no heartbeat goes out meanwhile
STOP_TIMEOUT_S: Final = 15.0
RETRY_S: Final = 1.0
PATIENCE_S: Final = 5.0  # after which a start that is slow says why
TICK_S: Final = 0.5
COMMIT_S: Final = 1.0
LOOK_S: Final = 5.0
SILENT_S: Final = 10.0  # after which what the stream does not bring is read from the log: Faust may have lost it
BUFFERED_MESSAGES_MAX: Final = 32  # between consumer and agent, each up to 1 MiB
FETCH_BYTES_MAX: Final = 4 << 20  # of one partition in one response
RECORD_BATCH_BYTES_MAX: Final = 512 << 10  # flows or events in one produce request


def _auth(broker: BrokerConfig) -> Any:
    """Faust's credentials, None for a plain connection. TLS comes with a context: without one nothing is verified."""
    if broker.security.startswith("SASL"):
        return faust.SASLCredentials(
            username=broker.sasl_user,
            password=broker.sasl_password,
            mechanism=broker.sasl_mechanism,
            ssl_context=broker.tls(),
        )
    return faust.SSLCredentials(context=broker.tls()) if broker.security == "SSL" else None


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


class KafkaLog:
    """PacketLog by a consumer of our own, opened for each errand: Faust's stream goes forward alone."""

    def __init__(self, config: ProcessorConfig) -> None:
        """Inert."""
        self._packets, self._state = config.topics.packets.name, config.topics.state.name
        self._common = {
            "bootstrap_servers": config.broker.servers(),
            "client_id": config.broker.client_id,
            "request_timeout_ms": int(REQUEST_TIMEOUT_S * 1000),
            **driver.credentials_to_aiokafka_auth(_auth(config.broker)),
        }

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        client = AIOKafkaConsumer(
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=FETCH_BYTES_MAX,
            **self._common,
        )
        try:
            await client.start()
            yield client
        finally:
            await client.stop()

    async def partitions(self, topics: list[str]) -> dict[str, int]:
        """Count of partitions of those topics that exist."""
        client = AIOKafkaAdminClient(**self._common)
        try:
            await client.start()
            found = await client.describe_topics(topics)
        finally:
            await client.close()
        return {topic["topic"]: len(topic["partitions"]) for topic in found if topic["error_code"] == 0}

    async def first_offset(self, partition: int) -> int:
        """Oldest offset of the packets topic."""
        place = TopicPartition(self._packets, partition)
        async with self._consumer() as consumer:
            return int((await consumer.beginning_offsets([place]))[place])

    async def snapshots(self, partition: int) -> list[bytes]:
        """All values of the state topic's partition."""
        place = TopicPartition(self._state, partition)
        async with self._consumer() as consumer:
            end = (await consumer.end_offsets([place]))[place]
            return [record.value async for record in _records(consumer, place, 0, end) if record.value is not None]

    async def read(self, partition: int, start: int, end: int) -> AsyncIterator[Message]:
        """Messages of the packets topic in [start, end)."""
        place = TopicPartition(self._packets, partition)
        async with self._consumer() as consumer:
            async for record in _records(consumer, place, start, end):
                yield Message(partition, record.offset, record.timestamp, record.value)


async def _records(consumer: AIOKafkaConsumer, place: TopicPartition, start: int, end: int) -> AsyncIterator[Any]:
    """Records at offsets in [start, end) that are there; some offsets hold none (compaction, transaction marks)."""
    consumer.assign([place])
    consumer.seek(place, start)
    while await consumer.position(place) < end:
        found = await consumer.getmany(place, timeout_ms=1000)
        for record in found.get(place, ()):
            if record.offset >= end:
                return
            yield record


class KafkaOutlet:
    """Outlet by the app's own producer. One record batch of a topic-partition is in flight: none can pass another."""

    def __init__(self, topics: Topics, producer: Callable[[], Any]) -> None:
        """`producer` gives the app's AIOKafkaProducer, which is there once the app has started."""
        named = {"flows": topics.flows, "events": topics.events, "state": topics.state, "deadletter": topics.deadletter}
        self._names = {door: topic.name for door, topic in named.items()}
        self._producer = producer
        self._in_flight: dict[tuple[str, int], asyncio.Future[Any]] = {}
        self._failed: BaseException | None = None

    async def send(self, topic: str, partition: int, records: Iterable[Record]) -> None:
        """Hand records over in order; waits where a second batch of the topic-partition would be in flight."""
        create, place = self._producer().create_batch, (self._names[topic], partition)
        batch = create()
        for key, value, headers in records:
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:  # full
                await self._ship(place, batch)
                batch = create()
                batch.append(timestamp=None, key=key, value=value, headers=headers)
        if batch.record_count():
            await self._ship(place, batch)

    async def _ship(self, place: tuple[str, int], batch: Any) -> None:
        batch.close()  # else the producer adds to it what others send
        if place in self._in_flight:
            await asyncio.wait([self._in_flight[place]])  # awaiting the future itself would cancel it together with us
        self._raise_failure()
        sent = await self._producer().send_batch(batch, place[0], partition=place[1])
        sent.add_done_callback(self._note)
        self._in_flight[place] = sent

    def _note(self, sent: "asyncio.Future[Any]") -> None:
        if not sent.cancelled() and self._failed is None:
            self._failed = sent.exception()

    async def settle(self) -> None:
        """Wait for the broker's word on everything."""
        if self._in_flight:
            await asyncio.wait(list(self._in_flight.values()))
        self._in_flight = {place: sent for place, sent in self._in_flight.items() if not sent.done()}
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failed is not None:
            raise BrokerError(f"Kafka refused records: {self._failed!r}; nothing more is sent") from self._failed


class Worker:
    """What Faust calls of ours: one agent, one timer, two signals."""

    def __init__(
        self, app: ProcessorApp, config: ProcessorConfig, open_partition: OpenPartition, decode: Decode
    ) -> None:
        """Inert; `prepare` looks at the topics."""
        self._app, self._config = app, config
        self._open_partition, self._decode = open_partition, decode
        self._log = KafkaLog(config)
        self.counters = Counters()
        self.assignment: Assignment | None = None
        self.status = Status()
        self._heard_s: dict[int, float] = {}  # when the stream last brought something of a partition
        self.durable = True  # whether all that was applied is, once stopped

    async def prepare(self) -> None:
        """Wait for a broker, look whether the topics fit, and have the kernels ready before partitions wait for us."""
        config = self._config
        partitions = config.partitions(await self._reach([*config.by_slice(), config.topics.deadletter.name]))
        producer: Any = self._app.producer
        kit = Kit(
            packets=self._log,
            outlet=KafkaOutlet(config.topics, producer._ensure_producer),  # noqa: SLF001  Faust has no other way to it
            open_state=lambda number, values: self._open_partition(number, partitions, config.core, values),
            decode=self._decode,
            commit=self._commit,
            partitions=partitions,
            cadence=config.cadence,
            counters=self.counters,
        )
        warming = asyncio.create_task(asyncio.to_thread(warm, partitions, kit.open_state, kit.decode))
        done, _ = await asyncio.wait([warming], timeout=PATIENCE_S)
        if not done:
            log.warning("compiling the kernels: the first start on a host takes minutes")
        await warming
        self.assignment = Assignment(kit)

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

    def _held(self) -> Assignment:
        assert self.assignment is not None  # Faust starts nothing before prepare() is done
        return self.assignment

    def _ours(self, generation: int) -> Callable[[], bool]:
        """Whether what belongs to a generation of the group is still this worker's to do."""
        app = self._app
        return lambda: generation == app.consumer_generation_id and app.flow_control.is_active() and not app.should_stop

    async def take(self, message: Any) -> None:
        """Apply a message of the stream."""
        arrived_ms = round(message.timestamp * 1000)  # Faust made seconds of it
        taken = Message(message.partition, message.offset, arrived_ms, message.value)
        self._heard_s[message.partition] = time.monotonic()
        await self._guarded(self._held().take(taken, self._ours(message.generation_id)))

    async def _commit(self, offsets: dict[int, int]) -> bool:
        name = self._config.topics.packets.name
        places = {TP(name, number): offset for number, offset in offsets.items()}
        return bool(await self._consumer()._commit(places))  # noqa: SLF001  Faust's own commits only what it saw acked

    def _consumer(self) -> Any:
        return self._app.consumer

    async def commit(self) -> None:
        """Commit what has become durable since the last time."""
        await self._guarded(self._held().commit())

    async def _guarded(self, work: Awaitable[Any]) -> None:
        """An error ends the worker; Faust alone would skip the message and go on."""
        try:
            await work
        except Exception as error:
            await self._app.crash(error)
            raise

    async def tick(self) -> None:
        """Note that the loop turns and where it stands, and write the checkpoints that are due."""
        held, now_s = self._held(), time.monotonic()
        positions, consumer = held.positions(), self._consumer()
        marks = {place.partition: consumer.highwater(place) or 0 for place in consumer.assignment()}
        self.status.note(now_s, marks, positions)
        await self._guarded(held.tick())
        ours = self._ours(self._app.consumer_generation_id)
        for number, mark in marks.items():
            silent_s = now_s - self._heard_s.setdefault(number, now_s)
            if silent_s > SILENT_S and mark > positions.get(number, (0, 0))[0]:
                await self._guarded(held.reach(number, mark, ours))
                consumer.resume_partitions({TP(self._config.topics.packets.name, number)})  # it may have stayed paused

    async def look(self) -> None:
        """Ask for metadata, to know whether a broker is there."""
        producer: Any = self._app.producer
        if await producer._ensure_producer().client.force_metadata_update():  # noqa: SLF001
            self.status.seen_s = time.monotonic()

    async def revoked(self, *_: Any, **__: Any) -> None:
        """Let go of everything: whoever comes next, perhaps we, begins with the snapshots."""
        self._heard_s.clear()
        await self._guarded(self._held().drop(REVOKE_TIMEOUT_S))

    async def stopping(self, *_: Any, **__: Any) -> None:
        """Write the last checkpoints and commit them."""
        if self.assignment is not None:
            self.durable = await self.assignment.close(STOP_TIMEOUT_S)


def _faust_settings(config: ProcessorConfig) -> dict[str, Any]:
    return {
        "broker": [f"kafka://{server}" for server in config.broker.servers()],
        "broker_client_id": config.broker.client_id,
        "broker_credentials": _auth(config.broker),
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

    async def apply_packets(stream: Any) -> None:
        async for event in stream.events():
            await worker.take(event.message)

    app.agent(app.topic(config.topics.packets.name, acks=False, **raw), name="packets", concurrency=1)(apply_packets)
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
