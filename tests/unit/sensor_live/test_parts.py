"""The small parts of a run: own traffic, limits, the summary, the default route, privileges."""

import json
import os
import pwd
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from sensor import interfaces, privileges
from sensor.batcher import Batcher
from sensor.dissect import Dissector
from sensor.frames import LINK_ETHERNET, LINK_RAW, LINK_SLL2
from sensor.own_traffic import OwnTraffic
from sensor.pipeline import Limit
from sensor.publisher import Counters as Published
from sensor.segments import Tally
from sensor.summary import Summary
from synfin.clients import Address
from synfin.errors import CaptureError, UsageError
from synfin.wire.batch import STOPPED, Lane
from synfin.wire.codec import decode, encode
from tests.support.frames import block, ethernet, ipv4, ipv6, packets, tcp

OURS = [ipv4(tcp(40000, 9092)), ipv4(tcp(9092, 40000, 0x12), source="10.9.0.2", target="10.9.0.1")]
OTHERS = [ipv4(tcp(40001, 9092)), ipv4(tcp(9092, 40000), source="10.9.0.3", target="10.9.0.1"), ipv6(tcp(40000, 9092))]
SOCKET = Address("10.9.0.1", 40000, "10.9.0.2", 9092)


def rows(*given):
    return Dissector(None).dissect(block([ethernet(packet) for packet in given]))


@pytest.mark.parametrize("address", [SOCKET, Address(SOCKET[2], SOCKET[3], SOCKET[0], SOCKET[1])])
def test_packets_of_our_own_connections_are_left_out(address):
    own = OwnTraffic()
    segments, flows = rows(OURS[0], OTHERS[0], OURS[1], *OTHERS[1:])
    assert own.without(segments, flows) is segments
    own.learn({address})
    assert own.without(segments, flows)["frame"].tolist() == [1, 3, 4]
    assert own.packets == 2
    own.learn(set())
    assert own.without(segments, flows) is segments


def test_ipv6_sockets_are_known_too():
    own = OwnTraffic()
    own.learn({Address("fd09::1", 40000, "fd09::2%eth0", 9092)})
    segments, flows = rows(*OURS, *OTHERS)
    assert own.without(segments, flows)["frame"].tolist() == [0, 1, 2, 3]


def test_a_batch_loses_ours_and_keeps_its_number_and_its_flows():
    batcher = Batcher(Lane("s", 1, 0), 1)
    batcher.add(*rows(OTHERS[2], OURS[0], OTHERS[0], OURS[1], OTHERS[1]), 0)
    (batch,) = batcher.finish(STOPPED)
    own = OwnTraffic()
    assert own.batch_without(batch) is batch
    own.learn({SOCKET})
    left = own.batch_without(batch)
    assert len(left.segments) == 3
    assert own.packets == 2
    again = decode(encode(left))
    assert again.number == batch.number
    assert again.last_ns == batch.last_ns
    for before, after in ((0, 0), (2, 1), (4, 2)):
        for name in ("hash", "lower_port", "higher_port"):
            theirs = batch.flows[batch.segments["flow"][before]][name]
            assert again.flows[again.segments["flow"][after]][name] == theirs
    batcher.add(*rows(*OURS), 0)
    (batch,) = batcher.finish(STOPPED)
    assert len(own.batch_without(batch).segments) == 0  # a heartbeat, so that its number is not missing


def test_a_count_is_cut_off_in_the_middle_of_a_block():
    limit = Limit(20, None)
    whole = block([ethernet(packet) for packet in packets()])
    assert len(limit.cut(whole)) == 17
    assert not limit.reached
    assert len(limit.cut(whole)) == 3
    assert limit.reached
    assert limit.captured == 20


def test_a_snap_length_cuts_a_copy():
    whole = block([ethernet(packet) for packet in packets()])
    before = whole.frames.copy()
    cut = Limit(None, 64).cut(whole)
    assert cut.frames["caplen"].tolist() == [min(64, n) for n in before["caplen"].tolist()]
    assert np.array_equal(cut.frames["wirelen"], before["wirelen"])
    assert np.array_equal(whole.frames, before)


