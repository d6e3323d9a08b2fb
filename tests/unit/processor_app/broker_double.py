"""Lists in place of the broker: a log of packets, a state topic, output topics, and faults at chosen moments."""

from dataclasses import dataclass, field

from processor import partition
from processor.checkpoint import Cadence
from processor.health import Counters
from processor.partition import Kit, Message
from synfin.errors import BrokerError, ContractError
from tests.integration.processor_batches import batch_of, flows_of
from tests.integration.state_machine import Machine

PARTITIONS = 4


@dataclass
class BrokerDouble:
    """What one partition's worker sees of a broker. `log` holds values by offset; None is a hole."""

    log: list
    first: int = 0
    partition: int = 0
    state: list = field(default_factory=list)  # (key, value), all ever written
    sent: list = field(default_factory=list)  # (topic, key, value, headers)
    settled: int = 0  # how many of `sent` the broker has acknowledged
    committed: list = field(default_factory=list)
    fail_after: int | None = None  # number of sends that work
    on_read: object = None  # called with each offset that is read again
    on_settle: object = None

    async def snapshots(self, partition):
        assert partition == self.partition
        return [value for _, value in self.state]

    async def first_offset(self, partition):
        return self.first

    async def read(self, partition, start, end):
        for offset in range(max(start, self.first), end):
            if self.on_read:
                self.on_read(offset)
            if self.log[offset] is not None:
                yield self.message(offset)

    def message(self, offset):
        return Message(self.partition, offset, 1000 + offset, self.log[offset])

    async def send(self, topic, partition, records):
        if self.fail_after is not None and self.fail_after <= 0:
            raise BrokerError("refused")
        if self.fail_after is not None:
            self.fail_after -= 1
        assert partition == (0 if topic == "deadletter" else self.partition)
        for key, value, headers in records:
            if topic == "state":
                assert self.settled == len(self.sent), "a snapshot before the outputs that it covers are acknowledged"
                self.state.append((key, value))
            else:
                self.sent.append((topic, key, value, dict(headers)))

    async def settle(self):
        if self.on_settle:
            self.on_settle()
        self.settled = len(self.sent)

    async def commit(self, offsets):
        self.committed.append(offsets)
        return True

    def records(self):
        """Records of flows and events as sent, replays included."""
        return [record for record in self.sent if record[0] != "deadletter"]


def decode(value):
    """The value's rows are made of its bytes; b"bad" does not decode, b"alien" is cut for other partitions."""
    if value in {b"", b"bad"}:
        raise ContractError("not a batch")
    partitions = 2 if value == b"alien" else PARTITIONS
    if value not in _BATCHES:
        flows = _FLOWS.setdefault(partitions, flows_of(0, partitions))
        _BATCHES[value] = batch_of(flows, 0, partitions, int(value) if value.isdigit() else 0)
    return _BATCHES[value]


_FLOWS, _BATCHES = {}, {}


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self):
        return self.now_s


def kit_of(broker, clock=None, cadence=None, open_state=lambda _, values: Machine(values)):
    """Whatever a partition works with, over the double; no checkpoint is due by itself unless `cadence` says so."""
    counters = Counters()
    return Kit(
        packets=broker,
        outlet=broker,
        open_state=open_state,
        decode=partition.batch_of(decode, PARTITIONS, counters),
        commit=broker.commit,
        counters=counters,
        cadence=cadence or Cadence(age_s=1e9, age_s_max=1e9, input_bytes_min=1 << 40),
        clock=clock or Clock(),
    )


def values(count):
    return [b"%04d" % number for number in range(count)]
