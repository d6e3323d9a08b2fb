"""The life of a view: it begins with a segment, files its steps, raises its events, and ends as a record."""

from typing import Any, Final

import numpy as np

from processor.tcp.ahead import fetch_blocks
from processor.tcp.figure5 import CLOSING, LAST_ACK, NEW_ISN, RX_ACKFIN, TIME_WAIT
from processor.tcp.filing import file_steps
from processor.tcp.hold import AGE_NS_MIN, assume_head, drop_holds, free_hold
from processor.tcp.index import insert, keyed_hash, remove
from processor.tcp.layout import (
    EVER_LOCAL,
    GONE,
    LOG_ROWS,
    NO_STEP,
    NO_WSCALE,
    PACKET_ROWS,
    VIEW_LIVE,
    VIEW_NEW,
    VIEW_OVER,
    VIEW_WANTED,
    next_free,
    open_core,
)
from processor.tcp.queue import queue_move, queue_push, queue_remove
from processor.tcp.record import TALLY_STRAY_SYNACK, TALLY_SYN, write_flow, write_tally
from processor.tcp.sent import settle_guesses
from processor.tcp.step import ASSUMED, INFERRED, keeps_silent, stamp, step, step_as
from processor.tcp.story import (
    END,
    EVICTED,
    NO_REASON,
    REUSED,
)
from processor.tcp.timers import LINGER_NS, view_deadline
from processor.tcp.zeek import begin_history
from synfin.compiled import compiled, inner
from synfin.wire.segment import ACK, HIGHER, LOWER, MARK_WANTED, SYN

_NONE: Final = np.uint64(0)
_ONE: Final = np.uint64(1)

ORIENT_PRESUMED: Final = 0  # as in event.ORIENT
ORIENT_SYN: Final = 1
ORIENT_SYNACK: Final = 2
ORIENT_PORT: Final = 3


@inner
def _clear_endpoint(me: Any, side: Any) -> None:
    me["first_ns"] = -1
    me["last_ns"] = -1
    me["state_ns"] = 0
    me["rx_ns"] = -(1 << 62)
    me["fin_ns"] = 0
    me["bytes"] = 0
    me["ip_bytes"] = 0
    me["packets"] = 0
    me["retransmits"] = 0
    me["gap_bytes"] = 0
    me["iss"] = 0
    me["irs"] = 0
    me["snd_una"] = 0
    me["snd_nxt"] = 0
    me["fin_end"] = 0
    me["rcv_nxt"] = 0
    me["rcv_wup"] = 0
    me["edge"] = 0
    me["sack_max"] = 0
    me["ts_recent"] = 0
    me["bad_ack"] = 0
    me["rx_end"] = 0
    me["rx_ack"] = 0
    me["window_max"] = 0
    me["hole"] = 0
    me["hole_end"] = 0
    me["hold_head"] = 0
    me["hold_tail"] = 0
    me["bits"] = 0
    me["was"] = 0
    me["flags"] = 0
    me["mss"] = 0
    me["syn_count"] = 0
    me["last_step"] = NO_STEP
    me["undo_step"] = NO_STEP
    me["wscale"] = NO_WSCALE
    me["state"] = 0
    me["last_from"] = 0
    me["last_event"] = 0
    me["last_certainty"] = 0
    me["undo_state"] = 0
    me["hold_n"] = 0
    me["rx_data"] = 0
    me["ttl"] = 0
    me["samples"] = 0
    me["ip_id"] = 0
    me["repeats"] = 0
    me["side"] = side


@inner
def _clear_story(view: Any) -> None:
    view["completeness"] = 0
    view["events"] = 0
    view["first_closer"] = 0
    view["reset_by"] = 0
    view["rst_form"] = 0
    view["cause"] = 0
    view["alerts"] = 0
    view["signature"] = 0
    view["revisions"] = 0
    view["opening"] = 0
    view["ending"] = 0


@inner
def _orient(view: Any, x: Any) -> None:
    """Decide who is the originator, and what the ids rest on, by the view's first segment."""
    flags = np.int64(x["flags"])
    sender = HIGHER if x["sender"] == HIGHER else LOWER
    view["id_isn"] = -1
    if flags & SYN and flags & ACK:
        view["orig"] = LOWER + HIGHER - sender
        view["orient"] = ORIENT_SYNACK
        view["id_isn"] = (np.int64(x["ack"]) - 1) & 0xFFFFFFFF
    elif flags & SYN:
        view["orig"] = sender
        view["orient"] = ORIENT_SYN
        view["id_isn"] = np.int64(x["seq"])
    else:
        view["orig"] = LOWER if view["lower_port"] >= view["higher_port"] else HIGHER
        view["orient"] = ORIENT_PORT if view["lower_port"] != view["higher_port"] else ORIENT_PRESUMED


