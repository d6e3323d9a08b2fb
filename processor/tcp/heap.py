"""Deadlines in order: a pairing heap through DEADLINE.child, next and previous.

Ordered by deadline and then by order of arrival, so that the order does not depend on the heap's shape and is the same
after a restart. A deadline may be too early (segments only move the true one back); whoever pops a view looks again.
Source: Fredman, Sedgewick, Sleator, Tarjan, The pairing heap (1986).
"""

from typing import Any, Final

import numpy as np

from synfin.compiled import inner

_NONE: Final = np.uint64(0)
NEVER_NS: Final = (1 << 63) - 1


@inner
def before(a: Any, b: Any) -> Any:
    """Whether row a of DEADLINE comes before row b."""
    if a["deadline_ns"] != b["deadline_ns"]:
        return a["deadline_ns"] < b["deadline_ns"]
    return a["serial"] < b["serial"]


@inner
def _meld(deadlines: Any, a: Any, b: Any) -> Any:
    """Join two heaps given by their roots; the root of both."""
    if a == _NONE:
        return b
    if b == _NONE:
        return a
    if before(deadlines[b], deadlines[a]):
        a, b = b, a
    parent, child = deadlines[a], deadlines[b]
    child["next"] = parent["child"]
    child["previous"] = a
    if parent["child"]:
        deadlines[np.uint64(parent["child"])]["previous"] = b
    parent["child"] = b
    return a


@inner
def _meld_children(deadlines: Any, first: Any) -> Any:
    """Join a list of siblings, pairwise from the left and then from the right."""
    pairs = _NONE
    while first != _NONE:
        a = first
        b = np.uint64(deadlines[a]["next"])
        first = np.uint64(deadlines[b]["next"]) if b != _NONE else _NONE
        joined = _meld(deadlines, a, b)
        deadlines[joined]["next"] = pairs
        pairs = joined
    root = _NONE
    while pairs != _NONE:
        following = np.uint64(deadlines[pairs]["next"])
        root = _meld(deadlines, root, pairs)
        pairs = following
    if root != _NONE:
        deadlines[root]["next"] = 0
        deadlines[root]["previous"] = 0
    return root


@inner
def _cut(deadlines: Any, v: Any) -> None:
    """Take v, which is no root, and all below it out of its siblings."""
    row = deadlines[v]
    previous, following = np.uint64(row["previous"]), np.uint64(row["next"])
    if np.uint64(deadlines[previous]["child"]) == v:
        deadlines[previous]["child"] = following
    else:
        deadlines[previous]["next"] = following
    if following:
        deadlines[following]["previous"] = previous
    row["next"] = 0
    row["previous"] = 0


@inner
def heap_push(deadlines: Any, root: Any, v: Any) -> Any:
    """Add v; the new root."""
    row = deadlines[v]
    row["child"] = 0
    row["next"] = 0
    row["previous"] = 0
    return _meld(deadlines, root, v)


@inner
def heap_remove(deadlines: Any, root: Any, v: Any) -> Any:
    """Take v out; the new root."""
    below = _meld_children(deadlines, np.uint64(deadlines[v]["child"]))
    deadlines[v]["child"] = 0
    if v == root:
        return below
    _cut(deadlines, v)
    return _meld(deadlines, root, below)
