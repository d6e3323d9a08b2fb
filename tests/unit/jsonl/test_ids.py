"""Ids of flows, views and connections, against hashlib and the communityid package."""

import hashlib
import ipaddress
import random

import communityid
import numpy as np
import pytest

from synfin.wire.event import EVENT_RECORD, FLOW_RECORD
from synfin.wire.ids import community_id, hex_id, identify
from synfin.wire.segment import HIGHER, LOWER
from synfin.wire.sha1 import DIGEST_ROW, LANES, ROWS, sha1_block, sha1_start
from tests.support.json_records import ids as ids_by_hashlib
from tests.support.json_records import records_from


def halves(text):
    """The two numbers of an address as a FLOW holds it."""
    ip = ipaddress.ip_address(text)
    number = int(ip) if ip.version == 6 else 0xFFFF << 32 | int(ip)
    return number >> 64, number & (2**64 - 1)


def record(one, other, **columns):
    """A flow record between two (address, port), the first of which is the originator."""
    row = np.zeros(1, FLOW_RECORD)
    ends = sorted((halves(ip), port) for ip, port in (one, other))
    row["lower_ip"], row["lower_port"] = ends[0]
    row["higher_ip"], row["higher_port"] = ends[1]
    row["orig"] = LOWER if ends[0] == (halves(one[0]), one[1]) else HIGHER
    row["family"] = ipaddress.ip_address(one[0]).version
    for name, value in columns.items():
        row[name] = value
    return row


def flow_and_view(row, sensors=("web-01",)):
    ids = identify(row, sensors)[0]
    return hex_id(ids["flow"]), hex_id(ids["view"])


def padded(message):
    length = len(message)
    message += b"\x80" + bytes(-(length + 9) % 64)
    return message + (8 * length).to_bytes(8, "big")


def sha1_in_lanes(messages):
    """Digests of at most LANES messages of equally many blocks."""
    scratch = np.zeros(ROWS * LANES, np.uint32)
    table = scratch.reshape(ROWS, LANES)
    sha1_start(scratch)
    blocks = [np.frombuffer(padded(message), ">u4").reshape(-1, 16) for message in messages]
    for part in range(len(blocks[0])):
        for lane, block in enumerate(blocks):
            table[:16, lane] = block[part]
        sha1_block(scratch, np.uint64(len(messages)))
    digests = table[DIGEST_ROW : DIGEST_ROW + 5, : len(messages)]
    return [digests[:, lane].astype(">u4").tobytes() for lane in range(len(messages))]


def test_sha1_of_random_lengths_is_that_of_hashlib():
    chance = random.Random(3)
    by_blocks = {}
    for length in [*range(130), *(chance.randrange(130, 400) for _ in range(40))]:
        message = chance.randbytes(length)
        by_blocks.setdefault(len(padded(message)), []).append(message)
    for messages in by_blocks.values():
        for i in range(0, len(messages), LANES):
            part = messages[i : i + LANES]
            assert sha1_in_lanes(part) == [hashlib.sha1(message).digest() for message in part]


def test_ids_of_random_records_are_those_of_hashlib():
    chance = np.random.default_rng(8)
    sensors = ("a", "web-01", "ü" * 32)
    for n in (1, LANES - 1, LANES, 2 * LANES + 5):
        records = records_from((chance.bytes(n * 336), b"", chance.bytes(n * 136), b""), sensors)
        for rows in (records.flows, records.events):
            for row, ids in zip(rows, identify(rows, sensors), strict=True):
                made = hex_id(ids["flow"]), hex_id(ids["view"]), community_id(ids["community"])
                assert made == ids_by_hashlib(row, sensors)


def test_community_id_of_the_published_example():
    row = record(("128.232.110.120", 34855), ("66.35.250.204", 80))
    assert community_id(identify(row, ("s",))[0]["community"]) == "1:LQU9qZlK+B5F3KDmev6m5PMibrg="


@pytest.mark.parametrize("family", [4, 6])
def test_community_ids_are_those_of_the_communityid_package(family):
    chance = random.Random(family)
    judge = communityid.CommunityID()
    for _ in range(200):
        width = 32 if family == 4 else 128
        make = ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address
        one, other = (str(make(chance.getrandbits(width) >> chance.choice([0, 8]))) for _ in range(2))
        other = chance.choice([other, one])  # equal addresses are put in order by their ports
        ports = chance.randrange(65536), chance.randrange(65536)
        want = judge.calc(communityid.FlowTuple.make_tcp(one, other, *ports))
        got = identify(record((one, ports[0]), (other, ports[1])), ("s",))[0]["community"]
        assert community_id(got) == want


def test_two_hosts_that_saw_the_isn_share_the_flow_id_but_not_the_view_id():
    ends = ("10.0.0.1", 40000), ("10.0.0.2", 443)
    a = flow_and_view(record(*ends, id_isn=77, start_ns=1000, first_seq=77), ("a",))
    b = flow_and_view(record(*ends, id_isn=77, start_ns=2000, first_seq=5), ("b",))
    assert a[0] == b[0]
    assert a[1] != b[1]


def test_who_is_the_originator_is_in_no_id():
    one, other = ("10.0.0.1", 40000), ("10.0.0.2", 443)
    assert flow_and_view(record(one, other, id_isn=9)) == flow_and_view(record(other, one, id_isn=9))


@pytest.mark.parametrize(
    ("change", "sensors"),
    [
        ({"id_isn": 78}, ("web-01",)),
        ({"domain": 1}, ("web-01",)),
        ({"higher_port": 444}, ("web-01",)),
        ({"lower_ip": halves("10.0.0.9")}, ("web-01",)),
    ],
)
def test_each_part_of_a_known_flow_changes_its_id(change, sensors):
    row = record(("10.0.0.1", 40000), ("10.0.0.2", 443), id_isn=77)
    before = flow_and_view(row)
    for name, value in change.items():
        row[name] = value
    after = flow_and_view(row, sensors)
    assert before[0] != after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize(
    ("change", "sensors"),
    [({"start_ns": 6}, ("web-01",)), ({"first_seq": 6}, ("web-01",)), ({}, ("web-02",))],
)
def test_without_an_isn_the_sensor_and_the_first_segment_name_the_flow(change, sensors):
    row = record(("10.0.0.1", 40000), ("10.0.0.2", 443), id_isn=-1, start_ns=5, first_seq=5)
    before = flow_and_view(row)
    for name, value in change.items():
        row[name] = value
    assert flow_and_view(row, sensors)[0] != before[0]


def test_the_incarnation_is_in_no_id():
    row = record(("10.0.0.1", 40000), ("10.0.0.2", 443), id_isn=77)
    before = flow_and_view(row)
    row["gen"] = 3
    assert flow_and_view(row) == before


def test_no_records_have_no_ids():
    assert len(identify(np.zeros(0, EVENT_RECORD), ())) == 0


def test_a_record_of_an_unknown_sensor_is_refused():
    row = record(("10.0.0.1", 1), ("10.0.0.2", 2), sensor=1)
    with pytest.raises(IndexError, match="names sensor 1 of 1"):
        identify(row, ("only",))
