"""`synfin read`, `run -r` and `ladder` as a user calls them, in plain Python: small files need no compiled path."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
CAPTURES = TOP / "tests" / "captures"
CLOSES = CAPTURES / "client_closes" / "a.pcap"
LOCAL = ("--local", "10.77.0.1,fd77::1")


def synfin(*words, stdin=b"", **environment):
    return subprocess.run(
        [sys.executable, "-m", "synfin.cli", *map(str, words)],
        input=stdin,
        capture_output=True,
        cwd=TOP,
        env={**os.environ, "SYNFIN_COMPILED": "0", **environment},
        timeout=120,
        check=False,
    )


def records(done):
    assert done.returncode in (0, 3), done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_close_tells_who_opened_how_and_who_closed():
    (flow,) = records(synfin("read", "--json", *LOCAL, CLOSES))
    assert flow["type"] == "flow"
    assert flow["local"] == "orig"
    assert flow["handshake"]["kind"] == "three_way"
    assert flow["handshake"]["validated"]
    assert flow["teardown"] == {
        "kind": "orderly",
        "segments": "four",
        "active_closer": "orig",
        "by": None,
        "rst_form": None,
        "cause": [],
    }
    assert [flow[end]["state"] for end in ("orig", "resp")] == ["TIME-WAIT", "CLOSED"]
    trail = [step["to"] for step in flow["transitions"] if step["endpoint"] == "orig"]
    assert trail == ["SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"]
    assert not flow["alerts"]


def test_an_abort_raises_the_alert():
    events = records(synfin("read", "--events", *LOCAL, CAPTURES / "client_aborts" / "a.pcap"))
    kinds = [event["type"] if event["type"] != "event" else event["kind"] for event in events]
    assert kinds.count("teardown.abort") == kinds.count("alert.abnormal_teardown") == 1
    assert "transition" in kinds
    (alert,) = (event for event in events if "alert.abnormal_teardown" in event.values())
    assert alert["severity"] == "alert"
    assert {"rst"} <= {packet["role"] for packet in alert["evidence"]}


def test_a_refused_connection_is_no_alert():
    (flow,) = records(synfin("read", "--json", *LOCAL, CAPTURES / "refused" / "a.pcap"))
    assert flow["handshake"]["kind"] == "rejected"
    assert flow["teardown"]["kind"] == "none"
    assert not flow["alerts"]


def test_text_has_a_line_for_each_connection_and_no_colour_in_a_pipe():
    done = synfin("read", *LOCAL, CLOSES, CAPTURES / "refused" / "a.pcap")
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0
    assert len(lines) == 3
    assert "three-way" in lines[1]
    assert "refused" in lines[2]
    assert "\x1b" not in done.stdout.decode()


def test_standard_input_and_several_vantage_points():
    one = records(synfin("read", "--json", *LOCAL, "-", stdin=CLOSES.read_bytes()))
    assert [flow["sensor"] for flow in one] == ["stdin"]
    b = CLOSES.with_name("b.pcap")
    both = records(synfin("read", "--json", "--sensor", f"near={CLOSES}", "--sensor", f"far={b}"))
    assert [flow["sensor"] for flow in both] == ["near", "far"]
    assert len({flow["flow_id"] for flow in both}) == 1
    assert len({flow["view_id"] for flow in both}) == 2


def test_sorted_by_the_first_packet():
    flows = records(synfin("read", "--json", "--sort", "start", CAPTURES / "left_open" / "a.pcap", CLOSES))
    starts = [flow["start_ns"] for flow in flows]
    assert starts == sorted(starts)
    assert len(flows) >= 2


def test_a_file_cut_in_the_middle_gives_what_is_whole_and_says_where_it_ended():
    whole = CLOSES.read_bytes()
    done = synfin("read", "--json", "-", stdin=whole[:-20])
    assert done.returncode == 3
    assert len(records(done)) == 1
    (said,) = done.stderr.decode().splitlines()
    assert said.startswith("synfin read: ")
    assert "standard input" in said


def test_a_corrupt_length_ends_the_file_there():
    data = bytearray(CLOSES.read_bytes())
    second = 24 + 16 + struct.unpack_from("<I", data, 24 + 8)[0]
    struct.pack_into("<I", data, second + 8, 0x7FFFFFFF)
    done = synfin("read", "--json", "-", stdin=bytes(data))
    assert done.returncode == 3
    assert [flow["orig"]["packets"] + flow["resp"]["packets"] for flow in records(done)] == [1]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["read"], 2, "name at least one capture file"),
        (["read", "/nowhere/x.pcap"], 1, "cannot be opened"),
        (["read", "README.md"], 1, "README.md"),
        (["read", "--local", "10.0.0.300", CLOSES], 2, "10.0.0.300"),
        (["read", "--sensor", "name-alone"], 2, "NAME=FILE"),
        (["read", "--sort", "start", CLOSES], 2, "--json"),
        (["read", "-", "-"], 2, "standard input"),
        (["run", "-r", CLOSES, "-i", "lo"], 2, "-r and -i"),
        (["run", "-r", CLOSES, "tcp", "prot", "80"], 2, "tcp prot 80"),
        (["ladder", "-"], 2, "twice"),
        (["ladder", CLOSES, "--flow", "ffffffff"], 2, "no such connection"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(words, code, says):
    done = synfin(*words)
    assert done.returncode == code
    assert says in done.stderr.decode()
    assert len(done.stderr.decode().splitlines()) <= 2
    assert "Traceback" not in done.stderr.decode()


def test_a_reader_that_has_enough_ends_it_quietly():
    command = f"'{sys.executable}' -m synfin.cli read --json '{CLOSES}' | head -c 1 >/dev/null"
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        capture_output=True,
        cwd=TOP,
        env={**os.environ, "SYNFIN_COMPILED": "0"},
        timeout=120,
        check=False,
    )
    assert done.stderr == b""


def test_a_filter_chooses_among_a_files_packets():
    port = records(synfin("read", "--json", CLOSES))[0]["resp"]["port"]
    one = synfin("run", "--json", "-r", CLOSES, "tcp", "port", port)
    none = synfin("run", "--json", "-r", CLOSES, "not", "tcp", "port", port)
    assert len(records(one)) == 1
    assert records(none) == []


def test_the_ladder_shows_packets_and_both_ends_states():
    text = synfin("ladder", CLOSES, *LOCAL, "--width", "100").stdout.decode()
    for word in ("SYN seq 0", "SYN,ACK seq 0 ack 1", "FIN-WAIT-1", "CLOSE-WAIT", "LAST-ACK", "TIME-WAIT"):
        assert word in text
    assert "Closed by the originator" in text
