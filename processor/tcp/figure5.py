"""The transition table: RFC 9293's Figure 5, and what an observer adds to it. Every transition of synfin stands here.

One state per endpoint, eleven of them, and UNKNOWN for an endpoint of which nothing was learned yet. The machine is
asked once for each micro-event: what an endpoint sends (TX_…) is proof of its state, what it receives (RX_…) counts
only when `acceptable.py` or later evidence says that it took it, and T_STATE is the end of the state's own timer. One
segment is several micro-events, in the order of RFC 9293 section 3.10.7.4: a FIN that also acknowledges ours is
RX_ACKFIN and then RX_FIN. A pair (state, event) that has no row changes nothing.

The machine does not know which end opened the connection. From this file come the dense array that the kernel uses,
the grid and the diagram of the docs, and `synfin figure5`.
"""

from typing import Final, NamedTuple

import numpy as np

from synfin.wire.event import MICRO_EVENTS, STATES

UNKNOWN: Final = 0
ESTABLISHED: Final = 1
SYN_SENT: Final = 2
SYN_RECEIVED: Final = 3
FIN_WAIT_1: Final = 4
FIN_WAIT_2: Final = 5
TIME_WAIT: Final = 6
CLOSED: Final = 7
CLOSE_WAIT: Final = 8
LAST_ACK: Final = 9
LISTEN: Final = 10
CLOSING: Final = 11

TX_SYN: Final = 1
TX_SYNACK: Final = 2
TX_ACKIRS: Final = 3
TX_EST: Final = 4
TX_FIN: Final = 5
TX_RST: Final = 6
TX_RST_BARE: Final = 7
RX_SYN: Final = 8
RX_SYN_NEW: Final = 9
RX_SYNACK: Final = 10
RX_ACKSYN: Final = 11
RX_ACKFIN: Final = 12
RX_FIN: Final = 13
RX_RST: Final = 14
ICMP_HARD: Final = 15
T_STATE: Final = 16
NEW_ISN: Final = 17
REVOKE: Final = 18

MEANING: Final = {
    "TX_SYN": "sends SYN without ACK",
    "TX_SYNACK": "sends SYN and ACK",
    "TX_ACKIRS": "sends an ACK of the peer's SYN: it has received a SYN,ACK that this capture missed",
    "TX_EST": "sends data or FIN after SYN,ACK: it has received the ACK of its SYN",
    "TX_FIN": "sends FIN",
    "TX_RST": "sends RST and gives its connection up",
    "TX_RST_BARE": "sends RST without ACK, the answer to an unacceptable ACK: its own state is kept",
    "RX_SYN": "receives SYN without an acceptable ACK",
    "RX_SYN_NEW": "receives a SYN above RCV.NXT or with a newer timestamp: a new incarnation",
    "RX_SYNACK": "receives SYN,ACK with SND.UNA < SEG.ACK =< SND.NXT",
    "RX_ACKSYN": "receives an acceptable ACK of its SYN",
    "RX_ACKFIN": "receives an acceptable ACK of its FIN",
    "RX_FIN": "receives the FIN in order: RCV.NXT has reached it",
    "RX_RST": "receives an acceptable RST",
    "ICMP_HARD": "receives an ICMP error about its SYN",
    "T_STATE": "the timer of the state ends",
    "NEW_ISN": "has begun anew with another ISN, so the connection before had ended without a packet",
    "REVOKE": "answers as a host answers that has no such connection: it had ended before",
}


class Row(NamedTuple):
    """One transition, in the words of RFC 9293 Figure 5."""

    state: str
    event: str
    to: str
    action: str  # what the endpoint does, or what the step means; the RFC's section where it is not obvious
    only: str = ""  # "passive" or "active": the row holds for an endpoint that opened so


