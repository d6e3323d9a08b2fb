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
from synfin.pools import fetch_ahead
from synfin.wire.key import tuple_hash
from synfin.wire.segment import FLOW, LOWER, UNKNOWN

TUPLE_KEYS: Final = 10
KEYS: Final = TUPLE_KEYS + 18  # those of the tuples, and of duplicates.py
GROUP: Final = 32  # packets that are looked up together

# FLOW as seven words: comparing and copying its ports, domain and padding one by one would cost twice as much.
TUPLE: Final = np.dtype(
    [
        ("hash", "<u8"),  # in the dictionary that of FLOW; of a tuple that is looked up the index's own, uncut
        ("lower_0", "<u8"),
        ("lower_1", "<u8"),
        ("higher_0", "<u8"),
        ("higher_1", "<u8"),
        ("ports", "<u8"),  # lower in bits 0 to 15, higher in bits 16 to 31, domain above
        ("family", "<u8"),
    ]
)
assert TUPLE.itemsize == FLOW.itemsize
WANTED: Final = np.dtype(
    [
        *((name, "<u8") for name in TUPLE.names or ()),  # of a tuple that is looked up
        ("copy", "<u8"),  # of the segment, for duplicates.py
        ("place", "<u8"),
    ]
)

_U0, _U1, _U2, _U3, _U4, _U5, _U6, _U7, _U8, _U9 = (np.uint64(n) for n in range(10))
_U16, _U32 = np.uint64(16), np.uint64(32)
_LOW_HALF, _PORT = np.uint64(0xFFFFFFFF), np.uint64(0xFFFF)
_LOWER, _UNKNOWN = np.uint64(LOWER), np.uint64(UNKNOWN)
_MAPPED = np.uint64(0xFFFF00000000)  # of an IPv4 address as the low half of an IPv6 one


class FlowIndex(NamedTuple):
    """The table's arrays. A kernel unpacks it once a block: handing it on would count references for every packet."""

    heads: npt.NDArray[np.uint32]  # [power of two] row + 1 of the newest flow in the chain, 0 for none
    chain: npt.NDArray[np.uint32]  # [room] row + 1 of the next older
    flows: npt.NDArray[np.void]  # TUPLE[room]
    keys: npt.NDArray[np.uint64]  # [KEYS]
    wanted: npt.NDArray[np.void]  # WANTED[GROUP], packets that are looked up together


def flow_index(room: int) -> FlowIndex:
    """Make an empty index for blocks of up to `room` segments."""
    heads = 1 << (room - 1).bit_length()
    keys = np.array([secrets.randbits(64) for _ in range(KEYS)], np.uint64)
    return FlowIndex(
        np.zeros(heads, np.uint32), np.zeros(room, np.uint32), np.zeros(room, TUPLE), keys, np.zeros(GROUP, WANTED)
    )


@leaf
def want_ipv4(source: Any, target: Any, keys: Any, wanted: Any) -> Any:
    """Write the tuple of a packet into `wanted`; which end its source is. Both ends as address << 16 | port.

    Which end is the lower is a matter of chance, so a branch would be mispredicted every other time.
    """
    lower, higher = min(source, target), max(source, target)
    ports = (lower & _PORT) | ((higher & _PORT) << _U16)
    lower, higher = lower >> _U16, higher >> _U16
    wanted["hash"] = (keys[_U0] + lower) * (keys[_U1] + higher) + (keys[_U2] + ports) * keys[_U3]
    wanted["lower_0"] = _U0
    wanted["lower_1"] = _MAPPED | lower
    wanted["higher_0"] = _U0
    wanted["higher_1"] = _MAPPED | higher
    wanted["ports"] = ports
    wanted["family"] = _U4
    sender = _LOWER + np.uint64(source > target)  # and HIGHER is the next number
    return sender if source != target else _UNKNOWN


