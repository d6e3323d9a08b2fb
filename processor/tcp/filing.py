"""What happens to a view is filed: the steps of a row in its log, the packets that count, and the events they make."""

from typing import Any, Final

import numpy as np

from processor.tcp.figure5 import (
    CLOSE_WAIT,
    CLOSING,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    SYN_RECEIVED,
    T_STATE,
    TX_FIN,
    UNKNOWN,
)
from processor.tcp.layout import (
    BAD_ACK,
    EVENT_ANSWERED,
    EVENT_CLOSE_WAIT,
    EVENT_ESTABLISHED,
    EVENT_HANDSHAKE,
    EVENT_STUCK,
    EVENT_TEARDOWN,
    FIN_GUESSED,
    GONE,
    LOG_ROWS,
    MISSED,
    NO_STEP,
    NOBODY,
    PACKET_ROWS,
    PACKETS_MAX,
    VIEW_OVER,
    next_free,
)
from processor.tcp.record import (
    ROLE_ACK,
    ROLE_FIN_ORIG,
    ROLE_RST,
    ROLE_SYN,
    ROLE_SYNACK,
    TALLY_ANSWERED,
    cause_of,
    write_event,
    write_evidence,
    write_tally,
)
from processor.tcp.revise import (
    KIND_ALERT,
    KIND_ESTABLISHED,
    KIND_OF_HANDSHAKE,
    KIND_OF_TEARDOWN,
    KIND_TRANSITION,
    retract,
    strike_out,
    taken_back,
    with_kind,
)
from processor.tcp.story import (
    HS_ABORTED,
    HS_HALF_OPEN,
    HS_REJECTED,
    HS_UNANSWERED,
    HS_UNSEEN,
    NO_REASON,
    TD_ABORT,
    TD_NONE,
    TD_SILENT,
    both_open,
    handshake,
    originator,
    role_of,
    teardown,
)
from processor.tcp.timers import is_over, one_sided, one_way
from synfin.compiled import inner
from synfin.wire.event import EVENT_KINDS, SEVERITIES, STATES
from synfin.wire.segment import ACK, FIN, HIGHER, LOWER, RST, SYN

LOG_MAX: Final = 512  # transitions of one view; beyond them states are kept and no longer logged
_NONE: Final = np.uint64(0)
_ONE: Final = np.uint64(1)


@inner
def _chain(pool: Any, block: Any, tail: Any) -> Any:
    """Take the first free block of a pool and link it behind `tail`, 0 for none; the next free one."""
    following = next_free(pool, block)
    pool[block]["next"] = 0
    if tail != _NONE:
        pool[tail]["next"] = block
    return following


KIND_OF_STUCK: Final = np.zeros(len(STATES), np.uint8)  # by state; 0 where there is no such event
for _state, _name in (
    (CLOSE_WAIT, "close_wait"),
    (FIN_WAIT_1, "fin_wait1"),
    (FIN_WAIT_2, "fin_wait2"),
    (CLOSING, "closing"),
    (LAST_ACK, "last_ack"),
):
    KIND_OF_STUCK[_state] = EVENT_KINDS.index(f"stuck.{_name}")
KIND_RECOVERED: Final = EVENT_KINDS.index("halfopen.recovered")
FIN_REPEATS_MIN: Final = 3
DEBUG: Final = SEVERITIES.index("debug")


@inner
def note_packet(core: Any, view: Any, x: Any, side: Any) -> None:
    """Keep a packet that events may name; RSTs find room for as long as there is any."""
    flags = np.int64(x["flags"])
    n = np.uint64(view["packets_n"])
    if n >= PACKETS_MAX - (0 if flags & RST else 1):
        return
    if n % np.uint64(PACKET_ROWS) == 0:
        control = core.control[_NONE]
        block = np.uint64(control["packets_free"])
        control["packets_free"] = _chain(core.packets, block, np.uint64(view["packets_tail"]))
        control["packets_left"] -= 1
        view["packets_head"] = view["packets_head"] or block
        view["packets_tail"] = block
    row = core.packets[np.uint64(view["packets_tail"])]["rows"][n % np.uint64(PACKET_ROWS)]
    row["t_ns"] = x["t_ns"]
    row["seq"] = x["seq"]
    row["ack"] = x["ack"]
    row["len"] = x["len"]
    row["flags"] = x["flags"]
    row["side"] = side
    if flags & RST:
        row["role"] = ROLE_RST
    elif flags & FIN:
        row["role"] = ROLE_FIN_ORIG + (0 if side == originator(view) else 1)
    elif flags & SYN:
        row["role"] = ROLE_SYNACK if flags & ACK else ROLE_SYN
    else:
        row["role"] = ROLE_ACK
    view["packets_n"] += 1


