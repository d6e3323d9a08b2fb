"""The loop over a batch: each row fires the timers that are due before it, finds its view, and is applied to both ends.

The only place where rows, views and time meet. Between two rows everything is consistent: when a pool or an output is
short of room, the loop returns, Python makes room, and the loop goes on with the same row.
"""

from typing import Any, Final

import numpy as np

from processor.tcp.acceptable import receive
from processor.tcp.ahead import FLOWS_CACHED, fetch_next, fetch_rows, look_up
from processor.tcp.evidence import transmit
from processor.tcp.figure5 import CLOSE_WAIT, ESTABLISHED, ICMP_HARD, SYN_SENT
from processor.tcp.filing import LOG_MAX, file_steps, note_packet, raise_stuck
from processor.tcp.hold import (
    HOLD_MAX,
    assume,
    assume_head,
    direct,
    free_hold,
    hold,
    matters,
    release,
    release_unseen,
    round_trip,
)
from processor.tcp.incarnation import (
    answers_another,
    ends_unseen,
    incarnation,
    opens,
    renew,
    replace,
    side_of,
    unanswered,
    verdict,
)
from processor.tcp.index import find, same_tuple
from processor.tcp.labels import label
from processor.tcp.layout import (
    EVER_LOCAL,
    FIN_SENT,
    LOG_ROWS,
    NO_STEP,
    SND_KNOWN,
    STEPS_MAX,
    VIEW_LIVE,
    VIEW_NEW,
    VIEW_OVER,
    open_core,
)
from processor.tcp.measure import count, measure
from processor.tcp.queue import queue_move
from processor.tcp.record import TALLY_STRAY_RST, write_tally
from processor.tcp.sent import given_up
from processor.tcp.seqnum import distance
from processor.tcp.step import ASSUMED, OBSERVED, segment_end, stamp, step
from processor.tcp.story import END, EVICTED, IDLE, NO_REASON
from processor.tcp.tamper import watch_resets
from processor.tcp.timers import SYN_SENT_NS, expire, state_deadline, stuck_deadline, view_deadline
from processor.tcp.views import close_view, learn_vantage, mark_wanted, open_view, settle
from processor.tcp.zeek import bad_checksum
from synfin.compiled import compiled, inner
from synfin.pools import fetch_ahead
from synfin.wire.key import SLICES
from synfin.wire.segment import CSUM_BAD, ICMP, MARK_DUPLICATE, RST, TCP

_NONE: Final = np.uint64(0)
_ONE: Final = np.uint64(1)

# What one turn of the loop may need at most: a view that ends and one that begins, with all their steps.
ROOM_LOG: Final = 4 * STEPS_MAX // LOG_ROWS + 4  # blocks
ROOM_FLOWS: Final = 4
ROOM_TRANSITIONS: Final = 4 * LOG_MAX
ROOM_EVENTS: Final = 4 * STEPS_MAX + 16
ROOM_EVIDENCE: Final = 384  # of the events of an end, and one packet for each that is revised
ROOM_TALLIES: Final = 8

ICMP_FRAGMENTATION_NEEDED: Final = 4  # code of type 3
ICMP6_PACKET_TOO_BIG: Final = 2  # type


@inner
def turns(control: Any) -> Any:
    """How many turns of the loop pools and outputs have room for."""
    return min(
        (np.int64(control["views_left"]) - 1) // 2,
        (np.int64(control["holds_left"]) - 1) // 4,
        (np.int64(control["log_left"]) - 1) // ROOM_LOG,
        (np.int64(control["packets_left"]) - 1) // 4,
        (np.int64(control["flows_max"]) - np.int64(control["flows_n"])) // ROOM_FLOWS,
        (np.int64(control["transitions_max"]) - np.int64(control["transitions_n"])) // ROOM_TRANSITIONS,
        (np.int64(control["events_max"]) - np.int64(control["events_n"])) // ROOM_EVENTS,
        (np.int64(control["evidence_max"]) - np.int64(control["evidence_n"])) // ROOM_EVIDENCE,
        (np.int64(control["tallies_max"]) - np.int64(control["tallies_n"])) // ROOM_TALLIES,
    )


