"""What an endpoint proves by what it sends: its own moves, and what it must have received before.

A segment that an endpoint emits is proof of its state, at whatever place it is seen. Where the capture missed
something, or a segment looked unacceptable and was taken all the same, the next emission shows it, and the missing
steps go in as inferred. Forged segments are told from real ones where the receiver's host shows that they cannot be
real.
"""

from typing import Any, Final

import numpy as np

from processor.tcp.acceptable import reset_acceptable, take_fin
from processor.tcp.figure5 import (
    CLOSED,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LISTEN,
    REVOKE,
    RX_ACKFIN,
    RX_ACKSYN,
    RX_FIN,
    RX_RST,
    RX_SYN,
    SYN_RECEIVED,
    SYN_SENT,
    T_STATE,
    TX_ACKIRS,
    TX_EST,
    TX_FIN,
    TX_RST,
    TX_SYN,
    TX_SYNACK,
    UNKNOWN,
)
from processor.tcp.layout import (
    ACKED_FIN_ALONE,
    ACTIVE,
    BAD_ACK,
    BAD_SYNACK,
    EDGE_KNOWN,
    EVER_LOCAL,
    FIN_GUESSED,
    FIN_RECEIVED,
    FIN_SENT,
    GONE,
    ISS_KNOWN,
    NO_STEP,
    NO_WSCALE,
    NOBODY,
    RCV_KNOWN,
    RST_SENT,
    RST_TAKEN,
    SACK_OK,
    SACK_SENT,
    SND_KNOWN,
    SPLIT,
    SYN_PENDING,
    TFO_DATA,
    TS_OK,
    TS_SEEN,
)
from processor.tcp.reset import FOREIGN, reset_form, transmit_reset
from processor.tcp.sent import imply_fin, is_last, misses, own_fin, sends, unseen_syn, unseen_synack
from processor.tcp.seqnum import distance, latest, plus
from processor.tcp.step import (
    ASSUMED,
    INFERRED,
    PRESUMED,
    after,
    segment_end,
    step,
    step_as,
    take_back_last,
)
from synfin.compiled import inner
from synfin.wire.segment import (
    ACK,
    FIN,
    MARK_OPTIONS_CUT,
    OPT_MSS,
    OPT_SACK_PERMITTED,
    OPT_TS,
    OPT_WSCALE,
    RST,
    SYN,
)

OVERTAKEN_NS: Final = 30_000_000  # a segment may come so much later than one that was sent after it
QUEUED_NS: Final = 10_000_000  # what left its socket before may leave the host's queues so much later


@inner
def transmit(work: Any, me: Any, peer: Any, x: Any) -> None:
    """Apply segment x to the endpoint that sent it."""
    flags = np.int64(x["flags"])
    if not me["bits"] & EVER_LOCAL and not _plausible(me, peer, x):
        return
    if flags & RST:
        transmit_reset(work, me, peer, x)
        return
    me["undo_step"] = NO_STEP
    if flags & SYN:
        if flags & ACK:
            _syn_ack(work, me, peer, x)
        else:
            _syn(work, me, x)
        return
    if not flags & ACK:  # no endpoint sends such a segment: a scan
        return
    _talks_on(work, me, peer, x)
    if me["bits"] & BAD_ACK and distance(me["bad_ack"], x["seq"]) == 0:
        own_fin(work, me, x["seq"])
    _opened(work, me, peer, x)
    _acknowledges(work, me, peer, x)
    closes = flags & FIN and is_last(me, x)
    sends(me, x)
    if closes:
        _closes(work, me, x)


@inner
def _plausible(me: Any, peer: Any, x: Any) -> Any:
    """Whether a segment can be from the endpoint that it names, as far as its receiver's own host knows."""
    flags = np.int64(x["flags"])
    if flags & SYN or not peer["bits"] & EVER_LOCAL or not peer["packets"]:
        return True  # where nothing that the receiver sends is captured, its host knows no more than another
    if flags & RST and peer["state"] == SYN_SENT:
        return not flags & ACK or not after(x["ack"], peer["snd_nxt"])
    if flags & RST:
        return reset_form(me, peer, x) != FOREIGN or peer["state"] == CLOSED or reset_acceptable(peer, x)
    if peer["state"] == SYN_SENT:
        return False
    too_old = distance(x["ack"], peer["snd_una"]) < -np.int64(me["window_max"])
    if peer["bits"] & SND_KNOWN and (after(x["ack"], peer["snd_nxt"]) or too_old):
        return False
    if peer["bits"] & EDGE_KNOWN and after(x["seq"], latest(peer["edge"], peer["rcv_nxt"])):
        return False
    if not peer["bits"] & TS_OK or not peer["bits"] & TS_SEEN or not x["options"] & OPT_TS:
        return True
    return distance(x["tsval"], peer["ts_recent"]) >= 0


