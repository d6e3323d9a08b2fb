"""What an endpoint does with a segment that reaches it, by RFC 9293 section 3.10.7 as Linux has it.

Called when the endpoint has the segment: at its own host, as the tap sees it; elsewhere, when later evidence says so.
The numbers are those of section 3.10.7.4. Where Linux departs from the RFC and it changes what is on the wire, Linux
wins, with the reason beside it. A segment that is not acceptable changes no state; what it would have shown is shown by
the endpoint's next own segment, if the endpoint took it after all.
"""

from typing import Any, Final

import numpy as np

from processor.tcp.figure5 import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    LAST_ACK,
    LISTEN,
    RX_ACKFIN,
    RX_ACKSYN,
    RX_FIN,
    RX_RST,
    RX_SYN,
    RX_SYNACK,
    SYN_RECEIVED,
    SYN_SENT,
    TIME_WAIT,
    TX_SYN,
    UNKNOWN,
)
from processor.tcp.layout import (
    ACTIVE,
    BAD_ACK,
    EDGE_KNOWN,
    FIN_RECEIVED,
    FIN_SENT,
    ISS_KNOWN,
    NO_STEP,
    RCV_KNOWN,
    RST_SENT,
    RST_TAKEN,
    SACK_SENT,
    SND_KNOWN,
    SYN_PENDING,
    TFO_DATA,
    TS_OK,
    TS_SEEN,
)
from processor.tcp.sent import settle_guesses
from processor.tcp.seqnum import distance, latest, plus
from processor.tcp.step import PRESUMED, after, segment_end, step, step_as
from synfin.compiled import inner
from synfin.wire.segment import ACK, FIN, MARK_FRAGMENT, OPT_TS, RST, SYN

PAWS_IDLE_NS: Final = 24 * 86_400 * 1_000_000_000  # RFC 7323 section 5.5: after 24 days ts_recent means nothing


@inner
def receive(work: Any, me: Any, peer: Any, x: Any) -> None:
    """Apply segment x to the endpoint that it reached."""
    state = me["state"]
    again = me["undo_step"] != NO_STEP and np.int64(x["flags"]) & FIN and segment_end(x) == np.int64(me["rx_end"])
    # Who has sent a SYN,ACK and no more, and lets a FIN be repeated, had a full queue perhaps and has taken neither.
    if not again or me["packets"] != np.uint64(me["syn_count"]):
        me["undo_step"] = work["filed"] + work["n"]
        me["undo_state"] = state
    if state in (UNKNOWN, CLOSED, LISTEN):
        _without_connection(work, me, x)
    elif state == SYN_SENT:
        _in_syn_sent(work, me, x)
    elif state == TIME_WAIT:
        _in_time_wait(work, me, x)
    else:
        _synchronized(work, me, peer, x)


@inner
def _without_connection(work: Any, me: Any, x: Any) -> None:
    flags = np.int64(x["flags"])
    if flags & (RST | FIN) or not flags & SYN:
        return  # dropped, or answered by a RST: its form tells
    if not flags & ACK:
        _take_syn(me, x)
        me["bits"] &= ~np.uint32(RST_SENT)  # of an attempt that it refused before
        me["was"] &= np.uint16(0xFFFF ^ (1 << CLOSED))
        me["bits"] |= SYN_PENDING
        if x["len"]:
            me["bits"] |= TFO_DATA
        step_as(work, me, RX_SYN, PRESUMED)
    elif me["state"] == UNKNOWN:
        presume_syn(work, me, x)
        _in_syn_sent(work, me, x)


@inner
def presume_syn(work: Any, me: Any, x: Any) -> None:
    """A SYN,ACK comes to an endpoint of which nothing was seen: the capture began after its SYN."""
    me["iss"] = plus(x["ack"], -1)
    me["snd_una"] = me["iss"]
    me["snd_nxt"] = x["ack"]
    me["bits"] |= ISS_KNOWN | SND_KNOWN | ACTIVE
    step_as(work, me, TX_SYN, PRESUMED)


@inner
def _take_syn(me: Any, x: Any) -> None:
    me["irs"] = x["seq"]
    me["rcv_nxt"] = plus(x["seq"], 1)
    me["rcv_wup"] = me["rcv_nxt"]
    me["bits"] |= RCV_KNOWN
    if x["options"] & OPT_TS:
        me["ts_recent"] = x["tsval"]
        me["bits"] |= TS_SEEN


@inner
def _in_syn_sent(work: Any, me: Any, x: Any) -> None:
    """Section 3.10.7.3."""
    flags = np.int64(x["flags"])
    acceptable = bool(flags & ACK) and after(x["ack"], me["iss"]) and not after(x["ack"], me["snd_nxt"])
    if flags & ACK and not acceptable:  # first
        me["bad_ack"] = x["ack"]
        me["bits"] |= BAD_ACK
        return
    if flags & RST:  # second
        if acceptable and step(work, me, RX_RST):
            me["bits"] |= RST_TAKEN
        return
    if flags & SYN:  # fourth
        _take_syn(me, x)
        if acceptable:
            me["snd_una"] = x["ack"]
            step(work, me, RX_SYNACK)
        else:
            step(work, me, RX_SYN)


