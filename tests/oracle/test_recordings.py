"""The kernel is the judge: what its sockets went through, beside what is read out of the packets of either host."""

import json
from collections import defaultdict
from functools import cache

import orjson
import pytest

from synfin.embedded import Reading, Source, local_of
from synfin.wire.jsonl import flow_lines
from tests.lab.scenarios import SCENARIOS
from tests.support.tile import CAPTURES

NAMES = [scenario.name + ("" if family == 4 else "_ipv6") for scenario in SCENARIOS for family in scenario.families]
KERNEL = {
    "SYN_SENT": "SYN-SENT",
    "SYN_RECV": "SYN-RECEIVED",
    "ESTABLISHED": "ESTABLISHED",
    "FIN_WAIT1": "FIN-WAIT-1",
    "FIN_WAIT2": "FIN-WAIT-2",
    "CLOSE_WAIT": "CLOSE-WAIT",
    "CLOSING": "CLOSING",
    "LAST_ACK": "LAST-ACK",
    "CLOSE": "CLOSED",  # also where TIME-WAIT begins: the tracepoint shows no more of it
}
NEAR_NS = 5_000_000

# What happened, as (opening, closing, which host closed first or reset), the same seen from both hosts.
OPENED = ("three_way", "orderly", "a")
STORIES = {
    "bulk": [OPENED],
    "client_aborts": [("three_way", "abort", "a")],
    "client_closes": [OPENED],
    "close_wait": [("three_way", "none", "a")],
    "data_after_close": [("three_way", "fin_then_rst", "a")],
    "data_lost": [OPENED],
    "fast_open": [OPENED, ("tfo", "orderly", "a")],
    "half_close": [OPENED],
    "half_open": [("half_open", "none", None)],
    "keepalive_gives_up": [("three_way", "abort", "a")],
    "last_ack_lost": [OPENED],
    "left_open": [("three_way", "none", None)],
    "nothing_sent": [OPENED],
    "pending_connection_reset": [("three_way", "abort", "b")],
    "refused": [("rejected", "none", "b")],
    "rejected_by_router": [("rejected_icmp", "none", None)],
    "reset_after_fin": [("three_way", "fin_then_rst", "a")],
    "reset_crosses_data": [("three_way", "abort", "b")],
    "reused_after_reset": [("three_way", "abort", "a")] * 2,
    "reused_after_time_wait": [("three_way", "orderly", "b")] * 2,
    "server_aborts": [("three_way", "abort", "b")],
    "server_closes": [("three_way", "orderly", "b")],
    "simultaneous_open": [("simultaneous", "orderly", "a")],
    "simultaneous_close": [("three_way", "simultaneous", "both")],
    "synack_lost": [OPENED],
    "three_segments": [OPENED],
    "unanswered": [("unanswered", "none", None)],
    "unanswered_given_up": [("unanswered", "none", None)],
    "unread_data": [("three_way", "abort", "b")],
}
SEGMENTS = {"client_closes": "four", "server_closes": "four", "three_segments": "three", "half_close": "half_close"}


@cache
def meta(name):
    return json.loads((CAPTURES / name / "meta.json").read_text())


@cache
def flows(name, host):
    """Flow records of a recording, as read from one host's capture, by their start."""
    reading = Reading([Source(host, str(CAPTURES / name / f"{host}.pcap"))], local_of(meta(name)[host]))
    found = [orjson.loads(line) for records in reading.records() for line in flow_lines(records).values()]
    assert not reading.torn
    return sorted(found, key=lambda flow: flow["start_ns"])


def kernel_histories(name, host):
    """(state, ns) of each of a host's sockets that had a peer, by ports."""
    found = defaultdict(list)
    for line in (CAPTURES / name / "kernel.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["host"] == host and row["dport"]:
            found[row["sport"], row["dport"]].append((KERNEL[row["new"]], row["t_ns"]))
    return dict(found)


def derived_histories(name, host, seen_at):
    """The same as the core has it for that host's endpoints; LISTEN is left out, TIME-WAIT is CLOSED as above."""
    found = defaultdict(list)
    for flow in flows(name, seen_at):
        for step in flow["transitions"]:
            me, peer = flow[step["endpoint"]], flow["resp" if step["endpoint"] == "orig" else "orig"]
            state = "CLOSED" if step["to"] == "TIME-WAIT" else step["to"]
            rows = found[me["port"], peer["port"]]
            if me["ip"] in meta(name)[host] and state != "LISTEN" and (not rows or rows[-1][0] != state):
                rows.append((state, step["t_ns"]))
    return found


def comparable(kernel, derived):
    """Both histories without the steps that only one of them can know."""
    kernel, derived = list(kernel), list(derived)
    if [state for state, _ in kernel[-2:]] == ["FIN-WAIT-2", "CLOSED"] and derived[-1][0] == "FIN-WAIT-2":
        kernel.pop()  # an orphan leaves the socket table here
    if len(kernel) == len(derived) + 1 and derived[-1][0] == "SYN-SENT":
        kernel.pop()  # given up, without a packet
    return kernel, derived


@pytest.mark.parametrize("host", ["a", "b"])
@pytest.mark.parametrize("name", NAMES)
def test_states_at_the_own_host_are_those_of_the_kernel_at_their_times(name, host):
    histories = kernel_histories(name, host)
    derived = derived_histories(name, host, host)
    for key, history in histories.items():
        kernel, ours = comparable(history, derived[key])
        assert [state for state, _ in ours] == [state for state, _ in kernel]
        before = None
        for (state, t_ns), (_, kernel_ns) in zip(ours, kernel, strict=True):
            if state != "SYN-RECEIVED":  # which the kernel reports late, at the last ACK
                assert t_ns > kernel_ns - NEAR_NS
            # FIN-WAIT-1 begins with the call, and the FIN may wait behind data; an orphan's FIN-WAIT-2 ends at once.
            if state != "FIN-WAIT-1" and (before, state) != ("FIN-WAIT-2", "CLOSED"):
                assert t_ns < kernel_ns + NEAR_NS
            before = state


@pytest.mark.parametrize("host", ["a", "b"])
@pytest.mark.parametrize("name", NAMES)
def test_states_seen_from_the_other_host_are_those_of_the_kernel(name, host):
    derived = derived_histories(name, host, "b" if host == "a" else "a")
    for key, history in kernel_histories(name, host).items():
        kernel, ours = comparable(history, derived[key])
        assert [state for state, _ in ours] == [state for state, _ in kernel]


def who(name, flow):
    """Host that closed first, else the one that reset; both, or None."""
    end = flow["teardown"]["active_closer"] or flow["teardown"]["by"]
    return end if end in {None, "both"} else "a" if flow[end]["ip"] in meta(name)["a"] else "b"


@pytest.mark.parametrize("host", ["a", "b"])
@pytest.mark.parametrize("name", [name for name in NAMES if name.removesuffix("_ipv6") in STORIES])
def test_how_it_opened_and_who_closed_it_and_how(name, host):
    story = [(flow["handshake"]["kind"], flow["teardown"]["kind"], who(name, flow)) for flow in flows(name, host)]
    plain = name.removesuffix("_ipv6")
    assert story == STORIES[plain]
    if plain in SEGMENTS:
        assert [flow["teardown"]["segments"] for flow in flows(name, host)] == [SEGMENTS[plain]]
    aborted = [flow["teardown"]["kind"] == "abort" for flow in flows(name, host)]
    assert [flow["alerts"] == ["alert.abnormal_teardown"] for flow in flows(name, host)] == aborted
