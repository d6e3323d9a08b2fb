"""The only door to kafka-python: where the brokers are, and what producer, consumer and admin offer the stages.

Stages are given a `Broker` and see the Protocols of `synfin.clients`, which are offered here as well.
"""

import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self

from synfin.broker_config import BrokerConfig
from synfin.clients import (
    EARLIEST,
    LATEST,
    Address,
    Admin,
    Broker,
    Consumer,
    Description,
    Done,
    Message,
    Producer,
    Record,
    RefusedError,
    TopicPartition,
    send_all,
)
from synfin.errors import BrokerError
from synfin.wire.topics import MIB, Topic

__all__ = [
    "EARLIEST",
    "LATEST",
    "Address",
    "Admin",
    "Broker",
    "BrokerConfig",
    "Consumer",
    "Description",
    "Done",
    "KafkaBroker",
    "Message",
    "Producer",
    "Record",
    "RefusedError",
    "TopicPartition",
    "send_all",
]

REQUEST_TIMEOUT_MS: Final = 15_000
RECONNECT_MAX_MS: Final = 2_000  # the default of 30 s is how long a broker that is back would be waited for
METADATA_TIMEOUT_S: Final = 5.0  # how long partitions() waits for a topic
REQUEST_MAX_BYTES: Final = 4 << 20
FETCH_MAX_BYTES: Final = 8 << 20
# When a batch that was tried expires, kafka-python 3.0 waits for a producer id that nobody asks for, for ever. So none
# expires: who sends bounds what is in flight, and gives a producer up that acknowledges nothing.
DELIVERY_TIMEOUT_MS: Final = 10**11  # three years

_CONNECTING: Final = "kafka.net.manager"  # the logger of kafka-python that says why no connection came about


