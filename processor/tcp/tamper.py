"""Whether a RST comes from the endpoint that it names: tests with weights, a score, and never a bare verdict.

A RST is forged by who can read the numbers and reach one end sooner than the other end does. It betrays itself by the
endpoint that goes on living, by numbers that a stack does not use, by the way that the packet came. Each test alone has
an innocent explanation; so every one is held back where loss, repetition or disorder at the tap could be that, and
forgeries are missed rather than honest stacks accused (Weaver, Sommer and Paxson, NDSS 2009). The forms of a RST, its
options and its identification are those of Linux, so these tests count where the endpoint looks like one.

Nothing here costs an ordinary segment anything but a look at VIEW.resets: the last RST of each end is kept there.
"""

from typing import Any, Final

import numpy as np

from processor.tcp.evidence import OVERTAKEN_NS, QUEUED_NS
from processor.tcp.figure5 import CLOSED, ESTABLISHED, LISTEN, RX_RST, SYN_RECEIVED, SYN_SENT, TIME_WAIT, UNKNOWN
from processor.tcp.filing import loss_free
from processor.tcp.hold import PATIENCE_NS_MIN, age_ns, copy_segment, free_hold, hold_row, round_trip
from processor.tcp.layout import ACTIVE, EVER_LOCAL, FIN_SENT, RCV_KNOWN, SND_KNOWN, TS_OK
from processor.tcp.record import KIND_TAMPER, ROLE_CONTRADICTION, ROLE_RST, TAMPER, cite, write_event
from processor.tcp.reset import ABORT, reset_form
from processor.tcp.seqnum import distance
from processor.tcp.step import INFERRED, after, segment_end
from processor.tcp.story import role_of, was
from synfin.compiled import inner
from synfin.wire.event import EVENT_KINDS, TAMPER_TESTS
from synfin.wire.segment import ACK, FIN, HIGHER, MARK_OPTIONS_CUT, OPT_TS, RST, SYN

KIND_IGNORED: Final = EVENT_KINDS.index("rst.ignored_by_target")
WEIGHTS: Final = np.array(list(TAMPER_TESTS.values()), np.int64)
SCORE_MIN: Final = 3

# HOLD.tests of a RST: which tests it failed, bits by index of TAMPER_TESTS, and above them what later tests need.
_NAMES: Final = tuple(TAMPER_TESTS)
RST_THEN_ALIVE: Final = 1 << _NAMES.index("rst_then_alive")
RST_SEQ_DATA: Final = 1 << _NAMES.index("rst_seq_data")
DATA_SEQ_RST: Final = 1 << _NAMES.index("data_seq_rst")
RST_SEQ_CHANGE: Final = 1 << _NAMES.index("rst_seq_change")
RST_ACK_CHANGE: Final = 1 << _NAMES.index("rst_ack_change")
TTL_DELTA: Final = 1 << _NAMES.index("ttl_delta")
IPID_DELTA: Final = 1 << _NAMES.index("ipid_delta")
OPTIONS: Final = 1 << _NAMES.index("options")
FOREIGN_FORM: Final = 1 << _NAMES.index("foreign_form")
RTT_IMPOSSIBLE: Final = 1 << _NAMES.index("rtt_impossible")
_TESTS: Final = (1 << len(_NAMES)) - 1
_DISORDER: Final = 1 << 16  # what the endpoint had sent before came again, or late
_ANSWERS: Final = 1 << 17  # it may be a host's answer to a segment for which it has no connection
_OPENING: Final = 1 << 18  # its endpoint was opening: its RST is no end, and none of the tests holds
_STRAY: Final = 1 << 19  # its number belongs to another connection, and what comes after it says nothing
RST_FORM_AT: Final = 20  # index of RST_FORMS from here on

