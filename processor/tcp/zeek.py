"""Zeek's view of a connection, by a small machine of its own beside ours: `conn_state` and `history`.

Each end has one of Zeek's states. A segment moves the end that sent it, whether or not anybody would have accepted it:
a forged RST resets for Zeek. So nothing of this is derived from the eleven states, and nothing here touches them. The
letters of the history are those of the segments, upper case for the originator, each in the order of what was first
seen. docs/zeek-and-wireshark.md says where Zeek itself would say something else.
"""

from typing import Any, Final

import numpy as np

from processor.tcp.layout import FIN_GUESSED, FIN_SENT
from processor.tcp.seqnum import distance
from processor.tcp.step import after, segment_end
from processor.tcp.story import originator
from synfin.compiled import inner
from synfin.wire.event import CONN_STATES, HISTORY_BITS, HISTORY_CUT, HISTORY_LETTERS, HISTORY_LOWER, HISTORY_WORDS
from synfin.wire.segment import ACK, FIN, MARK_FRAGMENT, RST, SYN

# States of an end.
INACTIVE: Final = 0  # has sent nothing
SYN_SENT: Final = 1
SYN_ACK_SENT: Final = 2  # an originator that began with SYN,ACK
PARTIAL: Final = 3  # was in the middle when we came
ESTABLISHED: Final = 4
CLOSED: Final = 5  # sent FIN out of ESTABLISHED
CLOSED_EARLY: Final = 6  # sent FIN out of another state
RESET: Final = 7  # sent RST
CLOSED_RESET: Final = 8  # sent FIN, and RST after it

# What an end has sent already: letters that are written once, or once for each sequence number.
SEEN_ACK: Final = 0x01
SEEN_DATA: Final = 0x02
SEEN_SYN: Final = 0x04
SEEN_FIN: Final = 0x08
SEEN_RST: Final = 0x10
SEEN_FIN_RST: Final = 0x20
SEEN_MULTI: Final = 0x40

_CONTROL: Final = SYN | FIN | RST
_S, _H, _A, _D, _F, _R, _I, _Q, _C, _G, _T, _W, _FLIP = (HISTORY_LETTERS.index(letter) for letter in "SHADFRIQCGTW^")
_LETTER: Final = (1 << HISTORY_BITS) - 1
_SLOTS: Final = 32 // HISTORY_BITS  # letters in a word
_LAST_WORD: Final = np.uint64(HISTORY_WORDS - 1)
_COUNT_MAX: Final = 0xFFFF
_FEW_MAX: Final = 0xFF
_FAR: Final = 1 << 20  # the sequence number of a RST so far off says nothing of what was sent

_OTH, _S0, _S1, _SF, _REJ, _S2, _S3 = (CONN_STATES.index(name) for name in ["OTH", "S0", "S1", "SF", "REJ", "S2", "S3"])
_RSTO, _RSTR, _RSTOS0, _RSTRH, _SH, _SHR = (
    CONN_STATES.index(name) for name in ["RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR"]
)


@inner
def begin_history(view: Any, sender: Any) -> None:
    """Empty a view's history; a mark first where the side that sent first is not the originator."""
    zeek = view["zeek"]
    for i in range(HISTORY_WORDS):
        zeek["history"][np.uint64(i)] = 0
    if sender != originator(view):
        zeek["history"][np.uint64(0)] = _FLIP
    for i in range(2):
        counts, me = zeek["ends"][np.uint64(i)], view["ends"][np.uint64(i)]
        counts["rexmits"] = 0
        counts["zero_windows"] = 0
        counts["rst_seq"] = 0
        counts["gaps"] = 0
        counts["bad_checksums"] = 0
        me["zeek_state"] = INACTIVE
        me["zeek_seen"] = 0


@inner
def _write(view: Any, me: Any, letter: Any) -> None:
    """Put a letter behind the history; when that is full, a mark in place of its last letter."""
    code = letter if np.uint64(me["side"]) == originator(view) else letter | HISTORY_LOWER
    words = view["zeek"]["history"]
    for i in range(HISTORY_WORDS):
        word = np.int64(words[np.uint64(i)])
        if word >> (HISTORY_BITS * (_SLOTS - 1)) == 0:
            words[np.uint64(i)] = word << HISTORY_BITS | code
            return
    words[_LAST_WORD] |= np.uint32(HISTORY_CUT)


@inner
def _at_scale(n: Any) -> Any:
    """Whether the n-th of its kind gets a letter: the first, the tenth, the hundredth and so on."""
    return n in (1, 10, 100, 1000, 10_000)


@inner
def _folded(seq: Any) -> Any:
    """A sequence number in 16 bits, enough to tell whether the next RST is the same again."""
    return (np.int64(seq) ^ np.int64(seq) >> 16) & 0xFFFF