@inner
def _in_time_wait(work: Any, me: Any, x: Any) -> None:
    flags = np.int64(x["flags"])
    if flags & RST:
        if distance(x["seq"], me["rcv_nxt"]) == 0 and step(work, me, RX_RST):
            me["bits"] |= RST_TAKEN
    elif flags & FIN and not flags & SYN:
        me["state_ns"] = work["t_ns"]  # eighth: restart the 2 MSL time-out


@inner
def reset_acceptable(me: Any, x: Any) -> Any:
    """RFC 5961 section 3.2: a RST counts at RCV.NXT exactly; inside the window it only draws a challenge ACK."""
    if not me["bits"] & RCV_KNOWN:
        return True
    off = distance(x["seq"], me["rcv_nxt"])
    state = me["state"]
    if off == 0:
        return True
    # Linux: after a FIN the peer may not have counted it; at the right edge of what was acknowledged selectively.
    if off == -1 and (state in (CLOSE_WAIT, LAST_ACK, CLOSING)):
        return True
    return off > 0 and bool(me["bits"] & SACK_SENT) and distance(x["seq"], me["sack_max"]) == 0


@inner
def _outside(me: Any, x: Any) -> Any:
    """First check, in Linux's form: wholly before what it last acknowledged, or beyond the window."""
    if not me["bits"] & RCV_KNOWN:
        return False
    if distance(segment_end(x), me["rcv_wup"]) < 0:
        return True
    return bool(me["bits"] & EDGE_KNOWN) and after(x["seq"], latest(me["edge"], me["rcv_nxt"]))


@inner
def _too_old(me: Any, x: Any) -> Any:
    """PAWS, RFC 7323 section 5. A segment without the option is taken, as Linux does."""
    if not (me["bits"] & TS_OK and me["bits"] & TS_SEEN and x["options"] & OPT_TS):
        return False
    if x["t_ns"] - me["rx_ns"] > PAWS_IDLE_NS:
        return False
    return distance(x["tsval"], me["ts_recent"]) < 0


@inner
def _synchronized(work: Any, me: Any, peer: Any, x: Any) -> None:
    """Section 3.10.7.4."""
    flags = np.int64(x["flags"])
    if flags & RST:  # second; before the window check, since RFC 5961 has its own
        if reset_acceptable(me, x):
            settle_guesses(work, me, peer)
            if step(work, me, RX_RST):
                me["bits"] |= RST_TAKEN
        return
    crossing = (  # simultaneous open: the peer's SYN,ACK carries the SYN that was taken already
        me["state"] == SYN_RECEIVED
        and flags & SYN
        and flags & ACK
        and distance(x["seq"], me["irs"]) == 0
        and distance(x["ack"], me["snd_nxt"]) == 0
    )
    if not crossing and (_too_old(me, x) or _outside(me, x) or flags & SYN):  # first; fourth: a challenge ACK
        return
    if not flags & ACK or not _acknowledge(work, me, peer, x):  # fifth
        return
    if me["bits"] & TS_OK and x["options"] & OPT_TS and not after(x["seq"], me["rcv_wup"]):
        me["ts_recent"] = x["tsval"]
        me["bits"] |= TS_SEEN
    if x["marks"] & MARK_FRAGMENT or me["state"] == CLOSED:
        return
    end = segment_end(x)  # seventh, eighth; behind a FIN there is nothing
    if not after(x["seq"], me["rcv_nxt"]) and after(end, me["rcv_nxt"]) and not me["bits"] & FIN_RECEIVED:
        if not peer["gap_bytes"] and after(peer["snd_nxt"], end):  # the last hole is filled
            end = np.int64(peer["snd_nxt"])
        me["rcv_nxt"] = end
        if flags & FIN or (peer["bits"] & FIN_SENT and distance(end, peer["fin_end"]) == 0):
            take_fin(work, me)


@inner
def take_fin(work: Any, me: Any) -> None:
    """RCV.NXT has passed the peer's FIN. That a hole before a FIN was filled, the endpoint's own ACK says."""
    if step(work, me, RX_FIN):
        me["bits"] |= FIN_RECEIVED


@inner
def _acknowledge(work: Any, me: Any, peer: Any, x: Any) -> Any:
    """Fifth check: move SND.UNA. False when the segment is dropped for its acknowledgment number."""
    if me["state"] == SYN_RECEIVED:
        if not after(x["ack"], me["iss"]) or after(x["ack"], me["snd_nxt"]):
            return False
        me["snd_una"] = x["ack"]
        step(work, me, RX_ACKSYN)
        return True
    if not me["bits"] & SND_KNOWN:
        return True
    if after(x["ack"], me["snd_nxt"]):
        me["bad_ack"] = x["ack"]
        me["bits"] |= BAD_ACK
        return False
    if distance(x["ack"], me["snd_una"]) < -np.int64(peer["window_max"]):  # RFC 5961 section 5
        return False
    me["snd_una"] = latest(x["ack"], me["snd_una"])
    if me["bits"] & FIN_SENT and not after(me["fin_end"], me["snd_una"]):
        step(work, me, RX_ACKFIN)
    return True
