"""What was seen towards an endpoint that is not the capturing host's, until something proves that it arrived.

Only what can change the endpoint's state waits here: SYN, FIN, RST, and acknowledgments where it waits for one. It is
applied when the endpoint proves it (its acknowledgment number, a SACK block, an echoed timestamp), or, when the
endpoint stays silent, after a time and then as assumed. An endpoint that goes on as if it had not received it proves
the contrary.
"""

from typing import Any, Final

import numpy as np

from processor.tcp.acceptable import presume_syn, receive
from processor.tcp.figure5 import (
    CLOSED,
    CLOSING,
    FIN_WAIT_1,
    LAST_ACK,
    LISTEN,
    SYN_RECEIVED,
    SYN_SENT,
    UNKNOWN,
)
from processor.tcp.heap import NEVER_NS
from processor.tcp.layout import NO_STEP, RCV_KNOWN, SND_KNOWN, next_free
from processor.tcp.seqnum import distance
from processor.tcp.step import ASSUMED, INFERRED, OBSERVED, after, segment_end, stamp
from synfin.compiled import inner
from synfin.wire.segment import ACK, FIN, OPT_TS, RST, SYN

HOLD_MAX: Final = 32  # of one endpoint; then the oldest is assumed to have arrived
AGE_NS_MIN: Final = 30_000_000  # a pure ACK older than this and than two round trips is assumed to have arrived
PATIENCE_NS_MIN: Final = 1_000_000_000  # what asks for an answer gets more time: its answer is the better proof
_NONE: Final = np.uint64(0)


@inner
def matters(me: Any, x: Any) -> Any:
    """Whether a segment towards the endpoint can change its state."""
    state = me["state"]
    flags = np.int64(x["flags"])
    if state in (UNKNOWN, LISTEN, CLOSED):
        return False
    if flags & (SYN | FIN | RST):
        return True
    return state in (SYN_SENT, SYN_RECEIVED, FIN_WAIT_1, CLOSING, LAST_ACK)


@inner
def direct(work: Any, me: Any, peer: Any, x: Any) -> Any:
    """What needs no proof: a SYN to an endpoint of which nothing is known but that it may listen. True when done."""
    state = me["state"]
    flags = np.int64(x["flags"])
    if not flags & SYN or flags & (RST | FIN) or (state not in (UNKNOWN, LISTEN, CLOSED)):
        return False
    if not flags & ACK:
        receive(work, me, peer, x)
        return True
    if state == UNKNOWN:
        presume_syn(work, me, x)
    return False


@inner
def hold_row(control: Any, holds: Any, x: Any) -> Any:
    """A row of the pool with a copy of the segment; its number."""
    h = np.uint64(control["holds_free"])
    row = holds[h]
    control["holds_free"] = next_free(holds, h)
    control["holds_left"] -= 1
    row["next"] = 0
    copy_segment(row["segment"], x)
    return h


@inner
def hold(control: Any, holds: Any, me: Any, x: Any, expected: Any) -> None:
    """Queue a segment; `expected` is the sequence number that its sender had reached."""
    h = hold_row(control, holds, x)
    holds[h]["expected"] = expected
    if me["hold_n"]:
        holds[np.uint64(me["hold_tail"])]["next"] = h
    else:
        me["hold_head"] = h
    me["hold_tail"] = h
    me["hold_n"] += 1


@inner
def copy_segment(to: Any, x: Any) -> None:
    """Copy what the core reads of a segment."""
    to["t_ns"] = x["t_ns"]
    to["seq"] = x["seq"]
    to["ack"] = x["ack"]
    to["len"] = x["len"]
    to["ip_len"] = x["ip_len"]
    to["tsval"] = x["tsval"]
    to["tsecr"] = x["tsecr"]
    to["window"] = x["window"]
    to["flags"] = x["flags"]
    to["mss"] = x["mss"]
    to["wscale"] = x["wscale"]
    to["options"] = x["options"]
    to["marks"] = x["marks"]
    to["sender"] = x["sender"]
    to["sack_n"] = 0  # a SACK block in it says nothing of the one who receives it


