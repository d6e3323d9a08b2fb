"""The heap of deadlines, and the queue whose lists stand before it, against a sorted list."""

from abc import abstractmethod

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processor.tcp.heap import NEVER_NS, heap_push, heap_remove
from processor.tcp.layout import DEADLINE, QUEUE
from processor.tcp.queue import IN_HEAP, SECOND, WAITS_NS, queue_move, queue_push, queue_remove

KINDS = st.sampled_from(["push", "pop", "remove", "move"])
MOVES = st.lists(st.tuples(KINDS, st.integers(0), st.integers(0, 9)))
WAITS = st.sampled_from([0, *WAITS_NS, 2000 * SECOND, NEVER_NS]) | st.integers(0, 40)  # the same list, and each
LONG = st.lists(st.tuples(KINDS, st.integers(0), WAITS), max_size=120)


class Model:
    """Views by deadline, and what should be held: deadline and serial by row."""

    def __init__(self, rows: int) -> None:
        self.deadlines = np.zeros(rows + 1, DEADLINE)
        self.held: dict[int, tuple[int, int]] = {}
        self.serial = 0

    @property
    @abstractmethod
    def root(self) -> int:
        """The first."""

    @abstractmethod
    def add(self, v: np.uint64) -> None:
        """Add a row whose deadline is set."""

    @abstractmethod
    def take(self, v: np.uint64) -> None:
        """Take a row out."""

    def move(self, v: int, deadline: int) -> None:
        """Give a row another deadline."""
        self.held[v] = deadline, self.held[v][1]
        self.take(np.uint64(v))
        self.deadlines[v]["deadline_ns"] = deadline
        self.add(np.uint64(v))

    def push(self, deadline: int) -> None:
        v = next(row for row in range(1, len(self.deadlines)) if row not in self.held)
        self.serial += 1
        self.held[v] = deadline, self.serial
        self.deadlines[v]["deadline_ns"], self.deadlines[v]["serial"] = deadline, self.serial
        self.add(np.uint64(v))

    def remove(self, v: int) -> None:
        del self.held[v]
        self.take(np.uint64(v))

    def first(self) -> int:
        return min(self.held, key=self.held.__getitem__, default=0)

    def do(self, what: str, which: int, deadline: int) -> None:
        if what == "push":
            self.push(deadline)
        elif self.held:
            v = sorted(self.held)[which % len(self.held)]
            if what == "move":
                self.move(v, deadline)
            else:
                self.remove(self.root if what == "pop" else v)
        assert self.root == self.first()


class Heap(Model):
    def __init__(self, rows: int) -> None:
        super().__init__(rows)
        self.at = np.uint64(0)

    @property
    def root(self) -> int:
        return int(self.at)

    def add(self, v: np.uint64) -> None:
        self.at = np.uint64(heap_push(self.deadlines, self.at, v))

    def take(self, v: np.uint64) -> None:
        self.at = np.uint64(heap_remove(self.deadlines, self.at, v))


class Queue(Model):
    def __init__(self, rows: int) -> None:
        super().__init__(rows)
        self.queue = np.zeros(1, QUEUE)[0]
        self.queue["due_ns"] = self.queue["first_ns"] = NEVER_NS

    @property
    def root(self) -> int:
        root = int(self.queue["root"])
        assert self.queue["due_ns"] == (self.deadlines[root]["deadline_ns"] if root else NEVER_NS)
        return root

    def add(self, v: np.uint64) -> None:
        queue_push(self.deadlines, self.queue, v, 0)

    def take(self, v: np.uint64) -> None:
        queue_remove(self.deadlines, self.queue, v)

    def move(self, v: int, deadline: int) -> None:
        self.held[v] = deadline, self.held[v][1]
        queue_move(self.deadlines, self.queue, np.uint64(v), deadline, 0)


@given(MOVES)
def test_the_root_is_always_the_least_by_deadline_and_arrival(moves: list[tuple[str, int, int]]) -> None:
    model = Heap(len(moves))
    for move in moves:
        model.do(*move)


@given(LONG)
def test_so_is_the_first_of_a_queue(moves: list[tuple[str, int, int]]) -> None:
    model = Queue(len(moves))
    for move in moves:
        model.do(*move)


@given(st.lists(st.integers(-5, 5) | WAITS, max_size=60), st.sampled_from([Heap, Queue]))
def test_views_come_out_in_order(deadlines: list[int], kind: type[Heap | Queue]) -> None:
    model = kind(len(deadlines))
    for deadline in deadlines:
        model.push(deadline)
    order = []
    while model.root:
        order.append(model.held[model.root])
        model.remove(model.root)
    assert order == sorted(order)
    assert len(order) == len(deadlines)
    for links in ("child", "next", "previous"):
        assert not model.deadlines[links].any()


def test_only_what_belongs_far_inside_a_list_goes_to_the_heap() -> None:
    model = Queue(40)
    for deadline in (*range(0, 200, 10), 195, 5):
        model.push(deadline)
    assert [v for v in model.held if model.deadlines[v]["list"] == IN_HEAP] == [22]
