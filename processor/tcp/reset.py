"""What a RST says of the endpoint that sent it: its form, its cause, and whether it counts. RFC 9293 section 3.5."""

from typing import Any, Final

import numpy as np

from processor.tcp.figure5 import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LISTEN,
    REVOKE,
    RX_ACKFIN,
    RX_FIN,
    RX_SYN,
    SYN_RECEIVED,
    SYN_SENT,
    TIME_WAIT,
    TX_EST,
    TX_RST,
    UNKNOWN,
)
from processor.tcp.layout import (
    ACTIVE,
    BAD_ACK,
    EDGE_KNOWN,
    EVER_LOCAL,
    FIN_GUESSED,
    FIN_RECEIVED,
    FIN_SENT,
    GONE,
    MISSED,
    NO_STEP,
    RST_SENT,
    SND_KNOWN,
    SYN_PENDING,
)
from processor.tcp.sent import given_up, settle_guesses
from processor.tcp.seqnum import distance
from processor.tcp.step import (
    ASSUMED,
    INFERRED,
    after,
    step,
    step_as,
    take_back,
    take_back_last,
)
from synfin.compiled import inner
from synfin.wire.segment import (
    ACK,
)

# RST forms, as in event.RST_FORMS
REPLY: Final = 1  # the answer of a host that has no such connection
ABORT: Final = 2  # a connection gives itself up
FOREIGN: Final = 3  # neither: another stack, a middlebox, a forgery

TRIGGER_NS: Final = 1_000_000_000  # a reply follows what it answers within a second
# Causes, bits as in event.CAUSES
LATE_DATA: Final = 1 << 2
NO_SOCKET: Final = 1 << 3
UNREAD_DATA: Final = 1 << 4
LINGER0_OR_KILL: Final = 1 << 5


@inner
def reset_form(me: Any, peer: Any, x: Any) -> Any:
    """REPLY, ABORT or FOREIGN: what a RST of this endpoint is by its numbers alone."""
    acked = np.int64(x["flags"]) & ACK
    recent = x["t_ns"] - me["rx_ns"] <= TRIGGER_NS
    if recent and not acked and distance(x["seq"], me["rx_ack"]) == 0:
        return REPLY
    if recent and acked and x["seq"] == 0 and distance(x["ack"], me["rx_end"]) == 0:
        return REPLY
    # Linux takes the highest number that the peer's window lets it have.
    last = distance(x["seq"], me["snd_nxt"]) == 0 or (
        peer["bits"] & EDGE_KNOWN and x["seq"] == peer["edge"] and after(me["snd_nxt"], x["seq"])
    )
    if acked and last and distance(x["ack"], me["rcv_nxt"]) >= 0:
        return ABORT
    return FOREIGN


