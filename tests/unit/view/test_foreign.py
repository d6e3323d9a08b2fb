"""Flow records in the terms of others: read back as those read them, and held against the record."""

import json
import re

import pytest

from synfin.query_cli import FORMS
from synfin.view import foreign
from tests.unit.read.test_read import CAPTURES, LOCAL, records, synfin

NAMES = ("client_closes_ipv6", "client_aborts", "refused", "unanswered", "left_open", "data_lost", "fast_open")
ACTIVITIES = {"client_closes_ipv6": 2, "client_aborts": 3, "refused": 5, "unanswered": 4, "left_open": 6}
EVENT_TYPES = {
    "access",
    "allowed",
    "connection",
    "denied",
    "end",
    "info",
    "protocol",
    "start",
}  # of ECS's category network


@pytest.fixture(scope="module")
def flows():
    return {name: records(synfin("read", "--json", *LOCAL, CAPTURES / name / "a.pcap"))[0] for name in NAMES}


@pytest.fixture(scope="module")
def stored(flows, tmp_path_factory):
    path = tmp_path_factory.mktemp("foreign") / "flows.jsonl"
    path.write_text("".join(json.dumps(flow) + "\n" for flow in flows.values()))
    return path


def query(stored, form):
    done = synfin("query", "--in", stored, "--as", form)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_forms_are_those_that_there_are():
    assert FORMS == foreign.FORMS


def zeek(text):
    """A log as its head says it is to be read."""
    head, rows = {}, []
    for line in text.splitlines():
        if line.startswith("#separator "):
            separator = line.removeprefix("#separator ").encode().decode("unicode_escape")
        elif line.startswith("#"):
            name, _, rest = line[1:].partition(separator)
            head[name] = rest
        else:
            rows.append(line.split(separator))
    fields, types = head["fields"].split(separator), head["types"].split(separator)
    assert all(len(row) == len(fields) == len(types) for row in rows)
    kinds = {"time": float, "interval": float, "count": int, "port": int, "bool": {"T": True, "F": False}.__getitem__}
    unset = head["unset_field"]
    assert head["path"] == "conn"
    assert re.fullmatch(r"(\d+-){5}\d+", head["open"])
    assert re.fullmatch(r"(\d+-){5}\d+", head["close"])
    return [{f: kinds.get(t, str)(v) for f, t, v in zip(fields, types, row, strict=True) if v != unset} for row in rows]


def test_zeek_s_text_and_json_say_the_same_of_the_record(flows, stored):
    as_text, as_json = zeek(query(stored, "zeek-tsv")), [*map(json.loads, query(stored, "zeek-json").splitlines())]
    assert as_text == as_json
    by_tuple = {(row["id.orig_h"], row["id.orig_p"]): row for row in as_text}
    assert len({row["uid"] for row in as_text}) == len(flows)
    for flow in flows.values():
        row = by_tuple[flow["orig"]["ip"], flow["orig"]["port"]]
        assert abs(row["ts"] * 1e9 - flow["start_ns"]) < 2000
        assert (row["conn_state"], row["history"]) == (flow["conn_state"], flow["history"])
        assert (row["orig_pkts"], row["resp_ip_bytes"]) == (flow["orig"]["packets"], flow["resp"]["ip_bytes"])
        assert row["missed_bytes"] == flow["capture_loss"]["gap_bytes"]
        assert re.fullmatch("C[0-9A-Za-z]{17}", row["uid"])
        assert row["proto"] == "tcp"
        assert row.get("local_orig", False) == (flow["local"] in ("orig", "both"))
        last = max(flow[end]["last_ns"] or 0 for end in ("orig", "resp"))
        assert row.get("duration", 0) == pytest.approx((last - flow["start_ns"]) / 1e9, abs=1e-6)


def test_ecs_has_its_fields_and_keeps_what_it_has_no_name_for(flows, stored):
    for name, document in zip(flows, sorted_as(flows, query(stored, "ecs"), lambda d: d["event"]["id"]), strict=True):
        flow = flows[name]
        assert set(document["event"]["type"]) <= EVENT_TYPES
        assert ("denied" in document["event"]["type"]) == (name == "refused")
        assert ("end" in document["event"]["type"]) == (flow["end_reason"] != "eof")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", document["@timestamp"])
        assert document["network"]["bytes"] == document["source"]["bytes"] + document["destination"]["bytes"]
        assert document["network"]["type"] == ("ipv6" if name.endswith("ipv6") else "ipv4")
        assert document["synfin"]["state"] == {end: flow[end]["state"] for end in ("orig", "resp")}


def test_ocsf_says_what_became_of_the_connection(flows, stored):
    for name, event in zip(flows, sorted_as(flows, query(stored, "ocsf"), lambda e: e["metadata"]["uid"]), strict=True):
        if name in ACTIVITIES:
            assert event["activity_id"] == ACTIVITIES[name]
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        assert {"time", "category_uid", "severity_id", "metadata"} <= event.keys()
        assert {"version", "product"} <= event["metadata"].keys()
        assert "direction_id" in event["connection_info"]
        assert event["duration"] == event["end_time"] - event["start_time"]
        assert event["traffic"]["bytes_out"] == flows[name]["orig"]["ip_bytes"]
        assert bool(event["connection_info"]["tcp_flags"] & 4) == ("R" in flows[name]["history"].upper())


def sorted_as(flows, text, name):
    documents = {name(document): document for document in map(json.loads, text.splitlines())}
    return [documents[flow["view_id"]] for flow in flows.values()]


def test_a_text_of_strangers_breaks_no_line_of_zeek_s():
    assert foreign._zeek_text("a\tb\\\x1bü\n") == "a\\x09b\\x5c\\x1bü\\x0a"


def test_forms_are_of_connections_alone(stored):
    done = synfin("query", "--in", stored, "--as", "ecs", "--events")
    assert (done.returncode, done.stdout) == (2, b"")
    assert "--as is of connections" in done.stderr.decode()
