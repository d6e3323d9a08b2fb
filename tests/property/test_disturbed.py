"""Captures that are cut off, repeat a segment or swap two: what may not change of what is told.

Lost segments are in tests/oracle/test_loss.py. Two segments of opposite directions are not swapped here: their order at
a host is what decides there.
"""

from collections import Counter
from functools import cache

import numpy as np
import pytest

from processor.tcp.machine import Limits, Machine
from synfin.compiled import ENABLED
from synfin.wire.event import EVENT_KINDS
from synfin.wire.segment import TCP
from tests.oracle.test_recordings import NAMES, flows, kernel_histories, meta
from tests.support.core import KEY, batches_of, rows_of
from tests.support.tile import CAPTURES

STRIDE = 1 if ENABLED else 17  # of all places; there are more than a thousand
NEAR_NS = 3_000_000
BOTH_CLOSED = {
    ("CLOSED", "CLOSED"),
    ("CLOSED", "TIME-WAIT"),
    ("TIME-WAIT", "CLOSED"),
    ("TIME-WAIT", "TIME-WAIT"),
    ("CLOSED", "LISTEN"),  # the opener resets what a listener has answered, as a SYN scan does
}


@cache
def recordings():
    """(name, rows, flows, kinds) of the recordings of both hosts, as a tap sees them that knows its host, and not."""
    found = []
    for name in NAMES:
        for host in "ab":
            rows, table = rows_of(CAPTURES / name / f"{host}.pcap", ",".join(meta(name)[host]))
            elsewhere = rows.copy()
            elsewhere["local"] = elsewhere["local_how"] = 0
            found += [(f"{name} {host}", each, table, kinds(each, table)) for each in (rows, elsewhere)]
    return found


def kinds(rows, table):
    """Names of the events, in order."""
    machine = Machine(Limits(), KEY)
    return [EVENT_KINDS[event["kind"]] for batch in batches_of(rows, table) for event in machine.apply(batch).events]


def places(first):
    """(name, rows, flows, kinds, place) of every place in every recording, from the row with number `first` on."""
    everywhere = [(*each, i) for each in recordings() for i in range(first, len(each[1]))]
    return everywhere[::STRIDE]


def test_a_capture_that_is_cut_off_tells_nothing_that_the_whole_one_does_not():
    for name, rows, table, whole, i in places(1):
        assert not Counter(kinds(rows[:i], table)) - Counter(whole), (name, i)


def test_a_segment_that_comes_twice_changes_no_event():
    for name, rows, table, whole, i in places(0):
        assert kinds(np.insert(rows, i, rows[i]), table) == whole, (name, i)


def test_two_segments_of_one_end_that_change_places_change_no_event():
    swapped = 0
    for name, rows, table, whole, i in places(1):
        first, second = rows[i - 1], rows[i]
        of_one_end = first["sender"] == second["sender"] and first["kind"] == second["kind"] == TCP
        if of_one_end and first["flow"] == second["flow"] and second["t_ns"] - first["t_ns"] < NEAR_NS:
            other = rows.copy()
            other[[i - 1, i]] = rows[[i, i - 1]]
            other["t_ns"] = rows["t_ns"]
            assert kinds(other, table) == whole, (name, i)
            swapped += 1
    assert swapped > 100 // STRIDE


@pytest.mark.parametrize("name", NAMES)
def test_ends_that_have_both_closed_are_closed_or_in_time_wait(name):
    """What each host's own capture says of its own end, where the kernel has closed both sockets."""
    last = {}
    for host in "ab":
        for flow in flows(name, host):
            for me, peer in (("orig", "resp"), ("resp", "orig")):
                if flow[me]["ip"] in meta(name)[host]:
                    last[host, flow[me]["port"], flow[peer]["port"]] = flow[me]["state"]
    closed = [
        {ports if host == "a" else ports[::-1] for ports, history in kernel_histories(name, host).items()
         if history[-1][0] == "CLOSED" and len(history) > 2}
        for host in "ab"
    ]  # fmt: skip
    for ports in closed[0] & closed[1]:
        assert (last["a", *ports], last["b", *ports[::-1]]) in BOTH_CLOSED, ports
