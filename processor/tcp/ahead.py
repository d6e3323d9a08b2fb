"""What a batch's rows will need, asked of memory before its time: a row that waits for it costs five that do not."""

from typing import Any, Final

import numpy as np

from processor.tcp.index import LOW, find, keyed_hash, slot_of
from synfin.compiled import inner
from synfin.pools import fetch_ahead
from synfin.wire.key import slice_of

FLOWS_CACHED: Final = 64  # the views of so many flows stay in the caches by themselves
FAR: Final = 6  # rows ahead
LAG: Final = 8  # flows ahead

SEEN: Final = np.dtype(  # of a batch's flow
    [
        ("hash", "<u8"),  # of the index
        ("view", "<u4"),  # 0 for none
        ("own", "<u4"),  # its slice
    ]
)

_NONE: Final = np.uint64(0)
_ONE: Final = np.uint64(1)


@inner
def look_up(core: Any, flows: Any, seen: Any) -> None:
    """Find the slices and the open views of a batch's flows, in three passes that follow one another closely.

    Each asks for what the next one reads: the slot of the index, then the view that it names.
    """
    control = core.control[_NONE]
    mask, n = control["index_mask"], len(flows)
    for i in range(n + 2 * LAG):
        if i < n:
            f = np.uint64(i)
            seen[f]["own"] = slice_of(flows[f]["hash"]) // control["partitions"]
            seen[f]["hash"] = keyed_hash(control, flows[f], control["lane"])
            fetch_ahead(core.slots, slot_of(seen[f]["hash"], mask))
        if LAG <= i < n + LAG:
            f = np.uint64(i - LAG)
            fetch_ahead(core.views, core.slots[slot_of(seen[f]["hash"], mask)] & LOW)
        if i >= 2 * LAG:
            f = np.uint64(i - 2 * LAG)
            seen[f]["view"] = find(core.slots, core.views, mask, seen[f]["hash"], flows[f], control["lane"])


@inner
def fetch_next(core: Any, v: Any) -> None:
    """Fetch what it takes to end the view that comes after v in its queue, and the view after that."""
    control = core.control[_NONE]
    following = np.uint64(core.deadlines[v]["next"])
    if following != _NONE:
        after = np.uint64(core.deadlines[following]["next"])
        fetch_ahead(core.deadlines, after)
        fetch_ahead(core.views, after)
        view = core.views[following]
        fetch_ahead(core.slots, slot_of(keyed_hash(control, view, view["lane"]), control["index_mask"]))
        fetch_blocks(core, view)


@inner
def fetch_blocks(core: Any, view: Any) -> None:
    """Fetch what a view has in blocks."""
    fetch_ahead(core.log, np.uint64(view["log_head"]))
    fetch_ahead(core.log, np.uint64(view["log_tail"]))
    fetch_ahead(core.packets, np.uint64(view["packets_head"]))
    fetch_ahead(core.packets, np.uint64(view["packets_tail"]))


@inner
def fetch_rows(core: Any, segments: Any, seen: Any, at: Any) -> None:
    """Fetch what the rows soon after `at` will need; what follows another row of its flow finds all there."""
    n = np.uint64(len(segments))
    far = at + np.uint64(FAR)
    if far >= n:
        return
    f = np.uint64(segments[far]["flow"])
    if f != np.uint64(segments[far - _ONE]["flow"]):
        v = np.uint64(seen[f]["view"])
        fetch_ahead(core.views, v if v != _NONE else np.uint64(core.control[_NONE]["views_free"]))