@inner
def open_view(core: Any, tuple_row: Any, queue_number: Any, x: Any, gen: Any) -> Any:
    """Begin a view for the tuple of a FLOW (or of another VIEW) with its first segment; its number.

    It has no deadline yet: whoever applies that segment settles it.
    """
    control, views = core.control[_NONE], core.views
    v = np.uint64(control["views_free"])
    view, row = views[v], core.deadlines[v]
    control["views_free"] = next_free(core.deadlines, v)
    control["views_left"] -= 1
    control["views_live"] += _ONE
    queue = core.queues[queue_number]
    own = core.slices[np.uint64(queue["own"])]
    view["hash"] = tuple_row["hash"]
    for half in range(2):
        view["lower_ip"][half] = tuple_row["lower_ip"][half]
        view["higher_ip"][half] = tuple_row["higher_ip"][half]
    view["lower_port"] = tuple_row["lower_port"]
    view["higher_port"] = tuple_row["higher_port"]
    view["domain"] = tuple_row["domain"]
    view["family"] = tuple_row["family"]
    view["start_ns"] = x["t_ns"]
    view["last_ns"] = x["t_ns"]
    view["first_seq"] = x["seq"]
    view["lane"] = queue["lane"]
    view["gen"] = gen
    view["marks"] = VIEW_LIVE | VIEW_NEW
    view["syn_rtt_ns"] = -1
    view["ack_rtt_ns"] = -1
    view["dropped"] = core.lanes[np.uint64(queue["lane"])]["dropped"]
    view["queue"] = queue_number
    view["log_head"] = 0
    view["log_tail"] = 0
    view["packets_head"] = 0
    view["packets_tail"] = 0
    view["tentative"] = 0
    view["resets"] = 0
    view["kept_n"] = 0
    view["steps"] = 0
    view["packets_n"] = 0
    view["local"] = 0
    view["local_how"] = 0
    _clear_story(view)
    _clear_endpoint(view["ends"][_NONE], 0)
    _clear_endpoint(view["ends"][_ONE], 1)
    _orient(view, x)
    begin_history(view, _ONE if x["sender"] == HIGHER else _NONE)
    if view["orient"] == ORIENT_SYN:
        write_tally(core, view, queue, x["t_ns"], x["sender"], TALLY_SYN)
    elif view["orient"] == ORIENT_SYNACK:
        write_tally(core, view, queue, x["t_ns"], x["sender"], TALLY_STRAY_SYNACK)
    row["serial"] = own["serial"]
    own["serial"] += _ONE
    own["views"] += _ONE
    queue["views"] += 1
    insert(core.slots, control["index_mask"], keyed_hash(control, view, view["lane"]), v)
    return v


@inner
def mark_wanted(view: Any, x: Any) -> None:
    """Remember that a packet of the view passes the filter of who reads."""
    if x["marks"] & MARK_WANTED:
        view["marks"] |= VIEW_WANTED


@inner
def learn_vantage(view: Any, x: Any) -> None:
    """Which end is the capturing host's, as far as segments have told; and whether who reads wants the view."""
    mark_wanted(view, x)
    local = np.int64(x["local"])
    if local and np.int64(view["local"]) | local != np.int64(view["local"]):
        view["local"] |= x["local"]
        view["local_how"] = x["local_how"]
        if local & LOWER:
            view["ends"][_NONE]["bits"] |= EVER_LOCAL
        if local & HIGHER:
            view["ends"][_ONE]["bits"] |= EVER_LOCAL


@inner
def close_view(core: Any, v: Any, reason: Any) -> None:
    """End a view: assume what waits, raise what is left to raise, write its record, give its rows back."""
    view, work = core.views[v], core.work[_NONE]
    control, holds = core.control[_NONE], core.holds
    fetch_blocks(core, view)
    for side in range(2):
        me, peer = view["ends"][np.uint64(side)], view["ends"][np.uint64(1 - side)]
        while me["hold_n"]:
            assume_head(control, holds, work, view, me, peer)
    stamp(work, view["last_ns"], view["last_ns"], 0, ASSUMED)
    for side in range(2):
        me, peer = view["ends"][np.uint64(side)], view["ends"][np.uint64(1 - side)]
        settle_guesses(work, me, peer)
        if me["state"] in (CLOSING, LAST_ACK) and keeps_silent(view, me):
            step(work, me, RX_ACKFIN)
    file_steps(core, view, view["last_ns"], reason)
    if view["marks"] & VIEW_OVER and reason != EVICTED and not (reason == REUSED and _gave_way(view)):
        reason = END  # it had ended by itself, whatever came then
    write_flow(core, view, reason)
    release_view(core, v)


