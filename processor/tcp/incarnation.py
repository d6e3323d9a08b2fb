"""When a SYN begins a new incarnation of a tuple, and when it only seems to.

A SYN with another ISN towards an endpoint that holds a connection open may be forged, or come from a host that has
forgotten. So it waits: the answer (or, at its own host, the fact that it was sent) decides, and until then the old
connection goes on.
"""

from typing import Any

import numpy as np

from processor.tcp.figure5 import CLOSED, LISTEN, SYN_SENT, TIME_WAIT, UNKNOWN
from processor.tcp.hold import copy_segment, free_hold, hold_row
from processor.tcp.layout import EVER_LOCAL, GONE, ISS_KNOWN, RCV_KNOWN, TS_SEEN
from processor.tcp.seqnum import distance
from processor.tcp.step import after
from processor.tcp.story import REUSED
from processor.tcp.views import begun_anew, close_view, open_view
from synfin.compiled import compiled
from synfin.wire.segment import ACK, FIN, HIGHER, OPT_TS, RST, SYN

_NONE = np.uint64(0)
_ONE = np.uint64(1)


@compiled
def side_of(x: Any) -> Any:
    """Side of the end that sent the segment."""
    return _ONE if x["sender"] == HIGHER else _NONE


@compiled
def opens(x: Any) -> bool:
    """Whether it is a SYN without ACK, and nothing odd."""
    return np.int64(x["flags"]) & (SYN | ACK | RST | FIN) == SYN


@compiled
def _newer(peer: Any, x: Any) -> bool:
    """Whether TIME-WAIT gives way to this SYN: RFC 6191, RFC 9293 section 3.10.7.4 first check."""
    if not peer["bits"] & RCV_KNOWN or after(x["seq"], peer["rcv_nxt"]):
        return True
    return bool(peer["bits"] & TS_SEEN and x["options"] & OPT_TS) and after(x["tsval"], peer["ts_recent"])


@compiled
def _free_to_begin(peer: Any, x: Any) -> bool:
    """Whether nothing stands in the way of a new connection at the endpoint that the SYN goes to."""
    state = peer["state"]
    if state == TIME_WAIT:
        return _newer(peer, x)
    return state == UNKNOWN or state == CLOSED or state == LISTEN or state == SYN_SENT


@compiled
def _same_attempt(me: Any, peer: Any, x: Any) -> bool:
    """Whether a SYN belongs to the incarnation at hand: the first of its sender, or its repetition."""
    if me["bits"] & ISS_KNOWN and me["syn_count"]:
        return distance(x["seq"], me["iss"]) == 0
    if me["packets"]:
        return False
    state = peer["state"]
    return state == UNKNOWN or state == SYN_SENT or state == LISTEN


@compiled
def incarnation(memory: Any, output: Any, work: Any, v: Any, x: Any) -> Any:
    """The view that a SYN belongs to: v itself, a new one, or 0 when the SYN waits."""
    view, side = memory.views[v], side_of(x)
    me, peer = view["ends"][side], view["ends"][_ONE - side]
    if _same_attempt(me, peer, x):
        return v
    if _free_to_begin(peer, x):
        if view["tentative"] and _is_waiting(memory, view, x):
            return renew(memory, output, work, v)
        return _replace(memory, output, work, v, x)
    _wait(memory, view, x)
    if me["bits"] & EVER_LOCAL and me["state"] != CLOSED and me["state"] != UNKNOWN:
        begun_anew(memory, output, work, view, side, x["t_ns"])
    return _NONE


@compiled
def _is_waiting(memory: Any, view: Any, x: Any) -> bool:
    """Whether x repeats the SYN that waits."""
    return distance(memory.holds[np.uint64(view["tentative"])]["segment"]["seq"], x["seq"]) == 0


@compiled
def _wait(memory: Any, view: Any, x: Any) -> None:
    """Keep the SYN; its repetition changes nothing, one with yet another ISN takes its place."""
    control, holds = memory.control[_NONE], memory.holds
    if view["tentative"]:
        if _is_waiting(memory, view, x):
            return
        free_hold(control, holds, np.uint64(view["tentative"]))
    view["tentative"] = hold_row(control, holds, x)


@compiled
def _replace(memory: Any, output: Any, work: Any, v: Any, x: Any) -> Any:
    """End the view and begin the next incarnation with segment x; its number."""
    view, side = memory.views[v], side_of(x)
    me = view["ends"][side]
    state = me["state"]
    if state != CLOSED and state != TIME_WAIT and state != UNKNOWN:
        begun_anew(memory, output, work, view, side, x["t_ns"])
    queue, gen = np.uint64(view["queue"]), np.int64(view["gen"]) + 1
    close_view(memory, output, work, v, REUSED)
    # The row of the view that ended still holds its tuple: nothing was written there since.
    return open_view(memory, view, queue, x, gen)


@compiled
def renew(memory: Any, output: Any, work: Any, v: Any) -> Any:
    """The waiting SYN was real: begin the incarnation that it opened; the number of its view, with the SYN unapplied.

    The SYN is in `work`'s segment then.
    """
    h = np.uint64(memory.views[v]["tentative"])
    copy_segment(work["segment"], memory.holds[h]["segment"])
    return _replace(memory, output, work, v, work["segment"])


@compiled
def verdict(memory: Any, view: Any, x: Any) -> Any:
    """What a segment says of the SYN that waits: 1 it was real, -1 it was not, 0 nothing."""
    syn = memory.holds[np.uint64(view["tentative"])]["segment"]
    flags = np.int64(x["flags"])
    if x["sender"] != syn["sender"]:
        answered = flags & ACK and flags & (SYN | RST) and 0 < distance(x["ack"], syn["seq"]) <= np.int64(syn["len"]) + 1
        return 1 if answered else 0
    if flags & (SYN | RST):
        return 0
    if flags & ACK and distance(x["seq"], syn["seq"]) == 1:
        return 1
    me = view["ends"][side_of(x)]
    return 0 if me["bits"] & GONE else -1


