"""Deadlines of a queue's views, in order: a pairing heap through VIEW.child, next and previous.

Ordered by deadline and then by order of arrival, so that the order does not depend on the heap's shape and is the same
after a restart. A deadline may be too early (segments only move the true one back); whoever pops a view looks again.
Source: Fredman, Sedgewick, Sleator, Tarjan, The pairing heap (1986).
"""

from typing import Any

import numpy as np

from synfin.compiled import inner

_NONE = np.uint64(0)


@inner
def _before(a: Any, b: Any) -> Any:
    if a["deadline_ns"] != b["deadline_ns"]:
        return a["deadline_ns"] < b["deadline_ns"]
    return a["serial"] < b["serial"]


@inner
def _meld(views: Any, a: Any, b: Any) -> Any:
    """Join two heaps given by their roots; the root of both."""
    if a == _NONE:
        return b
    if b == _NONE:
        return a
    if _before(views[b], views[a]):
        a, b = b, a
    parent, child = views[a], views[b]
    child["next"] = parent["child"]
    child["previous"] = a
    if parent["child"]:
        views[np.uint64(parent["child"])]["previous"] = b
    parent["child"] = b
    parent["next"] = 0
    parent["previous"] = 0
    return a


@inner
def _meld_children(views: Any, first: Any) -> Any:
    """Join a list of siblings, pairwise from the left and then from the right."""
    pairs = _NONE
    while first != _NONE:
        a = first
        b = np.uint64(views[a]["next"])
        first = _NONE
        views[a]["next"] = 0
        views[a]["previous"] = 0
        if b != _NONE:
            first = np.uint64(views[b]["next"])
            views[b]["next"] = 0
            views[b]["previous"] = 0
        joined = _meld(views, a, b)
        views[joined]["next"] = pairs
        pairs = joined
    root = _NONE
    while pairs != _NONE:
        following = np.uint64(views[pairs]["next"])
        views[pairs]["next"] = 0
        root = _meld(views, root, pairs)
        pairs = following
    return root


@inner
def _cut(views: Any, v: Any) -> None:
    """Take v, which is no root, and all below it out of its siblings."""
    view = views[v]
    previous, following = np.uint64(view["previous"]), np.uint64(view["next"])
    if np.uint64(views[previous]["child"]) == v:
        views[previous]["child"] = following
    else:
        views[previous]["next"] = following
    if following:
        views[following]["previous"] = previous
    view["next"] = 0
    view["previous"] = 0


@inner
def heap_push(views: Any, root: Any, v: Any) -> Any:
    """Add v; the new root."""
    view = views[v]
    view["child"] = 0
    view["next"] = 0
    view["previous"] = 0
    return _meld(views, root, v)


@inner
def heap_remove(views: Any, root: Any, v: Any) -> Any:
    """Take v out; the new root."""
    below = _meld_children(views, np.uint64(views[v]["child"]))
    views[v]["child"] = 0
    if v == root:
        return below
    _cut(views, v)
    return _meld(views, root, below)


@inner
def heap_move(views: Any, root: Any, v: Any, deadline_ns: Any) -> Any:
    """Give v another deadline; the new root."""
    root = heap_remove(views, root, v)
    views[v]["deadline_ns"] = deadline_ns
    return heap_push(views, root, v)
