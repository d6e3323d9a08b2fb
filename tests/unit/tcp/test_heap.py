"""The heap of deadlines against a sorted list."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processor.tcp.heap import heap_move, heap_push, heap_remove
from processor.tcp.layout import DEADLINE

MOVES = st.lists(st.tuples(st.sampled_from(["push", "pop", "remove", "move"]), st.integers(0), st.integers(0, 9)))


class Model:
    """A heap in a pool, and what it should hold: deadline and serial by row."""

    def __init__(self, rows: int) -> None:
        self.deadlines = np.zeros(rows + 1, DEADLINE)
        self.root = np.uint64(0)
        self.held: dict[int, tuple[int, int]] = {}
        self.serial = 0

    def push(self, deadline: int) -> None:
        v = next(row for row in range(1, len(self.deadlines)) if row not in self.held)
        self.serial += 1
        self.held[v] = deadline, self.serial
        self.deadlines[v]["deadline_ns"], self.deadlines[v]["serial"] = deadline, self.serial
        self.root = np.uint64(heap_push(self.deadlines, self.root, np.uint64(v)))

    def remove(self, v: int) -> None:
        del self.held[v]
        self.root = np.uint64(heap_remove(self.deadlines, self.root, np.uint64(v)))

    def move(self, v: int, deadline: int) -> None:
        self.held[v] = deadline, self.held[v][1]
        self.root = np.uint64(heap_move(self.deadlines, self.root, np.uint64(v), deadline))

    def first(self) -> int:
        return min(self.held, key=self.held.__getitem__, default=0)


@given(MOVES)
def test_the_root_is_always_the_least_by_deadline_and_arrival(moves: list[tuple[str, int, int]]) -> None:
    model = Model(len(moves))
    for what, which, deadline in moves:
        if what == "push":
            model.push(deadline)
        elif model.held:
            v = sorted(model.held)[which % len(model.held)]
            if what == "move":
                model.move(v, deadline)
            else:
                model.remove(int(model.root) if what == "pop" else v)
        assert int(model.root) == model.first()


@given(st.lists(st.integers(-5, 5), max_size=60))
def test_views_come_out_in_order(deadlines: list[int]) -> None:
    model = Model(len(deadlines))
    for deadline in deadlines:
        model.push(deadline)
    order = []
    while model.root:
        order.append(model.held[int(model.root)])
        model.remove(int(model.root))
    assert order == sorted(order)
    assert len(order) == len(deadlines)
    assert not model.deadlines["child"].any()
    assert not model.deadlines["next"].any()
    assert not model.deadlines["previous"].any()
