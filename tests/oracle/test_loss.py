"""A tap that loses packets: how many histories of its own host are still the kernel's, and which alerts come of it.

What was wrong without loss does not count. Loss is by chance and by seed, so the figures are the same each time.
"""

from collections import Counter, defaultdict
from functools import cache
from itertools import groupby
from random import Random

import numpy as np
import pytest

from processor.tcp.machine import Limits, Machine
from synfin.compiled import ENABLED
from synfin.wire.batch import Lane
from tests.oracle import test_kernel, test_recordings
from tests.support.core import KEY, batches_of, flows_json, rows_of
from tests.support.tile import CAPTURES

SEEDS = 12
HOSTS = "ab"


def captures_of_ours():
    """(path, addresses, the kernel's histories) of each host's capture."""
    for name in test_recordings.NAMES:
        for host in HOSTS:
            histories = test_recordings.kernel_histories(name, host)
            yield CAPTURES / name / f"{host}.pcap", test_recordings.meta(name)[host], histories


def captures_of_71_scenarios():
    for case in test_kernel.kernel_cases():
        for host in HOSTS:
            yield case / f"{host}.pcap", test_kernel.HOSTS[host], test_kernel.recorded(case, host)


@cache
def captures(source):
    return [(*capture, rows_of(capture[0], ",".join(capture[1]))) for capture in source()]


@cache
def read(source, loss, seed):
    """(capture, ports) -> (state, ns) of the own host's endpoints, and how many alerts each connection has."""
    machine, made = Machine(Limits(), KEY), []
    for n, (path, _, _, (rows, flows)) in enumerate(captures(source)):
        chance = Random(f"{seed} {path.parent.name} {path.stem}")
        kept = rows[np.array([chance.random() >= loss for _ in range(len(rows))], bool)]
        if len(kept):
            made += [machine.apply(batch) for batch in batches_of(kept, flows, lane=Lane(str(n), 1, 0))]
    histories, alerts = defaultdict(list), Counter()
    for flow in sorted(flows_json(made), key=lambda flow: (flow["start_ns"], flow["gen"])):
        n = int(flow["sensor"])
        alerts[n, flow["orig"]["port"], flow["resp"]["port"]] += len(flow["alerts"])
        for step in flow["transitions"]:
            me, peer = flow[step["endpoint"]], flow["resp" if step["endpoint"] == "orig" else "orig"]
            if me["ip"] in captures(source)[n][1] and step["to"] != "LISTEN":
                state = "CLOSED" if step["to"] == "TIME-WAIT" else step["to"]
                histories[n, me["port"], peer["port"]].append((state, step["t_ns"]))
    return {key: [next(same) for _, same in groupby(h, key=lambda s: s[0])] for key, h in histories.items()}, alerts


def right(source, loss, seed):
    """Keys of the histories that are the kernel's."""
    ours, _ = read(source, loss, seed)
    return {
        (n, *ports)
        for n, (_, _, histories, _) in enumerate(captures(source))
        for ports, history in histories.items()
        if test_kernel.verdict(history, ours.get((n, *ports), []))
    }


SOURCES = [
    pytest.param(captures_of_ours, 66, (99, 95, 91), id="ours"),
    pytest.param(
        captures_of_71_scenarios,
        125,
        (98, 94, 88),
        id="71 scenarios",
        marks=pytest.mark.skipif(not test_kernel.SHARED.is_dir(), reason="no folder of captures beside the repository"),
    ),
]


@pytest.mark.skipif(not ENABLED, reason="minutes in plain Python")
@pytest.mark.parametrize(("source", "whole_min", "shares_min"), SOURCES)
def test_with_1_5_and_10_percent_lost_most_histories_are_right_and_no_alert_is_new(source, whole_min, shares_min):
    whole = right(source, 0, 0)
    _, alerts = read(source, 0, 0)
    assert len(whole) >= whole_min
    for loss, share_min in zip((0.01, 0.05, 0.1), shares_min, strict=True):
        shares = [100 * len(whole & right(source, loss, seed)) / len(whole) for seed in range(SEEDS)]
        new = Counter()
        for seed in range(SEEDS):
            new += read(source, loss, seed)[1] - alerts
        assert sum(shares) / SEEDS >= share_min, loss
        assert not new, (loss, new)
