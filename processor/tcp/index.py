"""Which view a tuple is: a hash table with open addressing, 8 bytes a slot.

A slot holds half of the keyed hash and the view's number. The key is random per process, so that nobody can aim
collisions, and nothing that leaves the core depends on it.
"""

from typing import Any, Final

import numpy as np

from synfin.compiled import compiled, inner

_U1: Final = np.uint64(1)
_U29: Final = np.uint64(29)
_U32: Final = np.uint64(32)
_EMPTY: Final = np.uint64(0)
LOW: Final = np.uint64(0xFFFFFFFF)
_M0: Final = np.uint64(0xD6E8FEB86659FD93)  # odd multipliers with about half of the bits set
_M1: Final = np.uint64(0xA5CB9243F6B0F3B5)


@inner
def _mix(h: Any, word: Any) -> Any:
    h = (h ^ np.uint64(word)) * _M0
    return h ^ (h >> _U29)


@inner
def keyed_hash(control: Any, flow: Any, lane: Any) -> Any:
    """Hash of a tuple (a FLOW, or a VIEW: the fields are the same) within a lane."""
    h = control["key_0"]
    h = _mix(h, flow["lower_ip"][0])
    h = _mix(h, flow["lower_ip"][1])
    h = _mix(h, flow["higher_ip"][0])
    h = _mix(h, flow["higher_ip"][1])
    h = _mix(h, (np.uint64(flow["lower_port"]) << _U32) | np.uint64(flow["higher_port"]))
    h = _mix(h, (np.uint64(flow["domain"]) << _U32) | np.uint64(lane))
    h = (h ^ control["key_1"]) * _M1
    return h ^ (h >> _U32)


@inner
def same_tuple(a: Any, b: Any) -> Any:
    """Whether two rows that name a tuple name the same one."""
    return (
        a["hash"] == b["hash"]
        and a["lower_port"] == b["lower_port"]
        and a["higher_port"] == b["higher_port"]
        and a["lower_ip"][0] == b["lower_ip"][0]
        and a["lower_ip"][1] == b["lower_ip"][1]
        and a["higher_ip"][0] == b["higher_ip"][0]
        and a["higher_ip"][1] == b["higher_ip"][1]
        and a["domain"] == b["domain"]
    )


@inner
def slot_of(h: Any, mask: Any) -> Any:
    """The slot where a view with this hash stands, or behind which."""
    return (h >> _U32) & mask


@inner
def find(index: Any, views: Any, mask: Any, h: Any, flow: Any, lane: Any) -> Any:
    """Number of the view of this tuple in this lane, 0 for none."""
    tag = h & ~LOW
    at = slot_of(h, mask)
    while index[at] != _EMPTY:
        slot = index[at]
        if slot & ~LOW == tag:
            v = slot & LOW
            if np.uint64(views[v]["lane"]) == np.uint64(lane) and same_tuple(views[v], flow):
                return v
        at = (at + _U1) & mask
    return _EMPTY


@inner
def insert(index: Any, mask: Any, h: Any, v: Any) -> None:
    """Add a view that is not in the table."""
    at = slot_of(h, mask)
    while index[at] != _EMPTY:
        at = (at + _U1) & mask
    index[at] = (h & ~LOW) | np.uint64(v)


@inner
def remove(index: Any, mask: Any, h: Any, v: Any) -> None:
    """Take a view out, and move back what stood behind it only for want of room."""
    at = slot_of(h, mask)
    while index[at] & LOW != np.uint64(v):
        at = (at + _U1) & mask
    hole = at
    at = (at + _U1) & mask
    while index[at] != _EMPTY:
        home = (index[at] >> _U32) & mask
        if ((at - home) & mask) >= ((at - hole) & mask):
            index[hole] = index[at]
            hole = at
        at = (at + _U1) & mask
    index[hole] = _EMPTY


@compiled
def rehash(old: Any, new: Any) -> None:
    """Fill an empty, larger table with all slots of another."""
    mask = np.uint64(len(new) - 1)
    for slot in old:
        if slot != _EMPTY:
            at = (slot >> _U32) & mask
            while new[at] != _EMPTY:
                at = (at + _U1) & mask
            new[at] = slot
