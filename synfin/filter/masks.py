"""A filter as a mask over packets, or over whatever else gives values for fields."""

from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from synfin.filter.fields import Field
from synfin.filter.kinds import Kind
from synfin.filter.search import contain, fit
from synfin.filter.tree import (
    Arithmetic,
    Both,
    Call,
    Compare,
    Condition,
    Constant,
    Filter,
    Member,
    Name,
    Negative,
    Not,
    Range,
    Slice,
    Test,
    Value,
)
from synfin.filter.values import Data, Index, Mask, Octets, Values, against, merged, objects, pairs, relation

_ARITHMETIC: Final[dict[str, Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.floor_divide,
    "%": np.remainder,
    "&": np.bitwise_and,
}


class Table(Protocol):
    """What a filter is asked of: `size` packets (or records) with fields."""

    @property
    def size(self) -> int:
        """How many."""

    def values(self, field: Field) -> Values:
        """The values of a field."""

    def octets(self, field: Field) -> Values:
        """The bytes that the values of a field stand for, as Octets; of a layer those of its own header."""

    def texts(self, field: Field) -> Values:
        """The values of a field as they are shown."""


class WithoutBytes(Protocol):
    """What tables of records have alike: there are no bytes, and `askable` lets none be asked for."""

    def values(self, field: Field) -> Values:
        """The values of a field."""

    def octets(self, field: Field) -> Values:
        """That a layer is there."""
        found = self.values(field)
        assert isinstance(found.data, Octets), field.name
        return found

    def texts(self, field: Field) -> Values:
        """The values: all that are shown are texts."""
        return self.values(field)


def mask(made: Filter, table: Table) -> Mask:
    """Which of the table's packets pass."""
    return _Evaluation(table, made.text).condition(made.condition)


class _Evaluation:
    def __init__(self, table: Table, text: str) -> None:
        self._table, self._text = table, text

    def condition(self, node: Condition) -> Mask:
        if isinstance(node, Not):
            return ~self.condition(node.of)
        if isinstance(node, Both):
            joined = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}[node.operator]
            return np.asarray(joined.reduce([self.condition(part) for part in node.parts]), bool)
        if isinstance(node, Compare):
            return self._compare(node)
        if isinstance(node, Member):
            return self._member(node)
        return self._test(node)

    def _any(self, rows: Index) -> Mask:
        result = np.zeros(self._table.size, bool)
        result[rows] = True
        return result

    def _joined(self, rows: Index, fits: Mask, every: bool) -> Mask:
        """One result a packet from those of its values."""
        if not every:
            return self._any(rows[fits])
        return self._any(rows) & ~self._any(rows[~fits])

    def _test(self, node: Test) -> Mask:
        found = self.value(node.of)
        if isinstance(node.of, Slice):
            return self._any(found.rows[_lengths(found.data) > 0])
        if isinstance(node.of, Arithmetic):
            data = objects(found.data)
            some = np.array([any(octets) for octets in data], bool) if data.dtype == object else data != 0
            return self._any(found.rows[some])
        return self._any(found.rows)

    def _compare(self, node: Compare) -> Mask:
        left, right, operator = node.left, node.right, node.operator
        if isinstance(left, Constant):
            swapped = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
            left, right, operator = right, left, swapped.get(operator, operator)
        if operator in ("contains", "matches"):
            assert isinstance(right, Constant)
            found = self._carried(left)
            fits = contain(found.data, right.value) if operator == "contains" else fit(found.data, right, self._text)
            return self._joined(found.rows, fits, node.every)
        found = self.value(left)
        if isinstance(right, Constant):
            fits = against(operator, found.data, right.kind, right.value)
            return self._joined(found.rows, fits, node.every)
        other = self.value(right)
        a, b = pairs(found, other)
        fits = relation(operator, objects(found.data[a]), objects(other.data[b]))
        return self._joined(found.rows[a], fits, node.every)

    def _member(self, node: Member) -> Mask:
        found = self.value(node.left)
        fits = np.zeros(len(found.rows), bool)
        for low, high in node.items:
            if high is None:
                fits |= self._inside(found, "==", low)
            else:
                fits |= self._inside(found, ">=", low) & self._inside(found, "<=", high)
        return self._joined(found.rows, fits, node.every)

    def _inside(self, found: Values, operator: str, end: Value) -> Mask:
        """Which values stand so to one of those of the end of a range."""
        if isinstance(end, Constant):
            return against(operator, found.data, end.kind, end.value)
        other = self.value(end)
        a, b = pairs(found, other)
        fits = relation(operator, objects(found.data[a]), objects(other.data[b]))
        result = np.zeros(len(found.rows), bool)
        result[a[fits]] = True
        return result

    # Values

    def _carried(self, node: Value) -> Values:
        """As `value`, but a layer with all that it carries."""
        if isinstance(node, Name):
            return _of_layers(self._table.values(node.field), node.layers)
        return self.value(node)

    def value(self, node: Value) -> Values:
        if isinstance(node, Name) and node.field.kind is Kind.PROTOCOL:
            return _of_layers(self._table.octets(node.field), node.layers)
        if isinstance(node, Name):
            return _of_layers(self._table.values(node.field), node.layers)
        if isinstance(node, Slice):
            return self._slice(node)
        if isinstance(node, Call):
            return self._call(node)
        if isinstance(node, Negative):
            found = self.value(node.of)
            return Values(found.rows, -np.asarray(found.data), found.layers)
        if isinstance(node, Arithmetic):
            return self._arithmetic(node)
        assert isinstance(node, Constant), node
        rows = np.arange(self._table.size)
        if node.kind in (Kind.BYTES, Kind.PROTOCOL):
            same = np.empty(len(rows), object)
            same[:] = node.value
            return Values(rows, same, np.ones(len(rows), np.int64))
        number = node.value[0] if node.kind is Kind.IPV4 else node.value
        return Values(rows, np.full(len(rows), number), np.ones(len(rows), np.int64))

    def _arithmetic(self, node: Arithmetic) -> Values:
        left, right = self.value(node.left), self.value(node.right)
        a, b = pairs(left, right)
        one, other = objects(left.data[a]), objects(right.data[b])
        if one.dtype == object:
            return Values(left.rows[a], _both_bits(one, other), left.layers[a])
        if node.operator in "/%":
            a, one, other = a[other != 0], one[other != 0], other[other != 0]
        return Values(left.rows[a], _ARITHMETIC[node.operator](one, other), left.layers[a])

    def _slice(self, node: Slice) -> Values:
        if isinstance(node.of, Name):
            found = _of_layers(self._table.octets(node.of.field), node.of.layers)
        else:
            found = self.value(node.of)
        data = found.data
        if len(node.ranges) == 1:
            return Values(found.rows, _cut(data, node.ranges[0])[0], found.layers)
        joined = np.empty(len(found.rows), object)
        joined[:] = b""
        goes_on = np.ones(len(found.rows), bool)
        for part in node.ranges:  # up to the first that is not there
            cut, there = _cut(data, part)
            goes_on &= there
            joined[goes_on] += objects(cut)[goes_on]
        return Values(found.rows, joined, found.layers)

    def _call(self, node: Call) -> Values:
        first = node.arguments[0]
        if node.name in ("len", "count", "string"):
            assert isinstance(first, Name)
            return self._of_name(node.name, first)
        found = [self.value(argument) for argument in node.arguments]
        if node.name in ("max", "min"):
            return self._extreme(node.name, found)
        if node.name == "abs":
            return Values(found[0].rows, np.abs(np.asarray(found[0].data)), found[0].layers)
        data = np.empty(len(found[0].rows), object)
        data[:] = [text.upper() if node.name == "upper" else text.lower() for text in np.asarray(found[0].data)]
        return Values(found[0].rows, data, found[0].layers)

    def _of_name(self, function: str, name: Name) -> Values:
        if function == "string":
            return _of_layers(self._table.texts(name.field), name.layers)
        if function == "len":
            found = _of_layers(self._table.octets(name.field), name.layers)
            assert isinstance(found.data, Octets)
            return Values(found.rows, found.data.end - found.data.first, found.layers)
        found = _of_layers(self._table.values(name.field), name.layers)
        rows, counts = np.unique(found.rows, return_counts=True)
        return Values(rows, counts.astype(np.int64), np.ones(len(rows), np.int64))

    def _extreme(self, function: str, found: list[Values]) -> Values:
        """One value a packet that has one of the arguments."""
        everything = merged(found)
        rows, first = np.unique(everything.rows, return_index=True)
        reduce = np.maximum.reduceat if function == "max" else np.minimum.reduceat
        data = reduce(np.asarray(everything.data), first) if len(rows) else np.empty(0, np.int64)
        return Values(rows, data, np.ones(len(rows), np.int64))