@inner
def _learn_options(me: Any, x: Any) -> None:
    """Options of a SYN or SYN,ACK."""
    options = np.int64(x["options"])
    me["mss"] = x["mss"] if options & OPT_MSS else 0
    me["wscale"] = min(np.int64(x["wscale"]), 14) if options & OPT_WSCALE else NO_WSCALE
    if options & OPT_TS:
        me["bits"] |= TS_OK
    if options & OPT_SACK_PERMITTED:
        me["bits"] |= SACK_OK


@inner
def _begin(me: Any, x: Any) -> None:
    """Take the sequence numbers of the SYN that the endpoint sent."""
    me["iss"] = x["seq"]
    me["snd_una"] = x["seq"]
    me["snd_nxt"] = segment_end(x)
    me["window_max"] = x["window"]
    me["bits"] |= ISS_KNOWN | SND_KNOWN
    me["bytes"] += np.uint64(x["len"])
    _learn_options(me, x)


@inner
def _syn(work: Any, me: Any, x: Any) -> None:
    state = me["state"]
    if state == SYN_SENT and distance(x["seq"], me["iss"]) == 0:
        me["state_ns"] = work["t_ns"]  # retransmission: the timer begins anew
        if not me["syn_count"]:
            _learn_options(me, x)  # the SYN,ACK was captured before it
    if state == CLOSED and me["syn_count"] and distance(x["seq"], me["iss"]) == 0:
        take_back_last(work, me)  # it repeats its SYN: what seemed to end the attempt did not
        me["bits"] &= ~np.uint32(RST_TAKEN)
        return
    if state not in (UNKNOWN, LISTEN, CLOSED):
        return
    _begin(me, x)
    me["bits"] |= ACTIVE
    pending = state == LISTEN and me["bits"] & SYN_PENDING
    if state == LISTEN and me["last_event"] == RX_SYN and not me["bits"] & EVER_LOCAL:
        take_back_last(work, me)  # that it listened was a presumption
    step(work, me, TX_SYN)
    # At its own host the pending SYN had come before. Elsewhere the two may have crossed: its next segment tells.
    if pending and me["bits"] & EVER_LOCAL:
        me["bits"] |= SPLIT
        step(work, me, RX_SYN)


@inner
def _syn_ack(work: Any, me: Any, peer: Any, x: Any) -> None:
    state = me["state"]
    if state in (SYN_RECEIVED, ESTABLISHED):
        if distance(x["seq"], me["iss"]) != 0:
            if state == SYN_RECEIVED and me["bits"] & EVER_LOCAL and not me["bits"] & ACTIVE:
                _begin(me, x)  # a listener may forget a half-open connection, and answers the next SYN anew
            return
        if not me["bits"] & EDGE_KNOWN:
            _opens_window(me, x)
        if state == ESTABLISHED and me["last_event"] == RX_ACKSYN and not after(me["snd_nxt"], plus(me["iss"], 1)):
            take_back_last(work, me)  # it repeats its SYN,ACK: it has not taken the ACK that we saw
        me["state_ns"] = work["t_ns"]
        return
    if state == LISTEN and me["bits"] & SYN_PENDING:
        if not after(x["ack"], me["irs"]) or after(x["ack"], peer["snd_nxt"]):
            me["bits"] |= BAD_SYNACK
            return
        lag = work["lag_ns"]
        work["lag_ns"] = max(work["t_ns"] - me["rx_ns"], 0)  # the SYN came then
        _begin(me, x)
        step(work, me, TX_SYNACK)
        work["lag_ns"] = lag
        if not after(x["ack"], plus(me["irs"], 1)):
            me["bits"] &= ~np.uint32(TFO_DATA)  # the data of the SYN was not taken
    elif state == UNKNOWN:
        me["irs"] = plus(x["ack"], -1)
        _begin(me, x)
        step_as(work, me, TX_SYNACK, PRESUMED)
    elif state == SYN_SENT and distance(x["seq"], me["iss"]) == 0:
        me["irs"] = plus(x["ack"], -1)
        step_as(work, me, TX_SYNACK, INFERRED)
        if not peer["packets"]:
            unseen_syn(work, peer, x)
    else:
        return
    me["rcv_nxt"] = x["ack"]
    me["rcv_wup"] = x["ack"]
    me["bits"] |= RCV_KNOWN
    me["bits"] &= ~np.uint32(SYN_PENDING)
    _opens_window(me, x)


