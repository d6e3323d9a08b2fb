"""What Wireshark calls the analysis of sequence numbers: `tcp.analysis.*`, a packet's place among those before it.

It is simpler than the core, and on purpose: one pass, no proof of what arrived, and each label is a suspicion. We give
it under its names because people know them; for what happened to a connection ask the core. The order of the questions
is part of their meaning. Told by Wireshark's guide (section 7.5, TCP analysis) and by tshark 4.0 on captures.
"""

from typing import Any, Final

import numpy as np

from synfin.compiled import leaf
from synfin.filter.fields import ANALYSIS_FAST_OPEN, ANALYSIS_LABELS

LABELS: Final = (*ANALYSIS_LABELS, *ANALYSIS_FAST_OPEN)  # bit i of ANALYSED.flags
SUSPECTED: Final = (1 << len(ANALYSIS_LABELS)) - 1  # what `tcp.analysis.flags` is about
ANALYSED: Final = np.dtype(  # the answer; 0 where a packet has no such value
    [
        ("flags", "<u8"),
        ("acks_frame", "<u8"),
        ("ack_rtt", "<i8"),  # ns
        ("duplicate_ack_num", "<u8"),
        ("duplicate_ack_frame", "<u8"),
        ("rto", "<i8"),  # ns
        ("rto_frame", "<u8"),
        ("bytes_in_flight", "<u8"),
        ("push_bytes_sent", "<u8"),
    ]
)
FLIGHT: Final = np.dtype(  # of one end, by what it sent
    [
        ("next_seq", "<u8"),  # highest seen; 0 before the first, as in all that follow
        ("next_frame", "<u8"),
        ("next_ns", "<i8"),
        ("whole_to", "<u8"),  # seen without a gap up to here
        ("window", "<u8"),  # as sent
        ("last_ack", "<u8"),
        ("last_ack_ns", "<i8"),
        ("ack_frame", "<u8"),  # that moved the acknowledgment number
        ("duplicates", "<u8"),
        ("last_flags", "<u8"),
        ("push_bytes", "<u8"),
        ("sacked", "<u8"),  # bytes that its last segment acknowledged selectively
        ("unacked", "<u8"),  # row of the newest of SENT that waits for its acknowledgment
        ("unacked_n", "<u8"),
        ("window_of_syn", "u1"),
        ("pushed", "u1"),
        ("fast_open", "u1"),  # its SYN had a cookie and data
        ("gap", "u1"),  # bytes in flight are not known until the peer acknowledges something
        ("pad", "u1", (4,)),
    ]
)
SENT: Final = np.dtype(  # rows from 1 on; those never used name no follower, and the next in memory is free too
    [("next", "<u8"), ("seq", "<u8"), ("end", "<u8"), ("frame", "<u8"), ("t_ns", "<i8")]
)
FREE: Final = np.dtype([("head", "<u8"), ("used", "<u8")])  # of the rows of SENT
UNACKED_MAX: Final = 10_000  # of one end, as Wireshark has it
NO_WINDOW: Final = 0xFFFFFFFF
NS_FAST: Final = 20_000_000  # after the last duplicate acknowledgment
NS_OUT_OF_ORDER: Final = 3_000_000  # where the round trip of the handshake is not known

_U0, _U1, _U2 = np.uint64(0), np.uint64(1), np.uint64(2)
_LOW: Final = np.uint64(0xFFFFFFFF)
_HALF: Final = np.uint64(0x80000000)
_FIN, _SYN, _RST, _PSH, _ACK = (np.uint64(n) for n in (0x01, 0x02, 0x04, 0x08, 0x10))
_MARKS: Final = _FIN | _SYN | _RST
(
    _RETRANSMISSION,
    _FAST,
    _SPURIOUS,
    _OUT_OF_ORDER,
    _LOST,
    _ACK_LOST,
    _KEEP_ALIVE,
    _KEEP_ALIVE_ACK,
    _DUPLICATE,
    _ZERO_WINDOW,
    _PROBE,
    _PROBE_ACK,
    _UPDATE,
    _FULL,
    REUSED_PORTS,
    _TFO_SYN,
    _TFO_ACK,
    _TFO_IGNORED,
) = (np.uint64(1 << i) for i in range(len(LABELS)))


@leaf
def _less(a: Any, b: Any) -> Any:
    """Whether sequence number a stands before b."""
    return (a - b) & _LOW >= _HALF


@leaf
def begin_flight(me: Any) -> None:
    """An end of which nothing is known."""
    me["next_seq"] = _U0
    me["next_frame"] = _U0
    me["next_ns"] = 0
    me["whole_to"] = _U0
    me["window"] = NO_WINDOW
    me["last_ack"] = _U0
    me["last_ack_ns"] = 0
    me["ack_frame"] = _U0
    me["duplicates"] = _U0
    me["last_flags"] = _U0
    me["push_bytes"] = _U0
    me["sacked"] = _U0
    me["unacked"] = _U0
    me["unacked_n"] = _U0
    me["window_of_syn"] = 0
    me["pushed"] = 0
    me["gap"] = 0
    me["fast_open"] = 0


