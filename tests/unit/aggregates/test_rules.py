"""The rules over several connections, from rows on the wire to alerts: what raises each, and what must not."""

from collections import Counter
from functools import partial

import orjson
import pytest

from processor import windows
from processor.rules import NAMES, RULES, Thresholds
from processor.windows import SILENT_MS, Judge, Spilled, judged
from synfin.config import SETTINGS
from synfin.wire.counts import CLOCKS, SUMS, WINDOW_NS, Key, empty, group_of
from tests.support.crowds import START_NS, Crowd, alerts_of

WEB = "192.0.2.1"


def clients(i):
    return f"198.51.{100 + i // 250 % 20}.{1 + i % 250}"


def flood(crowd, at_s, windows=1, n=1200, way="unanswered"):
    for window in range(windows):
        crowd.many(n, way, at_s + 10 * window, 9, clients, WEB, 80)
    return crowd


def kinds(crowd, **others):
    return [alert["kind"] for alert in alerts_of(crowd, **others)]


def test_a_flood_is_raised_once_and_told_with_its_numbers():
    (alert,) = alerts_of(flood(Crowd(), 0, windows=3).until(60))
    assert alert["kind"] == "alert.syn_flood"
    assert (alert["ip"], alert["port"], alert["sensor"]) == (WEB, 80, "tap")
    assert alert["counts"] == {"syns": 1200, "opened": 0, "half_open": 0}
    assert (alert["since_ns"], alert["ts_ns"]) == (START_NS, START_NS + WINDOW_NS)
    assert 800 < alert["distinct"] < 1700  # 1200, from those with the least hashes


def test_a_flood_that_pauses_for_less_than_three_windows_is_one_and_after_that_another():
    crowd = flood(flood(Crowd(), 0), 30)
    assert kinds(crowd.until(80)) == ["alert.syn_flood"]
    assert kinds(flood(flood(Crowd(), 0), 50).until(100)) == ["alert.syn_flood"] * 2


def test_a_rush_of_clients_that_are_served_is_no_flood():
    crowd = flood(Crowd(), 0).many(200, "opened", 0, 9, clients, WEB, 80)
    assert kinds(crowd.until(60)) == []


def test_syns_that_are_sent_again_count_once():
    assert kinds(flood(Crowd(), 0, n=900, way="retransmitted").until(60)) == []


def test_few_sources_are_a_flood_only_when_they_leave_much_half_open():
    few = Crowd().many(1200, "unanswered", 0, 9, lambda i: f"198.51.100.{1 + i % 8}", WEB, 80)
    assert "alert.syn_flood" not in kinds(few.until(60))
    half_open = Crowd().many(1200, "half_open", 0, 9, lambda i: f"198.51.100.{1 + i % 8}", WEB, 80)
    (alert,) = alerts_of(half_open.until(60))
    assert alert["counts"] == {"syns": 1200, "opened": 0, "half_open": 1200}


def test_what_was_lost_by_us_explains_a_flood():
    assert kinds(flood(Crowd(), 0).until(60), dropped={0: 5}) == []
    assert kinds(flood(Crowd().until(0), 20).until(80), sizes=(6, 3000), dropped={0: 5}) == ["alert.syn_flood"]


@pytest.mark.parametrize("way", ["refused", "unanswered", "syn_scan"])
def test_ports_of_one_host_in_vain_are_a_vertical_scan(way):
    crowd = Crowd().many(25, way, 0, 8, "198.51.100.7", WEB, lambda i: 100 + i)
    (alert,) = alerts_of(crowd.until(60).until(120))
    assert alert["kind"] == "alert.scan_vertical"
    assert (alert["ip"], alert["port"], alert["distinct"]) == ("198.51.100.7", None, 25)
    assert alert["sample"] == [{"ip": WEB, "port": 100 + i} for i in range(20)]


def test_one_port_of_many_hosts_in_vain_is_a_horizontal_scan():
    crowd = Crowd().many(25, "refused", 0, 8, "198.51.100.7", lambda i: f"192.0.2.{i}", 22)
    assert kinds(crowd.until(60)) == ["alert.scan_horizontal"]


def test_a_nat_with_clients_that_succeed_scans_nothing():
    crowd = Crowd().many(25, "refused", 0, 8, "198.51.100.7", WEB, lambda i: 100 + i)
    crowd.many(10, "opened", 0, 8, "198.51.100.7", WEB, 443)
    assert kinds(crowd.until(60)) == []


def test_a_slow_scan_is_none():
    crowd = Crowd().many(25, "refused", 0, 300, "198.51.100.7", WEB, lambda i: 100 + i)
    assert kinds(crowd.until(400)) == []


