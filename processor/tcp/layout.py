"""How the core keeps what it knows: one row a view, two endpoints in it, and pools for what only some views need.

A view is a connection as one lane of one sensor saw it. Numbers that link rows are indices into the pool named; 0 is
no row, so row 0 of every pool stays empty.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from synfin.compiled import inner
from synfin.pools import opener
from synfin.wire.event import EVENT_RECORD, EVIDENCE, FLOW_RECORD, HISTORY_WORDS, TALLY, TRANSITION
from synfin.wire.segment import SEGMENT

ENDPOINT: Final = np.dtype(  # what every segment touches stands first
    [
        ("last_ns", "<i8"),  # of what it sent; -1: nothing yet
        ("rx_ns", "<i8"),  # of the last segment seen towards it, applied or not
        ("bytes", "<u8"),
        ("ip_bytes", "<u8"),
        ("packets", "<u4"),
        ("bits", "<u4"),  # below
        ("snd_nxt", "<u4"),
        ("snd_una", "<u4"),
        ("rcv_nxt", "<u4"),
        ("rcv_wup", "<u4"),  # acknowledgment number of its last segment: Linux checks segments against it
        ("edge", "<u4"),  # right edge of the window that it advertised, when EDGE_KNOWN
        ("window_max", "<u4"),  # largest window it advertised, scaled
        ("rx_end", "<u4"),  # end, and
        ("rx_ack", "<u4"),  # acknowledgment number of the last segment seen towards it: what a RST would answer
        ("ts_recent", "<u4"),  # RFC 7323, when TS_SEEN
        ("sack_max", "<u4"),  # right edge of the highest block that it acknowledged selectively
        ("undo_step", "<u2"),  # ordinal before the last segment it received, NO_STEP when it has sent since
        ("flags", "<u2"),  # OR of all flags it sent
        ("was", "<u2"),  # bit s: it has been in state s
        ("syn_count", "<u2"),  # SYNs, or SYN,ACKs, that it sent
        ("state", "u1"),
        ("hold_n", "u1"),
        ("side", "u1"),  # 0 lower, 1 higher
        ("wscale", "u1"),  # 255: no such option
        ("last_event", "u1"),
        ("last_certainty", "u1"),
        ("undo_state", "u1"),
        ("last_from", "u1"),  # of the last transition
        ("first_ns", "<i8"),  # of what it sent
        ("state_ns", "<i8"),  # when the state began, or was confirmed: the state's timer runs from here
        ("fin_ns", "<i8"),  # when it first sent its FIN
        ("retransmits", "<u4"),
        ("gap_bytes", "<u4"),  # it sent them, and the capture missed them
        ("iss", "<u4"),  # when ISS_KNOWN; else one before the first sequence number seen
        ("irs", "<u4"),
        ("fin_end", "<u4"),  # sequence number after its FIN, when FIN_SENT
        ("bad_ack", "<u4"),  # received and beyond snd_nxt, when BAD_ACK
        ("hole", "<u4"),  # the last stretch of what it sent that was not seen, from here
        ("hole_end", "<u4"),  # to before here; it may yet come, out of order
        ("hold_head", "<u4"),  # queue of what was seen towards it and is not proved received
        ("hold_tail", "<u4"),
        ("mss", "<u2"),  # 0: no such option
        ("last_step", "<u2"),  # ordinal of its last transition in the view's log
        ("repeats", "u1"),  # how often it sent its FIN again; before it closes, something old with no answer in between
        ("zeek_state", "u1"),  # see zeek.py
        ("zeek_seen", "u1"),
        ("rx_data", "u1"),  # whether the last segment seen towards it had payload
        ("ttl", "u1"),  # the lowest of some that it sent; 0: none
        ("samples", "u1"),  # how far they are apart, and how steady its identification is: tamper.py
        ("ip_id", "<u2"),  # of the last of them
    ]
)
assert ENDPOINT.itemsize == 172

NO_STEP: Final = 0xFFFF
NO_WSCALE: Final = 255

# ENDPOINT.bits
ISS_KNOWN: Final = 0x000001
SND_KNOWN: Final = 0x000002
RCV_KNOWN: Final = 0x000004
EDGE_KNOWN: Final = 0x000008
ACTIVE: Final = 0x000010  # opened by sending SYN without ACK
SYN_PENDING: Final = 0x000020  # a SYN was received and not answered yet
FIN_SENT: Final = 0x000040
FIN_RECEIVED: Final = 0x000080  # the peer's FIN was taken
TS_OK: Final = 0x000100  # its SYN carried timestamps
TS_SEEN: Final = 0x000200
SACK_OK: Final = 0x000400
TFO_DATA: Final = 0x000800  # the peer's SYN carried data, so data is no proof of ESTABLISHED
BAD_ACK: Final = 0x001000
RST_SENT: Final = 0x002000  # a RST of its own ended its connection
RST_TAKEN: Final = 0x004000  # a RST of the peer ended its connection
GONE: Final = 0x008000  # it had ended without a packet
ACKED_FIN_ALONE: Final = 0x010000  # acknowledged the peer's FIN before it sent its own
SENT_AFTER_FIN: Final = 0x020000  # sent new data after it had taken the peer's FIN
FIN_GUESSED: Final = 0x040000  # acknowledged one byte that nobody sent: perhaps a FIN that the capture missed
SPLIT: Final = 0x080000  # answered a SYN with a SYN of its own
BAD_SYNACK: Final = 0x100000  # its SYN,ACK acknowledged what the peer had not sent
EVER_LOCAL: Final = 0x200000  # it is the capturing host's: what it receives is applied at once
SACK_SENT: Final = 0x800000  # sack_max holds
MISSED: Final = 0x1000000  # the capture missed a segment of it, by what came after

ZEEK_END: Final = np.dtype(  # counts of an end for its letters in Zeek's history; each stops at its highest number
    [
        ("rexmits", "<u2"),  # segments that repeat payload
        ("zero_windows", "<u2"),
        ("rst_seq", "<u2"),  # no count: sequence number of its last RST, folded
        ("gaps", "u1"),  # acknowledged by its peer and not seen
        ("bad_checksums", "u1"),
    ]
)
ZEEK: Final = np.dtype([("history", "<u4", (HISTORY_WORDS,)), ("ends", ZEEK_END, (2,))])  # lower, higher
assert ZEEK.itemsize == 28

VIEW: Final = np.dtype(
    [
        # a line of the cache: which view it is
        ("hash", "<u8"),
        ("lower_ip", "<u8", (2,)),
        ("higher_ip", "<u8", (2,)),
        ("lower_port", "<u2"),
        ("higher_port", "<u2"),
        ("domain", "<u4"),
        ("lane", "<u4"),  # row of the table of lanes
        ("queue", "<u4"),  # row of the table of queues: its slice and lane
        ("tentative", "<u4"),  # held SYN that may begin a new incarnation
        ("marks", "u1"),  # VIEW_*
        ("local", "u1"),
        ("local_how", "u1"),
        ("completeness", "u1"),
        # another: its course
        ("last_ns", "<i8"),
        ("start_ns", "<i8"),
        ("syn_rtt_ns", "<i8"),
        ("ack_rtt_ns", "<i8"),
        ("log_head", "<u4"),  # transitions: first and last block
        ("log_tail", "<u4"),
        ("packets_head", "<u4"),
        ("packets_tail", "<u4"),
        ("resets", "<u4"),  # the last RST that names the one end, and the last that names the other: HOLD
        ("gen", "<u4"),
        ("steps", "<u2"),  # transitions ever logged, those taken back included
        ("packets_n", "u1"),
        ("kept_n", "u1"),  # in a snapshot: 1 for `tentative`, and 2 for each of `resets`
        ("events", "u1"),  # EVENT_*: already raised
        ("first_closer", "u1"),  # 1 + side of the first FIN, 0 none
        ("reset_by", "u1"),  # 1 + side of the first RST that counted
        ("rst_form", "u1"),
        ("cause", "u1"),
        ("orig", "u1"),  # LOWER or HIGHER
        ("family", "u1"),
        ("orient", "u1"),
        ("ends", ENDPOINT, (2,)),  # lower, higher
        ("id_isn", "<i8"),
        ("dropped", "<u8"),  # counter of the lane when the view began
        ("alerts", "<u8"),
        ("first_seq", "<u4"),
        ("zeek", ZEEK),
        ("signature", "u1"),  # the client's first packets, see signature.py
        ("revisions", "u1"),  # events `revised`
        ("opening", "u1"),  # index of HANDSHAKES that was told, 4 bits; above it how often such was taken back
        ("ending", "u1"),  # of TEARDOWNS, likewise
    ]
)

VIEW_LIVE: Final = 0x01
VIEW_VALID: Final = 0x02  # the handshake's three numbers fit one another
VIEW_OVER: Final = 0x04  # both ends are closed or in TIME-WAIT
VIEW_NEW: Final = 0x08  # its first segment is not applied yet: it stands in no queue
VIEW_WANTED: Final = 0x10  # one of its segments was MARK_WANTED
VIEW_CHALLENGED: Final = 0x20  # a SYN that waited was answered from the connection that there was

DEADLINE: Final = np.dtype(  # of the view with the same number; apart, so that the queue stays within few lines
    [
        ("deadline_ns", "<i8"),  # never after the true one; what the queue is ordered by
        ("serial", "<u8"),  # order of arrival in its slice: breaks ties
        ("child", "<u4"),  # of the queue's heap, as the next two; those are of its lists, too
        ("next", "<u4"),
        ("previous", "<u4"),
        ("list", "<u4"),  # of the queue that it stands in, see queue.py
    ]
)
assert DEADLINE.itemsize == 32

EVENT_ESTABLISHED: Final = 0x01
EVENT_HANDSHAKE: Final = 0x02
EVENT_TEARDOWN: Final = 0x04
EVENT_STUCK: Final = 0x08  # and the next bit: of the lower end, of the higher
EVENT_CLOSE_WAIT: Final = 0x20  # as above
EVENT_ANSWERED: Final = 0x80  # not raised, but counted

HOLD: Final = np.dtype(
    [
        ("next", "<u4"),
        ("expected", "<u4"),  # sequence number that its sender had reached before it
        ("tests", "<u4"),  # of a RST in VIEW.resets: see tamper.py
        ("number", "<u4"),  # likewise: the lowest at which it, or one just before it, ends the connection
        ("segment", SEGMENT),
    ]
)

# What a view has any number of lies in blocks, so that it is read in one go and not row by row from all over memory.
TRANSITION_DONE: Final = np.dtype(
    [
        ("t_ns", "<i8"),
        ("lag_ns", "<i8"),
        ("packet_ns", "<i8"),
        ("side", "u1"),
        ("to", "u1"),  # with STRUCK_OUT: it was taken back at packet_ns; UNKNOWN: before anybody was told
        ("event", "u1"),
        ("certainty", "u1"),
    ]
)
STRUCK_OUT: Final = 0x80
LOG_ROWS: Final = 6  # an open connection has five transitions, one that closed in good order eleven
LOG: Final = np.dtype([("next", "<u4"), ("rows", TRANSITION_DONE, (LOG_ROWS,))])  # transitions of a view

PACKET_SEEN: Final = np.dtype(
    [
        ("t_ns", "<i8"),
        ("seq", "<u4"),
        ("ack", "<u4"),
        ("len", "<u4"),
        ("flags", "<u2"),
        ("side", "u1"),
        ("role", "u1"),
    ]
)
PACKETS_MAX: Final = 8  # of a view
PACKET_ROWS: Final = 4
PACKET: Final = np.dtype([("next", "<u4"), ("rows", PACKET_SEEN, (PACKET_ROWS,))])  # packets that events may name

LISTS: Final = 5  # of a queue, beside its heap
QUEUE: Final = np.dtype(  # the views of one lane in one slice
    [
        ("due_ns", "<i8"),  # deadline of the root
        ("root", "<u4"),  # the first of all
        ("slice", "<u2"),  # 0..383
        ("own", "<u2"),  # its row in the table of slices
        ("lane", "<u4"),
        ("views", "<u4"),
        ("pad", "<u4"),
        ("first_ns", "<i8", (1 + LISTS,)),  # deadlines of `first`
        ("first", "<u4", (1 + LISTS,)),  # root of its heap, heads of its lists: see queue.py
        ("last", "<u4", (1 + LISTS,)),
    ]
)

SLICE: Final = np.dtype(
    [
        ("serial", "<u8"),  # of the next view
        ("views", "<u8"),
        ("n_flows", "<u8"),  # records written: the n of synfin_seq
        ("n_events", "<u8"),
        ("strays", "<u8"),  # RSTs and ICMP errors about no connection
        ("evicted", "<u8"),
        ("next_offset", "<i8"),  # rows of batches below it were applied already
        ("epoch", "<i8"),  # offset at which the slice began without a snapshot; -1: not yet
    ]
)

LANE: Final = np.dtype(
    [
        ("clock_ns", "<i8"),  # the highest time seen
        ("dropped", "<u8"),
        ("boot", "<u8"),
        ("sensor", "<u4"),  # row of the table of names
        ("lane", "<u4"),
        ("clock_epoch", "<u4"),
        ("pad", "<u4"),
        ("arrived_ms", "<i8"),  # LogAppendTime of its last batch; -1: it was given up
        ("last_number", "<i8"),  # highest number of its batches in this partition, -1 for none
        ("mask", "<u8"),  # bit i: the batch last_number - i was seen
    ]
)

STEP: Final = np.dtype(
    [
        ("t_ns", "<i8"),
        ("lag_ns", "<i8"),
        ("packet_ns", "<i8"),
        ("drop_from", "<u2"),  # not NO_STEP: takes this endpoint's transitions from that ordinal on back
        ("side", "u1"),
        ("from", "u1"),
        ("to", "u1"),
        ("event", "u1"),  # of one that takes back: the one that did not happen
        ("certainty", "u1"),
        ("pad", "u1"),
    ]
)
STEPS_MAX: Final = 96  # of one row: two full hold queues, and what the segment itself does

WORK: Final = np.dtype(  # what one row does to a view, before it is filed
    [
        ("t_ns", "<i8"),  # stamps of the next steps
        ("lag_ns", "<i8"),
        ("packet_ns", "<i8"),
        ("certainty", "<i8"),
        ("filed", "<i8"),  # steps of the view that are in its log already
        ("n", "<i8"),
        ("rst_form", "<i8"),  # of a RST that counted in this row
        ("cause", "<i8"),
        ("reset_by", "<i8"),
        ("rtt_ns", "<i8"),  # of the view, while an endpoint that has sent its FIN sends
        ("steps", STEP, (STEPS_MAX,)),
        ("segment", SEGMENT),  # a held SYN while the view that held it ends
    ]
)

NOBODY: Final = 255  # WORK.reset_by: the RST that counted was not the endpoint's own

CONTROL: Final = np.dtype(
    [
        ("lane", "<u8"),  # of the batch at hand: row of the table of lanes
        ("partitions", "<u8"),
        ("offset", "<i8"),  # of the batch at hand
        ("watermark_ns", "<i8"),  # its last time
        ("at", "<u8"),  # its next row
        ("reason", "<i8"),  # why the lane's views end with it, an index of END_REASONS; 255: they go on
        ("key_0", "<u8"),  # of the index's hash, random per process
        ("key_1", "<u8"),
        ("index_mask", "<u8"),
        ("views_live", "<u8"),
        ("views_free", "<u4"),  # heads of the free lists
        ("holds_free", "<u4"),
        ("log_free", "<u4"),
        ("packets_free", "<u4"),
        ("views_left", "<u4"),  # rows that are free
        ("holds_left", "<u4"),
        ("log_left", "<u4"),  # blocks
        ("packets_left", "<u4"),
        ("flows_n", "<u8"),  # rows written to the outputs
        ("transitions_n", "<u8"),
        ("events_n", "<u8"),
        ("evidence_n", "<u8"),
        ("tallies_n", "<u8"),
        ("flows_max", "<u8"),  # rows that the outputs have
        ("transitions_max", "<u8"),
        ("events_max", "<u8"),
        ("evidence_max", "<u8"),
        ("tallies_max", "<u8"),
        ("views_max", "<u8"),  # of one slice
        ("turns", "<i8"),  # of the loop that there is room for in any case
        ("with_transitions", "u1"),  # raise an event for each transition too
        ("pad", "u1", (7,)),
    ]
)


class Core(NamedTuple):
    """All that the kernels read and write. Arrays grow between two calls of a kernel and never within."""

    control: npt.NDArray[np.void]  # CONTROL[1]
    work: npt.NDArray[np.void]  # WORK[1]
    views: npt.NDArray[np.void]  # VIEW[], a pool, as the next four
    deadlines: npt.NDArray[np.void]  # DEADLINE[len(views)]
    holds: npt.NDArray[np.void]  # HOLD[]
    log: npt.NDArray[np.void]  # LOG[]
    packets: npt.NDArray[np.void]  # PACKET[]
    queues: npt.NDArray[np.void]  # QUEUE[lanes * slices], slice after slice within a lane
    slices: npt.NDArray[np.void]  # SLICE[]
    lanes: npt.NDArray[np.void]  # LANE[]
    slots: npt.NDArray[np.uint64]  # of the index; length a power of two
    flows: npt.NDArray[np.void]  # FLOW_RECORD[], room for records, as all that follow; CONTROL counts them
    transitions: npt.NDArray[np.void]  # TRANSITION[]
    events: npt.NDArray[np.void]  # EVENT_RECORD[]
    evidence: npt.NDArray[np.void]  # EVIDENCE[]
    tallies: npt.NDArray[np.void]  # TALLY[]


OUTPUTS: Final = {
    "flows": FLOW_RECORD,
    "transitions": TRANSITION,
    "events": EVENT_RECORD,
    "evidence": EVIDENCE,
    "tallies": TALLY,
}
CORE: Final = (  # dtype of each field of Core
    ("control", CONTROL),
    ("work", WORK),
    ("views", VIEW),
    ("deadlines", DEADLINE),
    ("holds", HOLD),
    ("log", LOG),
    ("packets", PACKET),
    ("queues", QUEUE),
    ("slices", SLICE),
    ("lanes", LANE),
    ("slots", np.dtype("<u8")),
    *OUTPUTS.items(),
)
assert tuple(name for name, _ in CORE) == Core._fields
open_core: Final = opener(CORE)  # what kernels call first


@inner
def next_free(pool: Any, row: Any) -> Any:
    """The free row behind a free one: that which it names, or, where none was ever used, the next in memory."""
    return pool[row]["next"] or np.uint32(row) + np.uint32(1)