@leaf
def _of_fast_open(me: Any, peer: Any, x: Any) -> Any:
    """RFC 7413: data with a SYN, and whether the SYN,ACK took it."""
    if x["flags"] & _SYN == _U0:
        return _U0
    if x["flags"] & _ACK == _U0:
        me["fast_open"] = x["cookie"] != _U0 and x["len"] != _U0
        return _TFO_SYN if x["cookie"] != _U0 else _U0
    if not peer["fast_open"]:
        return _U0
    return _TFO_ACK if x["ack"] == peer["next_seq"] else _TFO_IGNORED


@leaf
def _of_windows(me: Any, peer: Any, peer_shift: Any, x: Any) -> Any:
    """Labels that come from the window, and from a segment that brings nothing new; the probe's come alone."""
    length, window = x["len"], x["window"]
    plain = x["flags"] & _MARKS == _U0
    if length == _U1 and x["seq"] == me["next_seq"] and peer["window"] == _U0:
        return _PROBE
    labels = _U0
    if plain and window == _U0:
        labels |= _ZERO_WINDOW
    if me["next_seq"] != _U0 and _less(me["next_seq"], x["seq"]) and x["flags"] & _RST == _U0:
        labels |= _LOST
        me["gap"] = 1
    if plain and length <= _U1 and x["seq"] == (me["next_seq"] - _U1) & _LOW:
        labels |= _KEEP_ALIVE
    same = plain and length == _U0 and x["seq"] == me["next_seq"]
    repeats = same and x["ack"] == me["last_ack"]
    if repeats and window != _U0 and window != me["window"]:
        labels |= _UPDATE
    if plain and length != _U0 and peer_shift != -1:
        shift = np.uint64(peer_shift) if peer_shift > 0 and not peer["window_of_syn"] else _U0
        if (x["seq"] + length) & _LOW == (peer["last_ack"] + (peer["window"] << shift)) & _LOW:
            labels |= _FULL
    if window != me["window"]:
        return labels
    if repeats and window != _U0 and peer["last_flags"] & _KEEP_ALIVE != _U0:
        return labels | _KEEP_ALIVE_ACK
    taken = same and x["ack"] == (me["last_ack"] + _U1) & _LOW
    if (repeats or taken) and window == _U0 and peer["last_flags"] & _PROBE != _U0:
        if taken:  # the probe's byte counts after all
            peer["next_seq"] = x["ack"]
            peer["whole_to"] = x["ack"]
        return labels | _PROBE_ACK
    if repeats and window != _U0:
        labels |= _DUPLICATE
    return labels


@leaf
def _repeated(me: Any, peer: Any, x: Any, round_trip_ns: Any, labels: Any) -> Any:
    """Which kind of segment this is that does not move the highest sequence number on; 0 for none."""
    length, seq = x["len"], x["seq"]
    end = (seq + length) & _LOW
    if (length == _U0 and x["flags"] & (_SYN | _FIN) == _U0) or labels & _KEEP_ALIVE != _U0:
        return _U0
    behind = me["next_seq"] != _U0 and _less(seq, me["next_seq"])
    if length > _U1 and (me["next_seq"] - _U1) & _LOW == seq:
        behind = False  # new data behind what was a probe
    if length != _U0 and peer["last_ack"] != _U0 and not _less(peer["last_ack"], end):
        return _SPURIOUS
    if not behind:
        return _U0
    if peer["duplicates"] >= _U2 and peer["last_ack"] == seq and x["t_ns"] - peer["last_ack_ns"] < NS_FAST:
        return _FAST
    near = round_trip_ns if round_trip_ns > 0 else NS_OUT_OF_ORDER
    if x["flags"] & (_SYN | _FIN) != _U0:
        end = (end + _U1) & _LOW
    if x["t_ns"] - me["next_ns"] < near and me["next_seq"] != end:
        return _OUT_OF_ORDER
    return _RETRANSMISSION


@leaf
def _oldest(me: Any, sent: Any) -> Any:
    """Row of what waits longest for its acknowledgment, 0 for none."""
    oldest = row = me["unacked"]
    while row != _U0:
        oldest, row = row, sent[row]["next"]
    return oldest