@inner
def _log(core: Any, view: Any, done: Any) -> None:
    """Append a step to the view's log; one that takes back has its ordinal too, and nothing else."""
    n = np.uint64(view["steps"])
    if n >= LOG_MAX:
        return
    if n % np.uint64(LOG_ROWS) == 0:
        control = core.control[_NONE]
        block = np.uint64(control["log_free"])
        control["log_free"] = _chain(core.log, block, np.uint64(view["log_tail"]))
        control["log_left"] -= 1
        view["log_head"] = view["log_head"] or block
        view["log_tail"] = block
    row = core.log[np.uint64(view["log_tail"])]["rows"][n % np.uint64(LOG_ROWS)]
    row["t_ns"] = done["t_ns"]
    row["lag_ns"] = done["lag_ns"]
    row["packet_ns"] = done["packet_ns"]
    row["side"] = done["side"]
    row["to"] = done["to"] if done["drop_from"] == NO_STEP else UNKNOWN
    row["event"] = done["event"]
    row["certainty"] = done["certainty"]
    view["steps"] += 1


@inner
def file_steps(core: Any, view: Any, now_ns: Any, reason: Any) -> None:
    """Move the steps of a row into the view's log and raise the events that they make; WORK is empty after."""
    work = core.work[_NONE]
    certainty = np.int64(0)
    took_back = -1
    for i in range(work["n"]):
        done = work["steps"][np.uint64(i)]
        if done["drop_from"] != NO_STEP:
            strike_out(core, view, done)
            took_back = i
        else:
            _note_step(core, view, done, i, now_ns)
        certainty = max(certainty, np.int64(done["certainty"]))
        _log(core, view, done)
    if work["reset_by"] == NOBODY:
        view["reset_by"] = 0
        view["rst_form"] = 0
        view["cause"] = 0
    elif work["reset_by"] and not view["reset_by"]:
        view["reset_by"] = work["reset_by"]
        view["rst_form"] = work["rst_form"]
        view["cause"] = work["cause"]
    if took_back >= 0:
        retract(core, view, work["steps"][np.uint64(took_back)])
    work["n"] = 0
    work["filed"] = view["steps"]
    work["reset_by"] = 0
    over = is_over(view)
    if over:
        view["marks"] |= VIEW_OVER
    else:
        view["marks"] &= np.uint8(0xFF ^ VIEW_OVER)
    _raise_opened(core, view, now_ns, certainty)
    if over or reason != NO_REASON:
        _raise_ended(core, view, now_ns, certainty, reason)


@inner
def _tally_answer(core: Any, view: Any, done: Any) -> None:
    """Count that the responder answered a SYN; once."""
    if np.uint64(done["side"]) == originator(view):
        return
    view["events"] |= EVENT_ANSWERED
    queue = core.queues[np.uint64(view["queue"])]
    write_tally(core, view, queue, done["t_ns"], HIGHER if done["side"] else LOWER, TALLY_ANSWERED)


@inner
def _note_step(core: Any, view: Any, done: Any, i: Any, now_ns: Any) -> None:
    """What a step, the i-th of its row, means for the view."""
    if core.control[_NONE]["with_transitions"] and view["steps"] < LOG_MAX and _stands(core.work[_NONE], done, i):
        _raise_transition(core, view, done)
    if done["event"] == TX_FIN and not view["first_closer"]:
        view["first_closer"] = 1 + np.int64(done["side"])
    if done["event"] == T_STATE:
        _raise_timed_out(core, view, done, now_ns)
    if done["to"] == SYN_RECEIVED and not view["events"] & EVENT_ANSWERED:
        _tally_answer(core, view, done)


@inner
def _stands(work: Any, done: Any, i: Any) -> Any:
    """Whether no later step of the same row takes the i-th back."""
    for j in range(i + 1, work["n"]):
        later = work["steps"][np.uint64(j)]
        if later["side"] == done["side"] and later["drop_from"] <= work["filed"] + i:  # NO_STEP is beyond all
            return False
    return True


@inner
def _raise_transition(core: Any, view: Any, done: Any) -> None:
    event = write_event(core, view, KIND_TRANSITION, done["t_ns"], view["steps"])
    event["certainty"] = done["certainty"]
    event["endpoint"] = 0 if np.uint64(done["side"]) == originator(view) else 1
    event["from"] = done["from"]
    event["to"] = done["to"]
    event["event"] = done["event"]


@inner
def raise_recovered(core: Any, view: Any, me: Any, now_ns: Any) -> None:
    """Tell that an endpoint that had forgotten the connection opens it anew, after its peer was told so."""
    event = write_event(core, view, KIND_RECOVERED, now_ns, 0)
    _fill_ending(view, event, me["last_certainty"])
    event["by"] = role_of(view, 1 + np.int64(me["side"]))
    write_evidence(core, view, event, True)


@inner
def raise_stuck(core: Any, view: Any, me: Any, state: Any, now_ns: Any) -> None:
    """Tell that the endpoint has been in a state for too long, once; a view of one direction proves nothing."""
    kind = KIND_OF_STUCK[np.uint64(state)]
    bit = (EVENT_CLOSE_WAIT if state == CLOSE_WAIT else EVENT_STUCK) << np.int64(me["side"])
    if not kind or view["events"] & bit or one_sided(view):
        return
    k = 1 if view["events"] & (EVENT_STUCK | EVENT_STUCK << 1) and state == CLOSING else 0
    view["events"] |= np.uint8(bit)
    event = write_event(core, view, kind, now_ns, k)
    _fill_ending(view, event, me["last_certainty"])
    event["by"] = role_of(view, 1 + np.int64(me["side"]))
    write_evidence(core, view, event, True)


