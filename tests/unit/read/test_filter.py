"""`synfin read -Y`: the connections with a packet that passes, and records that pass themselves."""

import json

import pytest

from synfin.embedded import Reading, Source
from synfin.filter.check import understand
from synfin.filter.records import flows_passing, wanted
from synfin.packets.selection import Selection
from synfin.wire.jsonl import flow_lines
from tests.unit.read.test_read import CAPTURES, CLOSES, TOP, records, synfin

DEMO = TOP / "synfin" / "demo" / "connections.pcapng"  # a close, a refusal, an abort


def opened(done):
    return [flow["handshake"]["kind"] + " " + flow["teardown"]["kind"] for flow in records(done)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("tcp", ["three_way orderly", "rejected none", "three_way abort"]),
        ("tcp.flags.fin == 1", ["three_way orderly"]),
        ("tcp.flags.reset == 1 && tcp.seq == 1 && tcp.len == 0", ["rejected none"]),
        ('tcp.payload contains "GET"', ["three_way orderly", "three_way abort"]),
        ("tcp.completeness == 31 && tcp.len > 0", ["three_way orderly"]),
        ("tcp.options.mss_val > 1 && tcp.flags.ack == 1", ["three_way orderly", "three_way abort"]),
        ("!tcp.options", ["rejected none"]),
        ("tcp.port == 35795", ["rejected none"]),
        ("tcp.port != 35795", ["three_way orderly", "three_way abort"]),
        ("ip.addr == 127.0.0.0/8 and not tcp.port in {35795 80}", ["three_way orderly", "three_way abort"]),
        ('synfin.conn_state == "REJ"', ["rejected none"]),
        (
            'synfin.history matches "^ShA.*F.*$" || synfin.handshake == "rejected"',
            ["three_way orderly", "rejected none"],
        ),
        ('synfin.state.orig == "TIME-WAIT" && ip', ["three_way orderly"]),
        ('synfin.teardown contains "abort"', ["three_way abort"]),
        ('synfin.flow_id matches "^9c5f"', ["three_way orderly"]),
        ("ipv6", []),
    ],
)
def test_the_connections_that_a_filter_takes(text, found):
    assert opened(synfin("read", "--json", "-Y", text, DEMO)) == found


def flows(path, text, judge):
    """Ports of the flows of a capture that pass a filter, by packets (`wanted`) or by records."""
    made = understand(text)
    reading = Reading([Source("tap", str(path))], None, selection=Selection(made) if judge == "packets" else None)
    found = []
    for piece in reading.records():
        passing = wanted(piece) if judge == "packets" else flows_passing(piece, made)
        found += [json.loads(line) for line in flow_lines(passing).values()]
    return sorted((flow["flow_id"], flow["gen"]) for flow in found)


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*/a.pcap")), ids=lambda path: path.parent.name)
def test_what_a_record_can_answer_it_answers_as_the_packets_do(path):
    for text in ("ip", "tcp.port == 20080", "tcp.port != 20080", "ipv6.addr == fd77::/64", "!(tcp.port > 20080)"):
        assert flows(path, text, "packets") == flows(path, text, "records"), text
    for text in ("tcp.completeness == 31", "tcp.completeness & 32", "count(tcp.port) == 2"):
        if "rejected_by_router" not in str(path):  # the ICMP error's own packet is one too
            assert flows(path, text, "packets") == flows(path, text, "records"), text


def test_an_icmp_error_belongs_to_the_connection_that_it_is_about():
    path = CAPTURES / "rejected_by_router" / "a.pcap"
    assert len(flows(path, "icmp.type == 3", "packets")) == 1
    assert flows(path, "udp || icmp.type == 8", "packets") == []


def test_events_are_chosen_by_their_connection():
    events = records(synfin("read", "--events", "-Y", "tcp.port == 35795", DEMO))
    assert {event["kind"] for event in events} >= {"handshake.rejected"}
    assert len({event["flow_id"] for event in events}) == 1
    done = synfin("read", "--events", "-Y", "tcp.seq == 1", DEMO)
    assert done.returncode == 2
    assert "tcp.seq is not known of an event" in done.stderr.decode()


def test_a_wrong_filter_ends_it_before_anything_is_read():
    done = synfin("read", "-Y", "tcp.port === 80 && tcp.flags.rst", "/nowhere/x.pcap")
    assert done.returncode == 2
    assert done.stdout == b""
    said, shown, carets = done.stderr.decode().splitlines()
    assert said == "synfin: filter: there is no field tcp.flags.rst; did you mean tcp.flags.reset?"
    assert shown[carets.index("^") :] == "tcp.flags.rst"


def test_hints_go_to_standard_error_and_nothing_found_is_said_there_too():
    done = synfin("read", "-Y", "tcp.flags.syn and tcp.port in {1 2}", DEMO)
    assert done.returncode == 0
    assert done.stdout == b""
    hints = done.stderr.decode().splitlines()
    assert "tcp.flags.syn == 1" in hints[0]
    assert "{1, 2}" in hints[1]
    assert hints[2] == "no connection passes the filter"


def test_completeness_takes_two_readings():
    done = synfin("read", "-Y", "tcp.completeness == 31 && tcp.seq == 0", "-", stdin=CLOSES.read_bytes())
    assert done.returncode == 2
    assert "standard input" in done.stderr.decode()
    one_is_enough = synfin("read", "--json", "-Y", "tcp.seq == 0", "-", stdin=CLOSES.read_bytes())
    assert len(records(one_is_enough)) == 1
