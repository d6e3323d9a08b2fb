"""Runs every kernel once on a connection of our own making, before the worker joins its group.

Compiled kernels come from the cache in a fraction of a second; the first start on a host compiles them, which takes
minutes. A worker that did so with partitions in its hands would let them stand still.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from synfin.wire.batch import STOPPED, Batch, Lane
from synfin.wire.codec import encode
from synfin.wire.key import SLICES, tuple_hash
from synfin.wire.segment import ACK, FIN, FLOW, HIGHER, LOWER, SEGMENT, SYN

_LOWER: Final = (0, 0xFFFF_C000_0201, 1024)  # 192.0.2.1 and .2, for documentation: RFC 5737
_HIGHER: Final = (0, 0xFFFF_C000_0202, 80)
_CONVERSATION: Final = (  # sender, flags, sequence number, acknowledgment
    (LOWER, SYN, 0, 0),
    (HIGHER, SYN | ACK, 0, 1),
    (LOWER, ACK, 1, 1),
    (LOWER, FIN | ACK, 1, 1),
    (HIGHER, FIN | ACK, 1, 2),
    (LOWER, ACK, 2, 2),
)


def made_up_batch(partitions: int) -> Batch:
    """A connection from SYN to FIN, for the partition where it belongs, and the end of its sensor."""
    flows = np.zeros(1, FLOW)
    flow = flows[0]
    flow["hash"] = tuple_hash(*(np.uint64(word) for word in (*_LOWER, *_HIGHER)))
    flow["lower_ip"], flow["higher_ip"], flow["family"] = _LOWER[:2], _HIGHER[:2], 4
    flow["lower_port"], flow["higher_port"] = _LOWER[2], _HIGHER[2]
    rows = np.zeros(len(_CONVERSATION), SEGMENT)
    rows["t_ns"] = 10**18 + 10**6 * np.arange(len(rows))
    for row, (sender, flags, seq, ack) in zip(rows, _CONVERSATION, strict=True):
        row["sender"], row["flags"], row["seq"], row["ack"], row["ip_len"] = sender, flags, seq, ack, 40
    partition = int(flow["hash"]) % SLICES % partitions
    lane = Lane("warm", 1, 0)
    return Batch(lane, rows, flows, int(rows["t_ns"][0]), int(rows["t_ns"][-1]), partition, partitions, end=STOPPED)


def warm(partitions: int, open_state: Callable[[int, list[bytes]], Any], decode: Callable[[bytes], Batch]) -> int:
    """Decode, apply, render, write and read snapshots, in a state that is thrown away. Gives the count of records."""
    batch = decode(encode(made_up_batch(partitions)))
    state = open_state(batch.partition, [])
    records = len(list(state.apply(batch, 0, 1)))
    open_state(batch.partition, [value for _, value in state.snapshots()])
    return records
