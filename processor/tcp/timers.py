"""How long a view waits in each state, in event time of its own lane."""

from typing import Any, Final

import numpy as np

from processor.tcp.figure5 import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    LISTEN,
    RX_ACKFIN,
    SYN_RECEIVED,
    SYN_SENT,
    T_STATE,
    TIME_WAIT,
    UNKNOWN,
)
from processor.tcp.heap import NEVER_NS
from processor.tcp.hold import hold_deadline, round_trip
from processor.tcp.layout import EVENT_CLOSE_WAIT, SND_KNOWN, VIEW_OVER
from processor.tcp.step import ASSUMED, INFERRED, TIMER, keeps_silent, stamp, step
from synfin.compiled import inner

SECOND: Final = 1_000_000_000
SYN_SENT_NS: Final = 70 * SECOND  # after the last SYN; Linux's longest gap between two is 64 s
SYN_RECEIVED_NS: Final = 40 * SECOND  # after the last SYN,ACK; Linux waits 32 s after its fifth
CLOSE_WAIT_NS: Final = 60 * SECOND  # without a segment of its own; then it is told, once
FIN_WAIT_2_NS: Final = 60 * SECOND  # tcp_fin_timeout
TIME_WAIT_NS: Final = 60 * SECOND  # TCP_TIMEWAIT_LEN, where RFC 9293 has 2 MSL of two minutes each
CLOSING_NS: Final = 120 * SECOND  # FIN-WAIT-1, CLOSING and LAST-ACK: beyond Linux's retries of an orphan
SILENT_NS_MIN: Final = (
    3 * SECOND
)  # who has not repeated its FIN by then has it acknowledged: RFC 6298's timers are shorter
IDLE_NS: Final = 7_500 * SECOND  # above the two hours of tcp_keepalive_time
ONE_SIDED_NS: Final = 300 * SECOND  # picked up in mid-stream, or only one direction seen
ONE_WAY_PACKETS: Final = 8  # and no answer seen
ONE_WAY_NS: Final = 3 * SECOND  # three times the first RTO of RFC 6298
LINGER_NS: Final = 10 * SECOND  # after the end: takes late segments, so that they open no new view

_FIRST, _SECOND = np.uint64(0), np.uint64(1)


@inner
def finished(me: Any) -> Any:
    """Whether the endpoint has no connection any more, or none that a timer of ours would end."""
    state = me["state"]
    return state in (CLOSED, TIME_WAIT, LISTEN, UNKNOWN)


@inner
def is_over(view: Any) -> Any:
    """Whether both endpoints are done and nothing waits for proof."""
    a, b = view["ends"][_FIRST], view["ends"][_SECOND]
    return finished(a) and finished(b) and not a["hold_n"] and not b["hold_n"]


@inner
def one_sided(view: Any) -> Any:
    """Whether one direction was never seen, or the opening was not."""
    a, b = view["ends"][_FIRST], view["ends"][_SECOND]
    return not a["packets"] or not b["packets"] or not (a["syn_count"] or b["syn_count"])


@inner
def one_way(view: Any) -> Any:
    """Whether only one direction is captured: an end is never seen to send, and its peer shows that it does."""
    a, b = view["ends"][_FIRST], view["ends"][_SECOND]
    return _unseen(a, b) or _unseen(b, a)


@inner
def _unseen(me: Any, peer: Any) -> Any:
    if me["packets"]:
        return False
    # Who repeats its SYN has no answer. Who goes on with something else has one, and what it acknowledges tells so.
    goes_on = np.int64(peer["packets"]) - np.int64(peer["syn_count"]) >= ONE_WAY_PACKETS
    return me["bits"] & SND_KNOWN or (goes_on and peer["last_ns"] - peer["first_ns"] >= ONE_WAY_NS)


@inner
def state_deadline(view: Any, me: Any) -> Any:
    """When the timer of the endpoint's state ends."""
    state = me["state"]
    if state in (ESTABLISHED, CLOSE_WAIT):
        return view["last_ns"] + (ONE_SIDED_NS if one_sided(view) else IDLE_NS)
    if state == SYN_SENT:
        return me["state_ns"] + SYN_SENT_NS
    if state == SYN_RECEIVED:
        return me["state_ns"] + SYN_RECEIVED_NS
    if state == TIME_WAIT:
        return me["state_ns"] + TIME_WAIT_NS
    if state == FIN_WAIT_2:
        return view["last_ns"] + FIN_WAIT_2_NS
    if state in (CLOSED, LISTEN, UNKNOWN):
        return np.int64(NEVER_NS)
    if keeps_silent(view, me):
        return me["fin_ns"] + max(SILENT_NS_MIN, 8 * round_trip(view))
    return view["last_ns"] + CLOSING_NS


@inner
def stuck_deadline(view: Any, me: Any) -> Any:
    """When an endpoint in CLOSE-WAIT has sent nothing for too long; NEVER_NS where that was told, or is not sure."""
    told = np.int64(view["events"]) & EVENT_CLOSE_WAIT << np.int64(me["side"])
    if me["state"] != CLOSE_WAIT or told or me["last_certainty"] > INFERRED or one_sided(view):
        return np.int64(NEVER_NS)
    return max(np.int64(me["state_ns"]), np.int64(me["last_ns"])) + CLOSE_WAIT_NS


@inner
def expire(work: Any, view: Any, me: Any, now_ns: Any) -> None:
    """The timer of the endpoint's state has ended."""
    if me["state"] in (FIN_WAIT_1, CLOSING, LAST_ACK) and keeps_silent(view, me):
        stamp(work, now_ns, me["fin_ns"], now_ns - me["fin_ns"], ASSUMED)
        me["snd_una"] = me["fin_end"]
        step(work, me, RX_ACKFIN)
        return
    stamp(work, now_ns, view["last_ns"], 0, TIMER)
    step(work, me, T_STATE)


@inner
def view_deadline(holds: Any, view: Any) -> Any:
    """The earliest deadline of the view."""
    if view["marks"] & VIEW_OVER:
        return view["last_ns"] + LINGER_NS
    deadline = np.int64(NEVER_NS)
    for side in range(2):
        me = view["ends"][np.uint64(side)]
        deadline = min(deadline, state_deadline(view, me), stuck_deadline(view, me), hold_deadline(holds, view, me))
    if view["tentative"]:
        deadline = min(deadline, holds[np.uint64(view["tentative"])]["segment"]["t_ns"] + SYN_SENT_NS)
    return deadline
