"""The values of a field in many packets at once, and how two lots of them are compared."""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from synfin.filter.kinds import Kind

Mask: TypeAlias = npt.NDArray[np.bool_]
Index: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Octets:
    """Stretches of a buffer: [first, end) of each."""

    buffer: npt.NDArray[np.uint8]
    first: Index
    end: Index

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, chosen: Any) -> "Octets":
        """Some of them, as numpy chooses."""
        return Octets(self.buffer, self.first[chosen], self.end[chosen])

    def objects(self) -> npt.NDArray[np.object_]:
        """Each as bytes."""
        found = np.empty(len(self), object)
        view = self.buffer.data
        found[:] = [bytes(view[a:b]) for a, b in zip(self.first.tolist(), self.end.tolist(), strict=True)]
        return found

    def equal(self, wanted: bytes) -> Mask:
        """Which are these bytes."""
        result: Mask = self.end - self.first == len(wanted)
        for i, octet in enumerate(wanted):
            hit = np.flatnonzero(result)
            result[hit] = self.buffer[self.first[hit] + i] == octet
        return result

    def contain(self, wanted: bytes) -> Mask:
        """Which have these bytes in them: the buffer is searched once, from place to place where a stretch begins."""
        if not len(self) or not wanted:
            return np.full(len(self), bool(wanted) is False)
        low, high = int(self.first.min()), int(self.end.max())
        searched, starts, places, i = bytes(self.buffer.data[low:high]), np.sort(self.first), [], 0
        while i < len(starts) and (at := searched.find(wanted, int(starts[i]) - low)) >= 0:
            places.append(at + low)
            i = int(np.searchsorted(starts, at + low, "right"))  # those before begin at or before this place
        found = np.array(places, np.int64)
        nearest = np.searchsorted(found, self.first)
        known = np.append(found, np.iinfo(np.int64).max - len(wanted))[nearest]
        return known + len(wanted) <= self.end


Data: TypeAlias = npt.NDArray[Any] | Octets


@dataclass(frozen=True, slots=True)
class Values:
    """Values with their packets: `rows` ascend, and a packet stands there as often as it has values.

    Numbers, flags, times (ns), IPv4 and Ethernet addresses are int64; IPv6 addresses uint64[n, 2]; texts are objects;
    bytes are Octets, or objects where they were put together. `layers` numbers the layer that each comes from, from 1.
    """

    rows: Index
    data: Data
    layers: Index

    def take(self, chosen: Any) -> "Values":
        """Some of them."""
        return Values(self.rows[chosen], self.data[chosen], self.layers[chosen])


def merged(parts: list[Values]) -> Values:
    """The values of several fields, as one."""
    first = parts[0]
    if all(part.rows is first.rows for part in parts):
        data = np.stack([np.asarray(part.data) for part in parts], 1)
        n = len(parts)
        return Values(np.repeat(first.rows, n), data.reshape(-1, *data.shape[2:]), np.repeat(first.layers, n))
    rows, layers = (np.concatenate([getattr(part, name) for part in parts]) for name in ("rows", "layers"))
    data = np.concatenate([np.asarray(part.data) for part in parts])
    return Values(rows, data, layers).take(np.lexsort((layers, rows)))


def merged_octets(parts: list[Values]) -> Values:
    """Bytes of several fields, by packet."""
    rows = np.concatenate([part.rows for part in parts])
    layers = np.concatenate([part.layers for part in parts])
    order = np.lexsort((layers, rows))
    data = [part.data for part in parts]
    assert all(isinstance(item, Octets) for item in data)
    first, end = (np.concatenate([getattr(item, name) for item in data]) for name in ("first", "end"))
    buffer = data[0].buffer  # type: ignore[union-attr]  # as asserted
    return Values(rows[order], Octets(buffer, first[order], end[order]), layers[order])


def objects(data: Data) -> npt.NDArray[Any]:
    """Bytes as objects; anything else as it is."""
    return data.objects() if isinstance(data, Octets) else data


def pairs(left: Values, right: Values) -> tuple[Index, Index]:
    """Places of all pairs of values that belong to the same packet."""
    if left.rows is right.rows and (len(left.rows) < 2 or bool((np.diff(left.rows) > 0).all())):
        both = np.arange(len(left.rows))
        return both, both
    low, high = np.searchsorted(right.rows, left.rows, "left"), np.searchsorted(right.rows, left.rows, "right")
    times = high - low
    one = np.repeat(np.arange(len(left.rows)), times)
    other = np.arange(len(one)) - np.repeat(np.cumsum(times) - times, times) + np.repeat(low, times)
    return one, other


_ORDERED: Final[dict[str, Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
}


def _by_length(data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Bytes as Wireshark puts them in order: a longer one is greater."""
    if not len(data) or not isinstance(data[0], bytes):
        return data
    keys = np.empty(len(data), object)
    keys[:] = [(len(item), item) for item in data]
    return keys


def relation(operator: str, left: Any, right: Any) -> Mask:
    """Compare arrays, or an array with a value; IPv6 addresses by their halves."""
    if isinstance(left, np.ndarray) and left.dtype == object and operator not in ("==", "!="):
        left, right = _by_length(left), _by_length(right)
    if isinstance(left, np.ndarray) and left.ndim == 2:
        high_l, low_l, high_r, low_r = left[:, 0], left[:, 1], right[..., 0], right[..., 1]
        same = high_l == high_r
        if operator in ("==", "!="):
            equal: Mask = same & (low_l == low_r)
            return equal if operator == "==" else ~equal
        strict = {">": np.greater, ">=": np.greater, "<": np.less, "<=": np.less}[operator]
        result: Mask = strict(high_l, high_r) | (same & _ORDERED[operator](low_l, low_r))
        return result
    return np.asarray(_ORDERED[operator](left, right), bool)


def halves(number: int) -> npt.NDArray[np.uint64]:
    """An IPv6 address as the data have it."""
    return np.array([number >> 64, number & (1 << 64) - 1], np.uint64)


def against(operator: str, data: Data, kind: Kind, value: Any) -> Mask:
    """Compare values with a constant of their kind."""
    if kind in (Kind.IPV4, Kind.IPV6):
        number, mask = value
        if kind is Kind.IPV4:
            return relation(operator, np.asarray(data) & mask, number)
        return relation(operator, np.asarray(data) & halves(mask), halves(number))
    if isinstance(data, Octets) and operator in ("==", "!="):
        equal = data.equal(value)
        return equal if operator == "==" else ~equal
    if kind in (Kind.BYTES, Kind.PROTOCOL, Kind.STRING):
        wanted = np.empty(1, object)
        wanted[0] = value
        return relation(operator, objects(data), wanted)
    return relation(operator, np.asarray(data), value)
