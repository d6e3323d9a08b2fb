"""The index of views against a dict."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.tcp.index import find, insert, keyed_hash, rehash, remove, same_tuple
from processor.tcp.layout import CONTROL, VIEW
from synfin.wire.segment import FLOW

SLOTS = 16
CONTROL_ROW = np.zeros(1, CONTROL)
CONTROL_ROW["key_0"], CONTROL_ROW["key_1"] = 0x0123456789ABCDEF, 0xFEDCBA9876543210


def flow_of(port: int) -> Any:
    flow = np.zeros(1, FLOW)
    flow["lower_port"] = port
    return flow[0]


class Model:
    """A small crowded table, whose hashes collide as told, and a dict."""

    def __init__(self, hashes: list[int]) -> None:
        self.views = np.zeros(len(hashes) + 1, VIEW)
        self.views["lower_port"] = np.arange(len(hashes) + 1)
        self.hashes = [np.uint64(0), *(np.uint64(h << 32 | 7) for h in hashes)]
        self.slots = np.zeros(SLOTS, np.uint64)
        self.held: set[int] = set()

    def toggle(self, v: int) -> None:
        self.held ^= {v}
        (insert if v in self.held else remove)(self.slots, np.uint64(SLOTS - 1), self.hashes[v], np.uint64(v))

    def found(self, v: int, lane: int = 0) -> int:
        mask = np.uint64(len(self.slots) - 1)
        return int(find(self.slots, self.views, mask, self.hashes[v], flow_of(v), np.uint64(lane)))


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from([0, 1, 14, 15, 15 | 16, 2**32 - 1]), min_size=1, max_size=12),
    st.lists(st.integers(0, 11), max_size=40),
)
def test_what_was_inserted_is_found_and_what_was_removed_is_not(hashes: list[int], moves: list[int]) -> None:
    model = Model(hashes)
    for move in moves:
        model.toggle(1 + move % len(hashes))
        for v in range(1, len(hashes) + 1):
            assert model.found(v) == (v if v in model.held else 0)
    assert np.count_nonzero(model.slots) == len(model.held)


@settings(deadline=None)  # the first call may compile
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=12))
def test_a_larger_table_finds_the_same(hashes: list[int]) -> None:
    model = Model(hashes)
    for v in range(1, len(hashes) + 1):
        model.toggle(v)
    larger = np.zeros(4 * SLOTS, np.uint64)
    rehash(model.slots, larger)
    model.slots = larger
    assert [model.found(v) for v in range(1, len(hashes) + 1)] == list(range(1, len(hashes) + 1))


def test_another_lane_has_its_own_views() -> None:
    model = Model([5])
    model.toggle(1)
    assert model.found(1, lane=0) == 1
    assert model.found(1, lane=1) == 0


def test_every_part_of_the_tuple_counts() -> None:
    rows = np.zeros(8, FLOW)
    for row, name in enumerate(("hash", "lower_port", "higher_port", "domain"), 1):
        rows[name][row] = 1
    rows["lower_ip"][5, 0] = rows["lower_ip"][6, 1] = rows["higher_ip"][7, 1] = 1
    assert not any(same_tuple(rows[0], rows[row]) for row in range(1, 8))
    assert same_tuple(rows[3], rows[3].copy())
    hashed = {int(keyed_hash(CONTROL_ROW[0], rows[row], np.uint64(0))) for row in range(2, 8)}
    hashed |= {int(keyed_hash(CONTROL_ROW[0], rows[0], np.uint64(lane))) for lane in range(2)}
    assert len(hashed) == 8


def test_the_key_changes_the_hash() -> None:
    other = CONTROL_ROW.copy()
    other["key_0"] += np.uint64(1)
    flow = flow_of(1)
    assert keyed_hash(CONTROL_ROW[0], flow, np.uint64(0)) != keyed_hash(other[0], flow, np.uint64(0))
