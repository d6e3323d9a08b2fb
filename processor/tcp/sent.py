"""What an endpoint has sent, by its sequence numbers: new bytes, repeated ones, and what the capture missed of them."""

from typing import Any, Final

import numpy as np

from processor.tcp.figure5 import (
    CLOSE_WAIT,
    ESTABLISHED,
    RX_ACKFIN,
    RX_FIN,
    RX_SYN,
    TX_FIN,
    TX_SYN,
    TX_SYNACK,
)
from processor.tcp.layout import (
    ACTIVE,
    BAD_ACK,
    FIN_GUESSED,
    FIN_RECEIVED,
    FIN_SENT,
    ISS_KNOWN,
    MISSED,
    SENT_AFTER_FIN,
    SND_KNOWN,
    SYN_PENDING,
)
from processor.tcp.seqnum import distance, plus
from processor.tcp.step import INFERRED, after, segment_end, step_as, take_back_last
from synfin.compiled import inner
from synfin.wire.event import CAUSES

KEEPALIVE: Final = 1 << CAUSES.index("keepalive")
RETRANS_TIMEOUT: Final = 1 << CAUSES.index("retrans_timeout")
PROBES_MIN: Final = 2
RETRANSMISSIONS_MIN: Final = 3


@inner
def imply_fin(work: Any, me: Any, fin_end: Any) -> None:
    """The endpoint sent a FIN that the capture missed."""
    me["fin_end"] = fin_end
    me["snd_nxt"] = fin_end
    me["fin_ns"] = work["t_ns"]
    me["repeats"] = 0
    me["bits"] |= FIN_SENT | MISSED
    step_as(work, me, TX_FIN, max(INFERRED, work["certainty"]))


@inner
def unseen_syn(work: Any, me: Any, x: Any) -> None:
    """Its peer, which has sent a SYN itself, acknowledges a SYN of it: both opened, and the capture has but one way."""
    me["iss"] = plus(x["ack"], -1)
    me["snd_una"] = me["iss"]
    me["snd_nxt"] = x["ack"]
    me["bits"] |= ISS_KNOWN | SND_KNOWN | ACTIVE
    if me["last_event"] == RX_SYN:
        take_back_last(work, me)  # that it listened was a presumption
    step_as(work, me, TX_SYN, INFERRED)


@inner
def unseen_synack(work: Any, me: Any, x: Any) -> None:
    """Its peer acknowledges a SYN,ACK of it that the capture missed."""
    me["iss"] = plus(x["ack"], -1)
    me["snd_una"] = me["iss"]
    me["snd_nxt"] = x["ack"]
    me["bits"] |= ISS_KNOWN | SND_KNOWN | MISSED
    me["bits"] &= ~np.uint32(SYN_PENDING)
    step_as(work, me, TX_SYNACK, INFERRED)


@inner
def own_fin(work: Any, me: Any, number: Any) -> None:
    """Its peer has acknowledged one number more than it was seen to send, up to `number`: that was its FIN."""
    if me["state"] in (ESTABLISHED, CLOSE_WAIT) and distance(number, me["snd_nxt"]) == 1:
        imply_fin(work, me, number)
        me["snd_una"] = number
        me["bits"] &= ~np.uint32(BAD_ACK)
        step_as(work, me, RX_ACKFIN, max(INFERRED, work["certainty"]))


@inner
def peers_fin(work: Any, me: Any, peer: Any) -> None:
    """It has acknowledged one number more than its peer was seen to send: that was the peer's FIN."""
    me["bits"] &= ~np.uint32(FIN_GUESSED)
    if not peer["bits"] & FIN_SENT and distance(me["rcv_nxt"], peer["snd_nxt"]) == 1:
        imply_fin(work, peer, me["rcv_nxt"])
    passed = peer["bits"] & FIN_SENT and distance(me["rcv_nxt"], peer["fin_end"]) == 0
    if passed and step_as(work, me, RX_FIN, max(INFERRED, work["certainty"])):
        me["bits"] |= FIN_RECEIVED


@inner
def settle_guesses(work: Any, me: Any, peer: Any) -> None:
    """Nothing will come that proves a missed FIN: then what has been acknowledged counts."""
    if me["bits"] & BAD_ACK:
        own_fin(work, me, me["bad_ack"])
    if me["bits"] & FIN_GUESSED:
        peers_fin(work, me, peer)


@inner
def misses(me: Any, until: Any) -> None:
    """What it sent up to before a sequence number was not seen."""
    me["gap_bytes"] += np.uint32(distance(until, me["snd_nxt"]))
    me["hole"] = me["snd_nxt"]
    me["hole_end"] = until
    me["snd_nxt"] = until


@inner
def _fills(me: Any, seq: Any, length: Any) -> Any:
    """Whether a segment was missed only because it came out of order; then it is missed no longer."""
    into = distance(seq, me["hole"])
    if into < 0 or into + length > distance(me["hole_end"], me["hole"]):
        return False
    me["gap_bytes"] -= np.uint32(length)
    me["bytes"] += np.uint64(length)
    if into == 0:
        me["hole"] = plus(seq, length)
    else:
        me["hole_end"] = seq
    return True


@inner
def sends(me: Any, x: Any) -> None:
    """Its own sequence numbers: new bytes, repeated ones, and a jump over what the capture missed."""
    length = np.int64(x["len"])
    end = segment_end(x)
    if not me["bits"] & SND_KNOWN:
        me["snd_nxt"] = x["seq"]
        me["snd_una"] = x["seq"]
        me["bits"] |= SND_KNOWN
    jump = distance(x["seq"], me["snd_nxt"])
    if jump < 0 and not me["bits"] & FIN_SENT:
        me["repeats"] = 1 if me["rx_ns"] > me["last_ns"] else min(np.int64(me["repeats"]) + 1, 255)
    if jump > 1 or (jump == 1 and end != np.int64(x["seq"])):  # one number alone may have been a FIN
        misses(me, x["seq"])
    elif length and _fills(me, x["seq"], length):
        return
    new = distance(end, me["snd_nxt"])
    if new > 0:
        fresh = min(new, length)
        me["bytes"] += np.uint64(fresh)
        me["snd_nxt"] = end
        if fresh and me["bits"] & FIN_RECEIVED:
            me["bits"] |= SENT_AFTER_FIN
    elif end != x["seq"]:
        me["retransmits"] += 1
    me["bits"] &= ~np.uint32(BAD_ACK)


@inner
def is_last(me: Any, x: Any) -> Any:
    """Whether a FIN can be one: it was forged if its number had been a byte's, or more had been sent behind it."""
    if not me["bits"] & SND_KNOWN or me["bits"] & FIN_SENT:
        return True
    beyond = distance(segment_end(x), me["snd_nxt"])
    missed = distance(me["hole_end"], me["snd_nxt"]) == 0 and me["hole"] != me["hole_end"]
    return beyond > 0 or (beyond == 0 and missed)


@inner
def given_up(me: Any, peer: Any) -> Any:
    """Why an endpoint that gives up may have done so, bits of CAUSES: probes or data, repeated and met by silence."""
    if me["bits"] & FIN_SENT or me["rx_ns"] > me["last_ns"]:
        return 0
    if after(me["snd_nxt"], peer["rcv_nxt"]):
        return RETRANS_TIMEOUT if me["repeats"] >= RETRANSMISSIONS_MIN else 0
    return KEEPALIVE if me["repeats"] >= PROBES_MIN else 0
