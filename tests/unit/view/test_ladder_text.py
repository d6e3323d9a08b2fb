"""The ladder as text."""

import re
from datetime import UTC
from itertools import pairwise

import pytest

from synfin.view.ladder import build
from synfin.view.ladder_text import WIDTH_MIN, Layout, render
from synfin.view.style import Style
from tests.support.view_records import WHOLE, T, end, record, segments, step

ESCAPES = re.compile("\x1b\\[[0-9;]*m")


def drawn(packets=WHOLE, found=None, style=None, **layout):
    ladder = build(found or record(), segments(packets), orig_is_lower=False)
    return list(render(ladder, style or Style(), Layout(zone=UTC, **layout)))


def test_a_connection_from_syn_to_fin():
    assert (
        "\n".join(drawn())
        == """\
10.0.0.2:40000 → 10.0.0.1:443
2025-10-09 08:53:20.123456, 100 ms, seen at the originator's host (sensor
web-01)

       ms  ORIGINATOR                                              RESPONDER
           CLOSED        │                                       │ LISTEN?
    0.000  SYN-SENT      │── SYN seq 0 ─────────────────────────▶│
   10.000  ESTABLISHED   │◀─────────────── SYN,ACK seq 0 ack 1 ──│ SYN-RECEIVED
   11.000                │── ACK seq 1 ack 1 ───────────────────▶│ ESTABLISHED?
   20.000                │── PSH,ACK seq 1 ack 1 len 18 ────────▶│
   30.000                │◀────────────────── ACK seq 1 ack 19 ──│
   31.000                │◀─────── PSH,ACK seq 1 ack 19 len 27 ──│
   32.000                │── ACK seq 19 ack 28 ─────────────────▶│
   50.000  FIN-WAIT-1    │── FIN,ACK seq 19 ack 28 ─────────────▶│
   60.000  FIN-WAIT-2    │◀───────────────── ACK seq 28 ack 20 ──│ CLOSE-WAIT~
   70.000  TIME-WAIT     │◀───────────── FIN,ACK seq 28 ack 20 ──│ LAST-ACK
   71.000                │── ACK seq 20 ack 29 ─────────────────▶│ CLOSED?

Opened by a three-way handshake, 10 ms from SYN to SYN,ACK, 1 ms from SYN,ACK to
ACK.
Closed by the originator (the active closer) in four segments: FIN, ACK, FIN,
ACK.
~ inferred: proved by this packet, entered before it
? assumed: nothing proves it, nothing contradicts it"""
    )


def test_with_room_to_spare_each_packet_is_explained():
    lines = drawn(width=120)
    told = [line.split("  ")[-1].strip() for line in lines if "▶│" in line or "│◀" in line]
    assert told == [
        "asks to open",
        "accepts, and asks in turn",
        "confirms: it is open",
        "18 B of data",
        "has received 18 B",
        "27 B of data",
        "has received 27 B",
        "has no more to send",
        "confirms the FIN",
        "has no more to send either",
        "confirms the FIN",
    ]


@pytest.mark.parametrize("width", [*range(1, 200, 7), 71, 72, 107, 108])
def test_no_line_is_wider_than_the_terminal_and_both_lifelines_are_straight(width):
    again = (*WHOLE[:4], (25, "orig", "P.", 1, 1, 18), (28, "orig", "P.", 1_500_000_019, 1, 1448), *WHOLE[4:])
    lines = drawn(again, width=width)
    assert max(map(len, lines)) <= max(width, WIDTH_MIN)
    bars = {tuple(i for i, sign in enumerate(line) if sign == "│") for line in lines if "│" in line}
    assert len(bars) == 1
    assert len(bars.pop()) == 2


def test_two_long_addresses_take_two_lines():
    orig, resp = (end(f"2001:db8:1111:2222:3333:4444:5555:{n}", 50000, "CLOSED") for n in (6666, 7777))
    lines = drawn(found=record(orig=orig, resp=resp), width=60)
    assert lines[:2] == [
        "[2001:db8:1111:2222:3333:4444:5555:6666]:50000 →",
        "[2001:db8:1111:2222:3333:4444:5555:7777]:50000",
    ]


def test_narrow_terminals_get_short_names():
    lines = drawn(width=56)
    assert any("── S 0 - ─" in line and "SYN-SENT" in line for line in lines)
    assert any("SYN-RCVD" in line for line in lines)
    assert not any("SYN-RECEIVED" in line for line in lines)


def test_where_the_encoding_has_no_signs_all_is_ascii():
    lines = drawn(style=Style(unicode=False), found=record(handshake__syn_rtt_ns=None))
    assert all(line.isascii() for line in lines)
    assert any("|-- SYN seq 0 -" in line and line.rstrip().endswith(">|") for line in lines)


