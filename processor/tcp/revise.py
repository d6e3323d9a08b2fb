"""What was told and did not happen: it is marked in the view's log, and an event names each event that was wrong.

Records that have left stay as they are. Who follows the events takes the corrected one off; who reads the flow record,
which comes last, finds the transitions that hold, and apart from them those that were taken back.
"""

from typing import Any, Final

import numpy as np

from processor.tcp.layout import EVENT_ESTABLISHED, EVENT_HANDSHAKE, EVENT_TEARDOWN, LOG_ROWS, STRUCK_OUT
from processor.tcp.record import cite_last, write_event
from processor.tcp.step import PRESUMED
from processor.tcp.story import NO_REASON, both_open, originator, teardown
from processor.tcp.timers import is_over
from synfin.compiled import inner
from synfin.wire.event import EVENT_KINDS, HANDSHAKES, TEARDOWNS

KIND_TRANSITION: Final = EVENT_KINDS.index("transition")
KIND_ESTABLISHED: Final = EVENT_KINDS.index("established")
KIND_REVISED: Final = EVENT_KINDS.index("revised")
KIND_ALERT: Final = EVENT_KINDS.index("alert.abnormal_teardown")
# handshake.* and teardown.* by index of HANDSHAKES and TEARDOWNS; 0 where there is no such event
KIND_OF_HANDSHAKE: Final = np.array(
    [EVENT_KINDS.index(f"handshake.{name}") if f"handshake.{name}" in EVENT_KINDS else 0 for name in HANDSHAKES],
    np.uint8,
)
KIND_OF_TEARDOWN: Final = np.array(
    [EVENT_KINDS.index(f"teardown.{name}") if f"teardown.{name}" in EVENT_KINDS else 0 for name in TEARDOWNS], np.uint8
)
REVISIONS_MAX: Final = 255  # of a view; beyond them a mistake is put right in the flow record alone
_BITS: Final = 4  # of the kind in VIEW.opening and VIEW.ending
TIMES_MAX: Final = 15  # above it; what was told then stands
_NONE: Final = np.uint64(0)


@inner
def strike_out(core: Any, view: Any, done: Any) -> None:
    """Mark an endpoint's transitions from an ordinal on as taken back, and revise those that were told by then.

    What was presumed was never more than that: the next step says what it was instead.
    """
    told = np.uint64(core.work[_NONE]["filed"])
    block, ordinal = np.uint64(view["log_head"]), _NONE
    while ordinal < np.uint64(view["steps"]):
        row = core.log[block]["rows"][ordinal % np.uint64(LOG_ROWS)]
        stands = row["to"] and not row["to"] & STRUCK_OUT
        if ordinal >= np.uint64(done["drop_from"]) and row["side"] == done["side"] and stands:
            if ordinal < told and row["certainty"] != PRESUMED:
                done["from"] = row["to"]
                done["event"] = row["event"]
                _revise(core, view, done, KIND_TRANSITION, ordinal)
                row["to"] |= STRUCK_OUT
                row["packet_ns"] = done["t_ns"]
            else:
                row["to"] = 0
        ordinal += np.uint64(1)
        if ordinal % np.uint64(LOG_ROWS) == 0:
            block = np.uint64(core.log[block]["next"])


@inner
def _revise(core: Any, view: Any, done: Any, kind: Any, k: Any) -> None:
    """Tell that the k-th event of a kind rests on a step that did not happen, the one that `done` takes back."""
    if view["revisions"] >= REVISIONS_MAX:
        return
    event = write_event(core, view, KIND_REVISED, done["t_ns"], view["revisions"])
    view["revisions"] += 1
    event["certainty"] = done["certainty"]
    event["endpoint"] = 0 if np.uint64(done["side"]) == originator(view) else 1
    event["from"] = done["from"]
    event["to"] = done["to"]
    event["event"] = done["event"]
    event["corrects"] = kind
    event["corrects_k"] = k
    cite_last(core, view, event)


@inner
def retract(core: Any, view: Any, done: Any) -> None:
    """Revise what was told of the opening and of the end, where it rests on steps that `done` takes back."""
    failed = not view["events"] & EVENT_ESTABLISHED  # as far as was told
    wrong = not is_over(view) if failed else not both_open(view)
    times = taken_back(view["opening"])
    if wrong and view["events"] & (EVENT_ESTABLISHED | EVENT_HANDSHAKE) and times < TIMES_MAX:
        if view["events"] & EVENT_HANDSHAKE:
            _revise(core, view, done, KIND_OF_HANDSHAKE[np.uint64(_told(view["opening"]))], times)
        if not failed:
            _revise(core, view, done, KIND_ESTABLISHED, times)
        view["events"] &= np.uint8(0xFF ^ (EVENT_ESTABLISHED | EVENT_HANDSHAKE))
        view["opening"] = (times + 1) << _BITS
    told, times = _told(view["ending"]), taken_back(view["ending"])
    if view["events"] & EVENT_TEARDOWN and teardown(view, NO_REASON) != told and times < TIMES_MAX:
        _revise(core, view, done, KIND_OF_TEARDOWN[np.uint64(told)], times)
        if view["alerts"] & np.uint64(1 << KIND_ALERT):
            _revise(core, view, done, KIND_ALERT, times)
            view["alerts"] &= ~np.uint64(1 << KIND_ALERT)
        view["events"] &= np.uint8(0xFF ^ EVENT_TEARDOWN)
        view["ending"] = (times + 1) << _BITS


@inner
def _told(what: Any) -> Any:
    """Index of HANDSHAKES or TEARDOWNS in VIEW.opening or VIEW.ending."""
    return np.int64(what) & ((1 << _BITS) - 1)


@inner
def taken_back(what: Any) -> Any:
    """How often what VIEW.opening or VIEW.ending told was taken back: the k of the event that is told next."""
    return np.int64(what) >> _BITS


@inner
def with_kind(what: Any, kind: Any) -> Any:
    """VIEW.opening or VIEW.ending when an event of a kind (index of HANDSHAKES or TEARDOWNS) is told."""
    return taken_back(what) << _BITS | kind
