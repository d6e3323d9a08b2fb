"""The flow dictionary of a batch as columns: a table of its addresses, and flows that point into it."""

from typing import Any, Final

import numpy as np

from synfin.compiled import leaf
from synfin.wire.key import slice_of, tuple_hash

PROBES: Final = 32  # an address that is not found after so many is put into the table again: nobody can make this slow

_U0, _U1, _U2, _U3, _U4, _U5, _U32 = (np.uint64(n) for n in (0, 1, 2, 3, 4, 5, 32))
_MAPPED: Final = np.uint64(0xFFFF)  # above the 32 bits of an IPv4 address, ::ffff:a.b.c.d
_FOUR, _SIX = np.uint64(4), np.uint64(6)
_K1, _K2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)

FLOW_GOOD, FLOW_OUTSIDE, FLOW_ORDER, FLOW_FAMILY, FLOW_PARTITION = range(5)


@leaf
def _address_row(high: Any, low: Any, words: Any, index: Any, count: Any) -> Any:
    """Row of an address in the table uint64 words[a, 2], of which `count` are there; it is added when it is not found.

    `index` is uint32[power of two] of 1 + row, 0 for none.
    """
    mask = np.uint64(len(index)) - _U1
    at = ((high * _K1) ^ (low + _K2) * _K1) >> _U32
    for _ in range(PROBES):
        at &= mask
        if index[at] == 0:
            index[at] = count + _U1
            break
        row = np.uint64(index[at]) - _U1
        if words[row, 0] == high and words[row, 1] == low:
            return row
        at += _U1
    words[count, 0], words[count, 1] = high, low
    return count


@leaf
def put_flows(flows: Any, words: Any, index: Any, ends: Any, fields: Any) -> Any:
    """Write the table of addresses, uint32 ends[m, 2] that point into it, and uint32 fields[6, m], of FLOW[m].

    The table is as in _address_row; the fields are columns FLOW_LOWER to FLOW_FAMILY. Returns how many addresses there
    are.
    """
    count = _U0
    for i in range(len(flows)):
        f = np.uint64(i)
        flow = flows[f]
        for side in range(2):
            s = np.uint64(side)
            address = flow["lower_ip"] if side == 0 else flow["higher_ip"]
            row = _address_row(address[0], address[1], words, index, count)
            ends[f, s] = row
            fields[s, f] = row + _U1 if row < count else _U0
            count = max(count, row + _U1)
        fields[_U2, f], fields[_U3, f] = flow["lower_port"], flow["higher_port"]
        fields[_U4, f], fields[_U5, f] = flow["domain"], flow["family"]
    return count


@leaf
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


@leaf
def _flow_fault(flow: Any, partition: Any, partitions: Any) -> Any:
    """FLOW_GOOD, or what is wrong with a flow."""
    lower_0, lower_1 = flow["lower_ip"][0], flow["lower_ip"][1]
    higher_0, higher_1 = flow["higher_ip"][0], flow["higher_ip"][1]
    if lower_0 > higher_0 or (lower_0 == higher_0 and lower_1 > higher_1):
        return FLOW_ORDER
    if lower_0 == higher_0 and lower_1 == higher_1 and flow["lower_port"] > flow["higher_port"]:
        return FLOW_ORDER
    mapped = lower_0 | higher_0 == _U0 and lower_1 >> _U32 == _MAPPED and higher_1 >> _U32 == _MAPPED
    if flow["family"] != _SIX and (flow["family"] != _FOUR or not mapped):
        return FLOW_FAMILY
    if slice_of(flow["hash"]) % partitions != partition:
        return FLOW_PARTITION
    return FLOW_GOOD


@leaf
def take_flows(fields: Any, addresses: Any, place: Any, ends: Any, flows: Any) -> Any:
    """Undo put_flows: write FLOW[m], which holds 0, and ends[m, 2]. Returns (the first bad flow, FLOW_*), or (m, good).

    `addresses` is uint64[2, a], `place` (uint64 partition, uint64 partitions) that all flows must be of.
    """
    known, size = _U0, np.uint64(addresses.shape[1])
    for i in range(len(flows)):
        f = np.uint64(i)
        flow = flows[f]
        for side in range(2):
            s = np.uint64(side)
            token = np.uint64(fields[s, f])
            row = known if token == _U0 else token - _U1
            if row >= size:
                return f, FLOW_OUTSIDE
            known = max(known, row + _U1)
            ends[f, s] = row
            address = flow["lower_ip"] if side == 0 else flow["higher_ip"]
            address[0], address[1] = addresses[_U0, row], addresses[_U1, row]
        flow["lower_port"], flow["higher_port"] = fields[_U2, f], fields[_U3, f]
        flow["domain"], flow["family"] = fields[_U4, f], fields[_U5, f]
        lower, higher = np.uint64(ends[f, 0]), np.uint64(ends[f, 1])
        flow["hash"] = tuple_hash(
            *(addresses[_U0, lower], addresses[_U1, lower], np.uint64(flow["lower_port"])),
            *(addresses[_U0, higher], addresses[_U1, higher], np.uint64(flow["higher_port"])),
        )
        fault = _flow_fault(flow, place[0], place[1])
        if fault != FLOW_GOOD:
            return f, fault
    return np.uint64(len(flows)), FLOW_GOOD
