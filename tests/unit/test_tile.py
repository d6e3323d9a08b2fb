"""The tiler's captures, read by dpkt: many hosts, one story each, and every sum still right."""

import json
from collections import defaultdict

import dpkt
import pytest

from tests.support import tile

FLOAT_NS = 512  # dpkt gives times as floats


def read(path):
    """(ns, IP packet) of each frame."""
    with path.open("rb") as file:
        for time, frame in dpkt.pcapng.Reader(file):
            yield round(time * 10**9), dpkt.ethernet.Ethernet(frame).data


def by_connection(packets):
    found = defaultdict(list)
    for t_ns, ip in packets:
        ends = (ip.src, ip.data.sport), (ip.dst, ip.data.dport)
        found[frozenset(ends)].append((t_ns, ip))
    return found


@pytest.fixture(scope="module")
def wired():
    """Recordings in whose frames the sums are computed: on veth that is left to the card."""
    return [folder for folder in tile.recordings() if json.loads((folder / "meta.json").read_text())["link"] == "tun"]


def test_copies_tell_the_same_story_between_other_hosts(tmp_path):
    (folder,) = [folder for folder in tile.recordings() if folder.name == "half_close"]
    original = tile.read_pcap(folder / "a.pcap")
    begin_ns = original[0][0]
    expected = [(t_ns - begin_ns, dpkt.ethernet.Ethernet(frame).data) for t_ns, frame in original]
    first = tile.SHIFTS**2 - 100  # both addresses and, from round 5929 on, the ports are shifted
    count = tile.tile(tmp_path / "many", 200 * len(original), folders=[folder], first_round=first)
    connections = by_connection(read(tmp_path / "many"))
    assert (len(connections), count) == (200, 200 * len(original))
    for packets in connections.values():
        client = packets[0][1].src
        for (t_ns, ip), (want_ns, want) in zip(packets, expected, strict=True):
            assert abs(t_ns - packets[0][0] - want_ns) <= FLOAT_NS
            assert (ip.data.flags, ip.data.seq, ip.data.ack) == (want.data.flags, want.data.seq, want.data.ack)
            assert (ip.len, ip.data.opts) == (want.len, want.data.opts)
            assert (ip.src == client) == (want.data.dport == 20120)
    assert {ip.data.dport for packets in connections.values() for _, ip in packets if ip.src == packets[0][1].src} == {
        20120,
        20119,
    }


def ones_complement(data):
    data += bytes(len(data) % 2)
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    return total % 0xFFFF or (0xFFFF if total else 0)


def test_sums_are_right_in_every_copy(tmp_path, wired):
    tile.tile(tmp_path / "many", 3000, folders=wired, first_round=tile.SHIFTS**2 - 10)
    families = set()
    for _, ip in read(tmp_path / "many"):
        segment = bytes(ip.data)
        families.add(len(ip.src))
        assert ones_complement(ip.src + ip.dst + bytes([0, 6]) + len(segment).to_bytes(2, "big") + segment) == 0xFFFF
        assert len(ip.src) == 16 or ones_complement(bytes(ip)[:20]) == 0xFFFF
    assert families == {4, 16}


def test_times_do_not_fall_and_no_connection_is_there_twice(tmp_path):
    count = tile.tile(tmp_path / "many", 10_000)
    packets = list(read(tmp_path / "many"))
    times = [t_ns for t_ns, _ in packets]
    assert len(packets) == count >= 10_000
    assert times == sorted(times)
    per_round = by_connection(
        (t_ns, dpkt.ethernet.Ethernet(frame).data)
        for folder in tile.recordings()
        for t_ns, frame in tile.read_pcap(folder / "a.pcap")
    )
    rounds = count // sum(map(len, per_round.values()))
    assert len(by_connection(packets)) == rounds * len(per_round)


def test_the_same_arguments_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        tile.tile(tmp_path / name, 3000)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_what_a_sends_b_receives(tmp_path):
    sent = {}
    for host in "ab":
        tile.tile(tmp_path / host, 3000, host=host)
        reader = (tmp_path / host).read_bytes()
        at, directions = len(tile.SECTION + tile.INTERFACE), []
        while at < len(reader):
            size = int.from_bytes(reader[at + 4 : at + 8], "little")
            directions.append(int.from_bytes(reader[at + size - 12 : at + size - 8], "little"))
            at += size
        packets = [ip for _, ip in read(tmp_path / host)]
        sent[host] = {ip.src for ip, way in zip(packets, directions, strict=True) if way == tile.SENT}
        received = {ip.src for ip, way in zip(packets, directions, strict=True) if way == tile.RECEIVED}
        assert sent[host]
        assert not sent[host] & received
    assert not sent["a"] & sent["b"]
