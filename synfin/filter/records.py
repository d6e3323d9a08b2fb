"""Records as a table of fields: what a filter is asked of where there are no packets.

A connection has the values that any packet of it has: two addresses, two ports. Those of a tunnel around it are not.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synfin.filter.fields import Field
from synfin.filter.masks import WithoutBytes, mask
from synfin.filter.tree import Filter
from synfin.filter.values import Octets, Values
from synfin.wire.event import (
    CONN_STATES,
    HANDSHAKES,
    HISTORY_BITS,
    HISTORY_TEXT,
    HISTORY_WORDS,
    RST_FORMS,
    STATES,
    TEARDOWNS,
    Records,
)
from synfin.wire.ids import hex_id, identify

Rows = npt.NDArray[np.void]
_LETTERS: Final = 6  # of a history in a word
_NAMES: Final[dict[str, tuple[Callable[[Rows], npt.NDArray[Any]], tuple[str | None, ...]]]] = {
    "state.orig": (lambda rows: rows["ends"]["state"][:, 0], STATES),
    "state.resp": (lambda rows: rows["ends"]["state"][:, 1], STATES),
    "handshake": (lambda rows: rows["handshake"], HANDSHAKES),
    "teardown": (lambda rows: rows["teardown"], TEARDOWNS),
    "rst_form": (lambda rows: rows["rst_form"], RST_FORMS),
    "conn_state": (lambda rows: rows["conn_state"], CONN_STATES),
}


class RecordTable(WithoutBytes):
    """Flow records, or events, of which only what names their connection can be asked."""

    def __init__(self, rows: Rows, sensors: tuple[str, ...]) -> None:
        self._rows, self._sensors = rows, sensors

    @property
    def size(self) -> int:
        """How many records."""
        return len(self._rows)

    def values(self, field: Field) -> Values:
        """The values of a field of records."""
        rows, column = self._rows, field.flow
        if column in ("all", "v4", "v6"):
            chosen = np.flatnonzero(rows["family"] == int(column[1])) if column != "all" else np.arange(self.size)
            nothing = np.zeros(len(chosen), np.int64)
            return _one_each(chosen, Octets(np.zeros(0, np.uint8), nothing, nothing))
        if column in ("v4_ends", "v6_ends"):
            chosen = np.flatnonzero(rows["family"] == int(column[1]))
            ends = np.stack([rows["lower_ip"][chosen], rows["higher_ip"][chosen]], 1)
            both = np.repeat(chosen, 2)
            if column == "v6_ends":
                return _one_each(both, ends.reshape(-1, 2))
            return _one_each(both, (ends[:, :, 1] & np.uint64(0xFFFFFFFF)).astype(np.int64).reshape(-1))
        if column == "ports":
            ports = np.stack([rows["lower_port"], rows["higher_port"]], 1).astype(np.int64)
            return _one_each(np.repeat(np.arange(self.size), 2), ports.reshape(-1))
        if column == "completeness":
            return _one_each(np.arange(self.size), rows["completeness"].astype(np.int64))
        return self._named(column)

    def _named(self, column: str) -> Values:
        if column == "flow_id":
            texts = [hex_id(row["flow"]) for row in identify(self._rows, self._sensors)]
        elif column == "history":
            texts = [_history(words) for words in self._rows["history"]]
        else:
            read, names = _NAMES[column]
            texts = [names[code] or "" for code in read(self._rows).tolist()]
        data = np.empty(self.size, object)
        data[:] = texts
        some = data != ""
        return _one_each(np.flatnonzero(some), data[some])


def _one_each(rows: npt.NDArray[np.int64], data: Any) -> Values:
    return Values(rows, data, np.ones(len(rows), np.int64))


def _history(words: npt.NDArray[np.uint32]) -> str:
    letters = []
    for word in words.tolist()[:HISTORY_WORDS]:
        codes = [word >> HISTORY_BITS * (_LETTERS - 1 - i) & (1 << HISTORY_BITS) - 1 for i in range(_LETTERS)]
        letters += [HISTORY_TEXT[code] for code in codes if code]
    return "".join(letters)


def wanted(records: Records) -> Records:
    """The flows of which a packet was wanted (MARK_WANTED)."""
    return replace(records, flows=_rows(records.flows, records.flows["wanted"] != 0))


def flows_passing(records: Records, made: Filter) -> Records:
    """The flows that pass."""
    return replace(records, flows=_rows(records.flows, mask(made, RecordTable(records.flows, records.sensors))))


def events_passing(records: Records, made: Filter) -> Records:
    """The events that pass."""
    return replace(records, events=_rows(records.events, mask(made, RecordTable(records.events, records.sensors))))


def _rows(rows: Rows, keep: npt.NDArray[np.bool_]) -> Rows:
    """Some rows, copied as bytes: numpy copies a record field by field."""
    if keep.all():
        return rows
    octets = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), rows.dtype.itemsize)
    return octets[keep].reshape(-1).view(rows.dtype)