@inner
def _gave_way(view: Any) -> Any:
    """Whether the next incarnation ended it: in TIME-WAIT, or without a packet."""
    a, b = view["ends"][_NONE], view["ends"][_ONE]
    waited = a["state"] == TIME_WAIT or b["state"] == TIME_WAIT
    return waited or a["last_event"] == NEW_ISN or b["last_event"] == NEW_ISN


@inner
def blocks(n: Any, rows: Any) -> Any:
    """How many blocks of so many rows hold n."""
    return np.uint32((np.int64(n) + rows - 1) // rows)


@inner
def release_view(core: Any, v: Any) -> None:
    """Take a view out of everything and give its rows back to their pools."""
    control, views = core.control[_NONE], core.views
    view = views[v]
    queue = core.queues[np.uint64(view["queue"])]
    queue_remove(core.deadlines, queue, v)
    queue["views"] -= 1
    core.slices[np.uint64(queue["own"])]["views"] -= _ONE
    remove(core.slots, control["index_mask"], keyed_hash(control, view, view["lane"]), v)
    for side in range(2):
        drop_holds(control, core.holds, view["ends"][np.uint64(side)])
    if view["tentative"]:
        free_hold(control, core.holds, np.uint64(view["tentative"]))
    while view["resets"]:
        h = np.uint64(view["resets"])
        view["resets"] = core.holds[h]["next"]
        free_hold(control, core.holds, h)
    if view["steps"]:
        core.log[np.uint64(view["log_tail"])]["next"] = control["log_free"]
        control["log_free"] = view["log_head"]
        control["log_left"] += blocks(view["steps"], LOG_ROWS)
    if view["packets_n"]:
        core.packets[np.uint64(view["packets_tail"])]["next"] = control["packets_free"]
        control["packets_free"] = view["packets_head"]
        control["packets_left"] += blocks(view["packets_n"], PACKET_ROWS)
    view["marks"] = 0  # its tuple stays readable: the next incarnation copies it
    core.deadlines[v]["next"] = control["views_free"]
    control["views_free"] = v
    control["views_left"] += 1
    control["views_live"] -= _ONE


@compiled
def adopt(addresses: Any, first: Any, n: Any) -> None:
    """Take n views from row `first` on, which came back from snapshots, into index and queues."""
    core = open_core(addresses)
    control = core.control[_NONE]
    v = first
    while v < first + n:
        view = core.views[v]
        queue = core.queues[np.uint64(view["queue"])]
        insert(core.slots, control["index_mask"], keyed_hash(control, view, view["lane"]), v)
        queue_push(core.deadlines, queue, v, view["last_ns"])
        queue["views"] += 1
        v += _ONE


@inner
def settle(core: Any, v: Any, waits: Any) -> None:
    """Give the view its place in its queue, another one when its true deadline is earlier than that it stands by."""
    view, row = core.views[v], core.deadlines[v]
    queue = core.queues[np.uint64(view["queue"])]
    if view["marks"] & VIEW_NEW:
        # No timer is shorter. Most views are over when it ends, and few were moved by what waited for proof in between.
        view["marks"] &= np.uint8(0xFF ^ VIEW_NEW)
        row["deadline_ns"] = view["start_ns"] + AGE_NS_MIN
        queue_push(core.deadlines, queue, v, view["start_ns"])
        return
    if row["deadline_ns"] > view["last_ns"] + (AGE_NS_MIN if waits else LINGER_NS):
        deadline = view_deadline(core.holds, view)
        if deadline < row["deadline_ns"]:
            queue_move(core.deadlines, queue, v, deadline, view["last_ns"])


@inner
def begun_anew(core: Any, view: Any, side: Any, t_ns: Any) -> None:
    """The endpoint opens with another ISN: its old connection had ended without a packet."""
    me, work = view["ends"][side], core.work[_NONE]
    stamp(work, t_ns, t_ns, max(t_ns - me["last_ns"], 0), INFERRED)
    if step_as(work, me, NEW_ISN, INFERRED):
        me["bits"] |= GONE
    file_steps(core, view, t_ns, NO_REASON)
