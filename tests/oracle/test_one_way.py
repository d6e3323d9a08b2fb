"""Captures that have one direction only: what the end that is seen went through, and that nothing of it is an alarm."""

from functools import cache
from ipaddress import ip_address
from itertools import groupby

import numpy as np
import pytest

from processor.tcp.machine import Limits, Machine
from synfin.wire.event import EVENT_KINDS, SEVERITIES
from synfin.wire.segment import LOWER
from tests.oracle.test_recordings import NAMES, kernel_histories, meta
from tests.support.core import KEY, batches_of, flows_json, rows_of
from tests.support.tile import CAPTURES

LOUD = SEVERITIES.index("warn")
WHOLE_MIN = 192  # of 280 histories; what the others lack shows in no packet, for the most part a RST of the other end


def sent_by(rows, flows, addresses):
    """The rows that these addresses sent."""

    def address(row):
        flow = flows[row["flow"]]
        high, low = map(int, flow["lower_ip" if row["sender"] == LOWER else "higher_ip"])
        return str(ip_address(low & 0xFFFFFFFF) if flow["family"] == 4 else ip_address(high << 64 | low))

    return rows[np.array([address(row) in addresses for row in rows], bool)]


@cache
def one_way(name, tap, host, local):
    """What the core makes of what `host` sent as seen at `tap`, whose own addresses are known or not."""
    rows, flows = rows_of(CAPTURES / name / f"{tap}.pcap", ",".join(meta(name)[tap]))
    rows = rows.copy()
    if not local:
        rows["local"] = rows["local_how"] = 0
    rows, machine = sent_by(rows, flows, meta(name)[host]), Machine(Limits(), KEY)
    return [machine.apply(batch) for batch in batches_of(rows, flows)] if len(rows) else []


def histories(made, addresses):
    """States of these addresses' endpoints by ports; LISTEN left out, TIME-WAIT as the kernel's tracepoint calls it."""
    found = {}
    for flow in sorted(flows_json(made), key=lambda flow: (flow["start_ns"], flow["gen"])):
        for step in flow["transitions"]:
            me, peer = flow[step["endpoint"]], flow["resp" if step["endpoint"] == "orig" else "orig"]
            if me["ip"] in addresses and step["to"] != "LISTEN":
                state = "CLOSED" if step["to"] == "TIME-WAIT" else step["to"]
                found.setdefault((me["port"], peer["port"]), []).append(state)
    return {ports: [state for state, _ in groupby(states)] for ports, states in found.items()}


CASES = [(name, tap, host, local) for name in NAMES for tap in "ab" for host in "ab" for local in (True, False)]


@pytest.mark.parametrize("name", NAMES)
def test_the_end_that_is_seen_has_no_step_that_the_kernel_did_not_take(name):
    for case in CASES:
        if case[0] == name:
            host = case[2]
            ours = histories(one_way(*case), meta(name)[host])
            for ports, kernel in kernel_histories(name, host).items():
                states, got = [state for state, _ in kernel], ours.get(ports, [])
                if "CLOSING" not in states:  # that the FINs crossed is seen in both directions alone
                    assert got == states[: len(got)], case


def test_most_histories_are_whole():
    whole = 0
    for name, tap, host, local in CASES:
        ours = histories(one_way(name, tap, host, local), meta(name)[host])
        for ports, kernel in kernel_histories(name, host).items():
            whole += [state for state, _ in kernel] == ours.get(ports)
    assert whole >= WHOLE_MIN


def test_nothing_is_an_alarm():
    loud = [
        (case, EVENT_KINDS[event["kind"]])
        for case in CASES
        for records in one_way(*case)
        for event in records.events
        if event["severity"] >= LOUD
    ]
    assert not loud