# fmt: off
ROWS: Final = (
    # ---- opening: section 3.5 ---------------------------------------------------------------------------------------
    Row("UNKNOWN",      "TX_SYN",      "SYN-SENT",     "active OPEN"),
    Row("UNKNOWN",      "RX_SYN",      "LISTEN",       "presumed until it answers"),
    Row("UNKNOWN",      "TX_SYNACK",   "SYN-RECEIVED", "presumed: the capture began after the SYN"),
    Row("UNKNOWN",      "TX_EST",      "ESTABLISHED",  "presumed: the capture began in mid-stream"),
    Row("CLOSED",       "TX_SYN",      "SYN-SENT",     "active OPEN, a new incarnation"),
    Row("CLOSED",       "RX_SYN",      "LISTEN",       "presumed until it answers, a new incarnation"),
    Row("LISTEN",       "TX_SYNACK",   "SYN-RECEIVED", "passive OPEN; when it answers, for a full queue drops the SYN"),
    Row("LISTEN",       "TX_SYN",      "SYN-SENT",     "SEND in LISTEN; the pending SYN then counts as received"),
    Row("LISTEN",       "TX_RST",      "CLOSED",       "the port was closed, no listener was there"),
    Row("SYN-SENT",     "RX_SYNACK",   "ESTABLISHED",  "send ACK"),
    Row("SYN-SENT",     "RX_SYN",      "SYN-RECEIVED", "send SYN,ACK: simultaneous open"),
    Row("SYN-SENT",     "TX_SYNACK",   "SYN-RECEIVED", "simultaneous open, by evidence"),
    Row("SYN-SENT",     "TX_ACKIRS",   "ESTABLISHED",  "by evidence"),
    Row("SYN-SENT",     "RX_RST",      "CLOSED",       "connection refused: 3.10.7.3, second"),
    Row("SYN-SENT",     "TX_RST",      "CLOSED",       "ABORT"),
    Row("SYN-SENT",     "ICMP_HARD",   "CLOSED",       "destination unreachable: RFC 9293 3.9.2.2"),
    Row("SYN-SENT",     "T_STATE",     "CLOSED",       "nobody answered, or the opener gave up"),
    Row("SYN-RECEIVED", "RX_ACKSYN",   "ESTABLISHED",  "3.10.7.4, fifth"),
    Row("SYN-RECEIVED", "TX_EST",      "ESTABLISHED",  "by evidence"),
    Row("SYN-RECEIVED", "TX_FIN",      "FIN-WAIT-1",   "CLOSE in SYN-RECEIVED, as a fast-open server may"),
    Row("SYN-RECEIVED", "RX_RST",      "LISTEN",       "returns to listening: 3.10.7.4, second", only="passive"),
    Row("SYN-RECEIVED", "RX_RST",      "CLOSED",       "connection refused: 3.10.7.4, second", only="active"),
    Row("SYN-RECEIVED", "TX_RST",      "CLOSED",       "ABORT"),
    Row("SYN-RECEIVED", "T_STATE",     "CLOSED",       "the ACK never came"),
    # ---- closing: section 3.6 ---------------------------------------------------------------------------------------
    Row("ESTABLISHED",  "TX_FIN",      "FIN-WAIT-1",   "CLOSE, send FIN: the active closer"),
    Row("ESTABLISHED",  "RX_FIN",      "CLOSE-WAIT",   "send ACK: the passive closer"),
    Row("FIN-WAIT-1",   "RX_ACKFIN",   "FIN-WAIT-2",   "FIN acknowledged"),
    Row("FIN-WAIT-1",   "RX_FIN",      "CLOSING",      "send ACK; own FIN not acknowledged yet: simultaneous close"),
    Row("FIN-WAIT-2",   "RX_FIN",      "TIME-WAIT",    "send ACK"),
    Row("CLOSING",      "RX_ACKFIN",   "TIME-WAIT",    "FIN acknowledged"),
    Row("CLOSE-WAIT",   "TX_FIN",      "LAST-ACK",     "CLOSE, send FIN"),
    Row("LAST-ACK",     "RX_ACKFIN",   "CLOSED",       "FIN acknowledged"),
    Row("TIME-WAIT",    "T_STATE",     "CLOSED",       "two segment lifetimes have passed"),
    Row("TIME-WAIT",    "RX_SYN_NEW",  "LISTEN",       "reuse by a new incarnation: RFC 6191"),
    Row("TIME-WAIT",    "TX_SYN",      "SYN-SENT",     "reuse by a new incarnation, opened from here"),
    # ---- aborting: section 3.5.3 ------------------------------------------------------------------------------------
    Row("ESTABLISHED",  "RX_RST",      "CLOSED",       "connection reset: 3.10.7.4, second"),
    Row("FIN-WAIT-1",   "RX_RST",      "CLOSED",       "connection reset"),
    Row("FIN-WAIT-2",   "RX_RST",      "CLOSED",       "connection reset"),
    Row("CLOSE-WAIT",   "RX_RST",      "CLOSED",       "connection reset"),
    Row("CLOSING",      "RX_RST",      "CLOSED",       "both FINs are known: the close was orderly"),
    Row("LAST-ACK",     "RX_RST",      "CLOSED",       "both FINs are known: the close was orderly"),
    Row("TIME-WAIT",    "RX_RST",      "CLOSED",       "TIME-WAIT assassination: RFC 1337"),
    Row("ESTABLISHED",  "TX_RST",      "CLOSED",       "ABORT"),
    Row("FIN-WAIT-1",   "TX_RST",      "CLOSED",       "ABORT"),
    Row("FIN-WAIT-2",   "TX_RST",      "CLOSED",       "ABORT"),
    Row("CLOSE-WAIT",   "TX_RST",      "CLOSED",       "ABORT, as a close with unread data"),
    Row("CLOSING",      "TX_RST",      "CLOSED",       "ABORT"),
    Row("LAST-ACK",     "TX_RST",      "CLOSED",       "ABORT"),
    Row("TIME-WAIT",    "TX_RST",      "CLOSED",       "answers as if it had no connection"),
    # ---- giving up: nothing is sent, so these are timers of the observer ---------------------------------------------
    Row("FIN-WAIT-1",   "T_STATE",     "CLOSED",       "the FIN was never acknowledged"),
    Row("FIN-WAIT-2",   "T_STATE",     "CLOSED",       "the peer never closed; Linux forgets an orphan after 60 s"),
    Row("CLOSING",      "T_STATE",     "CLOSED",       "the FIN was never acknowledged"),
    Row("LAST-ACK",     "T_STATE",     "CLOSED",       "the FIN was never acknowledged"),
)
# fmt: on

# Begun anew or found gone: from wherever it was, the endpoint is CLOSED.
ANYWHERE: Final = ("NEW_ISN", "REVOKE")


def dense(only: str) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """The table as uint8[state, event] -> state, for an endpoint that opened `active` or `passive`."""
    table = np.repeat(np.arange(len(STATES), dtype=np.uint8)[:, None], len(MICRO_EVENTS), axis=1)
    taken: set[tuple[str, str]] = set()
    for row in ROWS:
        if row.only not in ("", only):
            continue
        if (row.state, row.event) in taken:
            raise ValueError(f"figure5: two rows for {row.event} in {row.state}")
        taken.add((row.state, row.event))
        table[STATES.index(row.state), MICRO_EVENTS.index(row.event)] = STATES.index(row.to)
    for event in ANYWHERE:
        table[:, MICRO_EVENTS.index(event)] = CLOSED
    return table


NEXT: Final = np.stack([dense("passive"), dense("active")])  # uint8[passive or active, state, event]
