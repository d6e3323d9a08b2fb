"""Invented sensors, times and addresses in records of counts: they take no more than their room, and stall nobody."""

import random
from copy import deepcopy

import orjson
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from processor import windows
from processor.judging import PartitionRules, Sent
from processor.rules import Thresholds
from processor.windows import SENSORS_MAX, Judge, Spilled
from synfin.once import Seq
from synfin.wire.counts import MEMBERS_MAX, READ_MAX, SUMS, WINDOW_NS, Key, empty
from synfin.wire.topics import STATE_MAX_BYTES

NOW = 170_000_000  # number of a window
NOW_MS = NOW * WINDOW_NS // 1_000_000
PARTS = 4
WEB = Key("service", "tap", 0, "192.0.2.1", 80)
FAR = 1 << 29  # windows: 170 years


def clock(window, sensor="tap", of="clock"):
    return empty(Key(of, sensor, 0, "", 0), window * WINDOW_NS)


def flood(window, part):
    """A part of what is a flood in all partitions together, and in none alone."""
    count = empty(WEB, window * WINDOW_NS)
    count.sums["syns"], count.members = 400, {1 << 40 | part << 20 | i for i in range(20)}
    return count


def invented(chance):
    """A record that somebody made up."""
    of = chance.choice(("service", "source", "stray", "clock", "end"))
    ahead = chance.choice((0, chance.randrange(-100, 100), chance.randrange(-NOW, FAR)))
    sensor = "tap" if of in windows.RETAINED and chance.random() < 0.3 else f"sensor {chance.randrange(60)}"
    if of not in windows.RETAINED:
        return clock(NOW + ahead, sensor, of)
    address = f"10.{chance.randrange(4)}.0.{chance.randrange(200)}"
    key = Key(of, sensor, chance.randrange(2), address, 0 if of == "source" else chance.randrange(1, 4))
    count = empty(key, (NOW + ahead) * WINDOW_NS)
    count.sums = {name: chance.choice((0, 1, 1000)) for name in SUMS[of]}
    count.members = {chance.randrange(1 << 53) for _ in range(chance.randrange(MEMBERS_MAX))}
    if of == "source":
        count.members = {(f"192.0.2.{hashed % 250}", hashed % 60_000) for hashed in count.members}
    return count


def rooms(judge):
    """How much it keeps, as its snapshot tells it: windows of keys, what is to be judged, keys and sensors."""
    told = judge.snapshot()
    cells = [len(cells) for _, cells, _, _ in told["keys"]]
    touched = [len(keys) for _, _, touched in told["sensors"].values() for _, keys in touched]
    return sum(cells), sum(touched), len(cells), len(told["sensors"])


@given(st.integers(0, 2**30))
@settings(max_examples=40, deadline=None)
def test_a_flood_is_raised_as_soon_as_ever_whatever_else_is_said(seed):
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "CELLS_MAX", 400)
        patch.setattr(windows, "KEYS_MAX", 3)
        patch.setattr(windows, "SENSORS_MAX", 8)
        judge = Judge(Thresholds(), PARTS, Spilled())
        for part in range(PARTS):  # what is real was there before
            for window in range(60):
                judge.add(flood(NOW - 200 + window, part), part, NOW_MS)
                judge.add(clock(NOW - 199 + window), part, NOW_MS)
        for window in range(6):
            raised = []
            for part in range(PARTS):
                raised += judge.add(flood(NOW + window, part), part, NOW_MS)
                for _ in range(chance.randrange(150)):
                    raised += judge.add(invented(chance), chance.randrange(PARTS), NOW_MS)
                raised += judge.add(clock(NOW + window + 1), part, NOW_MS)
            ours = [alert.id for alert in raised if alert.key == WEB and alert.kind == "alert.syn_flood"]
            assert len(ours) == (window == 0)
            cells, touched, keys, sensors = rooms(judge)
            assert cells <= 400
            assert touched <= cells
            assert keys <= 400
            assert sensors <= 8
            again = Judge(Thresholds(), PARTS, Spilled())
            again.put_back(orjson.loads(orjson.dumps(judge.snapshot())))
            judge = again


def told_cells(judge):
    return {Key(*fields): len(cells) for fields, cells, _, _ in judge.snapshot()["keys"]}


def test_windows_far_ahead_are_judged_and_forgotten_when_the_clock_is_told():
    judge = Judge(Thresholds(), PARTS)
    raised = [judge.add(clock(NOW), part, NOW_MS) for part in range(PARTS)]
    for i in range(500):
        raised += [judge.add(flood(NOW + FAR + i, part), 0, NOW_MS) for part in range(3)]
    assert not any(raised)
    assert [alert.kind for alert in judge.add(clock(NOW), 1, NOW_MS)] == ["alert.syn_flood"]
    assert told_cells(judge) == {}


def test_keys_that_weigh_least_go_when_all_that_is_kept_is_of_use(monkeypatch):
    monkeypatch.setattr(windows, "CELLS_MAX", 100)
    judge = Judge(Thresholds(), PARTS, spilled := Spilled())
    for part in range(PARTS):
        judge.add(clock(NOW), part, NOW_MS)
        judge.add(flood(NOW, part), part, NOW_MS)
    for i in range(1000):
        judge.add(empty(Key("stray", "tap", 0, f"10.0.{i // 250}.{i % 250}", 1), NOW * WINDOW_NS), 0, NOW_MS)
        assert sum(told_cells(judge).values()) <= 100
    assert WEB in told_cells(judge)
    assert spilled.keys > 900


