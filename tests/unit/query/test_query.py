"""`synfin query` as a user calls it, over what a sink leaves: finished files, one that grows, other files beside."""

import csv
import io
import json
import shutil
from collections import Counter
from datetime import UTC, datetime

import pytest

from synfin import query_cli
from synfin.query import reports
from tests.unit.read.test_read import CAPTURES, records, synfin

NAMES = ("client_closes", "client_aborts_ipv6", "refused", "server_aborts", "simultaneous_close", "reset_after_fin")


@pytest.fixture(scope="module")
def lines():
    """Lines of flows and of events of some captures."""
    return {
        form: [
            line
            for name in NAMES
            for line in synfin("read", form, CAPTURES / name / "a.pcap").stdout.splitlines(keepends=True)
        ]
        for form in ("--json", "--events")
    }


@pytest.fixture
def folder(lines, tmp_path):
    """What a sink leaves: two finished files of flows and a live one with a torn end, and one of events."""
    flows = lines["--json"]
    parts = {
        "flows": {"0-00000000000000000000-00000000000000000001.jsonl": flows[:2], "1-00000000000000000000.jsonl": []},
        "events": {"0-00000000000000000000-00000000000000000009.jsonl": lines["--events"]},
    }
    parts["flows"]["3-00000000000000000000.jsonl.live"] = [*flows[2:], flows[0][:200]]
    for topic, files in parts.items():
        place = tmp_path / "events" / f"synfin.{topic}.v1"
        place.mkdir(parents=True)
        for name, content in files.items():
            (place / f"synfin.{topic}.v1-{name}").write_bytes(b"".join(content))
        (place / ".journal").write_bytes(b"\0not a record")
    return tmp_path / "events"


def test_reports_of_the_command_are_those_that_there_are():
    assert tuple(reports.REPORTS) == query_cli.REPORTS


def query(folder, *words, **environment):
    return synfin("query", "--in", folder, *words, **environment)


def by_start(lines):
    return sorted(lines, key=lambda line: (json.loads(line)["start_ns"], json.loads(line)["view_id"]))


def test_flows_come_back_byte_for_byte_in_the_order_of_their_beginning(folder, lines):
    done = query(folder, "--json")
    assert done.stdout.splitlines(keepends=True) == by_start(lines["--json"])
    assert not done.stderr


def test_events_come_back_byte_for_byte_whatever_keys_their_kinds_have(folder, lines):
    done = query(folder, "--events")
    assert sorted(done.stdout.splitlines(keepends=True)) == sorted(lines["--events"])
    times = [event["ts_ns"] for event in records(done)]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("tcp.port == 20010", {"rejected none"}),
        ("ipv6", {"three_way abort"}),
        ('synfin.teardown == "simultaneous"', {"three_way simultaneous"}),
        (
            "ip.addr == 10.77.0.0/16 and not tcp.port in {20010 20180}",
            {"three_way orderly", "three_way simultaneous", "three_way fin_then_rst"},
        ),
    ],
)
def test_a_filter_takes_records(folder, text, found):
    kinds = {
        f"{flow['handshake']['kind']} {flow['teardown']['kind']}" for flow in records(query(folder, "--json", text))
    }
    assert kinds == found


def test_a_person_sees_the_words_that_read_prints(folder):
    shown = query(folder, "tcp.port == 20010").stdout.decode().splitlines()
    read = synfin("read", CAPTURES / "refused" / "a.pcap").stdout.decode().splitlines()
    assert len(shown) == len(read) == 2
    assert set(read[1].split()[1:]) <= set(shown[1].split())
    assert shown[0].split() == read[0].split()


def test_times_bound_what_is_asked(folder, lines):
    first = json.loads(by_start(lines["--json"])[0])
    second = first["start_ns"] // 10**9
    zone = {"TZ": "UTC"}
    since = query(folder, "--json", "--since", "1970-01-01T00:00:00", "--until", "1990-01-01", **zone)
    assert records(since) == []
    assert since.stderr == b"no records\n"
    stamp = str(datetime.fromtimestamp(second + 1, UTC))
    until = records(query(folder, "--json", "--until", stamp))
    assert first in until
    assert len(until) < len(lines["--json"])