def test_the_summary_is_tcpdumps_and_then_what_became_of_the_packets():
    published = Published(Tally(2, 30), Tally(1, 4), Tally(3, 5), Tally(0, 0))
    summary = Summary(40, 41, 1, live=True, own=6, published=published)
    assert summary.lines() == [
        "40 packets captured",
        "41 packets received by filter",
        "1 packets dropped by kernel",
        "30 packets published (2 batches)",
        "4 packets spooled (1 batches)",
        "0 packets dropped (0 batches)",
        "5 packets unacknowledged (3 batches)",
        "6 packets of its own to the brokers left out",
    ]
    assert json.loads(json.dumps(summary.as_json()))["publisher"]["published"] == {"batches": 2, "packets": 30}
    assert Summary(40, 0, 0, live=False).lines() == ["40 packets captured"]


ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth1\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth2\t00000000\t010200C0\t0002\t0\t0\t0\t00000000\t0\t0\t0
wlan0\t00000000\t010200C0\t0003\t0\t0\t50\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
ZEROS = "0" * 32
ROUTES_6 = f"""\
{ZEROS} 00 {ZEROS} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth7
fd000000000000000000000000000000 40 {ZEROS} 00 {ZEROS} 00000100 00000001 00000000 00000001     eth0
{ZEROS} 00 {ZEROS} 00 {ZEROS} ffffffff 00000001 00000000 00200200       lo
"""


def test_the_default_route_is_the_one_of_least_metric_that_is_up(tmp_path):
    (tmp_path / "route").write_text(ROUTES)
    (tmp_path / "ipv6_route").write_text(ROUTES_6)
    assert interfaces.default_route(tmp_path) == "wlan0"
    (tmp_path / "route").write_text(ROUTES.splitlines()[0])
    assert interfaces.default_route(tmp_path) == "eth7"
    (tmp_path / "ipv6_route").write_text(ROUTES_6.splitlines()[2])
    with pytest.raises(CaptureError, match=r"no default route .*: name one with -i, of lo, .*any"):
        interfaces.default_route(tmp_path)


def test_what_an_interfaces_frames_begin_with():
    links = {interfaces.link_of(hatype) for hatype in (1, 772)}
    assert links == {LINK_ETHERNET}
    assert {interfaces.link_of(hatype) for hatype in (519, 768, 0xFFFE)} == {LINK_RAW}
    assert {interfaces.link_of(hatype) for hatype in (512, 778, 32)} == {LINK_SLL2}
    assert interfaces.find("lo").link == LINK_ETHERNET
    assert interfaces.find("any").index == 0


def test_whom_root_becomes(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert privileges.account("daemon") is None  # there is nothing to drop
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert privileges.account("daemon") == privileges.Account("daemon", *pwd.getpwnam("daemon")[2:4])
    real, missing = pwd.getpwnam, {"synfin"}

    def without(name):
        if name in missing:
            raise KeyError(name)
        return real(name)

    monkeypatch.setattr(pwd, "getpwnam", without)
    assert privileges.account(None).name == "nobody"
    missing.add("nobody")
    with pytest.raises(UsageError, match=r"neither synfin nor nobody; name one: -Z"):
        privileges.account(None)
    with pytest.raises(UsageError, match=r"-Z nobody: there is no such user"):
        privileges.account("nobody")


def test_after_the_drop_kernels_do_not_touch_the_cache_of_root(monkeypatch):
    from sensor.ring import walk_block

    if not hasattr(walk_block, "py_func"):
        pytest.skip("compilation is off")
    modules = {"sensor.ring": sys.modules["sensor.ring"]}  # no other: the tests that follow need their caches
    monkeypatch.setattr(privileges, "sys", SimpleNamespace(modules=modules))
    assert walk_block._cache._enabled
    try:
        privileges._forbid_kernel_caches()
        assert not walk_block._cache._enabled
    finally:
        for kernel in vars(modules["sensor.ring"]).values():
            if hasattr(kernel, "py_func"):
                kernel._cache.enable()