@inner
def watch(view: Any, me: Any, peer: Any, x: Any) -> None:
    """Take in a segment of the end `me`, before the core does: its numbers are those up to here."""
    flags = np.int64(x["flags"])
    kind = SEEN_DATA if x["len"] or x["marks"] & MARK_FRAGMENT else SEEN_ACK
    new = bool(flags & _CONTROL) or not me["zeek_seen"] & kind
    if new:
        _note(view, me, x)
    if not x["window"]:
        _zero_window(view, me, peer, flags)
    if x["len"] and (flags & SYN or not after(segment_end(x), me["snd_nxt"])):
        _repeats(view, me, peer, x)
    if new:
        _move(me, peer, np.uint64(me["side"]) == originator(view), x)
    if flags & ACK and (peer["hole"] != peer["hole_end"] or after(x["ack"], peer["snd_nxt"])):
        _gap(view, me, peer, x)


@inner
def _note(view: Any, me: Any, x: Any) -> None:
    """The letter of a segment's flags, where it is new."""
    flags = np.int64(x["flags"])
    control = flags & _CONTROL
    again = False
    if control not in (0, SYN, FIN, RST):
        letter, kind = (_I, SEEN_FIN_RST) if flags & FIN and flags & RST else (_Q, SEEN_MULTI)
    elif control == SYN:
        letter, kind = _H if flags & ACK else _S, SEEN_SYN
        again = me["zeek_state"] >= CLOSED and distance(x["seq"], me["iss"]) != 0
    elif control == FIN:
        letter, kind = _F, SEEN_FIN
        again = not me["bits"] & FIN_SENT or distance(segment_end(x), me["fin_end"]) != 0
    elif control == RST:
        letter, kind = _R, SEEN_RST
        counts = view["zeek"]["ends"][np.uint64(me["side"])]
        again = np.int64(counts["rst_seq"]) != _folded(x["seq"])
        counts["rst_seq"] = _folded(x["seq"])
    elif x["len"] or x["marks"] & MARK_FRAGMENT:
        letter, kind = _D, SEEN_DATA
    elif flags & ACK:
        letter, kind = _A, SEEN_ACK
    else:
        return
    if again or not me["zeek_seen"] & kind:
        _write(view, me, letter)
    me["zeek_seen"] |= np.uint8(kind)


@inner
def _zero_window(view: Any, me: Any, peer: Any, flags: Any) -> None:
    """A window of 0 that holds somebody up: the peer has not closed, and this is no reset."""
    if flags & RST or me["zeek_state"] >= RESET or peer["zeek_state"] in (CLOSED, CLOSED_EARLY):
        return
    counts = view["zeek"]["ends"][np.uint64(me["side"])]
    if counts["zero_windows"] < _COUNT_MAX:
        counts["zero_windows"] += 1
        if _at_scale(counts["zero_windows"]):
            _write(view, me, _W)


@inner
def _repeats(view: Any, me: Any, peer: Any, x: Any) -> None:
    """Payload that ends no later than what the end has sent itself: repeated, or out of order."""
    flags = np.int64(x["flags"])
    if me["zeek_state"] >= RESET or (me["zeek_state"] == INACTIVE and not flags & SYN):
        return
    # What only its peer's ACK says that it has sent is a hole up to the last number known.
    unseen = distance(me["hole_end"], me["snd_nxt"]) == 0 and distance(peer["rcv_wup"], me["hole_end"]) >= 0
    end = np.int64(x["seq"]) if flags & RST else segment_end(x)
    over = distance(end, me["hole"] if unseen else me["snd_nxt"])
    counts = view["zeek"]["ends"][np.uint64(me["side"])]
    if ((over <= 0 and not (flags & RST and over < -_FAR)) or flags & SYN) and counts["rexmits"] < _COUNT_MAX:
        counts["rexmits"] += 1
        if _at_scale(counts["rexmits"]):
            _write(view, me, _T)


@inner
def _gap(view: Any, me: Any, peer: Any, x: Any) -> None:
    """It acknowledges what its peer was not seen to send, in a connection that is open or closes in good order."""
    if me["zeek_state"] not in (ESTABLISHED, CLOSED) or peer["zeek_state"] not in (ESTABLISHED, CLOSED):
        return
    over = distance(x["ack"], peer["snd_nxt"])
    if over > 0:
        first = over > 1 or not me["bits"] & FIN_GUESSED
    else:
        first = distance(x["ack"], peer["hole"]) > 0 and distance(me["rcv_wup"], peer["hole"]) <= 0
    counts = view["zeek"]["ends"][np.uint64(peer["side"])]
    if first and counts["gaps"] < _FEW_MAX:
        counts["gaps"] += 1
        if _at_scale(counts["gaps"]):
            _write(view, peer, _G)


@inner
def bad_checksum(view: Any, me: Any) -> None:
    """A segment of the end `me` came damaged; nothing else of it counts."""
    counts = view["zeek"]["ends"][np.uint64(me["side"])]
    if counts["bad_checksums"] < _FEW_MAX:
        counts["bad_checksums"] += 1
        if _at_scale(counts["bad_checksums"]):
            _write(view, me, _C)


