"""The views of a QUEUE by deadline and then by order of arrival: sorted lists, and a heap for what fits into none.

Timers are few, and who starts one later mostly ends it later: so a view goes to the list of those that wait about as
long, to its end or near to it. Neither that nor to take it out again looks at more than its neighbours, and who comes
next is known, so that its rows can be fetched. A view whose place is further inside goes to the heap. Which of them
holds a view changes nothing but the time that it takes.
"""

from typing import Any, Final

import numpy as np

from processor.tcp.heap import NEVER_NS, before, heap_push, heap_remove
from processor.tcp.layout import LISTS
from synfin.compiled import inner

_NONE: Final = np.uint64(0)
_ONE: Final = np.uint64(1)
IN_HEAP: Final = _NONE  # DEADLINE.list, and place in QUEUE.first; the lists from 1 on
SECOND: Final = 1_000_000_000
# Longest waits of the lists but the last: a new view or what waits for proof; what asks for an answer; a connection
# that has ended; one that opens or closes, or has one direction alone. Then those that are open.
WAITS_NS: Final = (SECOND // 2, 5 * SECOND, 30 * SECOND, 1000 * SECOND)
assert len(WAITS_NS) + 1 == LISTS
WALK_MAX: Final = 8  # views that one may pass by on the way to its place


@inner
def _list_of(wait_ns: Any) -> Any:
    number = _ONE
    for longest in WAITS_NS:
        if wait_ns > longest:
            number += _ONE
    return number


@inner
def _place(deadlines: Any, v: Any, last: Any) -> Any:
    """The view of a list behind which v belongs, by its end: 0 for its head, v itself when that is too far."""
    at = last
    for _ in range(WALK_MAX):
        if at == _NONE or not before(deadlines[v], deadlines[at]):
            return at
        at = np.uint64(deadlines[at]["previous"])
    return v


@inner
def _link(deadlines: Any, queue: Any, number: Any, v: Any, at: Any) -> None:
    """Put v into a list, behind `at` or, for 0, at its head."""
    row = deadlines[v]
    following = np.uint64(deadlines[at]["next"]) if at != _NONE else np.uint64(queue["first"][number])
    row["list"] = number
    row["previous"] = at
    row["next"] = following
    if at != _NONE:
        deadlines[at]["next"] = v
    else:
        queue["first"][number] = v
        queue["first_ns"][number] = row["deadline_ns"]
    if following != _NONE:
        deadlines[following]["previous"] = v
    else:
        queue["last"][number] = v


@inner
def _unlink(deadlines: Any, queue: Any, number: Any, v: Any) -> None:
    """Take v out of a list."""
    row = deadlines[v]
    previous, following = np.uint64(row["previous"]), np.uint64(row["next"])
    if previous != _NONE:
        deadlines[previous]["next"] = following
    else:
        queue["first"][number] = following
        queue["first_ns"][number] = deadlines[following]["deadline_ns"] if following != _NONE else np.int64(NEVER_NS)
    if following != _NONE:
        deadlines[following]["previous"] = previous
    else:
        queue["last"][number] = previous
    row["previous"] = 0
    row["next"] = 0


@inner
def _set_heap(deadlines: Any, queue: Any, root: Any) -> None:
    queue["first"][IN_HEAP] = root
    queue["first_ns"][IN_HEAP] = deadlines[root]["deadline_ns"] if root != _NONE else np.int64(NEVER_NS)


@inner
def _find_root(deadlines: Any, queue: Any) -> None:
    """Find the first of all anew."""
    root, due_ns = np.uint64(queue["first"][IN_HEAP]), queue["first_ns"][IN_HEAP]
    for i in range(LISTS):
        number = np.uint64(i + 1)
        first = np.uint64(queue["first"][number])
        earlier = queue["first_ns"][number] <= due_ns and first != _NONE
        if earlier and (root == _NONE or before(deadlines[first], deadlines[root])):
            root, due_ns = first, queue["first_ns"][number]
    queue["root"] = root
    queue["due_ns"] = due_ns


@inner
def queue_push(deadlines: Any, queue: Any, v: Any, from_ns: Any) -> None:
    """Add v, whose deadline is set and was counted from about from_ns on."""
    row = deadlines[v]
    number = _list_of(row["deadline_ns"] - from_ns)
    at = _place(deadlines, v, np.uint64(queue["last"][number]))
    if at == v:
        row["list"] = IN_HEAP
        _set_heap(deadlines, queue, heap_push(deadlines, np.uint64(queue["first"][IN_HEAP]), v))
    else:
        _link(deadlines, queue, number, v, at)
    root = np.uint64(queue["root"])
    if root == _NONE or (row["deadline_ns"] <= queue["due_ns"] and before(row, deadlines[root])):
        queue["root"] = v
        queue["due_ns"] = row["deadline_ns"]


@inner
def queue_remove(deadlines: Any, queue: Any, v: Any) -> None:
    """Take v out."""
    number = np.uint64(deadlines[v]["list"])
    if number == IN_HEAP:
        _set_heap(deadlines, queue, heap_remove(deadlines, np.uint64(queue["first"][IN_HEAP]), v))
    else:
        _unlink(deadlines, queue, number, v)
    if np.uint64(queue["root"]) == v:
        _find_root(deadlines, queue)


@inner
def queue_move(deadlines: Any, queue: Any, v: Any, deadline_ns: Any, from_ns: Any) -> None:
    """Give v another deadline."""
    queue_remove(deadlines, queue, v)
    deadlines[v]["deadline_ns"] = deadline_ns
    queue_push(deadlines, queue, v, from_ns)