@inner
def free_hold(control: Any, holds: Any, h: Any) -> None:
    """Give a row back to the pool."""
    holds[h]["next"] = control["holds_free"]
    control["holds_free"] = h
    control["holds_left"] += 1


@inner
def _pop(control: Any, holds: Any, me: Any) -> None:
    h = np.uint64(me["hold_head"])
    me["hold_head"] = holds[h]["next"]
    me["hold_n"] -= 1
    free_hold(control, holds, h)


@inner
def drop_holds(control: Any, holds: Any, me: Any) -> None:
    """Forget all that waits."""
    while me["hold_n"]:
        _pop(control, holds, me)


@inner
def _proves(x: Any, held: Any) -> Any:
    """Whether segment x of an endpoint shows that it had received the held one."""
    if not np.int64(x["flags"]) & ACK:
        return False
    end = segment_end(held)
    if end != np.int64(held["seq"]):
        if np.int64(x["flags"]) & SYN and np.int64(held["flags"]) & (SYN | ACK) == SYN | ACK:
            return False  # who has taken a SYN,ACK does not answer by one: what it acknowledges is a SYN before
        if not after(end, x["ack"]):
            return True
        for block in range(np.int64(x["sack_n"])):
            left, right = x["sack"][np.uint64(2 * block)], x["sack"][np.uint64(2 * block + 1)]
            if not after(left, held["seq"]) and not after(end, right):
                return True
        return False
    if x["options"] & OPT_TS and held["options"] & OPT_TS and not np.int64(x["flags"]) & SYN:
        return distance(x["tsecr"], held["tsval"]) >= 0
    return False


@inner
def _apply_head(control: Any, holds: Any, work: Any, me: Any, peer: Any) -> None:
    """Apply the oldest with the stamps that are set."""
    row = holds[np.uint64(me["hold_head"])]
    held = row["segment"]
    if me["bits"] & RCV_KNOWN:
        reached = held["seq"]  # proved: then all before it is as good as received
        if work["certainty"] == ASSUMED and after(held["seq"], row["expected"]):
            reached = row["expected"]
        if after(reached, me["rcv_nxt"]):
            me["rcv_nxt"] = reached
    receive(work, me, peer, held)
    _pop(control, holds, me)


@inner
def release(core: Any, work: Any, me: Any, peer: Any, x: Any) -> None:
    """Apply what the endpoint's own segment x proves it to have received before."""
    control, holds = core.control[_NONE], core.holds
    flags = np.int64(x["flags"])
    # Who aborts a connection acknowledges what it had received; a RST that answers says that there is none. A number
    # that acknowledges a SYN,ACK acknowledges a SYN before as well.
    aborts = flags & ACK and distance(x["seq"], me["snd_nxt"]) == 0 and me["state"] != SYN_SENT
    answers = flags & RST and not aborts
    proved = _answered(holds, me, x) if answers else _last_proved(holds, me, x)
    for _ in range(proved):
        held = holds[np.uint64(me["hold_head"])]["segment"]
        # What a RST answers found no connection, nor did a copy before. Who has taken what came after a RST has not
        # taken that RST.
        if (answers and segment_end(held) == np.int64(me["rx_end"])) or np.int64(held["flags"]) & RST:
            _pop(control, holds, me)
            me["undo_step"] = NO_STEP
            continue
        stamp(work, x["t_ns"], x["t_ns"], x["t_ns"] - held["t_ns"], INFERRED)
        _apply_head(control, holds, work, me, peer)
    stamp(work, x["t_ns"], x["t_ns"], 0, OBSERVED)


