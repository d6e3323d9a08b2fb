"""The part of a run that makes batches: what a sensor that only writes a capture file does not load."""

from collections.abc import Callable

from sensor.addresses import LocalAddresses
from sensor.batch_output import BatchOutput, Delivery, NoDelivery
from sensor.batcher import Batcher
from sensor.delivery import KafkaDelivery, batch_age_ns, lane_of
from sensor.dissect import Dissector
from sensor.own_traffic import OwnTraffic
from sensor.plan import Plan
from sensor.privileges import Account
from sensor.warm import made_up_block
from synfin import metrics
from synfin.clients import Address
from synfin.config import Settings
from synfin.wire.batch import END_OF_FILE, STOPPED, Lane
from synfin.wire.codec import decode, encode


class Publication:
    """Dissector, batcher and the way to Kafka (none with --dry-run)."""

    def __init__(self, plan: Plan, settings: Settings) -> None:
        """Check what the flags say of it. Raises UsageError."""
        self._settings = settings
        # Asked now: without privileges the file may not be seen any more.
        self._on_disk, self._age_ns = plan.on_disk, batch_age_ns(plan, settings)
        self.kafka = KafkaDelivery(plan, settings) if plan.publishes else None
        self.own = OwnTraffic()
        self.dissector = Dissector(LocalAddresses.parse(plan.local) if plan.local else None)
        self.output: BatchOutput

    def warm(self) -> None:
        """Compile the kernels, or load them, by a frame of our own making.

        Those that decode too: the publisher sorts its spool anew where the topic has another count of partitions, and
        to compile them then takes longer than the end of a run waits for the broker.
        """
        batcher = Batcher(Lane("warm", 0, 0), 1)
        segments, flows = Dissector(None).dissect(made_up_block())
        for batch in [*batcher.add(segments, flows, 0), *batcher.finish(STOPPED)]:
            decode(encode(batch))

    def open(self, who: Account | None) -> None:
        """Open what needs privileges, and import what is else imported late: `who` may not reach our environment."""
        if who is not None:
            import encodings.idna  # noqa: F401, PLC0415  by getaddrinfo

            import sensor.telemetry  # noqa: F401, PLC0415

            metrics.load()
        if self.kafka is not None:
            self.kafka.open(who)

    def start(self) -> None:
        """Begin to publish: once the privileges are gone, because threads inherit them."""
        delivery: Delivery = NoDelivery()
        partitions = self._settings["topics.partitions"]
        own_addresses: Callable[[], frozenset[Address]] = frozenset
        if self.kafka is not None:
            self.kafka.start()
            delivery, partitions = self.kafka.publisher, self.kafka.publisher.partitions
            if not self._on_disk:  # where the same addresses and ports are of another time
                own_addresses = self.kafka.publisher.live_addresses
        batcher = Batcher(lane_of(self._settings), partitions, max_age_ns=self._age_ns)
        self.output = BatchOutput(self.dissector, batcher, delivery, self.own, own_addresses)

    def check(self) -> None:
        """Raise what ended the publishing, if something did."""
        if self.kafka is not None:
            self.kafka.publisher.poll()

    def finish(self, *, whole_file: bool) -> int:
        """Publish what is open and deliver; the count of batches that were not delivered."""
        self.output.finish(END_OF_FILE if whole_file else STOPPED)
        return self.kafka.close() if self.kafka is not None else 0

    def trouble(self) -> str | None:
        """Why there is no connection to a broker now."""
        return self.kafka.publisher.trouble if self.kafka is not None else None

    def clean_up(self) -> None:
        """Remove what was made for this run alone."""
        if self.kafka is not None:
            self.kafka.clean_up()
