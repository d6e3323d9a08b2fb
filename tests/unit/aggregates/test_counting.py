"""The first stage adds up what the core wrote, whatever room it has."""

from collections import Counter

import numpy as np
import pytest

from processor import counting as module
from processor import stuck
from processor.cell import CELLS_MAX
from processor.counting import Counting
from processor.stuck import EVERY
from synfin.errors import ContractError, UsageError
from synfin.wire.counts import MEMBERS_MAX, TARGETS_MAX, WINDOW_NS
from synfin.wire.event import (
    EVENT_KINDS,
    EVENT_RECORD,
    EVIDENCE,
    FLOW_RECORD,
    SIDES,
    TALLIES,
    TALLY,
    TRANSITION,
    Records,
)
from synfin.wire.segment import HIGHER, LOWER

START_NS = 170_000_000 * WINDOW_NS
KEY = 0x9E3779B97F4A7C15
MAPPED = 0xFFFF_0000_0000


def syns(n):
    """SYNs from 10.0.0.1 and on, each to another address."""
    rows = np.zeros(n, TALLY)
    rows["t_ns"], rows["kind"], rows["sender"], rows["family"] = START_NS, TALLIES.index("syn"), LOWER, 4
    rows["lower_ip"][:, 1] = MAPPED + 0x0A00_0001 + np.arange(n)
    rows["higher_ip"][:, 1] = MAPPED + 0xC000_0000 + np.arange(n)
    rows["higher_port"] = 80
    return rows


def refused(n):
    """Attempts of one source, each at another port."""
    rows = np.zeros(n, EVENT_RECORD)
    rows["ts_ns"], rows["kind"], rows["family"] = START_NS, EVENT_KINDS.index("handshake.rejected"), 4
    rows["orig"], rows["by"] = HIGHER, SIDES.index("resp")
    rows["lower_ip"][:, 1], rows["higher_ip"][:, 1] = MAPPED + 0x0A00_0001, MAPPED + 0xC000_0201
    rows["lower_port"] = 1 + np.arange(n)
    return rows


def counted(tallies=0, events=0, counting=None):
    counting = counting or Counting(KEY)
    empty = (np.zeros(0, dtype) for dtype in (FLOW_RECORD, TRANSITION))
    counting.add(Records(*empty, refused(events), np.zeros(0, EVIDENCE), ("tap",), syns(tallies)))
    return counting


def closed(counting):
    counting.close("tap", START_NS + WINDOW_NS)
    return counting.take()


def test_more_keys_than_there_is_room_for_are_all_counted():
    n = 2 * CELLS_MAX + 100
    *found, clock = closed(counted(n))
    assert (clock.key.of, clock.window_ns) == ("clock", START_NS + WINDOW_NS)
    services = Counter(count.key.ip for count in found)
    assert len(services) == len(found) == n
    assert all(count.sums["syns"] == 1 and len(count.members) == 1 for count in found)


def test_a_source_with_more_targets_than_a_record_holds_has_several():
    found = [count for count in closed(counted(events=3 * TARGETS_MAX + 5)) if count.key.of == "source"]
    assert [len(count.members) for count in found] == [TARGETS_MAX] * 3 + [5]
    assert set().union(*(count.members for count in found)) == {("10.0.0.1", 1 + i) for i in range(3 * TARGETS_MAX + 5)}
    again = counted(events=5, counting=counted(events=5))
    assert [count.sums["failed"] for count in closed(again) if count.key.of == "source"] == [10]


def test_of_many_members_the_least_hashes_are_kept():
    rows = syns(500)
    rows["higher_ip"] = rows["higher_ip"][0]
    counting = Counting(KEY)
    empty = (np.zeros(0, dtype) for dtype in (FLOW_RECORD, TRANSITION))
    counting.add(Records(*empty, refused(0), np.zeros(0, EVIDENCE), ("tap",), rows))
    one = next(count for count in closed(counting) if count.key.of == "service")
    every = [count.members for count in closed(counted(500)) if count.key.of == "service"]
    assert one.sums["syns"] == 500
    assert one.members == set(sorted(set().union(*every))[:MEMBERS_MAX])