@inner
def _opens_window(me: Any, x: Any) -> None:
    """The window of a SYN,ACK, which is not scaled."""
    me["edge"] = plus(x["ack"], x["window"])
    me["bits"] |= EDGE_KNOWN


@inner
def _talks_on(work: Any, me: Any, peer: Any, x: Any) -> None:
    """Take back what the endpoint's own segment contradicts: it goes on as if it had not received that."""
    event = me["last_event"]
    if event == RX_ACKFIN and me["bits"] & FIN_SENT and np.int64(x["flags"]) & FIN:
        take_back_last(work, me)  # repeats a FIN that we thought acknowledged
    elif me["state"] == CLOSED:
        _lives_on(work, me, x)
    elif event == RX_FIN and me["last_certainty"] == ASSUMED and distance(x["ack"], peer["fin_end"]) < 0:
        take_back_last(work, me)
        me["bits"] &= ~np.uint32(FIN_RECEIVED)
        me["rcv_nxt"] = x["ack"]


@inner
def _lives_on(work: Any, me: Any, x: Any) -> None:
    """It sends something after what we took for its end."""
    event = me["last_event"]
    if event == RX_RST:
        mistaken = x["t_ns"] - me["state_ns"] > QUEUED_NS
    elif event in (TX_RST, REVOKE):  # somebody else wrote that RST; of its own, all it has sent is below
        beyond = distance(x["seq"], me["snd_nxt"])
        fresh = x["len"] or np.int64(x["flags"]) & FIN
        mistaken = not me["bits"] & EVER_LOCAL and beyond >= 0 and (fresh or x["t_ns"] - me["last_ns"] > OVERTAKEN_NS)
    else:
        mistaken = event == T_STATE  # our patience was shorter than its own
    if mistaken:
        take_back_last(work, me)
        if me["bits"] & RST_SENT:
            work["reset_by"] = NOBODY
        me["bits"] &= ~np.uint32(RST_TAKEN | RST_SENT | GONE)


@inner
def _opened(work: Any, me: Any, peer: Any, x: Any) -> None:
    """What a segment without SYN says of the handshake."""
    state = me["state"]
    if state in (ESTABLISHED, CLOSED):
        return
    talks = x["len"] > 0 or np.int64(x["flags"]) & FIN
    if state == SYN_RECEIVED:
        acks_data = me["bits"] & RCV_KNOWN and after(x["ack"], me["rcv_nxt"])
        if (talks or acks_data) and not me["bits"] & TFO_DATA:
            step_as(work, me, TX_EST, INFERRED)
    elif state == SYN_SENT:
        unseen = not peer["bits"] & SND_KNOWN
        if after(x["seq"], me["iss"]) and (unseen or not after(x["ack"], peer["snd_nxt"])):
            me["irs"] = plus(x["ack"], -1)
            me["rcv_nxt"] = x["ack"]
            me["bits"] |= RCV_KNOWN
            # A peer that opened actively has sent a SYN, and no SYN,ACK that this could acknowledge.
            step_as(work, me, RX_SYN if peer["bits"] & ACTIVE else TX_ACKIRS, INFERRED)
            if peer["bits"] & SYN_PENDING and distance(x["seq"], me["iss"]) == 1:
                unseen_synack(work, peer, x)
    elif state == LISTEN:
        if me["bits"] & SYN_PENDING and after(x["ack"], me["irs"]) and not after(x["ack"], peer["snd_nxt"]):
            me["iss"] = plus(x["seq"], -1)
            me["snd_una"] = x["seq"]
            me["snd_nxt"] = x["seq"]
            me["bits"] |= ISS_KNOWN | SND_KNOWN
            step_as(work, me, TX_SYNACK, INFERRED)
            step_as(work, me, RX_ACKSYN, INFERRED)
    elif state == UNKNOWN:
        me["iss"] = plus(x["seq"], -1)
        step_as(work, me, TX_EST, PRESUMED)