@leaf
def _order(packet: Any, wanted: Any) -> Any:
    """Write a PACKET's addresses and ports into `wanted`, the lower end first; which end its source is."""
    s0, s1, t0, t1 = packet["source_0"], packet["source_1"], packet["target_0"], packet["target_1"]
    s_port, t_port = packet["source_port"], packet["target_port"]
    swap = np.uint64((s0 > t0) | ((s0 == t0) & ((s1 > t1) | ((s1 == t1) & (s_port > t_port)))))
    mask = _U0 - swap
    x0, x1, x_port = (s0 ^ t0) & mask, (s1 ^ t1) & mask, (s_port ^ t_port) & mask
    wanted["lower_0"], wanted["lower_1"] = s0 ^ x0, s1 ^ x1
    wanted["higher_0"], wanted["higher_1"] = t0 ^ x0, t1 ^ x1
    wanted["ports"] = (s_port ^ x_port) | ((t_port ^ x_port) << _U16)
    return _LOWER + swap if s_port != t_port or s1 != t1 or s0 != t0 else _UNKNOWN


@leaf
def want(packet: Any, keys: Any, wanted: Any) -> Any:
    """Do what want_ipv4 does for a PACKET of either family and any domain."""
    sender = _order(packet, wanted)
    lower, higher, ports = wanted["lower_1"], wanted["higher_1"], wanted["ports"]
    h = (keys[_U0] + (lower & _LOW_HALF)) * (keys[_U1] + (higher & _LOW_HALF))
    h += (keys[_U2] + ports) * (keys[_U3] + packet["domain"])
    if packet["family"] != _U4:
        lower_0, higher_0 = wanted["lower_0"], wanted["higher_0"]
        h += (keys[_U4] + (lower >> _U32)) * (keys[_U5] + (higher >> _U32))
        h += (keys[_U6] + (lower_0 >> _U32)) * (keys[_U7] + (lower_0 & _LOW_HALF))
        h += (keys[_U8] + (higher_0 >> _U32)) * (keys[_U9] + (higher_0 & _LOW_HALF))
    wanted["hash"] = h
    wanted["ports"] = ports | (packet["domain"] << _U32)
    wanted["family"] = packet["family"]
    return sender


@leaf
def _same(one: Any, other: Any) -> Any:
    return (
        one["lower_1"] == other["lower_1"]
        and one["higher_1"] == other["higher_1"]
        and one["ports"] == other["ports"]
        and one["family"] == other["family"]
        and one["lower_0"] == other["lower_0"]
        and one["higher_0"] == other["higher_0"]
    )


@leaf
def _slot(heads: Any, wanted: Any) -> Any:
    return (wanted["hash"] >> _U32) & np.uint64(len(heads) - 1)


@leaf
def fetch_slot(heads: Any, wanted: Any) -> None:
    """Bring what warm will read into the caches."""
    fetch_ahead(heads, _slot(heads, wanted))


@leaf
def warm(heads: Any, flows: Any, wanted: Any) -> None:
    """Bring what find_flow will probably read into the caches, for many side by side."""
    fetch_ahead(flows, np.uint64(heads[_slot(heads, wanted)]) - _U1)  # which is nowhere when there is no such flow


@leaf
def find_flow(heads: Any, chain: Any, flows: Any, flows_n: Any, wanted: Any) -> Any:
    """Row of the flow with the tuple of `wanted`; `flows_n`, and added, when there is none."""
    slot = _slot(heads, wanted)
    at = np.uint64(heads[slot])
    while at != _U0:
        if _same(flows[at - _U1], wanted):
            return at - _U1
        at = np.uint64(chain[at - _U1])
    flow = flows[flows_n]
    flow["lower_0"], flow["lower_1"] = wanted["lower_0"], wanted["lower_1"]
    flow["higher_0"], flow["higher_1"] = wanted["higher_0"], wanted["higher_1"]
    flow["ports"], flow["family"] = wanted["ports"], wanted["family"]
    chain[flows_n] = heads[slot]
    heads[slot] = flows_n + _U1
    return flows_n


@leaf
def hash_flows(flows: Any, flows_n: Any) -> None:
    """Write the fixed hash of the first flows: here and not one by one, so that their long multiplications overlap."""
    for i in range(flows_n):
        flow = flows[np.uint64(i)]
        lower_port, higher_port = flow["ports"] & _PORT, (flow["ports"] >> _U16) & _PORT
        flow["hash"] = tuple_hash(
            flow["lower_0"], flow["lower_1"], lower_port, flow["higher_0"], flow["higher_1"], higher_port
        )
