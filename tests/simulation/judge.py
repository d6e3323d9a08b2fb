"""Truth beside what the core says: many worlds' taps in one run of the core, then histories and their times."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from processor.tcp.machine import Limits, Machine
from synfin.wire.event import CERTAINTIES, EVENT_KINDS, STATES
from synfin.wire.segment import LOWER, OPT_MSS, OPT_SACK_PERMITTED, OPT_TS, OPT_WSCALE, SEGMENT
from tests.support.batches import flow_row
from tests.support.core import KEY, batches_of

T = 1_790_000_000_000_000_000
TEN = 10 << 24  # 10.0.0.0; the worlds lie four addresses apart
LOCAL = {"A": 1, "B": 2, "middle": 0}


class Step(NamedTuple):
    """A state that the core has an endpoint in."""

    state: str
    latest_ns: int
    earliest_ns: int
    certainty: str


class View(NamedTuple):
    """A flow record: both ends' steps, and its events."""

    steps: tuple[list[Step], list[Step]]
    events: list[str]
    flow: np.void


def _row(n, t_ns, x, local):
    """SEGMENT of a packet at a tap; A is the lower end."""
    row = np.zeros((), SEGMENT)
    row["t_ns"], row["flow"], row["seq"], row["ack"] = T + t_ns, n, x.seq, x.ack
    row["flags"], row["len"], row["window"], row["ip_len"] = x.flags, x.length, x.window, 40 + x.length
    row["sender"], row["local"], row["local_how"] = 1 + x.sender, local, 1 if local else 0
    row["ttl"] = 64
    if x.tsval is not None:
        row["tsval"], row["tsecr"], row["options"] = x.tsval, x.tsecr, OPT_TS
    if x.mss is not None:
        row["mss"] = x.mss
        row["options"] |= OPT_MSS
    if x.wscale is not None:
        row["wscale"] = x.wscale
        row["options"] |= OPT_WSCALE
    if x.sack_permitted:
        row["options"] |= OPT_SACK_PERMITTED
    for i, edges in enumerate(x.sack):
        row["sack"][2 * i : 2 * i + 2] = edges
    row["sack_n"] = len(x.sack)
    return row


def _steps(flow, transitions, side):
    role = 0 if (int(flow["orig"]) == LOWER) == (side == 0) else 1
    mine = transitions[transitions["endpoint"] == role]
    return [
        Step(STATES[s["to"]], int(s["t_ns"]) - T, int(s["t_ns"] - s["lag_ns"]) - T, CERTAINTIES[s["certainty"]])
        for s in mine
    ]


def views_of(captures):
    """For each of some captures, (frames, tap), the views that the core has of it, in order."""
    ends = [(TEN + 4 * n, TEN + 4 * n + 1) for n in range(len(captures))]
    flows = np.array([flow_row((a, 40_000), (b, 80)) for a, b in ends])
    rows = [_row(n, t_ns, x, LOCAL[tap]) for n, (frames, tap) in enumerate(captures) for t_ns, x in frames]
    segments = np.array(rows, SEGMENT)
    segments = segments[np.argsort(segments["t_ns"], kind="stable")]
    machine, found, events = Machine(Limits(), KEY), defaultdict(list), defaultdict(list)
    for batch in batches_of(segments, flows):
        made = machine.apply(batch)
        for event in made.events:
            events[_key(event)].append(EVENT_KINDS[event["kind"]])
        for flow in made.flows:
            transitions = made.transitions[flow["log"] : flow["log"] + flow["log_n"]]
            steps = (_steps(flow, transitions, 0), _steps(flow, transitions, 1))
            found[_key(flow)[0]].append(View(steps, events[_key(flow)], flow))
    for views in found.values():
        views.sort(key=lambda view: _key(view.flow))
    return [found[n] for n in range(len(captures))]


def _key(record):
    return ((int(record["lower_ip"][1]) & 0xFFFFFFFF) - TEN) // 4, int(record["start_ns"]), int(record["gen"])


def true_history(endpoint):
    """(state, ns) of an endpoint without LISTEN, and whether its end was silent."""
    moments = [moment for moment in endpoint.history if moment.state != "LISTEN"]
    silent = bool(moments) and moments[-1].silent
    return [(moment.state, moment.t_ns) for moment in (moments[:-1] if silent else moments)], silent


def wrong(world, tap, views, side):
    """What is wrong with the histories of an end as a tap has them; None when all is right."""
    wanted = [true_history(endpoint) for endpoint in world.hosts[side].incarnations]
    found = [part for view in views for part in _incarnations(view.steps[side])]
    if len(found) != len(wanted):
        return f"{len(found)} incarnations, and not {len(wanted)}: {told(found)} and not {told(wanted)}"
    for (history, silent), steps in zip(wanted, found, strict=True):
        states, ours = [state for state, _ in history], [step.state for step in steps]
        if ours[-1] == "CLOSED" and ours[:-1] == states and (silent or steps[-1].certainty == "timer"):
            continue
        if ours != states:
            return f"{ours} and not {states}{' (then gone)' if silent else ''}"
        late = _mistimed(history, steps, strict=tap == "AB"[side])
        if late:
            return late
    return None


def _incarnations(steps):
    """Parts that end with CLOSED, where something comes after it. A refusal alone is none."""
    parts = [[]]
    for step in steps:
        if step.state != "LISTEN":
            if parts[-1] and parts[-1][-1].state == "CLOSED":
                parts.append([])
            parts[-1].append(step)
    return [part for part in parts if part and [step.state for step in part] != ["CLOSED"]]


def _mistimed(history, steps, strict):
    """`strict` for the own host; what comes from another host was on its way, nobody knows for how long."""
    for (state, t_ns), step in zip(history, steps, strict=True):
        sure = strict or step.certainty in ("observed", "inferred")
        if sure and not (step.earliest_ns if strict else 0) <= t_ns <= step.latest_ns:
            return f"{state} at {t_ns}, and not from {step.earliest_ns} to {step.latest_ns} ({step.certainty})"
    return None


def told(histories):
    return [[str(step[0]) for step in (h[0] if isinstance(h, tuple) else h)] for h in histories]
