"""Whole lines: the text of one known connection, the bounds of the buffer, and what a producer takes."""

import json

import numpy as np
import pytest

from synfin.wire import event as ev
from synfin.wire.event import EVENT_KINDS, EVENT_RECORD, EVIDENCE, FLOW_RECORD, TRANSITION, Records
from synfin.wire.event_line import EVENT_MAX, EVIDENCE_MAX
from synfin.wire.flow_line import FLOW_MAX, TRANSITION_MAX
from synfin.wire.jsonl import event_lines, flow_lines
from synfin.wire.segment import ACK, FIN, HIGHER, PSH, SYN
from tests.support.json_records import HISTORY, records_from
from tests.support.json_records import lines as lines_by_orjson

T = 1_760_000_000_000_000_000


def history(text):
    """Letters as three words of six, the last word the shortest."""
    words = [0, 0, 0]
    for i, letter in enumerate(text):
        words[i // 6] = words[i // 6] << 5 | HISTORY.index(letter)
    return words


def one_flow():
    """A client on the capturing host that closed first, with two of its transitions."""
    row = np.zeros(1, FLOW_RECORD)
    row["lower_ip"], row["higher_ip"] = (0, 0xFFFF_0A00_0001), (0, 0xFFFF_0A00_0002)
    row["lower_port"], row["higher_port"], row["orig"], row["family"] = 443, 40000, HIGHER, 4
    row["start_ns"], row["end_ns"], row["id_isn"], row["gen"] = T, T + 9, 7, 1
    row["local"] = ev.LOCAL.index("orig")
    row["local_how"] = ev.LOCAL_HOW.index("capture")
    row["orient"] = ev.ORIENT.index("syn")
    row["handshake"], row["syn_rtt_ns"], row["ack_rtt_ns"] = ev.HANDSHAKES.index("three_way"), 1500, -1
    row["syn_count"], row["synack_count"], row["validated"], row["completeness"] = 1, 2, 1, 31
    row["teardown"], row["segments"] = ev.TEARDOWNS.index("orderly"), ev.SEGMENTS.index("three")
    row["active_closer"], row["cause"], row["dropped"], row["log_n"] = 1, 0b110000, 3, 2
    row["conn_state"], row["history"] = ev.CONN_STATES.index("SF"), history("ShADadFf+")
    row["signature"], row["end_code"] = ev.SIGNATURES.index("ack_rst_rst"), 3
    row["alerts"] = 1 << EVENT_KINDS.index("alert.abnormal_teardown") | 1
    ends = row["ends"][0]
    ends["flags"] = SYN | ACK | PSH | FIN, ACK
    ends["state"] = ev.STATES.index("TIME-WAIT"), ev.STATES.index("CLOSED")
    ends["bytes"], ends["ip_bytes"], ends["packets"] = (10, 20), (110, 120), (4, 5)
    ends["first_ns"], ends["last_ns"], ends["isn"] = (T, -1), (T + 8, -1), (7, -1)
    ends["mss"], ends["wscale"], ends["sack_permitted"], ends["gap_bytes"] = 1460, -1, 1, (1, 2)
    steps = np.zeros(2, TRANSITION)
    steps["endpoint"], steps["to"] = (0, 1), (ev.STATES.index("SYN-SENT"), ev.STATES.index("SYN-RECEIVED"))
    steps["event"] = ev.MICRO_EVENTS.index("TX_SYN"), ev.MICRO_EVENTS.index("TX_SYNACK")
    steps["t_ns"], steps["packet_ns"], steps["lag_ns"], steps["certainty"] = (T, T + 5), (T, T + 4), (0, 6), (0, 1)
    return Records(row, steps, np.zeros(0, EVENT_RECORD), np.zeros(0, EVIDENCE), ("web-01",))


def event(kind, **columns):
    """One event with one packet of evidence."""
    row = np.zeros(1, EVENT_RECORD)
    for name in ("lower_ip", "higher_ip", "lower_port", "higher_port", "orig", "family", "start_ns", "id_isn"):
        row[name] = one_flow().flows[name]
    row["kind"], row["ts_ns"], row["evidence_n"], row["value_ns"] = EVENT_KINDS.index(kind), T + 1, 1, -1
    for name, value in columns.items():
        row[name] = value
    packet = np.zeros(1, EVIDENCE)
    packet["t_ns"], packet["flags"], packet["ack"], packet["from"], packet["role"] = T, SYN | ACK, 1, 1, 2
    return Records(np.zeros(0, FLOW_RECORD), np.zeros(0, TRANSITION), row, packet, ("web-01",))


def parsed(records):
    (text,) = event_lines(records).values()
    return json.loads(text)


def test_the_text_of_a_flow():
    (line,) = flow_lines(one_flow()).values()
    flow_id, view_id = json.loads(line)["flow_id"], json.loads(line)["view_id"]
    community_id = json.loads(line)["community_id"]
    assert line.decode() == (
        f'{{"v":1,"type":"flow","flow_id":"{flow_id}","gen":1,"community_id":"{community_id}",'
        f'"start_ns":{T},"end_ns":{T + 9},"end_reason":"end","view_id":"{view_id}",'
        '"sensor":"web-01","local":"orig","local_how":"capture","domain":0,"orient":"syn",'
        '"orig":{"ip":"10.0.0.2","port":40000,"state":"TIME-WAIT","bytes":10,"ip_bytes":110,"packets":4,'
        f'"retransmits":0,"flags":"SAPF","first_ns":{T},"last_ns":{T + 8}}},'
        '"resp":{"ip":"10.0.0.1","port":443,"state":"CLOSED","bytes":20,"ip_bytes":120,"packets":5,'
        '"retransmits":0,"flags":"A","first_ns":null,"last_ns":null},'
        '"handshake":{"kind":"three_way","syn_rtt_ns":1500,"ack_rtt_ns":null,"syn_count":1,"synack_count":2,'
        '"validated":true,"isn_orig":7,"isn_resp":null,'
        '"options":{"orig":{"mss":1460,"wscale":null,"sack":true,"timestamps":false},"resp":null}},'
        '"teardown":{"kind":"orderly","segments":"three","active_closer":"orig","by":null,"rst_form":null,'
        '"cause":["unread_data","linger0_or_kill"]},'
        f'"transitions":[{{"endpoint":"orig","to":"SYN-SENT","event":"TX_SYN","t_ns":{T}}},'
        f'{{"endpoint":"resp","to":"SYN-RECEIVED","event":"TX_SYNACK","t_ns":{T + 5},"lag_ns":6,'
        f'"packet_ns":{T + 4},"certainty":"inferred"}}],'
        '"conn_state":"SF","history":"ShADadFf+","completeness":31,"tampering":"ack_rst_rst","ipfix_end_reason":3,'
        '"capture_loss":{"dropped":3,"gap_bytes":3},"alerts":["alert.abnormal_teardown"]}'
    )


def test_a_handshake_tells_how_long_it_took():
    found = parsed(event("handshake.three_way", value_ns=77, k=2))
    assert found["id"] == f"{found['view_id']}/handshake.three_way/2"
    assert found["syn_rtt_ns"] == 77
    assert "cause" not in found
    assert found["evidence"] == [
        {"t_ns": T, "from": "resp", "flags": "S.", "seq": 0, "ack": 1, "len": 0, "role": "synack"}
    ]


def test_an_abort_tells_who_and_why():
    found = parsed(event("teardown.abort", by=2, rst_form=2, cause=8, value_ns=5, evidence_n=0))
    assert (found["by"], found["rst_form"], found["cause"], found["duration_ns"]) == ("resp", "abort", ["no_socket"], 5)
    assert found["evidence"] == []


def test_a_revision_names_the_event_that_it_takes_back():
    found = parsed(event("revised", corrects=EVENT_KINDS.index("teardown.abort"), corrects_k=4, to=1, k=9))
    assert found["corrects"] == f"{found['view_id']}/teardown.abort/4"
    assert found["to"] == "ESTABLISHED"
    assert "lag_ns" not in found


def test_a_transition_tells_its_lag_when_it_has_one():
    assert parsed(event("transition", value_ns=30))["lag_ns"] == 30


@pytest.mark.parametrize("name", ['a"b\\c', "\x00\x1f\x7f", "\x01" * 64, "ü" * 32, "\u2028 🦊", ""])
def test_names_of_sensors_are_escaped(name):
    records = one_flow()
    records = Records(records.flows, records.transitions, records.events, records.evidence, (name,))
    (line,) = flow_lines(records).values()
    assert json.loads(line)["sensor"] == name
    assert [line] == lines_by_orjson(records)[0]


def test_a_name_of_a_sensor_that_is_too_long_is_refused():
    records = one_flow()
    with pytest.raises(ValueError, match="longer than 64 bytes"):
        flow_lines(Records(records.flows, records.transitions, records.events, records.evidence, ("a" * 65,)))


def test_no_records_give_no_lines():
    empty = records_from((b"", b"", b"", b""), ())
    for lines in (flow_lines(empty), event_lines(empty)):
        assert len(lines) == 0
        assert lines.buffer.tobytes() == b""
        assert list(lines.values()) == []
        assert list(lines.records(np.zeros(384, np.int64))) == []


def test_a_record_that_points_beyond_its_table_is_refused():
    records = one_flow()
    records.flows["log"] = 2**32 - 1
    with pytest.raises(IndexError, match="beyond the 2 rows"):
        flow_lines(records)
    events = event("teardown.idle", evidence_n=2)
    with pytest.raises(IndexError, match="beyond the 1 rows"):
        event_lines(events)


def longest(dtype, **columns):
    """A row whose numbers are the longest of their type, and whose enumerations are given."""
    row = np.zeros(1, dtype)
    for name in dtype.names:
        if dtype[name].base.kind == "i":
            row[name] = np.iinfo(dtype[name].base).min
        elif dtype[name].base.kind == "u":
            row[name] = np.iinfo(dtype[name].base).max
    for name, value in columns.items():
        row[name] = value
    return row


def index_of_longest(names):
    return max(range(len(names)), key=lambda i: len(names[i] or ""))


def longest_flow():
    enumerations = {
        "end_reason": ev.END_REASONS,
        "local": ev.LOCAL,
        "local_how": ev.LOCAL_HOW,
        "orient": ev.ORIENT,
        "handshake": ev.HANDSHAKES,
        "teardown": ev.TEARDOWNS,
        "segments": ev.SEGMENTS,
        "active_closer": ev.SIDES,
        "by": ev.SIDES,
        "rst_form": ev.RST_FORMS,
        "conn_state": ev.CONN_STATES,
        "signature": ev.SIGNATURES,
    }
    indices = {name: index_of_longest(names) for name, names in enumerations.items()}
    counts = {"log": 0, "log_n": 1, "revised_n": 1}
    row = longest(FLOW_RECORD, family=6, orig=HIGHER, sensor=0, validated=0, end_code=3, **counts, **indices)
    for i in range(2):
        row["ends"][:, i] = longest(ev.ENDPOINT_SUMMARY, sack_permitted=0, timestamps=0)
    row["ends"]["state"] = index_of_longest(ev.STATES)
    for end, low in (("lower_ip", 0), ("higher_ip", 1)):
        row[end] = 0x1111_1111_1111_1111, 0x1111_1111_1111_1111 + low
    return row


def test_the_longest_lines_fit_the_buffer():
    step = longest(
        TRANSITION,
        endpoint=0,
        to=index_of_longest(ev.STATES),
        event=index_of_longest(ev.MICRO_EVENTS),
        certainty=index_of_longest(ev.CERTAINTIES),
        packet_ns=-(2**63) + 1,
    )
    packet = longest(EVIDENCE, role=index_of_longest(ev.ROLES), **{"from": 0})
    flow = longest_flow()
    events = np.concatenate([longest(EVENT_RECORD, kind=kind) for kind in range(len(EVENT_KINDS))])
    for name in ("lower_ip", "higher_ip"):
        events[name] = flow[name]
    for name, names in {"to": ev.STATES, "from": ev.STATES, "event": ev.MICRO_EVENTS, "by": ev.SIDES}.items():
        events[name] = index_of_longest(names)
    for name, names in {"certainty": ev.CERTAINTIES, "severity": ev.SEVERITIES, "rst_form": ev.RST_FORMS}.items():
        events[name] = index_of_longest(names)
    events["corrects"] = index_of_longest(EVENT_KINDS)
    for name, value in {
        "family": 6,
        "orig": HIGHER,
        "endpoint": 0,
        "sensor": 0,
        "evidence": 0,
        "evidence_n": 1,
    }.items():
        events[name] = value
    records = Records(flow, np.repeat(step, 2), events, packet, ("\x01" * 64,))
    flows, told = (list(lines.values()) for lines in (flow_lines(records), event_lines(records)))
    assert (flows, told) == lines_by_orjson(records)
    name = 6 * 64 + 2
    steps, revised = (
        json.dumps(json.loads(flows[0])[key][0], separators=(",", ":")) for key in ("transitions", "revised")
    )
    evidence = json.dumps(json.loads(told[0])["evidence"][0], separators=(",", ":"))
    assert max(len(steps), len(revised)) < TRANSITION_MAX
    assert len(evidence) < EVIDENCE_MAX
    assert len(flows[0]) - name - len(steps) - len(revised) < FLOW_MAX
    assert max(map(len, told)) - name - len(evidence) < EVENT_MAX


def test_what_a_producer_takes():
    chance = np.random.default_rng(4)
    records = records_from(
        (chance.bytes(336 * 9), chance.bytes(32 * 20), chance.bytes(136 * 40), chance.bytes(32 * 50)), ("a", "b")
    )
    epochs = np.arange(1000, 1384)
    for lines, rows in ((flow_lines(records), records.flows), (event_lines(records), records.events)):
        assert len(lines) == len(rows)
        for line, value, row in zip(lines.records(epochs), lines.values(), rows, strict=True):
            found = json.loads(value)
            flow = found["type"] == "flow"
            assert line.value == value
            assert line.key.decode() == found["view_id" if flow else "community_id"]
            assert line.ce_id.decode() == found["view_id" if flow else "id"]
            assert line.ce_type.decode() == "synfin." + ("flow" if flow else found["kind"])
            assert line.synfin_seq.decode() == f"{row['slice']}:{1000 + row['slice']}:{row['n']}"


def test_the_buffer_is_the_file():
    chance = np.random.default_rng(6)
    records = records_from((chance.bytes(336 * 5), chance.bytes(32 * 5), b"", b""), ("a",))
    lines = flow_lines(records)
    assert lines.buffer.tobytes() == b"".join(value + b"\n" for value in lines.values())
