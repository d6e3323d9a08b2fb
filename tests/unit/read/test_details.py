"""`synfin read -V`: each packet as a tree, and its bytes."""

import json

import pytest

from tests.support.capture_files import pcap, written
from tests.support.frames import ipv4, tcp
from tests.unit.read.test_filter import DEMO
from tests.unit.read.test_read import CAPTURES, CLOSES, LOCAL, synfin

COOKED = bytes.fromhex("0004000100060200000000010000") + b"\x08\x00"  # sent by us, Ethernet


def trees(*words, expect=0):
    """The lines of each packet."""
    done = synfin("read", "-V", *words, TZ="UTC")
    assert done.returncode == expect, done.stderr.decode()
    return [packet.splitlines() for packet in done.stdout.decode().removesuffix("\n\n").split("\n\n")]


def test_behind_the_layers_stand_the_states_of_both_ends():
    packets = trees(*LOCAL, CLOSES)
    assert len(packets) == 11
    ours = [packet[packet.index(next(line for line in packet if line.startswith("synfin"))) :] for packet in packets]
    assert ours[9][0] == "synfin, FIN,ACK of the responder, behind it TIME-WAIT / LAST-ACK"
    assert ours[9][2:] == [
        "    [Sent by: responder]",
        "    Originator: FIN-WAIT-2 → TIME-WAIT (RX_FIN)",
        "    Responder: CLOSE-WAIT → LAST-ACK (TX_FIN)",
    ]
    assert "CLOSE-WAIT (RX_FIN, inferred)" in ours[8][-1]
    assert ours[3][-2:] == ["    Originator: ESTABLISHED", "    Responder: ESTABLISHED"]


def test_layers_come_from_the_outside_in_and_what_is_quoted_hangs_below():
    tree = trees("-Y", "icmp", CAPTURES / "rejected_by_router" / "a.pcap")[0]
    assert [line.split(",")[0] for line in tree if not line.startswith(" ")] == [
        "Frame 2: 88 bytes on wire (704 bits)",
        "Internet Protocol Version 4",
        "Internet Control Message Protocol",
    ]
    assert "    Transmission Control Protocol, Src Port: 20041, Dst Port: 20040, Seq: 2328636411" in tree


def test_a_first_line_of_http_is_shown_and_cannot_move_the_cursor(tmp_path):
    payload = b"GET /\x1b[2J HTTP/1.0\r\n\r\n"
    path = written(tmp_path, pcap([(1, 0, ipv4(tcp(1025, 80, flags=0x18, payload=payload)))], link=101))
    (tree,) = trees(path)
    assert "    GET /\\x1b[2J HTTP/1.0\\r\\n" in tree
    assert "        Request URI: /\\x1b[2J" in tree


def test_json_stays_json_whatever_a_first_line_holds(tmp_path):
    payload = "GET /\u00c5\u0085\u2028 HTTP/1.1\r\n\r\n".encode()  # of which a byte is 85, and one 9b
    path = written(tmp_path, pcap([(1, 0, ipv4(tcp(1025, 80, flags=0x18, payload=payload + b"\x9b")))], link=101))
    done = synfin("read", "-T", "json", path)
    assert done.returncode == 0, done.stderr.decode()
    (packet,) = json.loads(done.stdout)
    assert "\x85" in json.dumps(packet, ensure_ascii=False)
    assert b"\xc2\x85" not in done.stdout


def test_linux_cooked_and_what_was_cut_off(tmp_path):
    whole = COOKED + ipv4(tcp(1025, 80))
    frames = [(i, 0, whole[:size], len(whole)) for i, size in enumerate((len(whole), 50, 40, 30, 18, 10, 1), 1)]
    packets = trees(written(tmp_path, pcap(frames, link=113)))
    assert packets[0][10:12] == ["Linux cooked capture v1", "    Packet type: Sent by us (4)"]
    assert len(packets) == len(frames)
    assert any("Sequence Number (raw)" in line for line in packets[1])
    assert not any("Sequence Number" in line for line in packets[3])


def test_bytes_are_shown_as_tshark_shows_them():
    done = synfin("read", "-V", "-x", "-Y", "frame.number == 4", DEMO).stdout.decode().splitlines()
    assert done[-7] == "0000  00 00 00 00 00 00 00 00 00 00 00 00 08 00 45 00   ..............E."
    assert done[-2] == "0050  0d 0a 0d 0a                                       ...."
    done = synfin("read", "--packets", "-x", "-Y", "frame.number == 4", DEMO).stdout.decode().splitlines()
    assert len(done) == 9


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-V", "-"], "-V reads its file several times"),
        (["-x"], "-x goes with"),
        (["-V", "--json"], "not allowed"),
        (["-V", "-Y", 'synfin.conn_state == "SF"'], "chooses connections"),
    ],
)
def test_what_is_wrong_is_said(words, says):
    done = synfin("read", *words, *([] if "-" in words else [CLOSES]))
    assert done.returncode == 2
    assert says in done.stderr.decode()
