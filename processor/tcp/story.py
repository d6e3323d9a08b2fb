"""What became of a connection, told from its two endpoints: how it opened, how it closed, who did what.

Pure: a VIEW in, indices of event.HANDSHAKES, TEARDOWNS and so on out. Nothing here decides a state.
"""

from typing import Any, Final

import numpy as np

from processor.tcp.figure5 import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_1,
    ICMP_HARD,
    SYN_RECEIVED,
)
from processor.tcp.layout import (
    ACKED_FIN_ALONE,
    ACTIVE,
    BAD_SYNACK,
    FIN_RECEIVED,
    GONE,
    RST_SENT,
    RST_TAKEN,
    SENT_AFTER_FIN,
    SPLIT,
    TFO_DATA,
)
from synfin.compiled import inner
from synfin.wire.event import END_REASONS, HANDSHAKES, IPFIX_END_REASONS, TEARDOWNS
from synfin.wire.segment import HIGHER

_FIRST, _SECOND = np.uint64(0), np.uint64(1)

HS_UNSEEN: Final = HANDSHAKES.index("unseen")
HS_THREE_WAY: Final = HANDSHAKES.index("three_way")
HS_SIMULTANEOUS: Final = HANDSHAKES.index("simultaneous")
HS_SPLIT: Final = HANDSHAKES.index("split")
HS_TFO: Final = HANDSHAKES.index("tfo")
HS_REJECTED: Final = HANDSHAKES.index("rejected")
HS_REJECTED_ICMP: Final = HANDSHAKES.index("rejected_icmp")
HS_UNANSWERED: Final = HANDSHAKES.index("unanswered")
HS_HALF_OPEN: Final = HANDSHAKES.index("half_open")
HS_INVALID: Final = HANDSHAKES.index("invalid")
HS_ABORTED: Final = HANDSHAKES.index("aborted")

TD_NONE: Final = TEARDOWNS.index("none")
TD_ORDERLY: Final = TEARDOWNS.index("orderly")
TD_SIMULTANEOUS: Final = TEARDOWNS.index("simultaneous")
TD_FIN_THEN_RST: Final = TEARDOWNS.index("fin_then_rst")
TD_ABORT: Final = TEARDOWNS.index("abort")
TD_SILENT: Final = TEARDOWNS.index("silent")
TD_IDLE: Final = TEARDOWNS.index("idle")
TD_REUSED: Final = TEARDOWNS.index("reused")

END: Final = END_REASONS.index("end")
IDLE: Final = END_REASONS.index("idle")
EVICTED: Final = END_REASONS.index("evicted")
REUSED: Final = END_REASONS.index("reused")
END_CODES: Final = np.array([IPFIX_END_REASONS[reason] for reason in END_REASONS], np.uint8)
NO_REASON: Final = 255  # the view goes on

SEGMENTS_FOUR: Final = 1
SEGMENTS_THREE: Final = 2
SEGMENTS_HALF_CLOSE: Final = 3

_OPEN: Final = (1 << ESTABLISHED) | (1 << FIN_WAIT_1) | (1 << CLOSE_WAIT)


@inner
def originator(view: Any) -> Any:
    """Side of the end that opened."""
    return _SECOND if view["orig"] == HIGHER else _FIRST


@inner
def was(me: Any, state: Any) -> Any:
    """Whether the endpoint has been in a state."""
    return bool((np.int64(me["was"]) >> state) & 1)


@inner
def both_open(view: Any) -> Any:
    """Whether both endpoints have held the connection for open."""
    a, b = view["ends"][_FIRST], view["ends"][_SECOND]
    return bool(np.int64(a["was"]) & _OPEN) and bool(np.int64(b["was"]) & _OPEN)


@inner
def handshake(view: Any) -> Any:
    """Index of HANDSHAKES."""
    orig = originator(view)
    o, r = view["ends"][orig], view["ends"][_SECOND - orig]
    if not o["syn_count"] and not r["syn_count"]:
        return HS_UNSEEN
    if o["bits"] & ACTIVE and r["bits"] & ACTIVE:
        return HS_SPLIT if r["bits"] & SPLIT else HS_SIMULTANEOUS
    if np.int64(r["was"]) & _OPEN:
        return HS_TFO if r["bits"] & TFO_DATA else HS_THREE_WAY
    resets = o["bits"] & (RST_SENT | RST_TAKEN) or r["bits"] & (RST_SENT | RST_TAKEN)
    if was(r, SYN_RECEIVED):
        return HS_ABORTED if resets else HS_HALF_OPEN
    if r["bits"] & RST_SENT:
        return HS_REJECTED
    if o["last_event"] == ICMP_HARD:
        return HS_REJECTED_ICMP
    if r["bits"] & BAD_SYNACK:
        return HS_INVALID
    return HS_ABORTED if resets else HS_UNANSWERED


@inner
def teardown(view: Any, reason: Any) -> Any:
    """Index of TEARDOWNS, for a view that is over or ends for a reason (an index of END_REASONS, or NO_REASON)."""
    a, b = view["ends"][_FIRST], view["ends"][_SECOND]
    if not (np.int64(a["was"]) | np.int64(b["was"])) & _OPEN:
        return TD_NONE
    bits = np.int64(a["bits"]) | np.int64(b["bits"])
    if a["bits"] & FIN_RECEIVED and b["bits"] & FIN_RECEIVED:
        return TD_SIMULTANEOUS if was(a, CLOSING) and was(b, CLOSING) else TD_ORDERLY
    if bits & FIN_RECEIVED and bits & (RST_SENT | RST_TAKEN):
        return TD_FIN_THEN_RST
    if bits & GONE:
        return TD_SILENT
    if bits & (RST_SENT | RST_TAKEN):
        return TD_ABORT if not bits & FIN_RECEIVED else TD_FIN_THEN_RST
    if reason == IDLE:
        return TD_IDLE
    if reason == REUSED:
        return TD_REUSED
    return TD_SILENT if was(a, CLOSED) or was(b, CLOSED) else TD_NONE


@inner
def end_code(reason: Any, kind: Any) -> Any:
    """IPFIX's flowEndReason, for an index of END_REASONS and one of HANDSHAKES."""
    if reason == END and kind in (HS_UNANSWERED, HS_HALF_OPEN):
        return END_CODES[np.uint64(IDLE)]  # what ended it was that nothing came
    return END_CODES[np.uint64(reason)]


@inner
def close_segments(view: Any) -> Any:
    """Index of SEGMENTS: how many segments an orderly close took, by what the passive closer did."""
    if not view["first_closer"]:
        return 0
    passive = view["ends"][np.uint64(2 - np.int64(view["first_closer"]))]
    if passive["bits"] & SENT_AFTER_FIN:
        return SEGMENTS_HALF_CLOSE
    return SEGMENTS_FOUR if passive["bits"] & ACKED_FIN_ALONE else SEGMENTS_THREE


@inner
def role_of(view: Any, side_plus_one: Any) -> Any:
    """Index of SIDES for 1 + side: 1 the originator, 2 the responder, 0 for nobody."""
    if not side_plus_one:
        return 0
    return 1 if np.uint64(side_plus_one - 1) == originator(view) else 2
