"""The fields of some packets, looked up one at a time: for whoever shows packet after packet."""

from typing import Any, Final

import numpy as np

from synfin.filter.fields import FIELDS
from synfin.filter.kinds import Kind
from synfin.filter.show import shown
from synfin.filter.values import Index, objects
from synfin.packets.table import PacketTable
from synfin.packets.tree import Item

_NO_CELLS: Final[tuple[list[Any], list[str]]] = ([], [])
_BYTES: Final = (Kind.BYTES, Kind.PROTOCOL)


class Cells:
    """The values of the packets of a table that are to be shown, each field read when it is first asked for."""

    def __init__(self, table: PacketTable, keep: Index) -> None:
        self.table = table
        self._keep = np.zeros(table.size, bool)
        self._keep[keep] = True
        self._fields: dict[str, dict[tuple[int, int], tuple[list[Any], list[str]]]] = {}

    def of(self, name: str, row: int, layer: int) -> tuple[list[Any], list[str]]:
        """The values of a field in a packet's layer of that number, and their texts."""
        found = self._fields.get(name)
        if found is None:
            found = self._fields[name] = self._read(name)
        return found.get((row, layer), _NO_CELLS)

    def _read(self, name: str) -> dict[tuple[int, int], tuple[list[Any], list[str]]]:
        field = FIELDS[name]
        values = self.table.values(field)
        values = values.take(self._keep[values.rows])
        data = objects(values.data)
        texts = [octets.hex(":") for octets in data] if field.kind in _BYTES else shown(field, data)
        found: dict[tuple[int, int], tuple[list[Any], list[str]]] = {}
        for row, layer, value, text in zip(values.rows.tolist(), values.layers.tolist(), data, texts, strict=True):
            raw, said = found.setdefault((row, layer), ([], []))
            raw.append(value)
            said.append(text)
        return found


class Layer:
    """A packet's layer: makes the lines that stand below it."""

    def __init__(self, cells: Cells, row: int, number: int) -> None:
        self._cells, self._row, self._number = cells, row, number

    def raw(self, name: str) -> Any:
        """The value of a field, None where there is none."""
        values = self._cells.of(name, self._row, self._number)[0]
        return values[0] if values else None

    def number(self, name: str) -> int:
        """A value that is known to be there, as a number."""
        return int(self.raw(name))

    def values(self, name: str) -> list[str]:
        """All values of a field, as texts."""
        return self._cells.of(name, self._row, self._number)[1]

    def text(self, name: str) -> str:
        """The value of a field as it is shown; nothing where there is none."""
        values = self.values(name)
        return values[0] if values else ""

    def line(self, name: str, form: str, below: tuple[Item, ...] = (), words: Any = None) -> list[Item]:
        """A field with its label: `{}` stands for its value, or for what words make of it. Nothing without a value."""
        value = self.raw(name)
        if value is None:
            return []
        said = words(int(value)) if words else self.text(name)
        return [Item(form.format(said), name, self.text(name), below)]

    def bits(self, name: str, mask: tuple[int, int], form: str, words: Any = None) -> list[Item]:
        """A field that is some bits of `width`, which are shown before it."""
        value = self.raw(name)
        if value is None:
            return []
        said = words(int(value)) if words else self.text(name)
        return [Item(f"{bit_picture(int(value), *mask)} = {form.format(said)}", name, self.text(name))]

    def hidden(self, name: str, value: str) -> list[Item]:
        """What is in JSON alone: the same value under the name that has both directions'."""
        return [Item("", name, value)] if value else []


def bit_picture(value: int, mask: int, width: int) -> str:
    """Some bits of a number where they stand, and dots for the others: `.... 0101`."""
    low = (mask & -mask).bit_length() - 1
    signs = [str(value << low >> i & 1) if mask >> i & 1 else "." for i in reversed(range(width))]
    return " ".join("".join(signs[i : i + 4]) for i in range(0, width, 4))