RACE_NS: Final = 2_000_000_000  # what follows a RST by so much is no race with it
ALIVE_NS: Final = 200_000_000  # and two round trips
DISORDER_NS: Final = 100_000_000
NEAR_RTT_NS_MIN: Final = 10_000_000  # in a shorter round trip, half of it may be a pause of the host
WINDOW: Final = 65_535  # one that is not scaled
MSS: Final = 536  # the least that stacks agree on, RFC 9293 section 3.7.1
IPID_FAR: Final = 1000
IPID_RUNS_MIN: Final = 3  # of four samples
_SAMPLES_N: Final = 65  # segments of which eight or more gave a sample
_RUN: Final = 0x0F  # of ENDPOINT.samples: how often the identification went on like a counter
_SPREAD: Final = 4  # above it: how far the TTLs are apart
_SPREAD_MAX: Final = 15
_LINUX_TTL: Final = 64
_NONE: Final = np.uint64(0)
_ONE: Final = np.uint64(1)


@inner
def sample(me: Any, x: Any) -> None:
    """Take a sample of the TTL and the identification of what an endpoint sends; called for few of its segments."""
    if np.int64(x["flags"]) & RST:
        return
    run = np.int64(me["samples"]) & _RUN
    spread = np.int64(me["samples"]) >> _SPREAD
    ttl, lowest = np.int64(x["ttl"]), np.int64(me["ttl"])
    if not lowest:
        lowest = ttl
    else:
        ahead = (np.int64(x["ip_id"]) - np.int64(me["ip_id"])) & 0xFFFF
        run = min(run + np.int64(1), np.int64(_RUN)) if 0 < ahead <= IPID_FAR + np.int64(me["packets"]) else np.int64(0)
        spread = min(max(lowest + spread, ttl) - min(lowest, ttl), np.int64(_SPREAD_MAX))
        lowest = min(lowest, ttl)
    me["ttl"] = lowest
    me["ip_id"] = x["ip_id"]
    me["samples"] = spread << _SPREAD | run


@inner
def watch_resets(core: Any, view: Any, me: Any, peer: Any, x: Any) -> None:
    """Take in a RST of the end `me`, or what comes after one; before the core does, whose numbers end before it."""
    if np.int64(x["flags"]) & RST:
        _reset(core, view, me, peer, x)
        return
    h, before = np.uint64(view["resets"]), _NONE
    while h != _NONE:
        row = core.holds[h]
        following = np.uint64(row["next"])
        mine = np.uint64(me["side"]) == _side(row["segment"])
        if mine:
            _goes_on(core, view, me, row, x)
        else:
            _ignores(core, view, me, row, x)
        if not mine and x["t_ns"] - row["segment"]["t_ns"] > RACE_NS:  # nothing is left that it could prove
            if before == _NONE:
                view["resets"] = following
            else:
                core.holds[before]["next"] = following
            free_hold(core.control[_NONE], core.holds, h)
        else:
            before = h
        h = following


@inner
def _side(x: Any) -> Any:
    return np.uint64(1) if x["sender"] == HIGHER else _NONE


@inner
def _reset(core: Any, view: Any, me: Any, peer: Any, x: Any) -> None:
    """Put a RST to the tests that need nothing but what was before it, and keep it for the others."""
    holds = core.holds
    tests = np.int64(reset_form(me, peer, x)) << RST_FORM_AT
    state = me["state"]
    if state in (UNKNOWN, LISTEN, SYN_SENT) or (state == SYN_RECEIVED and not was(peer, ESTABLISHED)):
        tests |= _OPENING
    elif not me["bits"] & EVER_LOCAL and peer["packets"]:  # its own host is no liar
        tests |= _tests(view, me, peer, x)
    number = x["seq"] if x["seq"] or not np.int64(x["flags"]) & ACK else me["snd_nxt"]  # 0 is no number of its own
    h = np.uint64(view["resets"])
    while h != _NONE and _side(holds[h]["segment"]) != np.uint64(me["side"]):
        h = np.uint64(holds[h]["next"])
    if h == _NONE:
        h = hold_row(core.control[_NONE], holds, x)
        holds[h]["next"] = view["resets"]
        view["resets"] = h
        holds[h]["tests"] = tests
        holds[h]["expected"] = me["snd_nxt"]
        holds[h]["number"] = number
        _tell(core, view, me, holds[h], x)
        return
    row = holds[h]
    raced = x["t_ns"] - row["segment"]["t_ns"] <= RACE_NS
    if raced and not tests & (_OPENING | _STRAY) and not me["bits"] & EVER_LOCAL:
        tests |= _pair(me, peer, row, x)
    row["tests"] = (np.int64(row["tests"]) & _TESTS) | tests
    _tell(core, view, me, row, x)
    copy_segment(row["segment"], x)
    row["expected"] = me["snd_nxt"]
    if not raced or after(row["number"], number):  # the lowest of several: what comes behind any of them is alive
        row["number"] = number