class _LastError(logging.Handler):
    """Remembers why kafka-python could not connect: the error that it raises in the end says only that time ran out."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        what, failed, why = record.getMessage().partition(" failed: ")
        if failed and what != "Bootstrap":  # that is the end of it, not the reason
            self.text = why.partition(" (backoff")[0]

    def __enter__(self) -> Self:
        logging.getLogger(_CONNECTING).addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger(_CONNECTING).removeHandler(self)


def _explain(error: Exception, config: BrokerConfig, what: str, last: str = "") -> BrokerError:
    """An error of kafka-python in our words: what, where, what to do. `last` is what was logged before it."""
    from kafka import errors

    where = f"Kafka at {config.bootstrap}"
    why = last or f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, errors.UnknownTopicOrPartitionError):
        return BrokerError(f"{what}: {where} has no such topic; `synfin topics --create` makes what is missing")
    if isinstance(error, (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, errors.InvalidRecordError)):
        return RefusedError(f"{what}: {where} refuses the record: {why}")
    if isinstance(error, errors.AuthorizationError):
        return BrokerError(f"{what}: {where} does not allow it to this user; its ACLs have to ({why})")
    if isinstance(error, errors.SaslAuthenticationFailedError) or "SaslAuthentication" in why:
        return BrokerError(f"{what}: {where} refused user {config.sasl_user!r}; check user, password and mechanism")
    if config.security.startswith("SASL") and "socket disconnected" in why:
        # kafka-python drops the broker's answer when it comes together with the end of the connection.
        signing = f"closed the connection on user {config.sasl_user!r}"
        return BrokerError(f"{what}: {where} {signing}; check user, password and mechanism")
    if isinstance(error, (errors.KafkaTimeoutError, errors.KafkaConnectionError)):
        return BrokerError(f"{what}: {where} does not answer; is it running, is --brokers right? ({why})")
    return BrokerError(f"{what}: {where} says {why}")


class KafkaBroker:
    """Opens clients of a real Kafka."""

    def __init__(self, config: BrokerConfig) -> None:
        self.config = config
        self._tls = config.tls()  # now: a sensor gives up the right to read a private key before it connects

    def _common(self) -> dict[str, Any]:
        config = self.config
        settings: dict[str, Any] = {
            "bootstrap_servers": config.servers(),
            "client_id": config.client_id,
            "security_protocol": config.security,
            "ssl_context": self._tls,
            "bootstrap_timeout_ms": int(config.timeout_s * 1000),
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
            "reconnect_backoff_max_ms": RECONNECT_MAX_MS,
        }
        if config.security.startswith("SASL"):
            settings["sasl_mechanism"] = config.sasl_mechanism
            settings["sasl_plain_username"] = config.sasl_user
            settings["sasl_plain_password"] = config.sasl_password
        return settings

    def _open(self, make: Callable[..., Any], settings: dict[str, Any], what: str) -> Any:
        import kafka.errors
        from kafka.net.compat import KafkaNetClient

        opened: list[Any] = []

        def connections(**configs: Any) -> Any:
            opened.append(KafkaNetClient(**configs))
            return opened[0]

        with _LastError() as last:
            try:
                return make(**self._common(), **settings, kafka_client=connections)
            except kafka.errors.KafkaError as error:
                for client in opened:
                    client.close()  # its own constructor leaves a thread and its sockets behind
                raise _explain(error, self.config, what, last.text) from None

    def producer(self) -> "KafkaProducer":
        """Open an idempotent producer."""
        import kafka

        settings = {
            "enable_idempotence": True,
            "delivery_timeout_ms": DELIVERY_TIMEOUT_MS,
            "max_block_ms": int(min(self.config.timeout_s, METADATA_TIMEOUT_S) * 1000),
            "max_request_size": REQUEST_MAX_BYTES,
            "compression_type": None,  # batches are compressed already
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
        }
        return KafkaProducer(self._open(kafka.KafkaProducer, settings, "opening a producer"), self.config)

    def consumer(self, positions: Mapping[TopicPartition, int], group: str | None = None) -> "KafkaConsumer":
        """Open a consumer of exactly these partitions."""
        import kafka

        settings = {
            "group_id": group,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            # What is fetched is held decoded, at some ten times its size. A first batch that is larger comes whole.
            "max_partition_fetch_bytes": MIB,
            "fetch_max_bytes": FETCH_MAX_BYTES,
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
        }
        client = self._open(kafka.KafkaConsumer, settings, "opening a consumer")
        return KafkaConsumer(client, self.config, positions)

    def admin(self) -> "KafkaAdmin":
        """Open an admin client."""
        import kafka

        return KafkaAdmin(self._open(kafka.KafkaAdminClient, {}, "opening an admin client"), self.config)


class KafkaProducer:
    """Producer over kafka-python's."""

    def __init__(self, client: Any, config: BrokerConfig) -> None:
        self._client = client
        self._config = config

    def send(self, record: Record, done: Done) -> None:
        """Hand a record over; waits only where `partitions` was not called before."""
        import kafka.errors

        topic, partition, key, value, headers = record
        try:
            future = self._client.send(topic, value, key, list(headers), partition)
        except (kafka.errors.KafkaError, ValueError) as error:
            done(_explain(error, self._config, f"sending to {topic}"))
            return
        future.add_callback(lambda _: done(None))
        future.add_errback(lambda error: done(_explain(error, self._config, f"sending to {topic}")))

    def partitions(self, topic: str) -> int:
        """Count as of the client's last look, which is at most five minutes old."""
        import kafka.errors

        try:
            return len(self._client.partitions_for(topic))
        except kafka.errors.KafkaTimeoutError as error:
            what = f"asking for the partitions of {topic}"
            if self._connections():
                raise _explain(kafka.errors.UnknownTopicOrPartitionError(), self._config, what) from None
            raise _explain(error, self._config, what) from None
        except kafka.errors.KafkaError as error:
            raise _explain(error, self._config, f"asking for the partitions of {topic}") from None

    def _connections(self) -> list[Any]:
        """kafka-python's connections that are open; it has no public way to them."""
        connections = list(self._client._sender._client._manager._conns.values())  # noqa: SLF001
        return [connection for connection in connections if connection.connected]

    def addresses(self) -> frozenset[Address]:
        """The sockets that are open now."""
        found = set()
        for connection in self._connections():
            with contextlib.suppress(AttributeError, OSError):  # closed by the network thread meanwhile
                local, remote = connection.transport.getHost(), connection.transport.getPeer()
                found.add(Address(*local[:2], *remote[:2]))
        return frozenset(found)

    def close(self, timeout_s: float) -> bool:
        """Flush and close; one that does not finish is cut off: kafka-python's own close would leave it running."""
        import kafka.errors

        try:
            self._client.flush(timeout_s)
        except kafka.errors.KafkaTimeoutError:
            sender = self._client._sender  # noqa: SLF001
            sender.force_close()
            sender.join(2.0)
            self._client._unregister_cleanup()  # noqa: SLF001
            self._client._closed = True  # noqa: SLF001
            return False
        self._client.close(timeout=5.0)
        return True


