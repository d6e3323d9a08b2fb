"""The layers of a block by kind, and the numbers that stand in their bytes."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sensor.frames import FrameBlock
from sensor.layers import LAYERS, layers_of
from synfin.filter.values import Index, Mask

TCP_HEAD: Final = 20
_ICMP, _ICMPV6 = LAYERS.index("icmp"), LAYERS.index("icmpv6")
_OPTIONS_MAX: Final = 40


@dataclass(frozen=True, slots=True)
class Stack:
    """The layers of one kind: of which frame each is, its number there, where it begins, ends, and its size."""

    rows: Index
    numbers: Index
    at: Index
    end: Index
    size: Index
    places: Index  # among all layers

    def take(self, chosen: Any) -> "Stack":
        """Some of them."""
        at, end, size = self.at[chosen], self.end[chosen], self.size[chosen]
        return Stack(self.rows[chosen], self.numbers[chosen], at, end, size, self.places[chosen])


class Stacks:
    """All layers of a block."""

    def __init__(self, block: FrameBlock) -> None:
        self.buffer = block.buffer
        self.layers = layers_of(block)
        self._stacks: dict[str, Stack] = {}
        self._option_rows: tuple[Index, Index, Index, Index] | None = None

    def stack(self, layer: str) -> Stack:
        """The layers of a kind."""
        found = self._stacks.get(layer)
        if found is None:
            places = np.flatnonzero(self.layers["kind"] == LAYERS.index(layer))
            rows = self.layers[places]
            names = ("frame", "number", "at", "end", "size")
            frame, number, at, end, size = (rows[name].astype(np.int64) for name in names)
            found = self._stacks[layer] = Stack(frame, number, at, end, size, places)
        return found

    def having(self, layer: str, octets: int) -> Stack:
        """The layers of a kind of which at least so many bytes were captured."""
        stack = self.stack(layer)
        whole = stack.at + octets <= stack.end
        return stack if whole.all() else stack.take(whole)

    def octets(self, at: Index, size: int) -> npt.NDArray[np.uint8]:
        """So many bytes, all of them in the buffer, at each place."""
        if not len(at):
            return np.zeros((0, size), np.uint8)
        return np.lib.stride_tricks.sliding_window_view(self.buffer, size)[at]

    def number(self, at: Index, size: int) -> Index:
        """The number of so many bytes in network order at each place."""
        value = np.zeros(len(at), np.int64)
        for i in range(size):
            value = value << 8 | self.buffer[at + i]
        return value

    def quoted(self, stack: Stack) -> Mask:
        """Which stand in an ICMP error: those behind an ICMP header."""
        kinds = self.layers["kind"]
        icmp = np.unique(self.layers["frame"][(kinds == _ICMP) | (kinds == _ICMPV6)])
        return np.isin(stack.rows, icmp)

    def tcp(self, *, quoted: bool = False) -> tuple[Stack, Index]:
        """TCP headers that make sense and were captured but for their options, and their lengths in bytes."""
        stack = self.having("tcp", TCP_HEAD)
        lengths = (self.buffer[stack.at + 12] >> 4).astype(np.int64) * 4
        good = (lengths >= TCP_HEAD) & (lengths <= stack.size)
        if not quoted:
            good &= ~self.quoted(stack)
        return stack.take(good), lengths[good]

    def options(self) -> tuple[Index, Index, Index, Index]:
        """Kind, place in the buffer and length of every TCP option, and which header of `tcp(quoted=True)` it is in."""
        if self._option_rows is not None:
            return self._option_rows
        stack, lengths = self.tcp(quoted=True)
        owner = np.flatnonzero(lengths > TCP_HEAD)
        at, end = stack.at[owner] + TCP_HEAD, np.minimum(stack.at + lengths, stack.end)[owner]
        parts = []
        for _ in range(_OPTIONS_MAX):
            more = at < end
            owner, at, end = owner[more], at[more], end[more]
            if not len(owner):
                break
            kind = self.buffer[at].astype(np.int64)
            length = np.where(at + 1 < end, self.buffer[np.minimum(at + 1, end - 1)], 0).astype(np.int64)
            length = np.where(kind == 1, 1, length)
            good = (kind != 0) & (length > 0) & (at + length <= end) & ((kind == 1) | (length > 1))
            owner, at, end, kind, length = owner[good], at[good], end[good], kind[good], length[good]
            parts.append((kind, at, length, owner))
            at = at + length
        joined = [np.concatenate([part[i] for part in parts]) if parts else np.zeros(0, np.int64) for i in range(4)]
        order = np.argsort(joined[3], kind="stable")
        self._option_rows = (joined[0][order], joined[1][order], joined[2][order], joined[3][order])
        return self._option_rows