def test_more_sensors_than_there_is_room_for_are_all_counted(monkeypatch):
    """A name costs its inventor nothing: those that make way begin anew, and no count of theirs is lost."""
    monkeypatch.setattr(module, "SENSORS_MAX", 5)
    counting, names, found = Counting(KEY), [f"tap {i}" for i in range(40)], []
    empty = [np.zeros(0, dtype) for dtype in (FLOW_RECORD, TRANSITION)]
    for i in range(40):
        rows = syns(i + 3)
        rows["sensor"] = i - np.arange(i + 3) % min(i + 1, 8)  # a few sensors' rows, none in the same order
        counting.add(Records(*empty, refused(0), np.zeros(0, EVIDENCE), tuple(names[: i + 1]), rows))
        if i % 10 == 5:
            before, counting = counting, Counting(KEY + i)
            counting.put_back(before.snapshot())
            found += before.take()
    for name in names:
        counting.close(name, START_NS + WINDOW_NS)
        counting.lost(name, START_NS, START_NS + 1)
    found += counting.take()
    told = Counter()
    for count in found:
        told[count.key.sensor] += count.sums.get("syns", 0)
    sent = Counter(names[j] for i in range(40) for j in i - np.arange(i + 3) % min(i + 1, 8))
    assert told == sent
    assert len(counting.snapshot()) < 5000


def stuck_and_ended(stuck, ended, names=("tap",)):
    """Records of connections by the second in which they began."""

    def rows(dtype, numbers):
        made = np.zeros(len(numbers), dtype)
        made["start_ns"] = START_NS + 10**9 * np.array(numbers, np.int64)
        made["family"], made["orig"], made["higher_port"] = 4, LOWER, 80
        made["sensor"] = np.array(numbers, np.int64) % len(names)
        return made

    events = rows(EVENT_RECORD, stuck)
    events["kind"], events["by"] = EVENT_KINDS.index("stuck.close_wait"), SIDES.index("resp")
    events["ts_ns"] = events["start_ns"] + 61 * 10**9
    tables = np.zeros(0, TRANSITION), events, np.zeros(0, EVIDENCE)
    return Records(rows(FLOW_RECORD, ended), *tables, names, syns(0))


def test_connections_stuck_in_close_wait_are_held_until_they_end(monkeypatch):
    def held(counting, window, sensor="tap"):
        counting.close(sensor, START_NS + window * WINDOW_NS)
        found = [count for count in counting.take() if count.sums.get("held")]
        return [(count.window_ns // WINDOW_NS - 170_000_000, count.sums["held"]) for count in found]

    assert 170_000_000 % EVERY == 2
    counting = Counting(KEY)
    counting.add(stuck_and_ended(range(5), [9]))
    assert held(counting, 2) == []  # not told by then, in the time of the sensor
    assert held(counting, 17) == [(16, 5)]
    assert held(counting, 22) == []
    counting.add(stuck_and_ended([], [0, 3, 3]))
    counting.put_back(counting.snapshot())
    assert held(counting, 23) == [(22, 3)]
    assert held(counting, 60) == [(58, 3)]
    counting.end("tap", START_NS + 600 * WINDOW_NS)
    assert held(counting, 700) == []
    monkeypatch.setattr(stuck, "STUCK_MAX", 7)
    counting.add(stuck_and_ended(range(20), [1], ("tap", "other")))
    assert held(counting, 720) == [(718, 4)]
    assert held(counting, 720, "other") == [(718, 2)]


def test_what_is_open_goes_on_behind_a_snapshot():
    other = Counting(KEY + 1)
    other.put_back(counted(300, 70).snapshot())
    assert closed(counted(10, 80, other)) == closed(counted(10, 80, counted(300, 70)))


def test_a_snapshot_that_is_none_is_refused():
    value = counted(300, 70).snapshot()
    with pytest.raises(UsageError, match="number of partitions"):
        Counting(KEY, 2).put_back(value)
    for damaged in (value[:-1], value[:100] + b"?" + value[101:], value[:20]):
        with pytest.raises(ContractError, match="damaged"):
            Counting(KEY).put_back(damaged)
