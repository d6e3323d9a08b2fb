"""The flow dictionary of a block: from a segment's addresses and ports to its row in FLOW.

A chained hash table under a strongly universal hash with random keys (pair-multilinear, Lemire and Kaser 2014):
whatever tuples somebody sends, a lookup walks a short chain. Rows stand in order of first appearance, so the keys never
show.
"""

import secrets
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from synfin.compiled import leaf
from synfin.wire.key import tuple_hash
from synfin.wire.segment import FLOW, LOWER, UNKNOWN

KEYS: Final = 11
GROUP: Final = 32  # packets that are looked up together

_U0, _U1, _U2, _U3, _U4, _U5, _U6, _U7, _U8, _U9, _U10 = (np.uint64(n) for n in range(11))
_U16, _U32 = np.uint64(16), np.uint64(32)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_LOWER, _UNKNOWN = np.uint64(LOWER), np.uint64(UNKNOWN)


class FlowIndex(NamedTuple):
    """The table's arrays. A kernel unpacks it once a block: handing it on would count references for every packet."""

    heads: npt.NDArray[np.uint32]  # [power of two] row + 1 of the newest flow in the chain, 0 for none
    chain: npt.NDArray[np.uint32]  # [room] row + 1 of the next older
    flows: npt.NDArray[np.void]  # FLOW[room]
    state: npt.NDArray[np.uint64]  # [1 + KEYS] number of flows, then the keys
    wanted: npt.NDArray[np.void]  # FLOW[GROUP] tuples that are looked up together


def flow_index(room: int) -> FlowIndex:
    """Make an empty index for blocks of up to `room` segments."""
    heads = 1 << (room - 1).bit_length()
    state = np.array([0] + [secrets.randbits(64) for _ in range(KEYS)], np.uint64)
    return FlowIndex(
        np.zeros(heads, np.uint32), np.zeros(room, np.uint32), np.zeros(room, FLOW), state, np.zeros(GROUP, FLOW)
    )


@leaf
def _order(packet: Any, flow: Any) -> Any:
    """Write a PACKET's tuple into a row of FLOW, the lower end first, and `sender`; both ports as one number.

    Which end is the lower is a matter of chance, so a branch would be mispredicted every other time.
    """
    s0, s1, t0, t1 = packet["source_0"], packet["source_1"], packet["target_0"], packet["target_1"]
    s_port, t_port = packet["source_port"], packet["target_port"]
    swap = np.uint64((s0 > t0) | ((s0 == t0) & ((s1 > t1) | ((s1 == t1) & (s_port > t_port)))))
    mask = _U0 - swap
    x0, x1, x_port = (s0 ^ t0) & mask, (s1 ^ t1) & mask, (s_port ^ t_port) & mask
    lower, higher = flow["lower_ip"], flow["higher_ip"]
    lower[_U0], lower[_U1], higher[_U0], higher[_U1] = s0 ^ x0, s1 ^ x1, t0 ^ x0, t1 ^ x1
    flow["lower_port"], flow["higher_port"] = s_port ^ x_port, t_port ^ x_port
    flow["family"] = packet["family"]
    packet["sender"] = _LOWER + swap  # and HIGHER is the next number
    if s_port == t_port and s1 == t1 and s0 == t0:
        packet["sender"] = _UNKNOWN
    return ((s_port ^ x_port) << _U16) | (t_port ^ x_port)


@leaf
def _slot(heads: Any, state: Any, flow: Any, ports: Any) -> Any:
    """Hash the tuple of a row of FLOW, cut to the size of `heads`."""
    lower, higher = flow["lower_ip"][_U1], flow["higher_ip"][_U1]
    h = (state[_U1] + (lower & _LOW_HALF)) * (state[_U2] + (higher & _LOW_HALF))
    h += (state[_U3] + ports) * state[_U4]
    if flow["family"] != _U4:
        lower_0, higher_0 = flow["lower_ip"][_U0], flow["higher_ip"][_U0]
        h += (state[_U5] + (lower >> _U32)) * (state[_U6] + (higher >> _U32))
        h += (state[_U7] + (lower_0 >> _U32)) * (state[_U8] + (lower_0 & _LOW_HALF))
        h += (state[_U9] + (higher_0 >> _U32)) * (state[_U10] + (higher_0 & _LOW_HALF))
    return (h >> _U32) & np.uint64(len(heads) - 1)


@leaf
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


@leaf
def _copy(wanted: Any, flow: Any) -> None:
    """Write a new flow's row: the tuple, and its fixed hash."""
    lower, higher = wanted["lower_ip"], wanted["higher_ip"]
    lower_port, higher_port = np.uint64(wanted["lower_port"]), np.uint64(wanted["higher_port"])
    flow["hash"] = tuple_hash(lower[_U0], lower[_U1], lower_port, higher[_U0], higher[_U1], higher_port)
    flow["lower_ip"][_U0], flow["lower_ip"][_U1] = lower[_U0], lower[_U1]
    flow["higher_ip"][_U0], flow["higher_ip"][_U1] = higher[_U0], higher[_U1]
    flow["lower_port"], flow["higher_port"] = lower_port, higher_port
    flow["family"] = wanted["family"]


@leaf
def look_up(heads: Any, state: Any, packet: Any, wanted: Any) -> None:
    """Write a PACKET's tuple into `wanted`, a row of FLOW, and `sender` and `slot` for find_flow.

    Apart from find_flow, and before it for many packets: so the memory fetches what they need side by side.
    """
    slot = _slot(heads, state, wanted, _order(packet, wanted))
    packet["slot"] = slot
    packet["touched"] = heads[slot]


@leaf
def find_flow(heads: Any, chain: Any, flows: Any, state: Any, wanted: Any, slot: Any) -> Any:
    """Row of the flow with the tuple of `wanted`, added if need be."""
    at = np.uint64(heads[slot])
    while at != _U0:
        if _same(flows[at - _U1], wanted):
            return at - _U1
        at = np.uint64(chain[at - _U1])
    row = state[_U0]
    _copy(wanted, flows[row])
    chain[row] = heads[slot]
    heads[slot] = row + _U1
    state[_U0] = row + _U1
    return row
