"""One step of one endpoint, and the leaves that both directions share.

`work` is WORK, `me` and `peer` are ENDPOINT, `x` is SEGMENT: records, written through. `me` is always the endpoint that
the function is about; which end opened the connection never matters.
"""

from typing import Any, Final

import numpy as np

from processor.tcp.figure5 import NEXT, TX_RST, UNKNOWN
from processor.tcp.layout import ACTIVE, EVER_LOCAL, NO_STEP, STEPS_MAX
from processor.tcp.seqnum import distance, plus
from synfin.compiled import inner
from synfin.wire.segment import FIN, SYN

OBSERVED: Final = 0  # as in event.CERTAINTIES
INFERRED: Final = 1
ASSUMED: Final = 2
PRESUMED: Final = 3
TIMER: Final = 4


@inner
def segment_end(x: Any) -> Any:
    """Sequence number after the segment: SYN and FIN count one each."""
    flags = np.int64(x["flags"])
    return plus(x["seq"], np.int64(x["len"]) + ((flags & SYN) >> 1) + (flags & FIN))


@inner
def stamp(work: Any, t_ns: Any, packet_ns: Any, lag_ns: Any, certainty: Any) -> None:
    """Set time and certainty of the steps that follow."""
    work["t_ns"] = t_ns
    work["packet_ns"] = packet_ns
    work["lag_ns"] = lag_ns
    work["certainty"] = certainty


@inner
def step_as(work: Any, me: Any, event: Any, certainty: Any) -> Any:
    """Ask the table and write down the step, if it is one. True when the state changed."""
    state = me["state"]
    opened = np.uint64(1) if me["bits"] & ACTIVE else np.uint64(0)
    to = NEXT[opened, np.uint64(state), np.uint64(event)]
    if to == state or work["n"] >= STEPS_MAX:
        return False
    done = work["steps"][np.uint64(work["n"])]
    done["t_ns"] = work["t_ns"]
    done["lag_ns"] = work["lag_ns"]
    done["packet_ns"] = work["packet_ns"]
    done["drop_from"] = NO_STEP
    done["side"] = me["side"]
    done["from"] = state
    done["to"] = to
    done["event"] = event
    done["certainty"] = certainty
    me["last_step"] = work["filed"] + work["n"]
    me["last_from"] = state
    me["last_event"] = event
    me["last_certainty"] = certainty
    me["state"] = to
    me["state_ns"] = work["t_ns"]
    me["was"] |= np.uint16(1 << np.int64(to))
    work["n"] += 1
    return True


@inner
def step(work: Any, me: Any, event: Any) -> Any:
    """`step_as` with the certainty that was stamped."""
    return step_as(work, me, event, work["certainty"])


@inner
def take_back(work: Any, me: Any, ordinal: Any, state: Any) -> None:
    """Take back the endpoint's transitions from `ordinal` on: it is in `state` again."""
    if work["n"] >= STEPS_MAX:
        return
    done = work["steps"][np.uint64(work["n"])]
    done["drop_from"] = ordinal
    done["side"] = me["side"]
    done["from"] = me["state"]
    done["to"] = state
    done["event"] = me["last_event"]
    done["t_ns"] = work["t_ns"]
    done["lag_ns"] = 0
    done["packet_ns"] = work["t_ns"]
    done["certainty"] = INFERRED
    me["was"] &= np.uint16(0xFFFF ^ (1 << np.int64(me["state"])))
    me["state"] = state
    me["state_ns"] = work["t_ns"]
    me["last_event"] = 0
    work["n"] += 1


@inner
def take_back_last(work: Any, me: Any) -> None:
    """Take back the endpoint's last transition."""
    take_back(work, me, me["last_step"], me["last_from"])


@inner
def keeps_silent(view: Any, me: Any) -> Any:
    """Whether an endpoint waits for nothing but the ACK of a FIN that it did not repeat, as seen at its own host.

    Or as seen anywhere, where the other way is not captured.
    """
    if not view["ends"][np.uint64(1 - np.int64(me["side"]))]["packets"]:
        return not me["repeats"]
    alone = distance(me["fin_end"], me["snd_una"]) == 1
    return alone and bool(me["bits"] & EVER_LOCAL) and not me["repeats"]


@inner
def after(a: Any, b: Any) -> Any:
    """Whether sequence number a is after b."""
    return distance(a, b) > 0


assert NEXT[0, UNKNOWN, TX_RST] == UNKNOWN