@inner
def has_room(control: Any) -> Any:
    """Take a turn of the loop: False when pools or outputs may have no room for one."""
    if control["turns"] <= 0:
        control["turns"] = turns(control)
    control["turns"] -= 1
    return control["turns"] >= 0


@compiled
def drive(addresses: Any, segments: Any, flows: Any, seen: Any) -> Any:
    """Apply a batch: its rows from CONTROL.at on, then what its last time makes due, then the lane's end if it is one.

    False when there is no room to go on: make some and call again. `addresses` are those of Core; `seen` is
    SEEN[len(flows)], to write to.
    """
    core = open_core(addresses)
    control = core.control[_NONE]
    partitions = control["partitions"]
    base = control["lane"] * (np.uint64(SLICES) // partitions)
    if control["at"] == _NONE:
        look_up(core, flows, seen)
    many = len(flows) > FLOWS_CACHED
    while control["at"] < np.uint64(len(segments)):
        if many:
            fetch_rows(core, segments, seen, control["at"])
        x = segments[control["at"]]
        f = np.uint64(x["flow"])
        flow = flows[f]
        own = np.uint64(seen[f]["own"])
        if core.slices[own]["next_offset"] <= control["offset"]:
            late = core.queues[base + own]["due_ns"] <= x["t_ns"]
            if (late and not fire_until(core, base + own, x["t_ns"])) or not has_room(core.control[_NONE]):
                return False
            v = np.uint64(seen[f]["view"])
            if not _is_view(core.views[v], flow, control["lane"]):
                v = find(core.slots, core.views, control["index_mask"], seen[f]["hash"], flow, control["lane"])
            seen[f]["view"] = _apply_row(core, flow, v, base + own, x)
        control["at"] += _ONE
    own = _NONE
    while own < np.uint64(SLICES) // partitions:
        if core.slices[own]["next_offset"] <= control["offset"]:
            if not fire_until(core, base + own, control["watermark_ns"]):
                return False
            if control["reason"] != NO_REASON and not _end_all(core, base + own, np.int64(control["reason"])):
                return False
        own += _ONE
    return True


@inner
def _end_all(core: Any, queue: Any, reason: Any) -> Any:
    """End all views of a queue for a reason. False when there is no room to go on.

    In the order of the queue and not by the shape of its lists and its heap, which is another after a restart: the
    records have numbers.
    """
    v = np.uint64(core.queues[queue]["root"])
    while v != _NONE:
        if not has_room(core.control[_NONE]):
            return False
        view = core.views[v]
        fetch_next(core, v)
        begin(core, view)
        waits = np.uint64(view["tentative"])
        if waits and unanswered(view, core.holds[waits]["segment"]):
            apply_segment(core, renew(core, v), core.work[_NONE]["segment"])
        else:
            close_view(core, v, reason)
        v = np.uint64(core.queues[queue]["root"])
    return True


@inner
def _is_view(view: Any, flow: Any, lane: Any) -> Any:
    return bool(view["marks"] & VIEW_LIVE) and np.uint64(view["lane"]) == lane and same_tuple(view, flow)


@inner
def begin(core: Any, view: Any) -> Any:
    """The record for what happens to a view now, emptied."""
    work = core.work[_NONE]
    work["filed"] = view["steps"]
    work["n"] = 0
    work["reset_by"] = 0
    work["rst_form"] = 0
    work["cause"] = 0
    return work


@inner
def fire_until(core: Any, queue: Any, t_ns: Any) -> Any:
    """Fire the deadlines of a queue up to t_ns. False when there is no room to go on."""
    while core.queues[queue]["due_ns"] <= t_ns:
        if not has_room(core.control[_NONE]):
            return False
        fire(core, np.uint64(core.queues[queue]["root"]))
    return True


@inner
def _apply_row(core: Any, flow: Any, v: Any, queue: Any, x: Any) -> Any:
    """Apply one row; the number of its view, 0 for none."""
    if x["checksum"] == CSUM_BAD:
        if v != _NONE and x["kind"] == TCP:
            bad_checksum(core.views[v], core.views[v]["ends"][side_of(x)])
        return v
    if x["marks"] & MARK_DUPLICATE:
        return v
    if x["kind"] == ICMP or (v == _NONE and np.int64(x["flags"]) & RST):
        if v == _NONE:
            core.slices[np.uint64(core.queues[queue]["own"])]["strays"] += _ONE
            if x["kind"] != ICMP:
                write_tally(core, flow, core.queues[queue], x["t_ns"], x["sender"], TALLY_STRAY_RST)
        else:
            _icmp(core, v, x)
        return v
    if v == _NONE:
        _evict(core, queue)
        v = open_view(core, flow, queue, x, 0)
    else:
        if core.views[v]["tentative"]:
            v = _decide(core, v, x)
        if answers_another(core.views[v], x):
            v = replace(core, v, x)
        if opens(x):
            gen = np.int64(core.views[v]["gen"])
            new = incarnation(core, v, x)
            if new == _NONE:
                core.views[v]["last_ns"] = x["t_ns"]
                settle(core, v, True)
                return v
            v = new
            if core.views[v]["gen"] != gen and core.views[v]["start_ns"] != x["t_ns"]:  # it began with one that waited
                apply_segment(core, v, core.work[_NONE]["segment"])
    apply_segment(core, v, x)
    return v


@inner
def _decide(core: Any, v: Any, x: Any) -> Any:
    """Let a segment decide about the SYN that waits in view v; the view that the segment belongs to."""
    view = core.views[v]
    says = verdict(core, view, x)
    if says > 0:
        syn = core.holds[np.uint64(view["tentative"])]["segment"]
        side = side_of(x)  # who answers it has no other connection any more; what waits for him may have ended that
        if syn["sender"] != x["sender"] and not opens(x) and not view["ends"][side]["hold_n"]:
            ends_unseen(core, view, side, x["t_ns"])
        v = renew(core, v)
        apply_segment(core, v, core.work[_NONE]["segment"])
    elif says < 0:
        free_hold(core.control[_NONE], core.holds, np.uint64(view["tentative"]))
        view["tentative"] = 0
    return v


@inner
def _evict(core: Any, queue: Any) -> None:
    """Make room in a full slice: of the lane that needs it, the view that would have ended first."""
    own = core.slices[np.uint64(core.queues[queue]["own"])]
    while own["views"] >= core.control[_NONE]["views_max"]:
        root = np.uint64(core.queues[queue]["root"])
        if root == _NONE:
            return
        view = core.views[root]
        deadline = view_deadline(core.holds, view)
        if deadline > core.deadlines[root]["deadline_ns"]:
            queue_move(core.deadlines, core.queues[queue], root, deadline, view["last_ns"])
            continue
        own["evicted"] += _ONE
        begin(core, view)
        close_view(core, root, EVICTED)
        return


@inner
def _icmp(core: Any, v: Any, x: Any) -> None:
    """An ICMP error about a segment: it counts against an unanswered SYN alone, RFC 5927."""
    view = core.views[v]
    mark_wanted(view, x)
    me = view["ends"][side_of(x)]
    if me["state"] != SYN_SENT or distance(x["seq"], me["iss"]) != 0:
        return
    v4 = view["family"] == 4
    if x["icmp_code"] == ICMP_FRAGMENTATION_NEEDED if v4 else x["icmp_type"] == ICMP6_PACKET_TOO_BIG:
        return
    work = begin(core, view)
    stamp(work, x["t_ns"], x["t_ns"], 0, OBSERVED if me["bits"] & EVER_LOCAL else ASSUMED)
    step(work, me, ICMP_HARD)
    view["last_ns"] = x["t_ns"]
    file_steps(core, view, x["t_ns"], NO_REASON)
    settle(core, v, False)


@inner
def apply_segment(core: Any, v: Any, x: Any) -> None:
    """Apply a segment of view v to the end that sent it, and then to the end that it goes to."""
    view, side = core.views[v], side_of(x)
    me, peer = view["ends"][side], view["ends"][_ONE - side]
    t = x["t_ns"]
    work = begin(core, view)
    learn_vantage(view, x)
    if view["resets"] or np.int64(x["flags"]) & RST:
        watch_resets(core, view, me, peer, x)
    if me["hold_n"]:
        release(core, work, me, peer, x)
    if peer["hold_n"] and not peer["packets"]:
        release_unseen(core, work, peer, me, x)
    stamp(work, t, t, 0, OBSERVED)
    expected = np.int64(me["snd_nxt"]) if me["bits"] & SND_KNOWN else np.int64(x["seq"])
    measure(view, me, peer, x)
    if me["bits"] & FIN_SENT:
        work["rtt_ns"] = round_trip(view)
    label(view, me, peer, x)
    transmit(work, me, peer, x)
    count(me, x)
    waits = False
    if peer["bits"] & EVER_LOCAL:
        receive(work, peer, me, x)
    else:
        peer["undo_step"] = NO_STEP  # what a RST would answer is this segment, and nothing came of it yet
        waits = not direct(work, peer, me, x) and matters(peer, x)
    if waits:
        control, holds = core.control[_NONE], core.holds
        if peer["hold_n"] >= HOLD_MAX:
            assume_head(control, holds, work, view, peer, me)
        hold(control, holds, peer, x, expected)
    peer["rx_end"] = segment_end(x)
    peer["rx_ack"] = x["ack"]
    peer["rx_data"] = 1 if x["len"] else 0
    peer["rx_ns"] = t
    view["last_ns"] = t
    if work["n"]:
        note_packet(core, view, x, side)
        file_steps(core, view, t, NO_REASON)
        settle(core, v, waits)
    elif waits or view["marks"] & VIEW_NEW:
        settle(core, v, waits)


@inner
def fire(core: Any, v: Any) -> None:
    """Do what is due at the deadline of view v, the first of its queue; or move it back if it stood there too early."""
    view = core.views[v]
    fetch_ahead(core.views, v)
    now = core.deadlines[v]["deadline_ns"]
    deadline = view_deadline(core.holds, view)
    if deadline <= now:
        work = begin(core, view)
        if view["marks"] & VIEW_OVER:
            if view["tentative"]:  # nothing stands in its way any more
                apply_segment(core, renew(core, v), core.work[_NONE]["segment"])
            else:
                close_view(core, v, END)
            return
        for side in range(2):
            me, peer = view["ends"][np.uint64(side)], view["ends"][np.uint64(1 - side)]
            assume(core, work, view, me, peer, now)
        if _time_out(core, v, now):
            return
        if view["tentative"] and not _wait_on(core, v, now):
            return
        file_steps(core, view, now, NO_REASON)
        deadline = view_deadline(core.holds, view)
    queue_move(core.deadlines, core.queues[np.uint64(view["queue"])], v, deadline, view["last_ns"])


@inner
def _time_out(core: Any, v: Any, now: Any) -> Any:
    """End the states whose timers are due. True when the view ended with them."""
    view, work = core.views[v], core.work[_NONE]
    for side in range(2):
        me = view["ends"][np.uint64(side)]
        if stuck_deadline(view, me) <= now:
            raise_stuck(core, view, me, CLOSE_WAIT, now)
        if state_deadline(view, me) <= now:
            if me["state"] == ESTABLISHED or me["state"] == CLOSE_WAIT:
                view["cause"] |= np.uint8(given_up(me, view["ends"][np.uint64(1 - side)]))
                close_view(core, v, IDLE)
                return True
            expire(work, view, me, now)
    return False


@inner
def _wait_on(core: Any, v: Any, now: Any) -> Any:
    """Judge a SYN that nobody answered. False when its sender had begun anew, so that the old view ended."""
    view = core.views[v]
    h = np.uint64(view["tentative"])
    syn = core.holds[h]["segment"]
    if syn["t_ns"] + SYN_SENT_NS > now:
        return True
    if unanswered(view, syn):
        file_steps(core, view, now, NO_REASON)
        apply_segment(core, renew(core, v), core.work[_NONE]["segment"])
        return False
    free_hold(core.control[_NONE], core.holds, h)
    view["tentative"] = 0
    return True