def test_talkers_are_counted_from_both_ends(folder, lines):
    rows = list(csv.DictReader(io.StringIO(query(folder, "--report", "talkers", "--csv").stdout.decode())))
    sent, connections = Counter(), Counter()
    for flow in map(json.loads, lines["--json"]):
        for end in ("orig", "resp"):
            sent[flow[end]["ip"]] += flow[end]["bytes"]
            connections[flow[end]["ip"]] += 1
    assert {row["address"]: int(row["sent"]) for row in rows} == sent
    assert {row["address"]: int(row["connections"]) for row in rows} == connections


def test_resets_name_who_reset_whom(folder, lines):
    rows = records(query(folder, "--report", "resets", "--json"))
    wanted = Counter()
    for flow in map(json.loads, lines["--json"]):
        by = flow["teardown"]["by"] or ("resp" if flow["handshake"]["kind"] == "rejected" else None)
        if by:
            wanted[flow[by]["ip"], flow["resp"]["port"]] += 1
    assert sum(wanted.values()) >= 4
    assert {(row["reset_by"], row["service"]): row["times"] for row in rows} == wanted


def test_the_slowest_handshake_comes_first(folder, lines):
    (row,) = records(query(folder, "--report", "handshakes", "--limit", "1", "--json"))
    shakes = [flow["handshake"] for flow in map(json.loads, lines["--json"])]
    slowest = max(
        (s for s in shakes if s["syn_rtt_ns"] is not None), key=lambda s: s["syn_rtt_ns"] + (s["ack_rtt_ns"] or 0)
    )
    assert (row["syn_to_synack"], row["synack_to_ack"]) == (slowest["syn_rtt_ns"], slowest["ack_rtt_ns"])


def test_states_are_those_of_the_transitions_at_each_moment(lines, tmp_path):
    path = tmp_path / "one.jsonl"
    path.write_bytes(lines["--json"][0])
    rows = records(query(path, "--report", "states", "--json"))
    assert 10 < len(rows) <= 41
    for row in rows:
        wanted = Counter()
        for flow in [json.loads(lines["--json"][0])]:
            for end in ("orig", "resp"):
                steps = [step for step in flow["transitions"] if step["endpoint"] == end]
                before = [step for step in steps if step["t_ns"] <= row["time"]]
                if before and (last := before[-1])["to"] not in ("CLOSED", "LISTEN", "UNKNOWN"):
                    ends = last["t_ns"] + 60 * 10**9 if last["to"] == "TIME-WAIT" else flow["end_ns"]
                    wanted[last["to"]] += last is not steps[-1] or row["time"] < ends
        assert {state: n for state, n in row.items() if state != "time" and n} == {s: n for s, n in wanted.items() if n}
    assert sum(row["ESTABLISHED"] for row in rows)


def test_sql_asks_anything_of_both_relations(folder, lines):
    sql = "SELECT kind, count(*) AS n FROM events JOIN flows USING (view_id) GROUP BY kind ORDER BY kind"
    counts = Counter(event["kind"] for event in map(json.loads, lines["--events"]) if event["type"] == "event")
    assert {row["kind"]: row["n"] for row in records(query(folder, "--sql", sql, "--json"))} == counts
    shown = query(folder, "--sql", "SELECT teardown.kind AS how, orig FROM flows ORDER BY 1 LIMIT 1").stdout.decode()
    assert shown.split()[:3] == ["HOW", "ORIG", "abort"]