def test_colours_change_nothing_but_colours():
    aborted = record(teardown__kind="abort", teardown__by="resp", alerts=["alert.abnormal_teardown"])
    packets = (*WHOLE[:4], (25, "orig", "P.", 1, 1, 18), (26, "resp", "R.", 1, 19, 0))
    coloured = drawn(packets, aborted, Style(colours=True), width=110)
    assert sum("\x1b[" in line for line in coloured) > 5
    assert [ESCAPES.sub("", line) for line in coloured] == drawn(packets, aborted, width=110)


def test_several_states_on_one_packet_stand_below_one_another():
    found = record(
        transitions=[
            step(60, "orig", "FIN-WAIT-2", "RX_ACKFIN"),
            step(60, "orig", "TIME-WAIT", "RX_FIN"),
        ]
    )
    lines = drawn(found=found)
    for line, below in pairwise(lines):
        if "FIN-WAIT-2" in line:
            assert below.split("│")[0].strip() == "TIME-WAIT"
            return
    pytest.fail("no FIN-WAIT-2")


def test_silence_loss_and_timers_are_told():
    found = record(end_ns=T + 63_000_000_000, transitions=record()["transitions"][:5])
    found["transitions"].append(step(63_000, "orig", "CLOSED", "T_STATE", certainty="timer"))
    packets = (*WHOLE[:4], (2500, "orig", "P.", 119, 1, 10))
    text = "\n".join(drawn(packets, found))
    assert "⋯ 2.48 s of silence ⋯" in text
    assert "⋯ 100 bytes not captured ▶ ⋯" in text
    assert "63.000000  CLOSED*" in text
    assert "⋯ its timer ran out ⋯" in text
    assert "* by a timer, without a packet" in text


def test_an_icmp_message_is_named():
    found = record(
        handshake__kind="rejected_icmp",
        transitions=[step(0, "orig", "SYN-SENT", "TX_SYN"), step(1, "orig", "CLOSED", "ICMP_HARD")],
    )
    text = "\n".join(drawn(WHOLE[:1], found))
    assert "⋯ ICMP says: unreachable ⋯" in text
    assert "The network refused" in text


def test_long_transfers_are_shortened_unless_all_is_asked_for():
    data = []
    for i in range(40):
        data += [(20 + i, "orig", ".", 1 + 1000 * i, 1, 1000), (20.5 + i, "resp", ".", 1, 1001 + 1000 * i, 0)]
    packets = (*WHOLE[:3], *data)
    found = record(transitions=record()["transitions"][:5])
    lines = drawn(packets, found)
    assert sum("▶│" in line or "│◀" in line for line in lines) == 3 + 6
    assert sum("74 packets, 37 kB ▶" in line for line in lines) == 1
    lines = drawn(packets, found, all_packets=True)
    assert sum("▶│" in line or "│◀" in line for line in lines) == 83


def test_a_repetition_is_never_left_out():
    data = [(20 + i, "orig", ".", 1 + 1000 * i, 1, 1000) for i in range(40)]
    packets = (*WHOLE[:3], *data, (70, "orig", ".", 20001, 1, 1000))
    text = "\n".join(drawn(packets, record(transitions=[])))
    assert text.count("again") == 1


@pytest.mark.parametrize(
    ("packets", "told"),
    [
        ((WHOLE[0], (1000, "orig", "S", 0, 0, 0)), "asks once more"),
        ((*WHOLE[:2], (20, "resp", "S.", 0, 1, 0)), "accepts once more"),
        ((WHOLE[0], (5, "resp", "S", 0, 0, 0)), "asks to open, too"),
        ((WHOLE[0], (10, "resp", "R.", 0, 1, 0)), "refuses: nothing listens here"),
        ((*WHOLE[:4], (21, "resp", "R.", 1, 19, 0)), "resets: all is over at once"),
        ((*WHOLE[:8], (51, "orig", "R", 20, 0, 0)), "refuses: it had closed"),
        ((*WHOLE[:4], (21, "orig", "P.", 1, 1, 18)), "again: it was not confirmed"),
        ((*WHOLE[:4], (21, "orig", ".", 18, 1, 0)), "asks: still there?"),
    ],
)
def test_words_for_what_is_less_usual(packets, told):
    lines = [line for line in drawn(packets, record(transitions=[]), width=120) if "▶│" in line or "│◀" in line]
    assert lines[-1].endswith(told)


def test_names_from_strangers_do_not_reach_the_terminal_raw():
    text = "\n".join(drawn(found=record(sensor="evil\x1b[2J\u202e")))
    assert "\x1b" not in text
    assert "evil\\x1b[2J\\u202e" in text
