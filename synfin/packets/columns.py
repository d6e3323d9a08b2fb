"""Packets as columns of fields: `-T fields -e FIELD`, in tshark's forms."""

import difflib
from collections.abc import Iterator
from typing import Final

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

BETWEEN_VALUES: Final = ","  # of one field in one packet


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


def rows(capture: CaptureFile, fields: list[Field], made: Filter | None) -> Iterator[list[str]]:
    """The values of each packet that passes, a text a field: empty without a value, several with commas."""
    tables = Tables([*fields, *(made.fields if made else ())])
    for block in capture.blocks():
        table = tables.of(capture.path, block)
        keep = np.flatnonzero(mask(made, table)) if made else np.arange(table.size)
        if not len(keep):
            continue
        columns = [_column(table, field, keep) for field in fields]
        for row in keep.tolist():
            yield [column.get(row, "") for column in columns]


def _column(table: PacketTable, field: Field, keep: Index) -> dict[int, str]:
    """The text of each of some packets that has the field."""
    found = table.values(field)
    found = found.take(np.isin(found.rows, keep))
    texts: dict[int, str] = {}
    for row, text in zip(found.rows.tolist(), shown(field, objects(found.data)), strict=True):
        texts[row] = f"{texts[row]}{BETWEEN_VALUES}{text}" if row in texts else text
    return texts
