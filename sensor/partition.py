"""The kernel that sorts rows into the open batches of the partitions, and each batch's flow dictionary with them.

One pass over the rows appends each to its partition, so the order within a partition stays that of capture. The open
batches lie side by side in arrays whose first dimension is the partition.
"""

from typing import Any, Final

import numpy as np

from synfin.compiled import leaf
from synfin.wire.key import slice_of
from synfin.wire.segment import FLOW, SEGMENT

OPEN: Final = np.dtype(
    [
        ("generation", "<u8"),  # counts the batches of this partition, from 1: what is of another is stale
        ("rows", "<u8"),
        ("flows", "<u8"),
        ("first_ns", "<i8"),  # time of the first row, when there are rows
        ("last_ns", "<i8"),  # time of the last row that this partition ever had
    ]
)
PLACE: Final = np.dtype(  # where a flow of the block at hand stands in its partition's dictionary
    [
        ("generation", "<u8"),  # 0: nowhere yet
        ("partition", "<u8"),
        ("row", "<u8"),
    ]
)

_U1: Final = np.uint64(1)
_U32: Final = np.uint64(32)
_LOW, _HIGH = np.uint64(0xFFFFFFFF), np.uint64(0xFFFFFFFF << 32)
SEGMENT_WORDS: Final = SEGMENT.itemsize // 8  # word 0 is t_ns, the lower half of FLOW_AT is flow
FLOW_AT: Final = 1
FLOW_WORDS: Final = FLOW.itemsize // 8  # word 0 is hash; the padding, which is the rest of the last, holds 0
assert (SEGMENT.names or ())[:2] == ("t_ns", "flow")
assert (FLOW.names or ())[0] == "hash"
NEVER: Final = -(1 << 63)  # OPEN.last_ns of a partition that had no row
NONE_OPEN: Final = (1 << 63) - 1  # for the oldest time of the open batches, when no batch is open


@leaf
def _keyed(flow: Any, key: Any) -> Any:
    """A multilinear hash, uint64 key[7]: a stranger who chooses tuples must not choose where they collide."""
    h = np.uint64(0)
    for k in range(FLOW_WORDS):
        h += key[k] * flow[k]
    return h ^ (h >> _U32)


@leaf
def _same(a: Any, b: Any) -> Any:
    for k in range(FLOW_WORDS):  # noqa: SIM110  numba has no all() of a generator
        if a[k] != b[k]:
            return False
    return True


@leaf
def _dictionary_row(flow: Any, opened: Any, flows: Any, index: Any, key: Any) -> Any:
    """Row of `flow` in the dictionary `flows` of one open batch, added when it is new; all FLOW as words.

    `index` is open addressing over uint64: generation << 32 | row, of a power of two at least twice the rows.
    """
    generation = opened["generation"]
    mask = np.uint64(len(index)) - _U1
    at = _keyed(flow, key) & mask
    while index[at] >> _U32 == generation:
        row = index[at] & _LOW
        if _same(flows[row], flow):
            return row
        at = (at + _U1) & mask
    row = opened["flows"]
    for k in range(FLOW_WORDS):
        flows[row, k] = flow[k]
    index[at] = (generation << _U32) | row
    opened["flows"] += _U1
    return row


@leaf
def place_flows(block_flows: Any, partitions: Any, places: Any) -> None:
    """Write PLACE[m]: the partition of each flow of a block, uint64 block_flows[m, 7]."""
    for i in range(len(block_flows)):
        f = np.uint64(i)
        places[f]["generation"] = np.uint64(0)
        places[f]["partition"] = slice_of(block_flows[f, 0]) % partitions


@leaf
def append_rows(source: Any, span: Any, ages: Any, places: Any, opened: Any, pool: Any) -> Any:
    """Append rows span[0]:span[1] of a block to their partitions, up to the first that fills a batch or finds one old.

    `source` is (SEGMENT[n], int64 times of the span's rows, FLOW[m]), `ages` int64 (first time of all open batches,
    age at which a batch is old), `opened` OPEN[partitions], `pool` is (SEGMENT[p, c], FLOW[p, c], uint64 index[p, k],
    uint64 key[7]), where SEGMENT and FLOW are uint64 words in one more dimension: numba copies a record byte by byte.
    Returns the index behind the last row appended.
    """
    segments, times, block_flows = source
    rows, flows, index, key = pool
    capacity = np.uint64(rows.shape[1])
    oldest, age_max = ages
    for i in range(span[0], span[1]):
        at = np.uint64(i)
        f = segments[at, FLOW_AT] & _LOW
        place = places[f]
        p = place["partition"]
        part = opened[p]
        if place["generation"] != part["generation"]:
            place["row"] = _dictionary_row(block_flows[f], part, flows[p], index[p], key)
            place["generation"] = part["generation"]
        n = part["rows"]
        for k in range(SEGMENT_WORDS):
            rows[p, n, k] = segments[at, k]
        t = times[at - span[0]]
        rows[p, n, 0] = t
        rows[p, n, FLOW_AT] = (segments[at, FLOW_AT] & _HIGH) | place["row"]
        part["last_ns"] = t
        if n == np.uint64(0):
            part["first_ns"] = t
            oldest = min(oldest, t)
        n += _U1
        part["rows"] = n
        if n == capacity or t - oldest >= age_max:
            return at + _U1
    return np.uint64(span[1])