def _both_bits(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Bytes with the bits that both have, as far as both reach."""
    result = np.empty(len(one), object)
    result[:] = [bytes(x & y for x, y in zip(a, b, strict=False)) for a, b in zip(one, other, strict=True)]
    return result


def _of_layers(found: Values, layers: tuple[Range, ...]) -> Values:
    """The values that come from some of a packet's layers, by number; below 0 from the last."""
    if not layers or not len(found.rows):
        return found
    last = np.zeros(int(found.rows.max()) + 1, np.int64)
    np.maximum.at(last, found.rows, found.layers)
    highest = last[found.rows]
    chosen = np.zeros(len(found.rows), bool)
    for part in layers:
        first = np.where(part.first < 0, highest + 1 + part.first, part.first)
        end = highest if part.length is None else first + part.length - 1
        end = end if part.last is None else np.where(part.last < 0, highest + 1 + part.last, part.last)
        chosen |= (found.layers >= first) & (found.layers <= end)
    return found.take(chosen)


def _cut(data: Data, part: Range) -> tuple[Data, Mask]:
    """A part of each stretch of bytes, and which had it; the others give no bytes."""
    lengths = _lengths(data)
    first = np.where(part.first < 0, lengths + part.first, part.first)
    end = lengths if part.length is None else first + part.length
    if part.last is not None:
        end = np.where(part.last < 0, lengths + part.last, part.last) + 1
    there = (first >= 0) & (end <= lengths) & (first < end)
    first, end = np.where(there, first, 0), np.where(there, end, 0)
    if isinstance(data, Octets):
        return Octets(data.buffer, data.first + first, data.first + end), there
    cut = np.empty(len(data), object)
    cut[:] = [item[a:b] for item, a, b in zip(data, first.tolist(), end.tolist(), strict=True)]
    return cut, there


def _lengths(data: Data) -> Index:
    if isinstance(data, Octets):
        return data.end - data.first
    return np.array([len(item) for item in data], np.int64)
