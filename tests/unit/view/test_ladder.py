"""The ladder's model: which packets belong to it, what they say, and where each transition stands."""

import numpy as np
import pytest

from synfin.view.ladder import Change, build, select
from synfin.wire.segment import CSUM_BAD, ICMP, MARK_DUPLICATE, OPT_WSCALE
from tests.support.view_records import WHOLE, T, end, flows, record, segments, step


def built(packets=WHOLE, found=None, **columns):
    """The ladder of some packets, without transitions unless they are given or the packets are the whole."""
    found = found or record(**({} if packets is WHOLE else {"transitions": []}))
    return build(found, segments(packets, **columns), orig_is_lower=False)


def alone(rows):
    """The packets of some rows, without transitions."""
    return [rung.packet for rung in build(record(transitions=[]), rows, orig_is_lower=False).rungs if rung.packet]


def changes(ladder):
    """Time in ms, endpoint and state of each change."""
    return [
        (round((rung.t_ns - T) / 1e6), change.endpoint, change.to, change.certainty)
        for rung in ladder.rungs
        for change in rung.changes
    ]


def test_the_segments_are_those_of_the_tuple_and_the_time():
    rows = segments((*WHOLE, (200, "orig", "S", 0, 0, 0), (5, "orig", ".", 1, 1, 0), (6, "orig", ".", 1, 1, 0)))
    rows["flow"][-2] = 0
    rows["kind"][-1] = ICMP
    mine, orig_is_lower = select(record(), rows, flows())
    assert not orig_is_lower
    assert mine["t_ns"].tolist() == segments()["t_ns"].tolist()


def test_the_originator_may_be_the_lower_end():
    found = record(orig=end("10.0.0.1", 443, "CLOSED"), resp=end("10.0.0.2", 40000, "CLOSED"))
    mine, orig_is_lower = select(found, segments(), flows())
    assert orig_is_lower
    assert len(mine) == len(WHOLE)


def test_another_overlay_network_is_another_connection():
    assert len(select(record(domain=7), segments(), flows())[0]) == 0


def test_ipv6_is_found_as_well():
    found = record(orig=end("2001:db8::1", 5, "CLOSED"), resp=end("2001:db8::2", 4, "CLOSED"))
    table = flows()
    table["lower_ip"][1], table["higher_ip"][1] = (0x20010DB8 << 32, 1), (0x20010DB8 << 32, 2)
    table["lower_port"][1], table["higher_port"][1] = 5, 4
    mine, orig_is_lower = select(found, segments(), table)
    assert orig_is_lower
    assert len(mine) == len(WHOLE)


def test_numbers_are_relative_though_they_wrap_around():
    packets = [rung.packet for rung in built().rungs]
    assert [(p.sender, p.seq, p.ack, p.length) for p in packets] == [
        (sender, seq, ack if "." in flags else None, length) for _, sender, flags, seq, ack, length in WHOLE
    ]
    assert all(packet.marks == () for packet in packets)


def test_states_before_and_after_each_packet():
    ladder = built()
    assert [change.to for change in ladder.before] == ["CLOSED", "LISTEN"]
    assert ladder.before[1].certainty == "presumed"
    assert [rung.states for rung in ladder.rungs] == [
        ("SYN-SENT", "LISTEN"),
        ("ESTABLISHED", "SYN-RECEIVED"),
        ("ESTABLISHED", "ESTABLISHED"),
        ("ESTABLISHED", "ESTABLISHED"),
        ("ESTABLISHED", "ESTABLISHED"),
        ("ESTABLISHED", "ESTABLISHED"),
        ("ESTABLISHED", "ESTABLISHED"),
        ("FIN-WAIT-1", "ESTABLISHED"),
        ("FIN-WAIT-2", "CLOSE-WAIT"),
        ("TIME-WAIT", "LAST-ACK"),
        ("TIME-WAIT", "CLOSED"),
    ]


def test_each_transition_stands_once_and_in_the_order_of_its_endpoint():
    found = record()
    told = [(change.endpoint, change.to) for rung in built().rungs for change in rung.changes]
    for name in ("orig", "resp"):
        want = [(step["endpoint"], step["to"]) for step in found["transitions"] if step["endpoint"] == name]
        assert [pair for pair in told if pair[0] == name] == [pair for pair in want if pair[1] != "LISTEN"]


def test_an_assumed_state_stands_at_the_packet_that_it_rests_on():
    assert (11, "resp", "ESTABLISHED", "assumed") in changes(built())
    assert (60, "resp", "CLOSE-WAIT", "inferred") in changes(built())


def test_of_two_packets_at_one_time_the_sender_of_the_event_decides():
    packets = ((0, "orig", "S", 0, 0, 0), (0, "resp", "S.", 0, 1, 0))
    found = record(
        transitions=[
            step(0, "orig", "SYN-SENT", "TX_SYN"),
            step(0, "resp", "SYN-RECEIVED", "TX_SYNACK"),
            step(0, "orig", "ESTABLISHED", "RX_SYNACK"),
        ]
    )
    ladder = built(packets, found)
    assert [change.to for change in ladder.rungs[0].changes] == ["SYN-SENT"]
    assert [change.to for change in ladder.rungs[1].changes] == ["SYN-RECEIVED", "ESTABLISHED"]


def test_an_assumed_state_does_not_stand_before_the_one_that_it_follows():
    found = record(
        transitions=[
            step(70, "resp", "CLOSING", "RX_FIN", certainty="inferred"),
            step(100, "resp", "TIME-WAIT", "RX_ACKFIN", certainty="assumed", packet_ns=T + 32_000_000),
        ]
    )
    assert [change[:3] for change in changes(built(found=found))] == [
        (70, "resp", "CLOSING"),
        (70, "resp", "TIME-WAIT"),
    ]