class KafkaConsumer:
    """Consumer over kafka-python's, with partitions assigned by hand."""

    def __init__(self, client: Any, config: BrokerConfig, positions: Mapping[TopicPartition, int]) -> None:
        import kafka

        self._client = client
        self._config = config
        self._assigned = {where: kafka.TopicPartition(*where) for where in positions}
        client.assign(list(self._assigned.values()))
        for where, offset in positions.items():
            partition = self._assigned[where]
            if offset == EARLIEST:
                client.seek_to_beginning(partition)
            elif offset == LATEST:
                client.seek_to_end(partition)
            else:
                client.seek(partition, offset)

    def poll(self, timeout_s: float, max_records: int = 500) -> list[Message]:
        """Give the next messages; one that cannot be read has neither key nor value nor headers."""
        import kafka.errors

        try:
            found = self._client.poll(int(timeout_s * 1000), max_records)
        except kafka.errors.CorruptRecordError as error:
            if isinstance(error.__context__, UnicodeDecodeError):
                return [self._step_over()]
            raise _explain(error, self._config, "reading") from None
        except kafka.errors.KafkaError as error:
            raise _explain(error, self._config, "reading") from None
        return [
            Message(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers))
            for records in found.values()
            for r in records
        ]

    def _step_over(self) -> Message:
        """Pass a record with a header whose name is no UTF-8: kafka-python would fail on it for as long as it is there.

        What a stranger wrote in one batch behind it is met, and passed, in the same way.
        """
        place = self._client._fetcher._next_partition_records.topic_partition  # noqa: SLF001  no error names it
        offset = self._client.position(place)
        self._client.seek(place, offset + 1)
        return Message(place.topic, place.partition, offset, 0, None, None, ())

    def bounds(self, timeout_s: float = 15.0) -> dict[TopicPartition, tuple[int, int]]:
        """Asks the broker."""
        import kafka.errors

        try:
            firsts = self._client.beginning_offsets(list(self._assigned.values()), int(timeout_s * 1000))
            ends = self._client.end_offsets(list(self._assigned.values()), int(timeout_s * 1000))
        except kafka.errors.KafkaError as error:
            raise _explain(error, self._config, "asking for the bounds of partitions") from None
        return {where: (firsts[partition], ends[partition]) for where, partition in self._assigned.items()}

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit to the group that the consumer was opened with."""
        import kafka
        import kafka.errors

        marks = {self._assigned[where]: kafka.OffsetAndMetadata(n, "", -1) for where, n in offsets.items()}
        try:
            self._client.commit(marks, timeout_ms=REQUEST_TIMEOUT_MS)
        except kafka.errors.KafkaError as error:
            raise _explain(error, self._config, "committing") from None

    def close(self) -> None:
        """Close without committing."""
        self._client.close(autocommit=False, timeout_ms=5000)


class KafkaAdmin:
    """Admin over kafka-python's."""

    def __init__(self, client: Any, config: BrokerConfig) -> None:
        self._client = client
        self._config = config

    def describe(self, names: Iterable[str]) -> dict[str, Description]:
        """Those of the topics that exist."""
        import kafka.errors
        from kafka.admin import ConfigResource, ConfigResourceType

        try:
            found = [topic for topic in self._client.describe_topics(list(names)) if not topic["error_code"]]
            if not found:
                return {}
            resources = [ConfigResource(ConfigResourceType.TOPIC, topic["name"]) for topic in found]
            configs = self._client.describe_configs(resources, config_filter="all")["topic"]
        except kafka.errors.KafkaError as error:
            raise _explain(error, self._config, "describing topics") from None
        return {
            topic["name"]: Description(
                len(topic["partitions"]),
                min((len(partition["replica_nodes"]) for partition in topic["partitions"]), default=0),
                {key: str(entry["value"]) for key, entry in configs[topic["name"]].items()},
            )
            for topic in found
        }

    def create(self, topics: Iterable[Topic], replication: int = 1) -> None:
        """Create topics and wait for their leaders."""
        import kafka.errors

        for topic in topics:
            wanted = {
                "num_partitions": topic.partitions,
                "replication_factor": replication,
                "configs": dict(topic.settings),
            }
            try:
                with contextlib.suppress(kafka.errors.TopicAlreadyExistsError):
                    self._client.create_topics({topic.name: wanted})
                self._client.wait_for_topics([topic.name])
            except kafka.errors.KafkaError as error:
                raise _explain(error, self._config, f"creating {topic.name}") from None

    def delete(self, names: Iterable[str]) -> None:
        """Delete topics."""
        import kafka.errors

        for name in names:
            try:
                with contextlib.suppress(kafka.errors.UnknownTopicOrPartitionError):
                    self._client.delete_topics([name])
            except kafka.errors.KafkaError as error:
                raise _explain(error, self._config, f"deleting {name}") from None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
