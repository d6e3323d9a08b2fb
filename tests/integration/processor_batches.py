"""Small batches that belong where they are sent: each number gives other rows, the same every time."""

import numpy as np

from synfin.wire.batch import Batch, Lane
from synfin.wire.key import tuple_hash
from synfin.wire.segment import FLOW, SEGMENT

ROWS = 8


def flows_of(partition, partitions, wanted=6):
    """Some flows of a partition, found by trying ports."""
    found = []
    lower, higher = 0xFFFF_0A00_0001, 0xFFFF_0A00_0002
    port = 1024
    while len(found) < wanted:
        h = tuple_hash(*(np.uint64(word) for word in (0, lower, port, 0, higher, 80)))
        if h % np.uint64(384) % np.uint64(partitions) == partition:
            flow = np.zeros(1, FLOW)
            flow["hash"], flow["lower_port"], flow["higher_port"], flow["family"] = h, port, 80, 4
            flow["lower_ip"], flow["higher_ip"] = (0, lower), (0, higher)
            found.append(flow)
        port += 1
    return np.concatenate(found)


def batch_of(flows, partition, partitions, number):
    """A batch of a few rows, different for each number."""
    rows = np.zeros(ROWS, SEGMENT)
    chance = np.random.default_rng([partition, number])
    rows["t_ns"] = 1_700_000_000_000_000_000 + number * 1_000_000 + np.arange(ROWS)
    rows["flow"] = np.sort(chance.integers(0, len(flows), ROWS))
    rows["seq"] = chance.integers(0, 2**32, ROWS)
    rows["flags"], rows["ip_len"], rows["ttl"] = 0x10, 40, 64
    first, last = int(rows["t_ns"][0]), int(rows["t_ns"][-1])
    return Batch(Lane("sensor", 1, 0), rows, flows, first, last, partition, partitions, number)
