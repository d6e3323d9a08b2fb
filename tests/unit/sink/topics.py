"""Topics in memory, which a sink reads and sends alerts to."""

from collections import defaultdict
from dataclasses import dataclass

import orjson


@dataclass(frozen=True)
class Record:
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list


def value_of(slice_, epoch, n, alert):
    """The same place gives the same value, as a processor does."""
    kind = "alert.abnormal_teardown" if alert else "teardown.orderly"
    return orjson.dumps(
        {
            "v": 1,
            "type": "event",
            "kind": kind,
            "id": f"{slice_}/{epoch}/{n}",
            "ts_ns": 10**18 + n * 10**9,
            "x": "y" * n,
        }
    )


def is_alert(slice_, epoch, n):
    return (slice_ + epoch + n) % 3 == 0


class Topics:
    """Source and alert port in one; survives the sinks that use it."""

    def __init__(self, budget=None):
        self.logs = defaultdict(list)
        self.first = defaultdict(int)  # offsets below were deleted
        self.alerts = []  # acknowledged
        self.committed = {}
        self.read_from = {}
        self._sent = []
        self._budget = budget

    def add(self, topic, partition, seq, key=b"1:community"):
        alert = is_alert(*seq)
        value = value_of(*seq, alert)
        kind = b"alert.abnormal_teardown" if alert else b"teardown.orderly"
        headers = [("ce_id", b"%d/%d/%d" % seq), ("ce_type", kind), ("synfin_seq", b"%d:%d:%d" % seq)]
        self.add_raw(topic, partition, key, value, headers)

    def add_raw(self, topic, partition, key, value, headers):
        log = self.logs[topic, partition]
        log.append(Record(topic, partition, len(log), 10**12, key, value, headers))

    def forget(self):
        """The process that used it is gone; what it had sent and not seen confirmed may have arrived or not."""
        self.alerts += self._sent[: len(self._sent) // 2]
        self._sent = []

    # Source

    def bounds(self, keys):
        return {key: (self.first[key], len(self.logs[key])) for key in keys}

    def assign(self, offsets):
        self.read_from = dict(offsets)

    def poll(self, wait_s, most=7):
        arrivals = {}
        for key, offset in self.read_from.items():
            records = self.logs[key][max(offset, self.first[key]) :][:most]
            if records:
                arrivals[key] = records
                self.read_from[key] = records[-1].offset + 1
        return arrivals

    def commit(self, offsets):
        if self._budget:
            self._budget.spend()
        self.committed.update(offsets)

    # Alerts

    def send(self, alert):
        if self._budget:
            self._budget.spend()
        self._sent.append(alert)

    def unacknowledged(self, wait_s):
        if self._budget:
            self._budget.spend()
        self.alerts += self._sent
        self._sent = []
        return 0

    def refused(self):
        return []