@leaf
def _advance(me: Any, x: Any, labels: Any, sent: Any, free: Any) -> None:
    """Count a segment as sent."""
    end = (x["seq"] + x["len"]) & _LOW
    marks = x["flags"] & (_SYN | _FIN) != _U0
    if marks:
        end = (end + _U1) & _LOW
    if (x["len"] != _U0 or marks) and me["unacked_n"] < UNACKED_MAX:
        row = free["head"]
        free["head"] = sent[row]["next"] if sent[row]["next"] != _U0 else row + _U1
        free["used"] += _U1
        sent[row]["next"] = me["unacked"]
        sent[row]["seq"] = x["seq"]
        sent[row]["end"] = end
        sent[row]["frame"] = x["frame"]
        sent[row]["t_ns"] = x["t_ns"]
        me["unacked"] = row
        me["unacked_n"] += _U1
    if labels & _PROBE != _U0:
        return
    if me["next_seq"] == _U0 or _less(me["next_seq"], end):
        me["next_seq"] = end
        me["next_frame"] = x["frame"]
        me["next_ns"] = x["t_ns"]
    if me["whole_to"] == _U0 or (me["whole_to"] == x["seq"] and labels & _LOST == _U0):
        me["whole_to"] = me["next_seq"]


@leaf
def _acknowledge(peer: Any, x: Any, answer: Any, sent: Any, free: Any) -> None:
    """Take what the segment acknowledges off the list of its peer."""
    before, row = _U0, peer["unacked"]
    while row != _U0:
        waits = sent[row]
        following = waits["next"]
        if x["ack"] == waits["end"]:
            answer["acks_frame"] = waits["frame"]
            answer["ack_rtt"] = x["t_ns"] - waits["t_ns"]
            peer["gap"] = 0
        elif _less(x["ack"], waits["end"]):
            if _less(waits["seq"], x["ack"]):
                waits["seq"] = x["ack"]
            before, row = row, following
            continue
        if before == _U0:
            peer["unacked"] = following
        else:
            sent[before]["next"] = following
        waits["next"] = free["head"]
        free["head"] = row
        free["used"] -= _U1
        peer["unacked_n"] -= _U1
        row = following


@leaf
def _in_flight(me: Any, peer: Any, x: Any, sent: Any) -> Any:
    """Bytes from the first that waits for its acknowledgment to the last, but for what the peer has behind a gap."""
    if me["unacked"] == _U0:
        return _U0
    newest = sent[me["unacked"]]
    first, end = newest["seq"], newest["end"]
    row = newest["next"]
    while row != _U0:
        waits = sent[row]
        if _less(end, waits["end"]):
            end = waits["end"]
        if _less(waits["seq"], first):
            first = waits["seq"]
        row = waits["next"]
    if x["flags"] & (_SYN | _FIN) != _U0:
        end = (end - _U1) & _LOW  # no byte
    some = (end - first - peer["sacked"]) & _LOW
    return some if some < _HALF else _U0


@leaf
def analyse(me: Any, peer: Any, known: Any, x: Any, answer: Any, waiting: Any) -> None:
    """Answer an ANALYSED for a segment, by the FLIGHT of both ends. `known`: the peer's shift, the first round trip."""
    sent, free = waiting
    peer_shift, round_trip_ns = known
    labels = answer["flags"] | _of_windows(me, peer, peer_shift, x)
    if labels & _DUPLICATE != _U0:
        me["duplicates"] += _U1
        answer["duplicate_ack_num"] = me["duplicates"]
        answer["duplicate_ack_frame"] = me["ack_frame"]
    if x["ack"] != me["last_ack"]:
        me["ack_frame"] = x["frame"]
        me["duplicates"] = _U0
    if peer["whole_to"] != _U0 and x["flags"] & _ACK != _U0 and _less(peer["whole_to"], x["ack"]):
        labels |= _ACK_LOST
        peer["whole_to"] = x["ack"] if _less(peer["next_seq"], x["ack"]) else peer["next_seq"]
    repeated = _repeated(me, peer, x, round_trip_ns, labels)
    if repeated == _RETRANSMISSION:
        oldest = _oldest(me, sent)
        answer["rto_frame"] = sent[oldest]["frame"] if oldest != _U0 else me["next_frame"]
        answer["rto"] = x["t_ns"] - (sent[oldest]["t_ns"] if oldest != _U0 else me["next_ns"])
    labels |= repeated
    _advance(me, x, labels, sent, free)
    me["window"] = x["window"]
    me["window_of_syn"] = x["flags"] & _SYN != _U0
    me["last_ack"] = x["ack"]
    me["last_ack_ns"] = x["t_ns"]
    me["last_flags"] = labels
    me["sacked"] = x["sacked"]
    _acknowledge(peer, x, answer, sent, free)
    answer["flags"] = labels | _of_fast_open(me, peer, x)
    if x["len"] != _U0 and not me["gap"]:
        answer["bytes_in_flight"] = _in_flight(me, peer, x, sent)
        pushed = x["flags"] & _PSH != _U0
        me["push_bytes"] = x["len"] if me["pushed"] else me["push_bytes"] + x["len"]
        me["pushed"] = pushed
        answer["push_bytes_sent"] = me["push_bytes"]
