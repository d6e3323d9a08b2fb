"""When a SYN begins a new incarnation of a tuple, and when it only seems to.

A SYN with another ISN towards an endpoint that holds a connection open may be forged, or come from a host that has
forgotten. So it waits: the answer (or, at its own host, the fact that it was sent) decides, and until then the old
connection goes on.
"""

from typing import Any

import numpy as np

from processor.tcp.figure5 import CLOSED, LISTEN, SYN_SENT, TIME_WAIT, UNKNOWN
from processor.tcp.filing import raise_recovered
from processor.tcp.hold import copy_segment, free_hold, hold_row
from processor.tcp.layout import EVER_LOCAL, GONE, ISS_KNOWN, RCV_KNOWN, SND_KNOWN, TS_SEEN, VIEW_CHALLENGED
from processor.tcp.seqnum import distance
from processor.tcp.step import after
from processor.tcp.story import REUSED
from processor.tcp.views import begun_anew, close_view, open_view
from synfin.compiled import inner
from synfin.wire.segment import ACK, FIN, HIGHER, OPT_TS, RST, SYN

_NONE = np.uint64(0)
_ONE = np.uint64(1)


@inner
def side_of(x: Any) -> Any:
    """Side of the end that sent the segment."""
    return _ONE if x["sender"] == HIGHER else _NONE


@inner
def opens(x: Any) -> Any:
    """Whether it is a SYN without ACK, and nothing odd."""
    return np.int64(x["flags"]) & (SYN | ACK | RST | FIN) == SYN


@inner
def _newer(peer: Any, x: Any) -> Any:
    """Whether TIME-WAIT gives way to this SYN: RFC 6191, RFC 9293 section 3.10.7.4 first check."""
    if not peer["bits"] & RCV_KNOWN or after(x["seq"], peer["rcv_nxt"]):
        return True
    return bool(peer["bits"] & TS_SEEN and x["options"] & OPT_TS) and after(x["tsval"], peer["ts_recent"])


@inner
def _free_to_begin(peer: Any) -> Any:
    """Whether nothing stands in the way of a new connection at the endpoint that the SYN goes to.

    TIME-WAIT gives way to a newer SYN only where somebody listens: its answer tells.
    """
    return peer["state"] in (UNKNOWN, CLOSED, LISTEN, SYN_SENT)


@inner
def _same_attempt(me: Any, peer: Any, x: Any) -> Any:
    """Whether a SYN belongs to the incarnation at hand: the first of its sender, or its repetition."""
    if me["bits"] & ISS_KNOWN:
        return distance(x["seq"], me["iss"]) == 0
    if me["bits"] & SND_KNOWN or me["state"] == CLOSED:
        return False
    state = peer["state"]
    return state in (UNKNOWN, SYN_SENT, LISTEN)


@inner
def incarnation(core: Any, v: Any, x: Any) -> Any:
    """The view that a SYN belongs to: v itself, a new one, or 0 when the SYN waits."""
    view, side = core.views[v], side_of(x)
    me, peer = view["ends"][side], view["ends"][_ONE - side]
    if _same_attempt(me, peer, x):
        return v
    if _free_to_begin(peer):
        if view["tentative"] and _is_waiting(core, view, x):
            return renew(core, v)
        return replace(core, v, x)
    _wait(core, view, x)
    if me["bits"] & EVER_LOCAL:
        ends_unseen(core, view, side, x["t_ns"])
    return _NONE


@inner
def answers_another(view: Any, x: Any) -> Any:
    """Whether a SYN,ACK answers another SYN than the view's, where nothing of who opens is captured."""
    if np.int64(x["flags"]) & (SYN | ACK | RST | FIN) != SYN | ACK:
        return False
    me, peer = view["ends"][side_of(x)], view["ends"][_ONE - side_of(x)]
    if peer["packets"] or not me["bits"] & peer["bits"] & ISS_KNOWN:
        return False
    return distance(x["seq"], me["iss"]) != 0 and distance(x["ack"], peer["iss"]) != 1


@inner
def ends_unseen(core: Any, view: Any, side: Any, t_ns: Any) -> None:
    """The endpoint has begun anew: what it had is over. TIME-WAIT only gives way."""
    me = view["ends"][side]
    if me["state"] == TIME_WAIT:
        me["bits"] |= GONE
    elif me["state"] not in (CLOSED, UNKNOWN, LISTEN):
        begun_anew(core, view, side, t_ns)