@pytest.mark.parametrize("ahead", [windows.AHEAD - 1, FAR])
def test_the_clock_of_an_invented_sensor_moves_no_window_of_another_where_that_is_heard(ahead):
    judge, raised = Judge(Thresholds(), PARTS), []
    for part in range(PARTS):
        raised += judge.add(flood(NOW, part), part, NOW_MS) if part < 3 else judge.add(clock(NOW), part, NOW_MS)
        raised += judge.add(clock(NOW + ahead, "invented"), part, NOW_MS)
    for part in range(PARTS - 1):
        raised += judge.add(clock(NOW + 1), part, NOW_MS)
    assert raised == []
    assert [alert.key for alert in judge.add(clock(NOW + 1), 3, NOW_MS)] == [WEB]


def test_a_clock_far_ahead_of_the_logs_is_not_believed_where_the_sensor_is_not_heard():
    judge, raised = Judge(Thresholds(), PARTS), []
    for part in range(PARTS):
        raised += judge.add(clock(NOW, "honest"), part, NOW_MS) + judge.add(clock(NOW + FAR, "invented"), part, NOW_MS)
    for part in range(3):
        raised += judge.add(flood(NOW, part), part, NOW_MS) + judge.add(clock(NOW + 1), part, NOW_MS)
    assert raised == judge.add(clock(NOW + 1, "honest"), 3, NOW_MS) == []
    assert [alert.key for alert in judge.add(clock(NOW + 2), 0, NOW_MS)] == [WEB]


def test_what_a_sensor_had_is_judged_when_it_makes_way(monkeypatch):
    monkeypatch.setattr(windows, "SENSORS_MAX", 3)
    judge, raised = Judge(Thresholds(), PARTS, spilled := Spilled()), []
    for part in range(3):
        raised += judge.add(flood(NOW, part), part, NOW_MS)
    for i in range(20):
        raised += judge.add(clock(NOW, f"sensor {i}"), 0, NOW_MS)
    assert [alert.key for alert in raised] == [WEB]
    assert spilled.sensors == 18
    assert told_cells(judge) == {}


def test_twenty_thousand_names_make_way_for_one_another_and_are_counted():
    rules = PartitionRules(0, PARTS, Thresholds(), [], spilled := Spilled())
    names = [f"an invented name {i:040}" for i in range(20_000)]
    for i, name in enumerate(["tap"] * 50 + names):
        rules.apply(Sent(clock(NOW, name), Seq(0, 0, i + 1)), i, NOW_MS)
    assert spilled.sensors == 20_001 - SENSORS_MAX
    [(_, value)] = rules.snapshots()
    assert len(value) < 100_000
    assert b'"tap"' in zstandard.ZstdDecompressor().decompress(value)  # who comes again and again stays


def test_a_snapshot_fits_its_topic_when_all_that_is_kept_is_as_large_as_it_may_be():
    chance = random.Random(1)
    address = lambda: chance.randbytes(16).hex(":", 2)  # noqa: E731
    rules, largest = PartitionRules(0, PARTS, Thresholds(), []), 0
    for part in range(PARTS):
        rules.apply(Sent(clock(NOW), Seq(part, 0, 1)), 0, NOW_MS)
    for n in range(3000):
        count = empty(Key("source", "tap", n, address(), 0), NOW * WINDOW_NS)
        count.sums = dict.fromkeys(count.sums, chance.randrange(1 << 63))
        count.members = {(address(), chance.randrange(1 << 63)) for _ in range(READ_MAX)}
        rules.apply(Sent(count, Seq(0, 0, n + 2)), n, NOW_MS)
        if n in (1900, 2999):
            [(_, value)] = rules.snapshots()
            largest = max(largest, len(value))
    assert STATE_MAX_BYTES / 8 < largest < STATE_MAX_BYTES
    PartitionRules(0, PARTS, Thresholds(), [value])


@given(st.integers(0, 2**30))
@settings(max_examples=60, deadline=None)
def test_windows_that_are_not_asked_about_would_raise_nothing(seed):
    chance, told = random.Random(seed), []
    for _ in range(60):
        key = Key("service", "tap", 0, "192.0.2.1", chance.randrange(30))
        count = empty(key, (NOW + chance.randrange(5)) * WINDOW_NS)
        most = {"syns": 700, "refused": 4, "stuck": 5, "held": 9, "aborted_resp": 40, "killed": 2}
        for name in chance.sample(sorted(most), 2):
            count.sums[name] = chance.randrange(most[name])
        count.sums["refused"], count.sums["opened"] = chance.randrange(5), chance.randrange(2)
        count.members = {chance.randrange(1 << 53) for _ in range(30)}
        told.append((count, chance.randrange(PARTS)))
    ids = []
    for all_of_them in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            if all_of_them:
                patch.setattr(Judge, "_may_be_raised", lambda *_: True)
            judge = Judge(Thresholds(), PARTS)
            raised = [alert for count, part in told for alert in judge.add(deepcopy(count), part, NOW_MS)]
            ids.append([alert.value for alert in raised + judge.finish()])
    assert ids[0] == ids[1]