@inner
def transmit_reset(work: Any, me: Any, peer: Any, x: Any) -> None:
    """Apply a RST to the endpoint that sent it."""
    state = me["state"]
    form = reset_form(me, peer, x)
    bare = not np.int64(x["flags"]) & ACK
    if state == CLOSED and me["bits"] & GONE:
        _shows_loss(me, peer, x)
    if state in (UNKNOWN, CLOSED) or (state == TIME_WAIT and me["bits"] & GONE):
        return
    if state == LISTEN:  # no listener, or one that answers something else than the pending SYN
        fits = distance(x["ack"], me["rcv_nxt"]) >= 0 and not after(x["ack"], peer["snd_nxt"])
        if me["bits"] & SYN_PENDING and not bare and fits:
            if me["last_event"] == RX_SYN:
                take_back_last(work, me)
            if me["state"] != CLOSED:  # where it had refused before, it does so again
                me["state"] = LISTEN
                step(work, me, TX_RST)
            me["bits"] |= RST_SENT
            work["reset_by"] = 1 + me["side"]
            work["rst_form"] = form
        return
    opening = state in (SYN_SENT, SYN_RECEIVED)
    # In SYN-SENT nobody resets what acknowledges his SYN: who does so has no such connection, and maybe never had.
    forgotten = state == SYN_SENT and after(x["seq"], me["iss"]) and not after(x["seq"], me["snd_nxt"])
    if bare and opening and not forgotten and (me["bits"] & BAD_ACK or form == REPLY):
        return  # TX_RST_BARE: the answer to an unacceptable ACK leaves the state as it is, RFC 9293 section 3.5.2, 2
    if bare and state == FIN_WAIT_1 and form == FOREIGN and distance(x["seq"], me["fin_end"]) == 0:
        step_as(work, me, RX_ACKFIN, INFERRED)  # it answers what acknowledged its FIN, and the capture missed that
        state = me["state"]
    guessed = me["last_event"] == RX_ACKFIN and me["last_certainty"] == ASSUMED
    if bare and guessed and distance(x["seq"], me["fin_end"]) < 0:
        take_back_last(work, me)  # it answers what came before the ACK that we thought it had taken
        form = REPLY
    work["reset_by"] = 1 + me["side"]
    work["rst_form"] = form
    late = _late(me)
    work["cause"] = _cause(me, peer, form, late)
    undoes = me["undo_step"] != NO_STEP and me["undo_state"] != state
    # A socket that is opening answers no SYN by a RST, and a TIME-WAIT does not answer the FIN that it begins with so.
    if form == REPLY and not (opening and bare) and (state != TIME_WAIT or undoes):
        if undoes and not late:
            take_back(work, me, me["undo_step"], me["undo_state"])
        elif undoes and me["last_event"] == RX_FIN:
            take_back_last(work, me)  # who had closed takes no data, and no FIN behind data
        if undoes and state in (CLOSE_WAIT, CLOSING, TIME_WAIT):
            me["bits"] &= ~np.uint32(FIN_RECEIVED)
        now = work["t_ns"]
        work["t_ns"] = me["rx_ns"] if me["bits"] & EVER_LOCAL else now  # when the segment came that it answers
        work["lag_ns"] = max(work["t_ns"] - me["last_ns"], 0)  # so long it has shown no life
        step_as(work, me, REVOKE, INFERRED)
        work["t_ns"] = now
        work["lag_ns"] = 0
        me["bits"] |= RST_SENT | GONE
        return
    if not opening:
        _shows_loss(me, peer, x)
    settle_guesses(work, me, peer)
    if state == SYN_RECEIVED and form == ABORT and not me["bits"] & ACTIVE:
        step_as(work, me, TX_EST, INFERRED)  # a half-open entry of a listener has no connection to abort
    if step(work, me, TX_RST):
        me["bits"] |= RST_SENT


@inner
def _shows_loss(me: Any, peer: Any, x: Any) -> None:
    """The numbers of a RST that counts are beyond what the capture has of either end: what is between was missed."""
    if after(x["seq"], me["snd_nxt"]):
        me["bits"] |= MISSED
    if not np.int64(x["flags"]) & ACK or not peer["bits"] & SND_KNOWN or peer["state"] == CLOSED:
        return
    over = distance(x["ack"], peer["snd_nxt"])
    own = peer["bits"] & EVER_LOCAL and peer["packets"]  # at its own host a forgery is as likely
    if over == 1 and not own and not peer["bits"] & FIN_SENT:
        me["rcv_nxt"] = x["ack"]
        me["bits"] |= FIN_GUESSED
    elif over > 0:
        peer["bits"] |= MISSED


@inner
def _late(me: Any) -> Any:
    """Whether the last segment brought data to an endpoint that had closed: it had taken what that acknowledged."""
    state = me["state"]
    fin = 1 if state in (CLOSING, TIME_WAIT) else 0
    return (fin or state in (FIN_WAIT_1, FIN_WAIT_2)) and distance(me["rx_end"], me["rcv_wup"]) > fin


@inner
def _cause(me: Any, peer: Any, form: Any, late: Any) -> Any:
    """Causes that fit a RST, as bits: unread data and linger cannot be told apart on the wire once data has come."""
    if form == REPLY:
        return LATE_DATA if late else NO_SOCKET
    if form == ABORT and not me["bits"] & FIN_SENT:
        return given_up(me, peer) | LINGER0_OR_KILL | (UNREAD_DATA if peer["bytes"] else 0)
    return 0
