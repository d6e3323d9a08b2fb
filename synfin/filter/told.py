"""Records as JSON tells them, as a table of fields: what `synfin.filter.records` says of rows, said of objects."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synfin.filter.askable import PATHS
from synfin.filter.fields import Field
from synfin.filter.masks import WithoutBytes
from synfin.filter.values import Octets, Values, halves

_ENDS: Final[tuple[tuple[str, ...], ...]] = (("orig",), ("resp",), ())  # an alert over many connections has one itself


class ToldTable(WithoutBytes):
    """Flow records or events. What a record has in a wrong form, or not at all, it has no value of."""

    def __init__(self, records: Sequence[Mapping[str, Any]]) -> None:
        self._records = records

    @property
    def size(self) -> int:
        """How many records."""
        return len(self._records)

    def values(self, field: Field) -> Values:
        """The values of a field of records."""
        column = field.flow
        if column in ("all", "v4", "v6"):
            found = [(i, 0) for i in range(self.size) if column == "all" or self._addresses(i, column)]
            rows = np.array([i for i, _ in found], np.int64)
            nothing = np.zeros(len(rows), np.int64)
            return Values(rows, Octets(np.zeros(0, np.uint8), nothing, nothing), nothing + 1)
        if column == "v4_ends":
            return _of([(i, ip) for i in range(self.size) for ip in self._addresses(i, "v4")], np.int64)
        if column == "v6_ends":
            pairs = [(i, ip) for i in range(self.size) for ip in self._addresses(i, "v6")]
            data = np.array([halves(ip) for _, ip in pairs], np.uint64).reshape(-1, 2)
            return Values(np.array([i for i, _ in pairs], np.int64), data, np.ones(len(pairs), np.int64))
        if column == "ports":
            ports = ((i, self._at(i, (*end, "port"))) for i in range(self.size) for end in _ENDS)
            return _of([(i, port) for i, port in ports if _is_count(port)], np.int64)
        if column == "completeness":
            found = [(i, self._at(i, ("completeness",))) for i in range(self.size)]
            return _of([(i, value) for i, value in found if _is_count(value)], np.int64)
        texts = ((i, self._at(i, PATHS[column])) for i in range(self.size))
        return _of([(i, text) for i, text in texts if isinstance(text, str) and text], object)

    def _at(self, i: int, path: Sequence[str]) -> Any:
        value: Any = self._records[i]
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def _addresses(self, i: int, family: str) -> list[int]:
        """Both ends' addresses, where they are of this family."""
        found = []
        for end in _ENDS:
            text = self._at(i, (*end, "ip"))
            if isinstance(text, str) and (":" in text) == (family == "v6"):
                try:
                    found.append(int(ipaddress.ip_address(text)))
                except ValueError:
                    continue
        return found


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _of(found: Sequence[tuple[int, Any]], dtype: npt.DTypeLike) -> Values:
    data: npt.NDArray[Any] = np.empty(len(found), dtype)
    data[:] = [value for _, value in found]
    return Values(np.array([i for i, _ in found], np.int64), data, np.ones(len(found), np.int64))