@inner
def _move(me: Any, peer: Any, opens: Any, x: Any) -> None:
    """Move the state of the end that sent a segment, and where its peer's rests on it, that one too."""
    flags = np.int64(x["flags"])
    state, other = np.int64(me["zeek_state"]), np.int64(peer["zeek_state"])
    if state == INACTIVE:
        _begin(me, peer, opens, x)
    elif state in (SYN_SENT, SYN_ACK_SENT):
        if flags & RST:
            me["zeek_state"] = CLOSED_RESET if flags & FIN else RESET
        elif flags & FIN:
            me["zeek_state"] = CLOSED_EARLY
        elif flags & SYN and not flags & ACK and other >= RESET:
            peer["zeek_state"] = INACTIVE  # it was refused and tries again: for Zeek another connection
    elif state in (PARTIAL, ESTABLISHED):
        if flags & RST:
            me["zeek_state"] = RESET
        elif flags & FIN:
            me["zeek_state"] = CLOSED if state == ESTABLISHED else CLOSED_EARLY
            if other == CLOSED_RESET:  # FIN, RST and now the other's FIN: that was a normal end
                peer["zeek_state"] = CLOSED_EARLY
        elif flags & SYN and not flags & ACK and state == PARTIAL and other == INACTIVE:
            me["zeek_state"] = SYN_SENT
    elif state < RESET and flags & RST and other not in (CLOSED, CLOSED_EARLY):
        me["zeek_state"] = CLOSED_RESET


@inner
def _begin(me: Any, peer: Any, opens: Any, x: Any) -> None:
    """The first segment of an end; `opens` when that is the originator."""
    flags = np.int64(x["flags"])
    other = np.int64(peer["zeek_state"])
    if flags & RST:
        me["zeek_state"] = CLOSED_RESET if flags & FIN else RESET
    elif flags & FIN:
        me["zeek_state"] = CLOSED_EARLY
    elif flags & SYN and opens and other != ESTABLISHED:
        me["zeek_state"] = SYN_ACK_SENT if flags & ACK else SYN_SENT
    elif flags & SYN:
        me["zeek_state"] = ESTABLISHED
    elif flags & ACK and other == ESTABLISHED:
        me["zeek_state"] = ESTABLISHED  # only its SYN was missed
    elif opens or x["len"] or other != SYN_SENT:  # some acknowledge a SYN before they answer it
        me["zeek_state"] = PARTIAL
    if flags & SYN and not opens and other == SYN_SENT:
        peer["zeek_state"] = ESTABLISHED


@inner
def conn_state(view: Any) -> Any:
    """Index of CONN_STATES."""
    orig = originator(view)
    ends = view["ends"]
    o, r = np.int64(ends[orig]["zeek_state"]), np.int64(ends[np.uint64(1) - orig]["zeek_state"])
    o_closed, r_closed = o in (CLOSED, CLOSED_EARLY), r in (CLOSED, CLOSED_EARLY)
    o_unseen, r_unseen = o in (INACTIVE, PARTIAL), r in (INACTIVE, PARTIAL)
    if r >= RESET:
        if o in (SYN_SENT, SYN_ACK_SENT) or (o >= RESET and _no_payload(view)):
            return _REJ
        return _RSTRH if o_unseen else _RSTR
    if o >= RESET:
        if r_unseen:
            return _RSTOS0 if _only_syn_and_rst(view) else _OTH
        return _RSTO
    if o_closed:
        if r_closed:
            return _SF
        return _SH if r_unseen else _S2
    if r_closed:
        return _SHR if o_unseen else _S3
    if o == SYN_SENT and r == INACTIVE:
        return _S0
    return _S1 if o == ESTABLISHED and r == ESTABLISHED else _OTH


@inner
def _no_payload(view: Any) -> Any:
    a, b = view["ends"][np.uint64(0)], view["ends"][np.uint64(1)]
    return a["bytes"] + b["bytes"] == 0 and np.int64(a["gap_bytes"]) + np.int64(b["gap_bytes"]) == 0


@inner
def _only_syn_and_rst(view: Any) -> Any:
    """Whether the originator's history begins with SYN and comes to a RST without ACK, FIN or the like between."""
    words = view["zeek"]["history"]
    opened = False
    for i in range(HISTORY_WORDS):
        for slot in range(_SLOTS):
            letter = np.int64(words[np.uint64(i)]) >> (HISTORY_BITS * (_SLOTS - 1 - slot)) & _LETTER
            if letter in (0, _FLIP):
                continue
            if not opened:
                opened = letter == _S
                if not opened:
                    return False
            elif letter == _R:
                return True
            elif letter in (_H, _A, _F, _G, _I, _Q):
                return False
    return False