@inner
def _tests(view: Any, me: Any, peer: Any, x: Any) -> Any:
    """HOLD.tests of a RST, as far as it tells by itself."""
    form = reset_form(me, peer, x)
    answers = _may_answer(me, peer, x)
    numbered = x["seq"] or not np.int64(x["flags"]) & ACK
    behind = distance(x["seq"], me["snd_nxt"]) if numbered else np.int64(0)
    near = _window(peer)
    tests = (_ANSWERS if answers else 0) | (0 if abs(behind) <= near else _STRAY)
    if _odd_ttl(me, x, answers):
        tests |= TTL_DELTA
    if _odd_identification(me, x):
        tests |= IPID_DELTA
    cut = x["marks"] & MARK_OPTIONS_CUT
    if (
        form == ABORT
        and _like_linux(me)
        and me["bits"] & peer["bits"] & TS_OK
        and not x["options"] & OPT_TS
        and not cut
    ):
        tests |= OPTIONS
    if answers or not me["bits"] & SND_KNOWN or _disordered(me):
        return tests
    # A stack that gives up after retransmissions may go back to what it repeated, or before its FIN.
    goes_back = me["retransmits"] and distance(x["seq"], me["snd_una"]) == 0
    goes_back = goes_back or (me["bits"] & FIN_SENT and behind == -1)
    if form != ABORT and not goes_back:
        if _like_linux(me):
            tests |= FOREIGN_FORM
        if me["state"] != TIME_WAIT and -near <= behind < 0:
            tests |= DATA_SEQ_RST
    if _too_soon(view, me, peer, x):
        tests |= RTT_IMPOSSIBLE
    return tests


@inner
def _window(me: Any) -> Any:
    """Numbers further apart than its largest window are not of one connection."""
    return max(np.int64(me["window_max"]), np.int64(WINDOW))


@inner
def _pair(me: Any, peer: Any, row: Any, x: Any) -> Any:
    """Tests of two RSTs in a row: who writes several to hit the right number makes them differ."""
    tests, first = 0, row["segment"]
    beyond = after(x["seq"], row["number"]) and after(x["seq"], me["snd_nxt"])
    if beyond and me["bits"] & SND_KNOWN and peer["bits"] & RCV_KNOWN and distance(x["seq"], peer["rcv_wup"]) > 2:
        tests |= RST_SEQ_CHANGE
    acked = np.int64(x["flags"]) & np.int64(first["flags"]) & ACK and x["ack"] and first["ack"]
    if acked and me["last_ns"] <= first["t_ns"] and x["ack"] != first["ack"] and not _may_answer(me, peer, x):
        tests |= RST_ACK_CHANGE
    return tests


@inner
def _may_answer(me: Any, peer: Any, x: Any) -> Any:
    """Whether a RST may answer some segment of the peer, not only the last: one comes for each that was on its way.

    Then it has the number that the segment acknowledged, which need not have passed here. Linux's has no window; other
    stacks acknowledge in it what it answers.
    """
    acked = np.int64(x["flags"]) & ACK
    if acked and after(x["ack"], peer["snd_nxt"]):
        return False
    if _like_linux(me) and ((acked and x["seq"]) or x["window"]):
        return False
    if acked and not x["seq"]:
        return True
    return not after(x["seq"], me["snd_nxt"]) and after(x["seq"], me["iss"])


