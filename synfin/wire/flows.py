"""The flow dictionary of a batch as columns: a table of its addresses, and flows that point into it."""

from typing import Any, Final

import numpy as np

from synfin.compiled import compiled
from synfin.wire.key import slice_of, tuple_hash

PROBES: Final = 32  # an address that is not found after so many is put into the table again: nobody can make this slow

_U0, _U1, _U32 = (np.uint64(n) for n in (0, 1, 32))
_MAPPED: Final = np.uint64(0xFFFF)  # above the 32 bits of an IPv4 address, ::ffff:a.b.c.d
_FOUR, _SIX = np.uint64(4), np.uint64(6)
_K1, _K2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)

FLOW_GOOD, FLOW_OUTSIDE, FLOW_ORDER, FLOW_FAMILY, FLOW_PARTITION = range(5)


@compiled
def _address_row(high: Any, low: Any, table: Any) -> Any:
    """Row of an address in the table (uint64 words[a, 2], uint32 index[power of two], uint64 count[1]), added when new."""
    words, index, count = table
    mask = np.uint64(len(index)) - _U1
    at = ((high * _K1) ^ (low + _K2) * _K1) >> _U32
    for _ in range(PROBES):
        at &= mask
        if index[at] == 0:
            index[at] = count[0] + _U1
            break
        row = np.uint64(index[at]) - _U1
        if words[row, 0] == high and words[row, 1] == low:
            return row
        at += _U1
    row = count[0]
    words[row, 0], words[row, 1] = high, low
    count[0] = row + _U1
    return row


@compiled
def put_addresses(flows: Any, table: Any, ends: Any) -> None:
    """Write uint32 ends[m, 2]: the row of each flow's lower and higher address in the table."""
    for i in range(len(flows)):
        f = np.uint64(i)
        lower, higher = flows[f]["lower_ip"], flows[f]["higher_ip"]
        ends[f, 0] = _address_row(lower[0], lower[1], table)
        ends[f, 1] = _address_row(higher[0], higher[1], table)


@compiled
def put_ends(ends: Any, tokens: Any) -> None:
    """Write uint32 tokens[m, 2]: 0 where the next new address comes, else 1 + its row."""
    known = _U0
    for i in range(len(ends)):
        for side in range(2):
            f, s = np.uint64(i), np.uint64(side)
            row = np.uint64(ends[f, s])
            tokens[f, s] = row + _U1 if row < known else _U0
            known = max(known, row + _U1)


@compiled
def take_ends(tokens: Any, addresses: Any, ends: Any) -> Any:
    """Undo put_ends. The number of flows, or the first that points outside the table of so many addresses."""
    known = _U0
    for i in range(len(tokens)):
        for side in range(2):
            f, s = np.uint64(i), np.uint64(side)
            token = np.uint64(tokens[f, s])
            row = known if token == _U0 else token - _U1
            if row >= addresses:
                return f
            ends[f, s] = row
            known = max(known, row + _U1)
    return np.uint64(len(tokens))


@compiled
def find_kin(ends: Any, memory: Any, kin: Any) -> None:
    """Write uint32 kin[m]: 1 + the last flow before each in the dictionary between the same two addresses, or 0.

    Only one pair is remembered for each address, as its later one in the table: `memory` is uint32[a, 2] of 0.
    """
    for i in range(len(ends)):
        f = np.uint64(i)
        later = max(np.uint64(ends[f, 0]), np.uint64(ends[f, 1]))
        other = min(np.uint64(ends[f, 0]), np.uint64(ends[f, 1]))
        kin[f] = memory[later, 0] if memory[later, 1] == other else _U0
        memory[later, 0], memory[later, 1] = f + _U1, other


@compiled
def _flow_fault(flow: Any, partition: Any, partitions: Any) -> Any:
    """FLOW_GOOD, or what is wrong with a flow."""
    lower, higher = flow["lower_ip"], flow["higher_ip"]
    lower_port, higher_port = np.uint64(flow["lower_port"]), np.uint64(flow["higher_port"])
    if lower[0] > higher[0] or (lower[0] == higher[0] and lower[1] > higher[1]):
        return FLOW_ORDER
    if lower[0] == higher[0] and lower[1] == higher[1] and lower_port > higher_port:
        return FLOW_ORDER
    family = np.uint64(flow["family"])
    mapped = lower[0] | higher[0] == _U0 and lower[1] >> _U32 == _MAPPED and higher[1] >> _U32 == _MAPPED
    if family != _SIX and (family != _FOUR or not mapped):
        return FLOW_FAMILY
    if slice_of(flow["hash"]) % partitions != partition:
        return FLOW_PARTITION
    return FLOW_GOOD


@compiled
def finish_flows(flows: Any, ends: Any, addresses: Any, place: Any, fault: Any) -> Any:
    """Fill in the addresses uint64[a, 2] and hashes of FLOW[m]. The number of flows, or the first with a fault[0].

    `place` is (uint64 partition, uint64 partitions).
    """
    partition, partitions = place
    for i in range(len(flows)):
        f = np.uint64(i)
        flow = flows[f]
        lower, higher = np.uint64(ends[f, 0]), np.uint64(ends[f, 1])
        flow["lower_ip"][0], flow["lower_ip"][1] = addresses[lower, 0], addresses[lower, 1]
        flow["higher_ip"][0], flow["higher_ip"][1] = addresses[higher, 0], addresses[higher, 1]
        ports = np.uint64(flow["lower_port"]), np.uint64(flow["higher_port"])
        flow["hash"] = tuple_hash(
            *(addresses[lower, 0], addresses[lower, 1], ports[0]),
            *(addresses[higher, 0], addresses[higher, 1], ports[1]),
        )
        fault[0] = _flow_fault(flow, partition, partitions)
        if fault[0] != FLOW_GOOD:
            return f
    return np.uint64(len(flows))
