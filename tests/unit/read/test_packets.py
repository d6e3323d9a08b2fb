"""`synfin read --packets` and `-T fields`: packets one a line."""

import json

import pytest

from tests.unit.read.test_filter import DEMO
from tests.unit.read.test_read import CAPTURES, CLOSES, LOCAL, synfin


def lines(*words, stdin=b""):
    done = synfin("read", *words, stdin=stdin, TZ="UTC")
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


def test_each_packet_has_its_numbers_and_both_ends_states():
    head, *rows = lines("--packets", *LOCAL, CLOSES)
    assert head.split()[-3:] == ["ORIGINATOR", "/", "RESPONDER"]
    assert len(rows) == 11
    assert rows[0].split() == (
        [
            "1",
            "10:46:43.038745",
            "10.77.0.1:20081",
            "→",
            "10.77.0.2:20080",
            "S",
            "seq",
            "0",
            "win",
            "64240",
            "len",
            "0",
            "SYN-SENT",
            "/",
            "LISTEN",
        ]
    )
    assert rows[3].endswith("ESTABLISHED / ESTABLISHED")
    assert "P.     seq 1:19 ack 1 win 64512 len 18" in rows[3]
    states = [row.rpartition("  ")[2] for row in rows]
    assert states[7:] == [
        "FIN-WAIT-1 / ESTABLISHED",
        "FIN-WAIT-2 / CLOSE-WAIT",
        "TIME-WAIT / LAST-ACK",
        "TIME-WAIT / CLOSED",
    ]


def test_a_filter_leaves_the_states_as_they_are():
    everything = lines("--packets", *LOCAL, CLOSES)
    some = lines("--packets", *LOCAL, "-Y", "tcp.flags.fin == 1", CLOSES)
    assert some == [everything[0], everything[8], everything[10]]


def test_incarnations_of_a_tuple_each_have_their_own_states():
    rows = lines("--packets", CAPTURES / "reused_after_time_wait" / "a.pcap")[1:]
    opened = [row for row in rows if " S " in row]
    assert len(opened) >= 2
    assert {row.rpartition("  ")[2] for row in opened} == {"SYN-SENT / LISTEN"}


def test_what_is_no_tcp_has_a_line_too():
    rows = lines("--packets", CAPTURES / "rejected_by_router" / "a.pcap")[1:]
    assert "10.77.0.2 → 10.77.0.1 " in rows[1]
    assert rows[1].endswith("icmp, 88 bytes")


def test_columns_are_between_tabs_and_several_values_between_commas():
    assert lines(
        "-T", "fields", "-e", "frame.number", "-e", "tcp.port", "-e", "udp.port", "-Y", "tcp.len > 0", DEMO
    ) == [
        "4\t53598,44629\t",
        "6\t44629,53598\t",
        "16\t53608,44629\t",
        "18\t44629,53608\t",
    ]


def test_columns_come_from_a_pipe_too():
    assert lines("-T", "fields", "-e", "tcp.seq", "-", stdin=CLOSES.read_bytes())[:3] == ["0", "0", "1"]


def test_json_is_an_array_also_without_packets():
    assert json.loads("\n".join(lines("-T", "json", "-Y", "udp", DEMO))) == []
    (packet,) = json.loads("\n".join(lines("-T", "json", *LOCAL, "-Y", "frame.number == 8", CLOSES)))
    layers = packet["_source"]["layers"]
    assert list(layers) == ["frame", "eth", "ip", "tcp", "synfin"]
    assert layers["tcp"]["tcp.port"] == ["20081", "20080"]
    assert layers["synfin"]["synfin.orig.state"] == "FIN-WAIT-1"
    assert layers["synfin"]["synfin.orig.state_tree"] == {
        "synfin.orig.before": "ESTABLISHED",
        "synfin.orig.event": "TX_FIN",
        "synfin.orig.certainty": "observed",
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--packets", "-"], "standard input"),
        (["-T", "fields"], "-e FIELD go together"),
        (["-e", "tcp.seq"], "-e FIELD go together"),
        (["-T", "json", "-E", "header=y"], "-E goes with"),
        (["-T", "json", "-"], "-T json reads its file several times"),
        (["-T", "fields", "-e", "tcp.seq", "-E", "heder=y"], "did you mean header?"),
        (["-T", "fields", "-e", "tcp.seq", "-E", "header=1"], "y or n is wanted"),
        (["-T", "fields", "-e", "tcp.seq", "-E", "separator=ab"], "one character"),
        (["-T", "fields", "-e", "tcp.seqq"], "did you mean tcp.seq?"),
        (["-T", "fields", "-e", "tcp"], "a protocol has no value"),
        (["-T", "fields", "-e", "synfin.history"], "connections do"),
        (["--packets", "-Y", 'synfin.conn_state == "SF"'], "chooses connections"),
        (["--packets", "--json"], "not allowed"),
    ],
)
def test_what_is_wrong_is_said(words, says):
    done = synfin("read", *words, *([] if "-" in words else [CLOSES]))
    assert done.returncode == 2
    assert says in done.stderr.decode()