@inner
def _raise_timed_out(core: Any, view: Any, done: Any, now_ns: Any) -> None:
    me = view["ends"][np.uint64(done["side"])]
    if me["last_event"] == T_STATE and (me["last_from"] == FIN_WAIT_2 or me["repeats"] >= FIN_REPEATS_MIN):
        raise_stuck(core, view, me, me["last_from"], now_ns)


@inner
def _raise_handshake(core: Any, view: Any, now_ns: Any, certainty: Any) -> None:
    kind = handshake(view)
    view["events"] |= EVENT_HANDSHAKE
    view["opening"] = with_kind(view["opening"], kind)
    event = write_event(core, view, KIND_OF_HANDSHAKE[np.uint64(kind)], now_ns, taken_back(view["opening"]))
    event["certainty"] = certainty
    event["value_ns"] = view["syn_rtt_ns"]
    if one_way(view) and kind in (HS_UNANSWERED, HS_HALF_OPEN, HS_ABORTED):
        event["severity"] = DEBUG
    event["by"] = role_of(view, np.int64(view["reset_by"]))
    event["rst_form"] = view["rst_form"]
    write_evidence(core, view, event, False)
    if kind in (HS_REJECTED, HS_ABORTED):
        write_evidence(core, view, event, True)  # the RST that ended it


@inner
def _raise_opened(core: Any, view: Any, now_ns: Any, certainty: Any) -> None:
    """`established`, and the handshake's kind, when both endpoints hold the connection for open."""
    if view["events"] & EVENT_ESTABLISHED or not both_open(view):
        return
    view["events"] |= EVENT_ESTABLISHED
    if handshake(view) != HS_UNSEEN and not view["events"] & EVENT_HANDSHAKE:
        _raise_handshake(core, view, now_ns, certainty)
    event = write_event(core, view, KIND_ESTABLISHED, now_ns, taken_back(view["opening"]))
    event["certainty"] = certainty
    write_evidence(core, view, event, False)


@inner
def _raise_ended(core: Any, view: Any, now_ns: Any, certainty: Any, reason: Any) -> None:
    """The kind of a handshake that failed, or of the teardown; once."""
    kind = teardown(view, reason)
    if kind == TD_NONE:
        opening = handshake(view)
        early = reason != NO_REASON and not view["marks"] & VIEW_OVER  # cut off: what was not seen proves nothing
        if view["events"] & EVENT_HANDSHAKE or opening == HS_UNSEEN or early:
            return
        _raise_handshake(core, view, now_ns, certainty)
        return
    if not view["events"] & EVENT_TEARDOWN:
        view["events"] |= EVENT_TEARDOWN
        view["ending"] = with_kind(view["ending"], kind)
        event = write_event(core, view, KIND_OF_TEARDOWN[np.uint64(kind)], now_ns, taken_back(view["ending"]))
        _fill_ending(view, event, certainty)
        if one_way(view) and kind in (TD_ABORT, TD_SILENT):
            event["severity"] = DEBUG
        write_evidence(core, view, event, True)
    a, b = view["ends"][_NONE], view["ends"][_ONE]
    gone = (a["bits"] | b["bits"]) & GONE
    # That an end has gone without a packet is told by no packet: one that comes late may show that we missed its FIN.
    abnormal = kind == TD_ABORT or (kind == TD_SILENT and gone and reason != NO_REASON)
    if abnormal and not view["alerts"] & np.uint64(1 << KIND_ALERT) and loss_free(core, view):
        view["alerts"] |= np.uint64(1 << KIND_ALERT)
        alert = write_event(core, view, KIND_ALERT, now_ns, taken_back(view["ending"]))
        _fill_ending(view, alert, max(certainty, np.int64(a["last_certainty"]), np.int64(b["last_certainty"])))
        write_evidence(core, view, alert, True)


@inner
def _fill_ending(view: Any, event: Any, certainty: Any) -> None:
    event["certainty"] = certainty
    event["value_ns"] = view["last_ns"] - view["start_ns"]
    event["by"] = role_of(view, np.int64(view["reset_by"] or view["first_closer"]))
    event["rst_form"] = view["rst_form"]
    event["cause"] = cause_of(view)


@inner
def loss_free(core: Any, view: Any) -> Any:
    """Whether no loss of our own could explain what looks abnormal."""
    lost = core.lanes[np.uint64(view["lane"])]["dropped"] != view["dropped"]
    a, b = view["ends"][_NONE], view["ends"][_ONE]
    missed = (a["bits"] | b["bits"]) & (MISSED | FIN_GUESSED | BAD_ACK) or a["gap_bytes"] or b["gap_bytes"]
    missed = missed or one_way(view)
    both_gone = a["bits"] & b["bits"] & GONE  # two that vanish at once are one close that was missed
    return not lost and not missed and not both_gone and both_open(view)
