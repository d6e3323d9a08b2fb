"""The records that leave the core, as rows: finished flows, their transitions, and events.

The core fills these columns and never a string; `jsonl.py` writes the JSON lines of `interfaces.md` section 3 from
them. Every enumeration is a tuple of names, and a column holds the index. A number that may be missing is -1 then.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

# Codes 1..11 are Linux's tcp_states.h, so that records join with ss, /proc/net/tcp and bcc's tcpstates.
STATES: Final = (
    "UNKNOWN",
    "ESTABLISHED",
    "SYN-SENT",
    "SYN-RECEIVED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "TIME-WAIT",
    "CLOSED",
    "CLOSE-WAIT",
    "LAST-ACK",
    "LISTEN",
    "CLOSING",
)
ENDPOINTS: Final = ("orig", "resp")
SIDES: Final = (None, "orig", "resp", "both")  # local, active_closer, by: index 1 and 2 are the endpoints
LOCAL: Final = ("none", "orig", "resp", "both")
LOCAL_HOW: Final = ("inferred", "capture", "addresses", "option")  # indices are segment.HOW_*
ORIENT: Final = ("presumed", "syn", "synack", "port")
END_REASONS: Final = ("end", "idle", "eof", "evicted", "reused", "sensor_lost", "clock_step", "stopped")
IPFIX_END_REASONS: Final = {  # information element 136, flowEndReason
    "end": 3,  # end of flow detected
    "idle": 1,  # idle timeout
    "eof": 4,  # forced end
    "evicted": 5,  # lack of resources
    "reused": 3,
    "sensor_lost": 4,
    "clock_step": 4,
    "stopped": 4,
}
HANDSHAKES: Final = (
    "unseen",
    "three_way",
    "simultaneous",
    "split",
    "tfo",
    "rejected",
    "rejected_icmp",
    "unanswered",
    "half_open",
    "invalid",
    "aborted",  # a RST ended it between SYN and ESTABLISHED, and it was no refusal
)
TEARDOWNS: Final = ("none", "orderly", "simultaneous", "fin_then_rst", "abort", "silent", "idle", "reused")
SEGMENTS: Final = (None, "four", "three", "half_close")
RST_FORMS: Final = (None, "reply", "abort", "foreign")
CAUSES: Final = (  # bit i of `cause`, in order of rank
    "keepalive",
    "retrans_timeout",
    "late_data",
    "no_socket",
    "unread_data",
    "linger0_or_kill",
    "tamper",
)
TAMPER_TESTS: Final = {  # bit i of `tests`: what a forged RST fails, and how much it weighs
    "rst_then_alive": 3,
    "rst_seq_data": 3,
    "data_seq_rst": 2,
    "rst_seq_change": 3,
    "rst_ack_change": 2,
    "ttl_delta": 2,
    "ipid_delta": 1,
    "options": 1,
    "foreign_form": 1,
    "received_never_sent": 6,  # needs both ends' sensors: no view alone fails it
    "rtt_impossible": 3,
}
CONN_STATES: Final = ("OTH", "S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR")
# A history is letters of 5 bits, six in a word, the first on top; 0 is none. A letter of the responder has
# HISTORY_LOWER added, and where no room was left the last one is HISTORY_CUT.
HISTORY_LETTERS: Final = " SHADFRIQCGTW^"
HISTORY_BITS: Final = 5
HISTORY_WORDS: Final = 3
HISTORY_LOWER: Final = 16
HISTORY_CUT: Final = 31
HISTORY_TEXT: Final = (  # by code
    HISTORY_LETTERS.ljust(HISTORY_LOWER, "?")
    + HISTORY_LETTERS[:-1].lower().ljust(HISTORY_CUT - HISTORY_LOWER, "?")
    + "+"
)
SIGNATURES: Final = (  # of tampering: stage of the connection at the server, then the resets that came from the client
    None,
    "syn",
    "syn_rst",
    "syn_rstack",
    "syn_rst_rstack",
    "ack",
    "ack_rst",
    "ack_rst_rst",
    "ack_rstack",
    "ack_rstack_rstack",
    "psh",
    "psh_rst",
    "psh_rst_rst",
    "psh_rstack",
    "psh_rstack_rstack",
    "psh_rst_rstack",
    "data_rst",
    "data_rstack",
)
CERTAINTIES: Final = ("observed", "inferred", "assumed", "presumed", "timer")
SEVERITIES: Final = ("debug", "info", "notice", "warn", "alert")
ROLES: Final = (None, "syn", "synack", "ack", "fin_orig", "fin_resp", "rst", "trigger", "contradiction")

# The micro-events of the transition table (figure5.py), by which a transition names its cause.
MICRO_EVENTS: Final = (
    "NONE",
    "TX_SYN",
    "TX_SYNACK",
    "TX_ACKIRS",
    "TX_EST",
    "TX_FIN",
    "TX_RST",
    "TX_RST_BARE",
    "RX_SYN",
    "RX_SYN_NEW",
    "RX_SYNACK",
    "RX_ACKSYN",
    "RX_ACKFIN",
    "RX_FIN",
    "RX_RST",
    "ICMP_HARD",
    "T_STATE",
    "NEW_ISN",  # rule: the endpoint began anew, so the old connection had ended without a packet
    "REVOKE",  # rule: a reply-form RST shows that the socket was already gone
)

EVENT_KINDS: Final = (
    "transition",
    "established",
    "handshake.three_way",
    "handshake.simultaneous",
    "handshake.split",
    "handshake.tfo",
    "handshake.rejected",
    "handshake.rejected_icmp",
    "handshake.unanswered",
    "handshake.half_open",
    "handshake.invalid",
    "handshake.aborted",
    "teardown.orderly",
    "teardown.simultaneous",
    "teardown.fin_then_rst",
    "teardown.abort",
    "teardown.silent",
    "teardown.idle",
    "teardown.reused",
    "revised",
    "alert.abnormal_teardown",
    "stuck.close_wait",
    "stuck.fin_wait1",
    "stuck.fin_wait2",
    "stuck.closing",
    "stuck.last_ack",
    "rst.ignored_by_target",
    "alert.tamper",
    "halfopen.recovered",
)

# What names a view: the first columns of every record, from which the ids are made (ids.py).
_IDENTITY: Final = [
    ("hash", "<u8"),
    ("lower_ip", "<u8", (2,)),  # as in segment.FLOW
    ("higher_ip", "<u8", (2,)),
    ("lower_port", "<u2"),
    ("higher_port", "<u2"),
    ("domain", "<u4"),
    ("start_ns", "<i8"),  # time of the view's first segment
    ("id_isn", "<i8"),  # the originator's ISN as known at the view's first record, -1 if it was not
    ("first_seq", "<u4"),  # sequence number of the view's first segment
    ("sensor", "<u4"),  # index into the table of sensor names that comes with the records
    ("gen", "<u4"),
    ("orig", "u1"),  # which end is the originator: segment.LOWER or HIGHER
    ("family", "u1"),
    ("pad", "u1", (2,)),
]
IDENTITY: Final = np.dtype(_IDENTITY)
assert IDENTITY.itemsize == 80

ENDPOINT_SUMMARY: Final = np.dtype(
    [
        ("bytes", "<u8"),  # payload bytes by sequence span, retransmissions not counted
        ("ip_bytes", "<u8"),
        ("packets", "<u8"),
        ("retransmits", "<u8"),
        ("gap_bytes", "<u8"),  # acknowledged by the peer and never captured
        ("first_ns", "<i8"),  # -1: sent nothing
        ("last_ns", "<i8"),
        ("isn", "<i8"),  # -1: not known
        ("mss", "<i4"),  # options of its SYN; -1: absent
        ("wscale", "<i2"),
        ("flags", "<u2"),  # OR of all flags it sent
        ("state", "u1"),  # index into STATES
        ("sack_permitted", "u1"),
        ("timestamps", "u1"),
        ("pad", "u1", (5,)),
    ]
)
assert ENDPOINT_SUMMARY.itemsize == 80

FLOW_RECORD: Final = np.dtype(
    [
        *_IDENTITY,
        ("end_ns", "<i8"),
        ("syn_rtt_ns", "<i8"),  # SYN to SYN+ACK; -1: not known
        ("ack_rtt_ns", "<i8"),  # SYN+ACK to ACK
        ("dropped", "<u8"),  # packets that the sensor lost while the view was open
        ("log", "<u4"),  # first row and number of rows in the table of transitions
        ("log_n", "<u4"),
        ("syn_count", "<u4"),
        ("synack_count", "<u4"),
        ("end_reason", "u1"),
        ("local", "u1"),
        ("local_how", "u1"),
        ("orient", "u1"),
        ("handshake", "u1"),
        ("validated", "u1"),
        ("teardown", "u1"),
        ("segments", "u1"),
        ("active_closer", "u1"),  # index into SIDES
        ("by", "u1"),  # index into SIDES
        ("rst_form", "u1"),
        ("cause", "u1"),  # bits, see CAUSES
        ("completeness", "u1"),  # as tshark's tcp.completeness
        ("conn_state", "u1"),  # as Zeek's, and history
        ("slice", "<u2"),
        ("n", "<u8"),  # of this slice and output topic: synfin_seq, never in the value
        ("alerts", "<u8"),  # bit i: an event of kind EVENT_KINDS[i] was raised
        ("history", "<u4", (HISTORY_WORDS,)),
        ("signature", "u1"),  # index into SIGNATURES
        ("end_code", "u1"),  # IPFIX's flowEndReason
        ("revised_n", "u1"),  # rows behind those of `log`: transitions that were told and taken back, at packet_ns
        ("wanted", "u1"),  # a segment of it was MARK_WANTED; never in the value
        ("ends", ENDPOINT_SUMMARY, (2,)),  # orig, resp
    ]
)

TRANSITION: Final = np.dtype(
    [
        ("t_ns", "<i8"),  # the latest moment it can have happened
        ("lag_ns", "<i8"),  # how much earlier it may have been
        ("packet_ns", "<i8"),  # time of the packet it rests on
        ("endpoint", "u1"),  # 0 orig, 1 resp
        ("to", "u1"),  # index into STATES
        ("event", "u1"),  # index into MICRO_EVENTS
        ("certainty", "u1"),
        ("from", "u1"),  # not printed in flow records: the row before says it
        ("pad", "u1", (3,)),
    ]
)
assert TRANSITION.itemsize == 32

EVIDENCE: Final = np.dtype(
    [
        ("t_ns", "<i8"),
        ("seq", "<i8"),  # relative to the sender's ISN, or raw when that is not known
        ("ack", "<i8"),
        ("len", "<u4"),
        ("flags", "<u2"),
        ("from", "u1"),  # 0 orig, 1 resp
        ("role", "u1"),
    ]
)
assert EVIDENCE.itemsize == 32

EVENT_RECORD: Final = np.dtype(
    [
        *_IDENTITY,
        ("ts_ns", "<i8"),
        # syn_rtt_ns of a handshake, duration of the connection at a teardown, lag_ns of a transition; -1: none
        ("value_ns", "<i8"),
        # counts this kind in this view, from 0; of an opening or an end, how many were taken back before
        ("k", "<u4"),
        ("evidence", "<u4"),  # first row and number of rows in the table of evidence
        ("evidence_n", "<u4"),
        ("kind", "u1"),
        ("certainty", "u1"),
        ("severity", "u1"),
        ("by", "u1"),  # index into SIDES: who reset, who closed first
        ("endpoint", "u1"),  # of a transition: 0 orig, 1 resp
        ("from", "u1"),  # of a transition
        ("to", "u1"),
        ("event", "u1"),
        ("rst_form", "u1"),
        ("cause", "u1"),
        ("slice", "<u2"),
        ("n", "<u8"),
        ("corrects_k", "<u4"),  # of `revised`: kind and k of the event that it takes back
        ("corrects", "u1"),
        ("score", "u1"),  # of alert.tamper: sum of the weights of
        ("tests", "<u2"),  # the tests that a RST failed, bits by index of TAMPER_TESTS
    ]
)

# What is counted and is no event of a view; counts.py says what becomes of it.
TALLIES: Final = ("syn", "answered", "stray_synack", "stray_rst")
TALLY: Final = np.dtype(
    [
        ("t_ns", "<i8"),
        ("lower_ip", "<u8", (2,)),  # as in segment.FLOW
        ("higher_ip", "<u8", (2,)),
        ("lower_port", "<u2"),
        ("higher_port", "<u2"),
        ("domain", "<u4"),
        ("sensor", "<u4"),  # index into the table of sensor names
        ("slice", "<u2"),
        ("kind", "u1"),  # index into TALLIES
        ("sender", "u1"),  # segment.LOWER or HIGHER
        ("family", "u1"),
        ("pad", "u1", (7,)),
    ]
)
assert TALLY.itemsize == 64


def _no_tallies() -> npt.NDArray[np.void]:
    return np.zeros(0, TALLY)


@dataclass(frozen=True, slots=True)
class Records:
    """What the core made of some batches. The order is that of writing."""

    flows: npt.NDArray[np.void]  # FLOW_RECORD[]
    transitions: npt.NDArray[np.void]  # TRANSITION[], pointed into by the flows' log and log_n
    events: npt.NDArray[np.void]  # EVENT_RECORD[]
    evidence: npt.NDArray[np.void]  # EVIDENCE[], pointed into by the events
    sensors: tuple[str, ...]  # names, pointed into by `sensor`
    tallies: npt.NDArray[np.void] = field(default_factory=_no_tallies)  # TALLY[]
