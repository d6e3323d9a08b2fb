"""The flow dictionary of a block: from a segment's addresses and ports to its row in FLOW.

A chained hash table under a strongly universal hash with random keys (pair-multilinear, Lemire and Kaser 2014):
whatever tuples somebody sends, a lookup walks a short chain. Rows stand in order of first appearance, so the keys never
show.
"""

import secrets
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from sensor.addresses import NETWORK, in_networks
from synfin.compiled import compiled
from synfin.wire.key import tuple_hash
from synfin.wire.segment import FLOW, HIGHER, LOWER, UNKNOWN

KEYS: Final = 11

_U0, _U1, _U2, _U3, _U4, _U5, _U6, _U7, _U8, _U9, _U10 = (np.uint64(n) for n in range(11))
_U16, _U32 = np.uint64(16), np.uint64(32)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_LOWER, _HIGHER, _UNKNOWN = np.uint64(LOWER), np.uint64(HIGHER), np.uint64(UNKNOWN)


class FlowIndex(NamedTuple):
    """The table's arrays; a kernel takes them as one argument."""

    heads: npt.NDArray[np.uint32]  # [power of two] row + 1 of the newest flow in the chain, 0 for none
    chain: npt.NDArray[np.uint32]  # [room] row + 1 of the next older
    flows: npt.NDArray[np.void]  # FLOW[room]
    local: npt.NDArray[np.uint8]  # [room] which end is in `networks`: NONE, LOWER, HIGHER, BOTH
    networks: npt.NDArray[np.void]  # NETWORK[]
    how: npt.NDArray[np.uint8]  # [1] HOW_* of what `networks` says
    keys: npt.NDArray[np.uint64]  # [KEYS]
    used: npt.NDArray[np.uint64]  # [1] flows so far


def flow_index(room: int, networks: npt.NDArray[np.void], how: int) -> FlowIndex:
    """Make an empty index for blocks of up to `room` segments."""
    heads = 1 << (2 * room - 1).bit_length()
    keys = np.array([secrets.randbits(64) for _ in range(KEYS)], np.uint64)
    return FlowIndex(
        np.zeros(heads, np.uint32),
        np.zeros(room, np.uint32),
        np.zeros(room, FLOW),
        np.zeros(room, np.uint8),
        networks.astype(NETWORK),
        np.array([how], np.uint8),
        keys,
        np.zeros(1, np.uint64),
    )


@compiled
def _slot(index: Any, tuple_: Any, family: Any) -> Any:
    """Universal hash of (lower_0, lower_1, higher_0, higher_1, ports), cut to the size of `heads`."""
    keys = index.keys
    lower_0, lower_1, higher_0, higher_1, ports = tuple_
    h = keys[_U0] + (keys[_U1] + (lower_1 & _LOW_HALF)) * (keys[_U2] + (higher_1 & _LOW_HALF))
    h += (keys[_U3] + ports) * keys[_U4]
    if family != _U4:
        h += (keys[_U5] + (lower_1 >> _U32)) * (keys[_U6] + (higher_1 >> _U32))
        h += (keys[_U7] + (lower_0 >> _U32)) * (keys[_U8] + (lower_0 & _LOW_HALF))
        h += (keys[_U9] + (higher_0 >> _U32)) * (keys[_U10] + (higher_0 & _LOW_HALF))
    return (h >> _U32) & np.uint64(len(index.heads) - 1)


@compiled
def _same(flow: Any, tuple_: Any, family: Any) -> Any:
    lower_0, lower_1, higher_0, higher_1, ports = tuple_
    lower, higher = flow["lower_ip"], flow["higher_ip"]
    return (
        lower[_U1] == lower_1
        and higher[_U1] == higher_1
        and (np.uint64(flow["lower_port"]) << _U16 | np.uint64(flow["higher_port"])) == ports
        and np.uint64(flow["family"]) == family
        and lower[_U0] == lower_0
        and higher[_U0] == higher_0
    )


@compiled
def _append(index: Any, slot: Any, tuple_: Any, family: Any) -> Any:
    lower_0, lower_1, higher_0, higher_1, ports = tuple_
    row = index.used[_U0]
    index.used[_U0] = row + _U1
    flow = index.flows[row]
    lower_port, higher_port = ports >> _U16, ports & np.uint64(0xFFFF)
    flow["hash"] = tuple_hash(lower_0, lower_1, lower_port, higher_0, higher_1, higher_port)
    flow["lower_ip"][_U0], flow["lower_ip"][_U1] = lower_0, lower_1
    flow["higher_ip"][_U0], flow["higher_ip"][_U1] = higher_0, higher_1
    flow["lower_port"], flow["higher_port"] = lower_port, higher_port
    flow["domain"] = _U0
    flow["family"] = family
    local = _U0
    if in_networks(index.networks, lower_0, lower_1):
        local |= _LOWER
    if in_networks(index.networks, higher_0, higher_1):
        local |= _HIGHER
    index.local[row] = local
    index.chain[row] = index.heads[slot]
    index.heads[slot] = row + _U1
    return row


@compiled
def find_flow(index: Any, packet: Any, source_port: Any, target_port: Any) -> Any:
    """Row of the flow of a PACKET's addresses and these ports, added if need be, and which end is the source."""
    s0, s1, t0, t1 = packet["source_0"], packet["source_1"], packet["target_0"], packet["target_1"]
    family = packet["family"]
    source = _LOWER
    if s0 != t0:
        swap = s0 > t0
    elif s1 != t1:
        swap = s1 > t1
    else:
        swap = source_port > target_port
        if source_port == target_port:
            source = _UNKNOWN
    if swap:
        tuple_ = (t0, t1, s0, s1, (target_port << _U16) | source_port)
        source = _HIGHER
    else:
        tuple_ = (s0, s1, t0, t1, (source_port << _U16) | target_port)
    slot = _slot(index, tuple_, family)
    at = np.uint64(index.heads[slot])
    while at != _U0:
        row = at - _U1
        if _same(index.flows[row], tuple_, family):
            return row, source
        at = np.uint64(index.chain[row])
    return _append(index, slot, tuple_, family), source