def test_what_happens_without_a_packet_has_its_own_rung():
    found = record()
    found["transitions"].append(step(45, "resp", "CLOSED", "T_STATE", certainty="timer"))
    without = [rung for rung in built(found=found).rungs if rung.packet is None]
    assert [(rung.t_ns - T, rung.changes) for rung in without] == [
        (45_000_000, (Change("resp", "CLOSED", "T_STATE", "timer"),))
    ]
    times = [rung.t_ns for rung in built(found=found).rungs]
    assert times == sorted(times)


def test_a_timer_after_the_last_packet_comes_last():
    found = record()
    found["transitions"].append(step(60_100, "orig", "CLOSED", "T_STATE", certainty="timer"))
    last = built(found=found).rungs[-1]
    assert last.packet is None
    assert last.states == ("CLOSED", "CLOSED")


def test_a_port_that_was_closed_was_never_listening():
    found = record(
        handshake__kind="rejected",
        transitions=[
            step(0, "orig", "SYN-SENT", "TX_SYN"),
            step(10, "resp", "CLOSED", "TX_RST"),
            step(10, "orig", "CLOSED", "RX_RST"),
        ],
    )
    ladder = built(((0, "orig", "S", 0, 0, 0), (10, "resp", "R.", 0, 1, 0)), found)
    assert [change.to for change in ladder.before] == ["CLOSED", "CLOSED"]


def test_in_mid_stream_nothing_is_known_before():
    found = record(
        handshake__isn_orig=None,
        handshake__isn_resp=None,
        transitions=[step(20, "orig", "ESTABLISHED", "TX_EST", certainty="presumed")],
    )
    ladder = built(WHOLE[3:7], found)
    assert [change.to for change in ladder.before] == ["UNKNOWN", "UNKNOWN"]
    assert [(rung.packet.seq, rung.packet.ack) for rung in ladder.rungs[1:]] == [(1, 19), (1, 19), (19, 28)]
    assert (ladder.rungs[0].packet.seq, ladder.rungs[0].packet.ack) == (1, 1)


def test_where_one_end_was_never_seen_its_numbers_stay_raw():
    found = record(handshake__isn_orig=None, handshake__isn_resp=None, transitions=[])
    (rung,) = built(WHOLE[3:4], found).rungs
    assert (rung.packet.seq, rung.packet.ack) == (1, 1001)


def test_repetitions_are_marked():
    again = (*WHOLE[:4], (25, "orig", "P.", 1, 1, 18), (26, "orig", "S", 0, 0, 0))
    marks = [rung.packet.marks for rung in built(again).rungs]
    assert marks == [(), (), (), (), ("again",), ("again",)]


def test_a_syn_ack_after_the_own_syn_is_no_repetition():
    crossing = ((0, "orig", "S", 0, 0, 0), (5, "resp", "S", 0, 0, 0), (6, "orig", "S.", 0, 1, 0))
    assert [rung.packet.marks for rung in built(crossing).rungs] == [(), (), ()]


@pytest.mark.parametrize(("seq", "length"), [(18, 0), (18, 1)])
def test_keep_alive_probes_are_marked(seq, length):
    assert built((*WHOLE[:4], (25, "orig", ".", seq, 1, length))).rungs[-1].packet.marks == ("keep-alive",)


def test_a_full_window_and_a_bad_checksum_are_marked():
    rows = segments(WHOLE[:5])
    rows["window"][4], rows["checksum"][4] = 0, CSUM_BAD
    assert alone(rows)[-1].marks == ("bad checksum", "window full")


def test_windows_are_scaled_when_both_offered_it():
    rows = segments(WHOLE[:3])
    rows["options"][:2], rows["wscale"][:2] = OPT_WSCALE, (7, 3)
    assert [packet.window for packet in alone(rows)] == [500, 500, 500 << 7]
    rows["options"][1] = 0
    assert [packet.window for packet in alone(rows)] == [500, 500, 500]


def test_bytes_that_no_packet_held_are_missing():
    hole = (*WHOLE[:4], (25, "orig", "P.", 119, 1, 10))
    rungs = built(hole).rungs
    assert [rung.missing for rung in rungs] == [None, None, None, None, ("orig", 100), None]
    assert rungs[4].packet is None


def test_bytes_that_come_later_are_not_missing():
    late = (*WHOLE[:4], (25, "orig", "P.", 119, 1, 10), (26, "orig", "P.", 19, 1, 60))
    assert [rung.missing for rung in built(late).rungs if rung.missing] == [("orig", 40)]


def test_what_the_tap_saw_twice_is_drawn_once():
    rows = segments((*WHOLE[:4], WHOLE[3]))
    rows["marks"][-1] = MARK_DUPLICATE
    assert len(alone(rows)) == 4


def test_a_connection_without_packets_keeps_its_transitions():
    ladder = build(record(), segments(())[:0], orig_is_lower=False)
    assert [rung.packet for rung in ladder.rungs] == [None] * 10
    assert ladder.rungs[-1].states == ("TIME-WAIT", "CLOSED")


def test_more_than_four_gigabytes_stay_in_order():
    step_size = 1 << 30
    packets = [(20 + i, "orig", ".", 1 + i * step_size, 1, 0) for i in range(6)]
    rows = segments((*WHOLE[:3], *packets))
    rows["len"][3:] = step_size - 1
    seqs = [packet.seq for packet in alone(rows)][3:]
    assert seqs == [1 + i * step_size for i in range(6)]
    assert np.diff(seqs).min() > 0
