"""Packets as columns of fields: `-T fields -e FIELD -E OPTION`, in tshark's forms."""

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from sensor.pcapfile import CaptureFile
from synfin.errors import UsageError
from synfin.filter.fields import FIELDS, Field, Flow
from synfin.filter.kinds import Kind
from synfin.filter.masks import mask
from synfin.filter.show import shown
from synfin.filter.tree import Filter
from synfin.filter.values import Index, objects
from synfin.packets.selection import Tables
from synfin.packets.table import PacketTable

_NAMED_SIGNS: Final = {"/t": "\t", "/s": " "}
_QUOTES: Final = {"d": '"', "s": "'", "n": ""}
_OCCURRENCES: Final[dict[str, slice]] = {"a": slice(None), "f": slice(1), "l": slice(-1, None)}
_SWITCH: Final = {"y": True, "n": False}
Values = dict[str, list[str]]  # of one packet, by field; none without a value


@dataclass(frozen=True, slots=True)
class Form:
    """How columns are written: tshark's -E."""

    header: bool = False
    bom: bool = False
    separator: str = "\t"
    aggregator: str = ","  # between the values of one field
    quote: str = ""
    occurrence: str = "a"

    @classmethod
    def of(cls, options: list[str]) -> Self:
        """Read `NAME=VALUE` options. UsageError."""
        known: dict[str, Any] = {}
        for option in options:
            name, _, value = option.partition("=")
            if name not in _OPTIONS:
                near = difflib.get_close_matches(name, _OPTIONS, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_OPTIONS)}"
                raise UsageError(f"-E {option}: there is no such option; {hint}")
            read, wanted = _OPTIONS[name]
            known[name] = read(value)
            if known[name] is None:
                raise UsageError(f"-E {option}: {wanted} is wanted")
        return cls(**known)

    def names(self, fields: list[Field]) -> str:
        """The line of names."""
        return self.separator.join(field.name for field in fields)

    def line(self, fields: list[Field], values: Values) -> str:
        """The line of a packet: a field without a value is empty, and not quoted."""
        some = _OCCURRENCES[self.occurrence]
        cells = (self.aggregator.join(values.get(field.name, [])[some]) for field in fields)
        return self.separator.join(f"{self.quote}{cell}{self.quote}" if cell else "" for cell in cells)


def _sign(value: str) -> str | None:
    sign = _NAMED_SIGNS.get(value, value)
    return sign if len(sign) == 1 else None


_OPTIONS: Final[dict[str, tuple[Callable[[str], Any], str]]] = {
    "header": (_SWITCH.get, "y or n"),
    "bom": (_SWITCH.get, "y or n"),
    "separator": (_sign, "one character, /t for a tab, /s for a space"),
    "aggregator": (_sign, "one character, /t for a tab, /s for a space"),
    "quote": (_QUOTES.get, "d for double quotes, s for single ones, n for none"),
    "occurrence": (
        lambda value: value if value in _OCCURRENCES else None,
        "a for all values of a field, f for its first, l for its last",
    ),
}


def fields_named(names: list[str]) -> list[Field]:
    """The fields with these names. UsageError for one that packets do not have, or that has no value to show."""
    return [_field(name) for name in names]


def _field(name: str) -> Field:
    field = FIELDS.get(name)
    if field is None:
        near = difflib.get_close_matches(name, FIELDS, 1)
        raise UsageError(f"-e {name}: there is no such field" + (f"; did you mean {near[0]}?" if near else ""))
    if field.kind is Kind.PROTOCOL:
        raise UsageError(f"-e {name}: a protocol has no value; ask for one of its fields")
    if isinstance(field.source, Flow):
        raise UsageError(f"-e {name}: packets do not have it, connections do: `synfin read --json`")
    return field


def rows(capture: CaptureFile, fields: list[Field], made: Filter | None) -> Iterator[tuple[int, Values]]:
    """The time of each packet that passes, and its values."""
    tables = Tables([*fields, *(made.fields if made else ())])
    for block in capture.blocks():
        table = tables.of(capture.path, block)
        keep = np.flatnonzero(mask(made, table)) if made else np.arange(table.size)
        if not len(keep):
            continue
        columns = [(field.name, _column(table, field, keep)) for field in fields]
        times = block.frames["t_ns"]
        for row in keep.tolist():
            yield int(times[row]), {name: column[row] for name, column in columns if row in column}


def _column(table: PacketTable, field: Field, keep: Index) -> dict[int, list[str]]:
    """The texts of each of some packets that has the field."""
    found = table.values(field)
    found = found.take(np.isin(found.rows, keep))
    texts: dict[int, list[str]] = {}
    for row, text in zip(found.rows.tolist(), shown(field, objects(found.data)), strict=True):
        texts.setdefault(row, []).append(text)
    return texts