@inner
def release_unseen(core: Any, work: Any, me: Any, peer: Any, x: Any) -> None:
    """Apply all that waits for an endpoint that is not captured, where x of its peer proves that it has gone on."""
    control, holds = core.control[_NONE], core.holds
    if not np.int64(x["flags"]) & ACK or not me["bits"] & SND_KNOWN or not after(x["ack"], me["snd_nxt"]):
        return
    while me["hold_n"]:
        held = holds[np.uint64(me["hold_head"])]["segment"]
        stamp(work, x["t_ns"], x["t_ns"], x["t_ns"] - held["t_ns"], INFERRED)
        _apply_head(control, holds, work, me, peer)


@inner
def _last_proved(holds: Any, me: Any, x: Any) -> Any:
    """How many of the waiting segments x proves: all up to the last that it names."""
    proved = 0
    h = np.uint64(me["hold_head"])
    for i in range(np.int64(me["hold_n"])):
        if _proves(x, holds[h]["segment"]):
            proved = i + 1
        h = np.uint64(holds[h]["next"])
    return proved


@inner
def _answered(holds: Any, me: Any, x: Any) -> Any:
    """How many of the waiting segments go up to the one that a RST answers, which is set as the endpoint's last."""
    answered = 0
    h = np.uint64(me["hold_head"])
    bare = not np.int64(x["flags"]) & ACK
    for i in range(np.int64(me["hold_n"])):
        held = holds[h]["segment"]
        end = segment_end(held)
        if (bare and held["ack"] == x["seq"]) or (not bare and x["seq"] == 0 and end == np.int64(x["ack"])):
            me["rx_ack"] = held["ack"]
            me["rx_end"] = end
            me["rx_ns"] = held["t_ns"]
            answered = i + 1
        h = np.uint64(holds[h]["next"])
    return answered


@inner
def round_trip(view: Any) -> Any:
    """From one end to the other and back, by the handshake; 0 for not known."""
    return max(view["syn_rtt_ns"], 0) + max(view["ack_rtt_ns"], 0)


@inner
def age_ns(view: Any) -> Any:
    """How long nothing must be heard to the contrary."""
    return max(AGE_NS_MIN, 2 * round_trip(view))


@inner
def hold_deadline(holds: Any, view: Any, me: Any) -> Any:
    """When the oldest that waits is to be assumed received; NEVER_NS for none."""
    if not me["hold_n"]:
        return np.int64(NEVER_NS)
    held = holds[np.uint64(me["hold_head"])]["segment"]
    age = age_ns(view)
    flags = np.int64(held["flags"])
    if flags & RST:  # only silence speaks for a RST
        return max(held["t_ns"], me["last_ns"]) + max(age, PATIENCE_NS_MIN)
    if flags & (SYN | FIN) or held["len"]:
        return held["t_ns"] + max(2 * age, PATIENCE_NS_MIN)
    return held["t_ns"] + age


@inner
def assume(core: Any, work: Any, view: Any, me: Any, peer: Any, until_ns: Any) -> None:
    """Apply as assumed what has waited beyond its deadline, for deadlines up to `until_ns`."""
    control, holds = core.control[_NONE], core.holds
    while me["hold_n"] and hold_deadline(holds, view, me) <= until_ns:
        assume_head(control, holds, work, view, me, peer)


@inner
def assume_head(control: Any, holds: Any, work: Any, view: Any, me: Any, peer: Any) -> None:
    """Apply the oldest as assumed; but a SYN,ACK that was met by silence did not arrive."""
    held = holds[np.uint64(me["hold_head"])]["segment"]
    if me["state"] == SYN_SENT and me["packets"] and np.int64(held["flags"]) & (SYN | ACK) == SYN | ACK:
        _pop(control, holds, me)  # a half-open connection, as in a SYN flood
        return
    seen = held["t_ns"]
    t = max(seen + age_ns(view), me["last_ns"])
    stamp(work, t, seen, t - seen, ASSUMED)
    _apply_head(control, holds, work, me, peer)