@inner
def _acknowledges(work: Any, me: Any, peer: Any, x: Any) -> None:
    """What the acknowledgment number proves: everything before it was received."""
    ack = np.int64(x["ack"])
    if not me["bits"] & RCV_KNOWN:
        me["rcv_nxt"] = ack
        me["bits"] |= RCV_KNOWN
        if me["state"] == ESTABLISHED and not me["bits"] & ISS_KNOWN:
            me["irs"] = plus(ack, -1)
    elif not peer["bits"] & SND_KNOWN and not peer["packets"] and after(ack, me["rcv_nxt"]):
        peer["snd_nxt"] = me["rcv_nxt"]  # it sends, and is not seen
        peer["bits"] |= SND_KNOWN
    if peer["bits"] & SND_KNOWN and after(ack, peer["snd_nxt"]):
        _unseen(work, me, peer, x)
    elif me["bits"] & FIN_GUESSED and after(peer["snd_nxt"], ack):
        me["bits"] &= ~np.uint32(FIN_GUESSED)
    if after(ack, me["rcv_nxt"]):
        me["rcv_nxt"] = ack
    if peer["bits"] & FIN_SENT and distance(peer["fin_end"], ack) == 0:
        if not me["bits"] & FIN_RECEIVED:
            work["lag_ns"] = max(work["t_ns"] - peer["fin_ns"], 0)
            certainty = work["certainty"]
            work["certainty"] = INFERRED
            take_fin(work, me)
            work["lag_ns"] = 0
            work["certainty"] = certainty
        if me["bits"] & FIN_RECEIVED and not me["bits"] & FIN_SENT and not np.int64(x["flags"]) & FIN:
            me["bits"] |= ACKED_FIN_ALONE
    _window(me, peer, x)


@inner
def _unseen(work: Any, me: Any, peer: Any, x: Any) -> None:
    """It acknowledges what its peer was not seen to send: a hole in the capture, or a FIN that fell into it."""
    over = distance(x["ack"], peer["snd_nxt"])
    closing = me["state"] == FIN_WAIT_1 or me["state"] == FIN_WAIT_2 or np.int64(x["flags"]) & FIN
    if over == 1 and not peer["bits"] & FIN_SENT:
        if not closing:  # one byte, or a FIN: later data of the peer will tell
            me["bits"] |= FIN_GUESSED
            return
        if me["bits"] & FIN_GUESSED:
            me["bits"] |= ACKED_FIN_ALONE
        imply_fin(work, peer, x["ack"])
        if me["state"] == FIN_WAIT_1 and work["t_ns"] - me["fin_ns"] >= work["rtt_ns"]:
            me["snd_una"] = me["fin_end"]  # there was time for it to acknowledge ours
            step_as(work, me, RX_ACKFIN, INFERRED)
        return
    misses(peer, x["ack"])


@inner
def _window(me: Any, peer: Any, x: Any) -> None:
    """Its right edge, and the highest block that it acknowledged selectively."""
    me["rcv_wup"] = x["ack"]
    window = np.int64(x["window"])
    scaled = me["wscale"] != NO_WSCALE and peer["wscale"] != NO_WSCALE
    if scaled:
        window <<= np.int64(me["wscale"])
    known = me["bits"] & ISS_KNOWN and peer["bits"] & ISS_KNOWN and not x["marks"] & MARK_OPTIONS_CUT
    # Both SYNs were seen, or else the scale is not known and the window proves nothing.
    if known and me["syn_count"] and peer["syn_count"]:
        edge = plus(x["ack"], window)
        me["edge"] = latest(edge, me["edge"]) if me["bits"] & EDGE_KNOWN else edge
        me["bits"] |= EDGE_KNOWN
    me["window_max"] = max(np.int64(me["window_max"]), window)
    for block in range(np.int64(x["sack_n"])):
        right = x["sack"][np.uint64(2 * block + 1)]
        known = me["bits"] & SACK_SENT and after(me["sack_max"], me["rcv_nxt"])
        if after(right, me["rcv_nxt"]) and (not known or after(right, me["sack_max"])):
            me["sack_max"] = right
            me["bits"] |= SACK_SENT


@inner
def _closes(work: Any, me: Any, x: Any) -> None:
    if me["bits"] & FIN_SENT:
        me["state_ns"] = work["t_ns"]
        me["repeats"] = min(np.int64(me["repeats"]) + 1, 255)
        return
    me["fin_end"] = segment_end(x)
    me["fin_ns"] = work["t_ns"]
    me["bits"] |= FIN_SENT
    me["repeats"] = 0
    step(work, me, TX_FIN)