def test_sql_reads_no_other_file_and_changes_no_setting(folder, tmp_path):
    other = tmp_path.parent / f"{tmp_path.name}-other.csv"
    other.write_text("secret\n")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for sql in (
        f"SELECT * FROM read_csv('{other}')",
        f"COPY (SELECT 1) TO '{other}'",
        f"COPY (SELECT 1 AS a) TO '{next((folder / 'synfin.flows.v1').iterdir())}'",
        "SELECT 1; SELECT 2",
        "EXPLAIN ANALYZE SELECT 1",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "ATTACH 'other.db'",
    ):
        done = query(folder, "--sql", sql)
        assert done.returncode in (1, 2), sql
        assert b"secret" not in done.stdout
        assert done.stderr.startswith(b"synfin: "), done.stderr
        assert b"Traceback" not in done.stderr
    assert other.read_text() == "secret\n"
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--sql", "SELEC 1"), 2, "syntax error"),
        (("--sql", "SELECT 1", "tcp"), 2, "--sql says it all"),
        (("frame.len > 3",), 2, "only of its packets"),
        (('synfin.history matches "(?=S)"',), 2, "RE2"),
        (("--since", "yesterday"), 2, "a time is wanted"),
        (("--limit", "-1"), 2, "a whole number"),
        (("--csv",), 2, "records nest"),
        (("tcp.prot == 3",), 2, "did you mean"),
    ],
)
def test_what_is_wrong_is_said(folder, words, code, says):
    done = query(folder, *words)
    assert (done.returncode, done.stdout) == (code, b"")
    assert says in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_places_that_hold_no_records_are_said(folder, tmp_path):
    assert "there is no such file" in query(tmp_path / "none").stderr.decode()
    assert "has no folder synfin.flows.v1" in query(tmp_path).stderr.decode()
    assert "cannot be asked" in query(tmp_path / "ev*").stderr.decode()
    wrong = folder / "synfin.flows.v1" / "synfin.flows.v1-9-00000000000000000000-00000000000000000001.jsonl"
    wrong.write_bytes(b'{"type": "flow", "start_ns": "then"}\n')
    done = query(folder)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert wrong.name in done.stderr.decode()


@pytest.mark.parametrize("words", [(), ("--as", "ecs"), ("--as", "zeek-tsv")])
def test_a_record_that_lacks_what_the_schema_asks_for_is_said(tmp_path, words):
    path = tmp_path / "lacking.jsonl"
    path.write_text('{"type": "flow", "view_id": "ab", "start_ns": 1}\n')
    done = query(path, *words)
    assert done.returncode == 1
    assert done.stderr.startswith(b"synfin: a record is not as its schema says")
    assert len(done.stderr.splitlines()) == 1


def test_what_is_no_address_is_no_value_and_spoils_no_question(lines, tmp_path):
    flow = json.loads(lines["--json"][0])
    wrong = ["1:2:3:4:5:6:7:8:9", "12345::", ":::", "::g", "300.1.2.3.4", "1.2.3", "::ffff:1.2", "", "a:b", None]
    path = tmp_path / "strange.jsonl"
    strange = [{**flow, "orig": {**flow["orig"], "ip": ip}} for ip in wrong]
    path.write_text("".join(json.dumps(record) + "\n" for record in [*strange, flow]))
    assert records(query(path, "--json", "all ip.addr == 10.77.0.0/16 and !ipv6"))[-1] == flow
    assert query(path, "--json", "ipv6.addr == ::/0").returncode == 0


def test_records_come_from_a_pipe_too(lines):
    done = synfin("query", "--in", "-", "--json", "tcp.port == 20010", stdin=b"".join(lines["--json"]))
    assert [flow["handshake"]["kind"] for flow in records(done)] == ["rejected"]


def test_without_in_the_sink_s_own_folder_is_asked(folder, lines, tmp_path):
    done = synfin("query", "--json", SYNFIN_SINK_FOLDER=str(folder))
    assert len(records(done)) == len(lines["--json"])
    shutil.move(folder / "synfin.flows.v1", folder / "other.flows.v1")
    done = synfin("query", "--json", SYNFIN_SINK_FOLDER=str(folder), SYNFIN_TOPICS_PREFIX="other")
    assert len(records(done)) == len(lines["--json"])
