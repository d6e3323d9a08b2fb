"""The broker's two doors for a processor: what is read beside Faust's stream, and where records leave.

With app.py the only file that knows aiokafka.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from faust.transport.drivers import aiokafka as driver

from processor.partition import Message, Record
from processor.settings import ProcessorConfig
from synfin.broker import BrokerConfig
from synfin.errors import BrokerError
from synfin.wire.topics import Topics

REQUEST_TIMEOUT_S: Final = 30.0
FETCH_BYTES_MAX: Final = 4 << 20  # of one partition in one response


def auth(broker: BrokerConfig) -> Any:
    """Faust's credentials, None for a plain connection. TLS comes with a context: without one nothing is verified."""
    if broker.security.startswith("SASL"):
        return faust.SASLCredentials(
            username=broker.sasl_user,
            password=broker.sasl_password,
            mechanism=broker.sasl_mechanism,
            ssl_context=broker.tls(),
        )
    return faust.SSLCredentials(context=broker.tls()) if broker.security == "SSL" else None


class KafkaLog:
    """PacketLog by a consumer of our own, opened for each errand: Faust's stream goes forward alone."""

    def __init__(self, config: ProcessorConfig, topic: str, kept: Callable[[bytes], bool]) -> None:
        """Inert. `topic` is what is read; `kept` tells by their keys which values of the state topic belong to it."""
        self._topic, self._state, self._kept = topic, config.topics.state.name, kept
        self._common = {
            "bootstrap_servers": config.broker.servers(),
            "client_id": config.broker.client_id,
            "request_timeout_ms": int(REQUEST_TIMEOUT_S * 1000),
            **driver.credentials_to_aiokafka_auth(auth(config.broker)),
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
        """Oldest offset of the topic."""
        place = TopicPartition(self._topic, partition)
        async with self._consumer() as consumer:
            return int((await consumer.beginning_offsets([place]))[place])

    async def snapshots(self, partition: int) -> list[bytes]:
        """All values of the state topic's partition."""
        place = TopicPartition(self._state, partition)
        async with self._consumer() as consumer:
            end = (await consumer.end_offsets([place]))[place]
            found = [record async for record in _records(consumer, place, 0, end)]
            return [record.value for record in found if record.value is not None and self._kept(record.key or b"")]

    async def read(self, partition: int, start: int, end: int) -> AsyncIterator[Message]:
        """Messages of the topic in [start, end)."""
        place = TopicPartition(self._topic, partition)
        async with self._consumer() as consumer:
            async for record in _records(consumer, place, start, end):
                yield Message(partition, record.offset, record.timestamp, record.value, seq_of(record.headers))


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


def seq_of(headers: Any) -> bytes | None:
    """Header synfin_seq of a message; Faust and aiokafka give headers as pairs or as a dict."""
    found: bytes | None = dict(headers or ()).get("synfin_seq")
    return found


class KafkaOutlet:
    """Outlet by the app's own producer. One record batch of a topic-partition is in flight: none can pass another."""

    def __init__(self, topics: Topics, producer: Callable[[], Any]) -> None:
        """`producer` gives the app's AIOKafkaProducer, which is there once the app has started."""
        self._names = {
            door: getattr(topics, door).name for door in ("flows", "events", "counts", "state", "deadletter")
        }
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