def test_resets_of_many_connections_at_once_are_a_storm_and_name_a_listener_that_was_closed():
    crowd = Crowd().many(60, "killed", 12, 0.01, clients, WEB, 80)
    alert, cause = alerts_of(crowd.until(60))
    assert (alert["kind"], cause["kind"]) == ("alert.rst_storm", "alert.listener_closed")
    assert alert["counts"] == {"aborted_orig": 0, "aborted_resp": 60, "listener_closed": 60}
    (spread,) = alerts_of(Crowd().many(60, "killed", 11, 8, clients, WEB, 80).until(60))
    assert spread["counts"]["listener_closed"] == 0


def test_resets_that_come_together_before_anything_was_sent_are_a_listener_that_was_closed():
    (alert,) = alerts_of(Crowd().many(2, "killed", 12, 0.05, clients, WEB, 80).until(60))
    assert (alert["kind"], alert["severity"], alert["counts"]) == ("alert.listener_closed", "notice", {"killed": 2})
    assert kinds(Crowd().many(1, "killed", 12, 0.05, clients, WEB, 80).until(60)) == []
    assert kinds(Crowd().many(2, "killed", 12, 1, clients, WEB, 80).until(60)) == []
    assert kinds(Crowd().many(2, "answered", 12, 0.05, clients, WEB, 80).until(60)) == []
    used = Crowd().many(1, "killed", 12, 1, clients, WEB, 80).many(2, "killed", 412, 0.05, clients, WEB, 80)
    assert kinds(used.until(500)) == []


def test_a_service_whose_connections_always_end_so_has_no_storm_when_there_are_a_few_more():
    crowd = Crowd()
    for window in range(60):
        crowd.many(40, "killed", 10 * window, 9, clients, WEB, 80)
    assert kinds(crowd.many(60, "killed", 601, 8, clients, WEB, 80).until(660)) == []


def test_answers_to_what_nobody_asked_are_backscatter_where_both_directions_are_seen():
    strays = partial(Crowd.many, n=15, at_s=12, for_s=6, orig=clients, resp=WEB, port=80)
    crowd = Crowd()
    strays(crowd, way="stray_synack")
    strays(crowd, way="stray_rst", orig=lambda i: f"203.0.113.{i}")
    both = alerts_of(crowd.many(384, "opened", 0, 1, clients, "192.0.2.9", 443).until(60))
    assert [(alert["kind"], alert["ip"], alert["distinct"]) for alert in both] == [("alert.backscatter", WEB, 30)]
    assert kinds(strays(strays(Crowd(), way="stray_synack"), way="stray_rst", at_s=13)) == []


def test_a_service_that_took_connections_and_refuses_them_is_raised_and_a_closed_port_is_not():
    refused = partial(Crowd.many, n=6, way="refused", at_s=300, for_s=8, orig=clients, resp=WEB, port=80)
    assert kinds(refused(Crowd()).until(400)) == []
    crowd = Crowd().many(1, "closed", 0, 1, clients, WEB, 80)
    assert kinds(refused(crowd).until(400)) == ["alert.refused_service"]
    long_ago = Crowd().many(1, "closed", 0, 1, clients, WEB, 80)
    assert kinds(refused(long_ago, at_s=700).until(800)) == []


def stuck(*numbers):
    key = Key("service", "tap", 0, WEB, 80)
    for minute, number in enumerate(numbers):
        count = empty(key, START_NS + 6 * minute * WINDOW_NS)
        count.sums["stuck"] = number
        yield count


def test_connections_that_stay_in_close_wait_are_a_leak_when_there_are_ten():
    assert [alert.kind for alert in judged(stuck(4, 3, 3))] == ["alert.close_wait_leak"]
    assert list(judged(stuck(9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9))) == []


def clock(window, sensor="tap", of="clock"):
    return empty(Key(of, sensor, 0, "", 0), START_NS + window * WINDOW_NS)


def half(first):
    count = empty(Key("service", "tap", 0, WEB, 80), START_NS)
    count.sums["syns"], count.members = 600, set(range(first, first + 40))
    return count


def test_a_window_is_judged_when_all_partitions_are_past_it():
    judge = Judge(Thresholds(), 2)
    assert judge.add(half(0), 0) == judge.add(clock(1), 0) == judge.add(clock(90), 0) == []
    assert judge.add(clock(1, "another"), 1) == []  # each sensor has its own clock
    assert judge.add(half(100), 1) == judge.add(clock(0), 1) == []
    (alert,) = judge.add(clock(1), 1)
    assert orjson.loads(alert.value)["counts"]["syns"] == 1200
    assert judge.finish() == []


def test_a_partition_that_is_silent_is_not_waited_for_and_what_it_says_later_counts_too():
    judge = Judge(Thresholds(), 2)
    assert judge.add(half(0), 0, 1000) == judge.add(clock(1), 0, 1000 + SILENT_MS) == []
    assert judge.add(clock(2), 0, 1001 + SILENT_MS) == []  # half of it is not enough
    assert judge.add(half(100), 1, 1002 + SILENT_MS) == []
    (alert,) = judge.add(clock(1), 1, 1003 + SILENT_MS)
    assert orjson.loads(alert.value)["counts"]["syns"] == 1200


