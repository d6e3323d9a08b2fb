"""Topics in memory, and processors that start again and send again what they had sent."""

from collections import defaultdict
from dataclasses import dataclass

import orjson
from hypothesis import strategies as st


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


@st.composite
def histories(draw, slices=3, length=40):
    """Places in the order in which a topic receives them: replays, epochs begun anew, losses made good by a replay."""
    history = []
    place = dict.fromkeys(range(slices), (0, 0))
    lost = {}  # slice: first n that never arrived
    for _ in range(draw(st.integers(1, length))):
        slice_ = draw(st.integers(0, slices - 1))
        epoch, n = place[slice_]
        act = draw(st.sampled_from(("next", "next", "next", "replay", "lose", "zombie", "epoch")))
        if act == "zombie" and n:  # another worker, not yet stopped, sends an old one
            history.append((slice_, epoch, draw(st.integers(1, n))))
        elif act == "replay" and n:
            back = draw(st.integers(0, min(n, lost.get(slice_, n + 1)) - 1))
            history += [(slice_, epoch, k) for k in range(back + 1, n + 1)]
            lost.pop(slice_, None)
        elif act == "epoch" and slice_ not in lost:
            place[slice_] = (epoch + 1 + n, 1)
            history.append((slice_, epoch + 1 + n, 1))
        elif act == "lose" and n:  # a first record that is lost is not missed: a reader takes the first it meets
            place[slice_] = (epoch, n + 1)
            lost.setdefault(slice_, n + 1)
        else:
            place[slice_] = (epoch, n + 1)
            history.append((slice_, epoch, n + 1))
    for slice_, first in lost.items():
        epoch, n = place[slice_]
        history += [(slice_, epoch, k) for k in range(first, n + 1)]
    return history


def each_once(history):
    """What readers are to have of a slice, in order."""
    slices = defaultdict(set)
    for slice_, epoch, n in history:
        slices[slice_].add((epoch, n))
    return {slice_: sorted(places) for slice_, places in slices.items()}