@inner
def _like_linux(me: Any) -> Any:
    """Whether the endpoint's packets begin with Linux's TTL."""
    highest = np.int64(me["ttl"]) + (np.int64(me["samples"]) >> _SPREAD)
    return 0 < highest <= _LINUX_TTL


@inner
def _disordered(me: Any) -> Any:
    """Whether something that the endpoint sent was not seen, and may come late."""
    return me["hole"] != me["hole_end"]


@inner
def _odd_ttl(me: Any, x: Any, answers: Any) -> Any:
    """Whether a RST has come another way than the endpoint's other packets.

    A host's answer has the host's own first TTL, which a program may have changed for its connection.
    """
    lowest, ttl = np.int64(me["ttl"]), np.int64(x["ttl"])
    highest = lowest + (np.int64(me["samples"]) >> _SPREAD)
    if not lowest or not ttl:
        return False
    slack = 1 if me["packets"] < _SAMPLES_N else 0
    if lowest - slack <= ttl <= highest + slack:
        return False
    return not (answers and _hops(highest) - 1 <= _hops(ttl) <= _hops(lowest) + 1)


@inner
def _hops(ttl: Any) -> Any:
    """How many routers a packet has passed, if it began with one of the usual TTLs."""
    return (64 if ttl <= 64 else 128 if ttl <= 128 else 255) - ttl


@inner
def _odd_identification(me: Any, x: Any) -> Any:
    """Whether the endpoint numbers its packets and the RST has a number far off; Linux answers with 0."""
    sent = np.int64(me["packets"]) + np.int64(me["bytes"]) // MSS
    if not x["ip_id"] or np.int64(me["samples"]) & _RUN < IPID_RUNS_MIN or sent > 0x4000:
        return False
    ahead = (np.int64(x["ip_id"]) - np.int64(me["ip_id"])) & 0xFFFF
    return IPID_FAR + sent < ahead < 0x10000 - IPID_FAR


@inner
def _too_soon(view: Any, me: Any, peer: Any, x: Any) -> Any:
    """Whether the RST acknowledges what the peer's host had sent just before: nobody so far off can have had it.

    How far, the answer to its SYN tells; the ACK of a SYN,ACK may have been missed, and data taken for it.
    """
    rtt = view["syn_rtt_ns"]
    once = peer["syn_count"] == 1 and me["syn_count"] == 1
    if rtt < NEAR_RTT_NS_MIN or not peer["bits"] & EVER_LOCAL or not peer["bits"] & ACTIVE or not once:
        return False
    new = np.int64(x["flags"]) & ACK and me["rx_data"] and x["ack"] == me["rx_end"] and after(x["ack"], me["rcv_wup"])
    return bool(new) and not peer["retransmits"] and 2 * (x["t_ns"] - me["rx_ns"]) < rtt


@inner
def _goes_on(core: Any, view: Any, me: Any, row: Any, x: Any) -> None:
    """The endpoint in whose name there was a RST sends something else, behind the number of the RST."""
    rst, flags, tests = row["segment"], np.int64(x["flags"]), np.int64(row["tests"])
    since = x["t_ns"] - rst["t_ns"]
    fresh = (x["len"] or flags & FIN) and after(segment_end(x), me["snd_nxt"])
    if x["len"] and not fresh and since <= DISORDER_NS:
        row["tests"] |= np.uint32(_DISORDER)
        return
    if (
        flags & SYN
        or not flags & ACK
        or tests & (_OPENING | _STRAY | _DISORDER)
        or me["bits"] & EVER_LOCAL
        or _disordered(me)
    ):
        return
    peer = view["ends"][_ONE - np.uint64(me["side"])]
    if distance(x["seq"], me["snd_nxt"]) > _window(peer):
        return
    # What had left before the RST may come after it; then it has acknowledged no more, and comes soon.
    sure = fresh and not tests & _ANSWERS
    newer = np.int64(rst["flags"]) & ACK and rst["seq"] and after(x["ack"], rst["ack"])
    if distance(x["seq"], row["number"]) < 0 or not (sure or newer or since > OVERTAKEN_NS):
        return
    if since <= ALIVE_NS + 2 * round_trip(view):
        row["tests"] |= np.uint32(RST_THEN_ALIVE)
    if fresh and x["len"] and since <= RACE_NS:
        row["tests"] |= np.uint32(RST_SEQ_DATA)
    _tell(core, view, me, row, x)


