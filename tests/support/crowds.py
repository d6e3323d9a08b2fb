"""Crowds of connections for the rules that count several: each attempt in a line, as rows for batches."""

from dataclasses import replace

import numpy as np
import orjson

from processor.tcp.machine import Limits, Machine
from synfin.aggregates import Rules
from synfin.wire.batch import Lane
from synfin.wire.segment import ACK, FIN, FLOW, HIGHER, LOWER, RST, SEGMENT, SYN
from tests.support.batches import flow_row
from tests.support.core import KEY, batches_of

SECOND = 1_000_000_000
START_NS = 1_700_000_000 * SECOND  # a multiple of ten seconds
RTT_NS = 10_000_000
OPENING = ((0, SYN, 0, 0), (1, SYN | ACK, 0, 1), (0, ACK, 1, 1))
# Who sends (0 the originator), flags, relative sequence and acknowledgment number, payload; how an attempt goes.
WAYS = {
    "unanswered": ((0, SYN, 0, 0),),
    "retransmitted": ((0, SYN, 0, 0), (0, SYN, 0, 0), (0, SYN, 0, 0)),
    "half_open": ((0, SYN, 0, 0), (1, SYN | ACK, 0, 1)),
    "refused": ((0, SYN, 0, 0), (1, RST | ACK, 0, 1)),
    "syn_scan": ((0, SYN, 0, 0), (1, SYN | ACK, 0, 1), (0, RST, 1, 0)),
    "opened": OPENING,
    "closed": (*OPENING, (0, FIN | ACK, 1, 1), (1, FIN | ACK, 1, 2), (0, ACK, 2, 2)),
    "left_open": (*OPENING, (0, FIN | ACK, 1, 1), (1, ACK, 1, 2)),
    "killed": (*OPENING, (1, RST | ACK, 1, 1)),
    "answered": (*OPENING, (1, ACK, 1, 1, 100), (0, ACK, 1, 101), (1, RST | ACK, 101, 1)),
    "stray_synack": ((1, SYN | ACK, 0, 1),),
    "stray_rst": ((1, RST, 1, 0),),
}


def ip(text):
    """An IPv4 address as a number."""
    return int.from_bytes(bytes(int(part) for part in text.split(".")))


class Crowd:
    """Attempts at chosen times, put in order."""

    def __init__(self):
        self._attempts = []
        self._port = 1024

    def add(self, way, at_s, orig, resp, port, local_port=None):
        """One attempt. Times are seconds after the start."""
        if local_port is None:
            self._port = 1024 + (self._port - 1023) % 60_000
            local_port = self._port
        self._attempts.append((START_NS + round(at_s * SECOND), (ip(orig), local_port), (ip(resp), port), way))
        return self

    def many(self, n, way, at_s, for_s, orig, resp, port):
        """Some attempts spread over a time; what is a function gives its value by number."""
        value = lambda what, i: what(i) if callable(what) else what  # noqa: E731
        for i in range(n):
            self.add(way, at_s + for_s * i / n, value(orig, i), value(resp, i), value(port, i))
        return self

    def until(self, at_s):
        """Bring the sensor's time to a point: a connection that has nothing to do with the rest."""
        return self.add("closed", at_s, "192.0.2.250", "192.0.2.251", 9)

    def rows(self):
        """SEGMENT[n] in order of time, and FLOW[m]."""
        flows, rows = [], []
        for number, (t_ns, orig, resp, way) in enumerate(self._attempts):
            flow = flow_row(orig, resp)
            flows.append(flow)
            lower = orig < resp
            for step, (who, flags, seq, ack, *size) in enumerate(WAYS[way]):
                row = np.zeros((), SEGMENT)
                row["t_ns"] = t_ns + step * (3 * SECOND if way == "retransmitted" else RTT_NS)
                row["flow"], row["flags"] = number, flags
                row["sender"] = LOWER if lower == (who == 0) else HIGHER
                row["seq"] = (seq + 1000 * (1 + who) + number) % 2**32
                row["ack"] = (ack + 1000 * (2 - who) + number) % 2**32 if flags & ACK else 0
                row["len"] = sum(size)
                row["ip_len"], row["window"], row["ttl"] = 40 + sum(size), 64_000, 64
                rows.append(row)
        segments = np.array(rows, SEGMENT)
        order = np.argsort(segments["t_ns"], kind="stable")
        return segments[order], np.array(flows, FLOW)


def staged(segments, flows, sizes=(2000,), sensor="tap", dropped=None):
    """Batches of the rows; `dropped` has what the sensor had lost by the batch with that number."""
    lost, batches = 0, []
    for batch in batches_of(segments, flows, sizes, Lane(sensor, 1, 0)):
        lost += (dropped or {}).get(batch.number, 0)
        batches.append(replace(batch, dropped=lost))
    return batches


def raised(batches, limits=None):
    """Alerts of one process, as JSON."""
    machine, rules, found = Machine(Limits(), KEY), Rules(limits), []
    for batch in batches:
        rules.begin(batch, machine)
        rules.count(machine.apply(batch))
        found += [alert.value for alert in rules.after(batch)]
    return found


def alerts_of(crowd, **others):
    """What a crowd raises, as dicts."""
    return [orjson.loads(value) for value in raised(staged(*crowd.rows(), **others))]
