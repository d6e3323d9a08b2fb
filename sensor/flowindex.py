"""The flow dictionary of a block: from a segment's addresses and ports to its row in FLOW.

A chained hash table under a strongly universal hash with random keys (pair-multilinear, Lemire and Kaser 2014):
whatever tuples somebody sends, a lookup walks a short chain. Rows stand in order of first appearance, so the keys never
show.
"""

import secrets
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from synfin.compiled import compiled
from synfin.wire.key import tuple_hash
from synfin.wire.segment import FLOW, HIGHER, LOWER, UNKNOWN

KEYS: Final = 11

_U0, _U1, _U2, _U3, _U4, _U5, _U6, _U7, _U8, _U9, _U10 = (np.uint64(n) for n in range(11))
_U16, _U32 = np.uint64(16), np.uint64(32)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_LOWER, _HIGHER, _UNKNOWN = np.uint64(LOWER), np.uint64(HIGHER), np.uint64(UNKNOWN)


class FlowIndex(NamedTuple):
    """The table's arrays. A kernel unpacks it once a block: handing it on would count references for every packet."""

    heads: npt.NDArray[np.uint32]  # [power of two] row + 1 of the newest flow in the chain, 0 for none
    chain: npt.NDArray[np.uint32]  # [room] row + 1 of the next older
    flows: npt.NDArray[np.void]  # FLOW[room]
    state: npt.NDArray[np.uint64]  # [1 + KEYS] number of flows, then the keys


def flow_index(room: int) -> FlowIndex:
    """Make an empty index for blocks of up to `room` segments."""
    heads = 1 << (2 * room - 1).bit_length()
    room += 1  # find_flow writes into the row behind the last
    state = np.array([0] + [secrets.randbits(64) for _ in range(KEYS)], np.uint64)
    return FlowIndex(np.zeros(heads, np.uint32), np.zeros(room, np.uint32), np.zeros(room, FLOW), state)


@compiled
def _order(packet: Any, flow: Any) -> Any:
    """Write a PACKET's tuple into a row of FLOW, the lower end first; which end is the source."""
    s0, s1, t0, t1 = packet["source_0"], packet["source_1"], packet["target_0"], packet["target_1"]
    source_port, target_port = packet["source_port"], packet["target_port"]
    lower, higher = flow["lower_ip"], flow["higher_ip"]
    flow["family"] = packet["family"]
    if s0 < t0 or (s0 == t0 and (s1 < t1 or (s1 == t1 and source_port <= target_port))):
        lower[_U0], lower[_U1], higher[_U0], higher[_U1] = s0, s1, t0, t1
        flow["lower_port"], flow["higher_port"] = source_port, target_port
        if source_port == target_port and s1 == t1 and s0 == t0:
            return _UNKNOWN
        return _LOWER
    lower[_U0], lower[_U1], higher[_U0], higher[_U1] = t0, t1, s0, s1
    flow["lower_port"], flow["higher_port"] = target_port, source_port
    return _HIGHER


@compiled
def _slot(heads: Any, state: Any, flow: Any) -> Any:
    """Hash the tuple of a row of FLOW, cut to the size of `heads`."""
    lower, higher = flow["lower_ip"][_U1], flow["higher_ip"][_U1]
    ports = np.uint64(flow["lower_port"]) << _U16 | np.uint64(flow["higher_port"])
    h = (state[_U1] + (lower & _LOW_HALF)) * (state[_U2] + (higher & _LOW_HALF))
    h += (state[_U3] + ports) * state[_U4]
    if flow["family"] != _U4:
        lower_0, higher_0 = flow["lower_ip"][_U0], flow["higher_ip"][_U0]
        h += (state[_U5] + (lower >> _U32)) * (state[_U6] + (higher >> _U32))
        h += (state[_U7] + (lower_0 >> _U32)) * (state[_U8] + (lower_0 & _LOW_HALF))
        h += (state[_U9] + (higher_0 >> _U32)) * (state[_U10] + (higher_0 & _LOW_HALF))
    return (h >> _U32) & np.uint64(len(heads) - 1)


@compiled
def _same(one: Any, other: Any) -> Any:
    return (
        one["lower_ip"][_U1] == other["lower_ip"][_U1]
        and one["higher_ip"][_U1] == other["higher_ip"][_U1]
        and one["lower_port"] == other["lower_port"]
        and one["higher_port"] == other["higher_port"]
        and one["family"] == other["family"]
        and one["lower_ip"][_U0] == other["lower_ip"][_U0]
        and one["higher_ip"][_U0] == other["higher_ip"][_U0]
    )


@compiled
def _hash(flow: Any) -> Any:
    lower, higher = flow["lower_ip"], flow["higher_ip"]
    lower_port, higher_port = np.uint64(flow["lower_port"]), np.uint64(flow["higher_port"])
    return tuple_hash(lower[_U0], lower[_U1], lower_port, higher[_U0], higher[_U1], higher_port)


@compiled
def find_flow(heads: Any, chain: Any, flows: Any, state: Any, packet: Any) -> Any:
    """Row of the flow of a PACKET's addresses and ports, added if need be; `sender` says which end the source is."""
    row = state[_U0]
    flow = flows[row]  # the next free row holds the tuple that is looked for
    packet["sender"] = _order(packet, flow)
    slot = _slot(heads, state, flow)
    at = np.uint64(heads[slot])
    while at != _U0:
        if _same(flows[at - _U1], flow):
            return at - _U1
        at = np.uint64(chain[at - _U1])
    flow["hash"] = _hash(flow)
    chain[row] = heads[slot]
    heads[slot] = row + _U1
    state[_U0] = row + _U1
    return row