@inner
def _ignores(core: Any, view: Any, me: Any, row: Any, x: Any) -> None:
    """The endpoint that a RST went to sends something: has it had the RST, then it did not take it."""
    flags, state = np.int64(x["flags"]), me["state"]
    if not flags & ACK or flags & SYN or np.int64(row["tests"]) & _OPENING:
        return
    if state in (UNKNOWN, LISTEN, SYN_SENT, SYN_RECEIVED, TIME_WAIT):
        return
    since = x["t_ns"] - row["segment"]["t_ns"]
    taken = state == CLOSED and me["last_event"] == RX_RST
    if state == CLOSED and not taken:
        return
    if me["bits"] & EVER_LOCAL:
        if taken and x["t_ns"] - me["state_ns"] <= QUEUED_NS:
            return
    else:  # what had left before the RST came to it may be late; but not what acknowledges more than there was then
        sent = view["ends"][_ONE - np.uint64(me["side"])]["snd_nxt"]
        later = after(x["ack"], row["expected"]) and not after(x["ack"], sent)
        if since <= max(age_ns(view), PATIENCE_NS_MIN) and not later:
            return
        _forget(core.holds, me, row["segment"]["t_ns"])
    if view["alerts"] & np.uint64(1 << KIND_IGNORED):
        return
    view["alerts"] |= np.uint64(1 << KIND_IGNORED)
    event = write_event(core, view, KIND_IGNORED, x["t_ns"], 0)
    event["certainty"] = INFERRED
    event["value_ns"] = x["t_ns"] - view["start_ns"]
    event["by"] = role_of(view, 2 - np.int64(me["side"]))
    event["rst_form"] = np.int64(row["tests"]) >> RST_FORM_AT
    cite(core, view, event, row["segment"], 1 - np.int64(me["side"]), ROLE_RST)
    cite(core, view, event, x, np.int64(me["side"]), ROLE_CONTRADICTION)


@inner
def _forget(holds: Any, me: Any, until_ns: Any) -> None:
    """Of what waits for the endpoint, make the RSTs up to a time say nothing."""
    h = np.uint64(me["hold_head"])
    for _ in range(np.int64(me["hold_n"])):
        held = holds[h]["segment"]
        if np.int64(held["flags"]) & RST and held["t_ns"] <= until_ns:
            held["flags"] = 0
        h = np.uint64(holds[h]["next"])


@inner
def _tell(core: Any, view: Any, me: Any, row: Any, x: Any) -> None:
    """Raise the alert when the tests that a RST has failed weigh enough; once a view."""
    tests = np.int64(row["tests"]) & _TESTS
    score = 0
    for i in range(len(WEIGHTS)):
        if (tests >> i) & 1:
            score += WEIGHTS[np.uint64(i)]
    if score < SCORE_MIN or view["alerts"] & np.uint64(1 << KIND_TAMPER) or not loss_free(core, view):
        return
    view["alerts"] |= np.uint64(1 << KIND_TAMPER)
    event = write_event(core, view, KIND_TAMPER, x["t_ns"], 0)
    event["certainty"] = INFERRED
    event["value_ns"] = x["t_ns"] - view["start_ns"]
    event["by"] = role_of(view, 1 + np.int64(me["side"]))
    event["rst_form"] = np.int64(row["tests"]) >> RST_FORM_AT
    event["cause"] = TAMPER
    event["tests"] = tests
    event["score"] = score
    side, rst = np.int64(me["side"]), row["segment"]
    if rst["t_ns"] != x["t_ns"] or rst["seq"] != x["seq"]:
        cite(core, view, event, rst, side, ROLE_RST)
    cite(core, view, event, x, side, ROLE_RST if np.int64(x["flags"]) & RST else ROLE_CONTRADICTION)
