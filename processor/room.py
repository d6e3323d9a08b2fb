"""Room for so many, in which what is seen most keeps its place (space saving, by Metwally, Agrawal and El Abbadi)."""

import heapq
from typing import Any, Generic, Protocol, TypeVar


class Weighed(Protocol):
    """What a room holds: the lightest gives way."""

    weight: int  # how often it was seen, and of those before it in its place; only grows


K = TypeVar("K", bound=Any)  # keys have an order
V = TypeVar("V", bound=Weighed)


class Room(Generic[K, V]):
    """Some of the things in a dict, which make room for one another.

    A new one takes the weight of the one that gave way: who comes again and again passes those who come once, however
    many they are.
    """

    def __init__(self, there: dict[K, V], most: int) -> None:
        """`there` may be shared by several rooms."""
        self._there, self._most, self._n = there, most, 0
        self._order: list[tuple[int, K]] = []  # all its keys, by what they weighed once
        self._heap = False  # whether that is one: not before something must make way

    def enter(self, key: K, thing: V) -> tuple[K, V] | None:
        """Let something in; what made way for it, which is gone from the dict."""
        gone = self._lightest() if self._n >= self._most else None
        if gone is not None:
            thing.weight = gone[1].weight
        self._there[key] = thing
        self._n += 1
        if self._heap:
            heapq.heappush(self._order, (thing.weight, key))
        else:
            self._order.append((thing.weight, key))
        if len(self._order) > 2 * self._most:  # most are of keys that are gone
            there = {key for _, key in self._order if key in self._there}
            self._order = sorted((self._there[key].weight, key) for key in there)
        return gone

    def leave(self, key: K) -> None:
        """Let go of something that is there."""
        del self._there[key]
        self._n -= 1

    def _lightest(self) -> tuple[K, V]:
        """Take out the lightest: weights only grow, so what the heap says of the others is too little."""
        if not self._heap:
            heapq.heapify(self._order)
            self._heap = True
        while True:
            weight, key = heapq.heappop(self._order)
            thing = self._there.get(key)
            if thing is not None and thing.weight == weight:
                self.leave(key)
                return key, thing
            if thing is not None:
                heapq.heappush(self._order, (thing.weight, key))