def test_windows_before_the_clock_was_set_back_are_over():
    judge = Judge(Thresholds())
    assert judge.add(half(0)) == judge.add(half(100)) == []
    assert [alert.kind for alert in judge.add(clock(-100))] == ["alert.syn_flood"]


def test_what_waits_is_bounded(monkeypatch):
    monkeypatch.setattr(windows, "CELLS_MAX", 100)
    spilled = Spilled()
    judge = Judge(Thresholds(), 2, spilled)
    judge.add(half(0), 0)
    judge.add(half(100), 0)
    raised = []
    for window in range(200):
        count = empty(Key("source", "tap", 0, f"198.51.100.{window}", 0), START_NS + window * WINDOW_NS)
        raised += judge.add(count, 0) + judge.add(clock(window), 0)
    assert [alert.kind for alert in raised] == ["alert.syn_flood"]
    assert spilled.early == 2


def test_the_keys_that_make_way_are_the_lightest_and_are_counted(monkeypatch):
    monkeypatch.setattr(windows, "KEYS_MAX", 2)
    judge = Judge(Thresholds(), 1, spilled := Spilled())
    for _ in range(20):
        judge.add(half(0))
    keys = [Key("source", "tap", 0, f"10.0.{i // 250}.{i % 250}", 0) for i in range(2000)]
    for key in keys:
        judge.add(empty(key, START_NS))
    kept = Counter(group_of(key.text()) for key in [half(0).key, *keys])
    assert spilled.keys == sum(n - min(n, 2) for n in kept.values()) > 1000
    assert [alert.kind for alert in judge.finish()] == ["alert.syn_flood"]


def test_every_threshold_is_a_setting_and_every_rule_counts_what_there_is():
    settings = {setting.name.removeprefix("rules."): setting for setting in SETTINGS}
    assert {name: settings[name].default for name in NAMES} == {name: getattr(Thresholds(), name) for name in NAMES}
    assert {rule.of for rule in RULES} == set(SUMS) - CLOCKS


def test_responders_that_the_core_finds_stuck_in_close_wait_are_counted():
    """The client closes, the server's program never does, and a minute of the sensor's time goes by."""
    crowd = Crowd().many(12, "left_open", 0, 9, clients, WEB, 80)
    (alert,) = alerts_of(crowd.until(40).until(80).until(120))
    assert (alert["kind"], alert["port"]) == ("alert.close_wait_leak", 80)
    assert alert["counts"] == {"stuck": 12, "held": 0, "held_hour": 0}


def minutes(crowd, until):
    for minute in range(until):
        crowd.until(60 * minute)
    return crowd


def test_a_slow_leak_is_raised_when_there_are_ten_and_told_once():
    crowd = minutes(Crowd().many(13, "left_open", 0, 13 * 200, clients, WEB, 80), 60)
    (alert,) = alerts_of(crowd, sizes=(6,))
    assert (alert["kind"], alert["counts"]) == ("alert.close_wait_leak", {"stuck": 3, "held": 10, "held_hour": 0})


def test_one_connection_that_is_stuck_for_more_than_an_hour_is_raised_once():
    crowd = minutes(Crowd().add("left_open", 0, "198.51.100.1", WEB, 80), 100)
    (alert,) = alerts_of(crowd, sizes=(6,))
    assert (alert["kind"], alert["counts"]) == ("alert.close_wait_leak", {"stuck": 0, "held": 1, "held_hour": 1})
    assert 3600 < (alert["ts_ns"] - START_NS) / 10**9 <= 3700


def test_a_partition_that_never_heard_of_a_sensor_holds_its_windows_up_no_longer_than_a_neighbour():
    """A sensor speaks only to partitions where it has connections; a busy one keeps the others alive."""
    judge, found = Judge(Thresholds(), 2), []
    scanner = Key("source", "quiet", 0, "203.0.113.9", 0)

    def say(count, part):
        found.extend(judge.add(count, part, 1_000))

    for window in range(100, 110):
        if window == 103:
            scan = empty(scanner, window * WINDOW_NS)
            scan.sums["failed"] = 25
            scan.members = {("192.0.2.6", port) for port in range(25)}
            say(scan, 0)
        say(empty(Key("clock", "quiet", 0, "", 0), window * WINDOW_NS), 0)
        assert not found or window > 103
        for part in range(2):
            say(empty(Key("clock", "busy", 0, "", 0), window * WINDOW_NS), part)
        if window == 105:
            judge, before = Judge(Thresholds(), 2), judge.snapshot()
            judge.put_back(before)
    assert [alert.kind for alert in found] == ["alert.scan_vertical"]
