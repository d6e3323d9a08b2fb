"""`synfin explain`: the same words from a capture and from what was stored, and the packets that they rest on."""

import json
import re

import pytest

from tests.unit.read.test_read import CAPTURES, LOCAL, TOP, records, synfin

DEMO = TOP / "synfin" / "demo" / "connections.pcapng"
NAMES = ("client_closes", "server_aborts", "refused_ipv6", "unanswered", "left_open", "keepalive_gives_up", "fast_open")


def flow_ids(path):
    return [flow["flow_id"] for flow in records(synfin("read", "--json", *LOCAL, path))]


def told(*words):
    done = synfin("explain", *words)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.parametrize("name", NAMES)
def test_what_was_stored_is_told_as_the_capture_is(name, tmp_path):
    path, stored = CAPTURES / name / "a.pcap", tmp_path / "records.jsonl"
    flows, events = (synfin("read", form, *LOCAL, path).stdout for form in ("--json", "--events"))
    stored.write_bytes(flows + events)
    for flow_id in flow_ids(path):
        text = told(flow_id, path, *LOCAL)
        assert text == told(flow_id[:20], "--in", stored)
        wanted = {
            (packet["from"], packet["seq"])
            for event in map(json.loads, events.splitlines())
            if event["flow_id"] == flow_id and event["kind"] != "transition"
            for packet in event["evidence"]
        }
        listed = re.findall(r"^ +[+-].*?(originator|responder) .*?seq (\d+)", text, re.MULTILINE)
        assert {({"originator": "orig", "responder": "resp"}[who], int(seq)) for who, seq in listed} == wanted


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("client_closes", "Closed by the originator (the active closer) in four segments"),
        ("server_aborts", "Aborted: the responder sent RST"),
        ("server_aborts", "teardown.abort, alert.abnormal_teardown  seen in the packets"),
        ("refused_ipv6", "The responder refused"),
        ("unanswered", "of the responder no packet was seen"),
        ("left_open", "Still open where the capture ends"),
        ("unread_data", "sent RST (unread data or linger 0 or killed)"),
        ("fast_open", "Opened by TCP Fast Open"),
    ],
)
def test_the_paragraph_says_what_happened(name, says):
    path = CAPTURES / name / "a.pcap"
    assert says in re.sub(r"\n(?=\S)", " ", told(flow_ids(path)[0], path, *LOCAL))


def test_the_demonstration_s_abort_reads_so():
    assert told("55a9", DEMO).splitlines()[3:] == [
        "Opened by a three-way handshake, 13.9 µs from SYN to SYN,ACK, 11.3 µs from SYN,ACK to ACK. The",
        "originator sent 18 B in 5 packets; the responder sent 27 B in 3 packets. Aborted: the originator",
        "sent RST (unread data or linger 0 or killed). The originator is last CLOSED (seen in the packets),",
        "the responder is last CLOSED (seen in the packets). ALERT: abnormal teardown.",
        "",
        "handshake.three_way  seen in the packets",
        "     +0 ns  originator  SYN seq 0            the SYN",
        "  +13.9 µs  responder   SYN,ACK seq 0 ack 1  the SYN,ACK",
        "  +25.2 µs  originator  ACK seq 1 ack 1      the ACK that completes the handshake",
        "",
        "teardown.abort, alert.abnormal_teardown  seen in the packets",
        "  +20.4 ms  originator  RST,ACK seq 19 ack 28  the RST",
    ]


def test_a_refusal_rests_on_the_rst_too():
    assert told("c59d", DEMO).splitlines()[-3:] == [
        "handshake.rejected  proved by the packets, but not the moment",
        "     +0 ns  originator  SYN seq 0            the SYN",
        "  +12.1 µs  responder   RST,ACK seq 0 ack 1  the RST",
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("0123", DEMO), "0123: there is no such connection"),
        (("55A9", DEMO), "is not the beginning of a flow_id"),
        (("55a9", DEMO, "--in", "events"), "name one of them"),
        (("55a9", "--in", "no/such"), "there is no such file or folder"),
    ],
)
def test_what_is_wrong_is_said(words, says):
    done = synfin("explain", *words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert says in done.stderr.decode()


@pytest.mark.parametrize(
    "event",
    [None, {"kind": "revised", "corrects": "x"}, {"kind": "teardown.abort", "evidence": [{}]}, {"ts_ns": "then"}],
)
def test_a_record_that_is_not_as_its_schema_says_is_said(tmp_path, event):
    (flow, *_), stored = records(synfin("read", "--json", DEMO)), tmp_path / "records.jsonl"
    written = [{"type": "flow", "flow_id": "9c5f", "view_id": "ab", "start_ns": 1}]
    if event is not None:
        told = {"type": "event", "id": "i", "ts_ns": 1, "view_id": flow["view_id"], "flow_id": flow["flow_id"], **event}
        written = [flow, told]
    stored.write_text("".join(json.dumps(record) + "\n" for record in written))
    done = synfin("explain", "9c5f", "--in", stored)
    assert done.returncode == 1
    assert done.stderr.startswith(b"synfin: a record is not as its schema says"), done.stderr.decode()


def test_what_strangers_wrote_moves_no_cursor(tmp_path):
    flow, *_ = records(synfin("read", "--json", DEMO))
    event = next(e for e in records(synfin("read", "--events", DEMO)) if e["kind"] == "handshake.three_way")
    flow["sensor"] = "evil\x1b[2J"
    event["evidence"][0]["flags"] = "S\x1b[2J"
    stored = tmp_path / "records.jsonl"
    stored.write_text("".join(json.dumps(record) + "\n" for record in (flow, event)))
    assert "\x1b" not in told(flow["flow_id"], "--in", stored)