@inner
def unanswered(view: Any, syn: Any) -> Any:
    """Whether a SYN that waited and was not answered began a new incarnation all the same."""
    side = side_of(syn)
    me, peer = view["ends"][side], view["ends"][_ONE - side]
    if me["bits"] & (GONE | EVER_LOCAL):
        return True
    return peer["state"] == TIME_WAIT and _newer(peer, syn)


@inner
def _is_waiting(core: Any, view: Any, x: Any) -> Any:
    """Whether x repeats the SYN that waits."""
    return distance(core.holds[np.uint64(view["tentative"])]["segment"]["seq"], x["seq"]) == 0


@inner
def _wait(core: Any, view: Any, x: Any) -> None:
    """Keep the SYN; its repetition changes nothing, one with yet another ISN takes its place."""
    control, holds = core.control[_NONE], core.holds
    if view["tentative"]:
        if _is_waiting(core, view, x):
            return
        free_hold(control, holds, np.uint64(view["tentative"]))
    view["tentative"] = hold_row(control, holds, x)


@inner
def _told(core: Any, view: Any, side: Any) -> Any:
    """Whether the end has answered with a RST what its peer said last."""
    peer = view["ends"][_ONE - side]
    h = np.uint64(view["resets"])
    while h != _NONE:
        rst = core.holds[h]["segment"]
        if side_of(rst) == side and not np.int64(rst["flags"]) & ACK and rst["seq"] == peer["rcv_wup"]:
            return True
        h = np.uint64(core.holds[h]["next"])
    return False


@inner
def replace(core: Any, v: Any, x: Any) -> Any:
    """End the view and begin the next incarnation with segment x; its number."""
    view, side = core.views[v], side_of(x)
    me = view["ends"][side]
    state = me["state"]
    if state not in (CLOSED, TIME_WAIT, UNKNOWN):
        begun_anew(core, view, side, x["t_ns"])
    if view["marks"] & VIEW_CHALLENGED and _told(core, view, side):
        raise_recovered(core, view, me, x["t_ns"])
    queue, gen = np.uint64(view["queue"]), np.int64(view["gen"]) + 1
    close_view(core, v, REUSED)
    # The row of the view that ended still holds its tuple: nothing was written there since.
    return open_view(core, view, queue, x, gen)


@inner
def renew(core: Any, v: Any) -> Any:
    """The waiting SYN was real: begin the incarnation that it opened; the number of its view, with the SYN unapplied.

    The SYN is in WORK.segment then.
    """
    work = core.work[_NONE]
    h = np.uint64(core.views[v]["tentative"])
    copy_segment(work["segment"], core.holds[h]["segment"])
    return replace(core, v, work["segment"])


@inner
def verdict(core: Any, view: Any, x: Any) -> Any:
    """What a segment says of the SYN that waits: 1 it was real, -1 it was not, 0 nothing."""
    syn = core.holds[np.uint64(view["tentative"])]["segment"]
    flags = np.int64(x["flags"])
    if x["sender"] != syn["sender"]:
        sure = view["ends"][side_of(syn)]["bits"] & (GONE | EVER_LOCAL)
        if opens(x):  # both begin anew
            return 1 if sure else 0
        acked = flags & ACK and 0 < distance(x["ack"], syn["seq"]) <= np.int64(syn["len"]) + 1
        if acked and (flags & SYN or (flags & RST and x["seq"] == 0)):
            return 1
        answers = flags & (SYN | FIN | RST | ACK) == ACK and not acked and not x["len"]
        if answers and view["ends"][side_of(x)]["state"] not in (TIME_WAIT, CLOSED):
            view["marks"] |= VIEW_CHALLENGED
        goes_on = not sure and not flags & (SYN | RST) and view["ends"][side_of(x)]["bits"] & EVER_LOCAL
        return -1 if goes_on else 0  # the host itself did not take it
    if flags & (SYN | RST):
        return 0
    me, peer = view["ends"][side_of(x)], view["ends"][_ONE - side_of(x)]
    behind = distance(peer["snd_nxt"], x["ack"])  # in the old connection's numbers
    if flags & ACK and distance(x["seq"], syn["seq"]) == 1 and not 0 <= behind <= np.int64(me["window_max"]):
        return 1
    return 0 if me["bits"] & GONE else -1
