"""Fields of link headers that no single place in one header has."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import numpy as np

from synfin.filter.fields import Head
from synfin.filter.values import Values, merged, merged_octets

_ETHERTYPE_MIN: Final = 0x0600
_ETHER_BYTES: Final = 6
_FAMILY_MAX: Final = 0xFFFF
_COOKED: Final = {  # of LINKTYPE_LINUX_SLL and _SLL2
    "pkttype": (Head("sll", 0, 2), Head("sll2", 10, 1)),
    "hatype": (Head("sll", 2, 2), Head("sll2", 8, 2)),
    "halen": (Head("sll", 4, 2), Head("sll2", 11, 1)),
    "address": (Head("sll", 6, 6), Head("sll2", 12, 6)),
    "etype": (Head("sll", 14, 2), Head("sll2", 0, 2)),
}


class _Headers(Protocol):
    def head(self, source: Head) -> Values: ...
    def layer(self, layer: str) -> Values: ...


def _ethertypes(found: Values) -> Values:
    """Those that are types; below are lengths."""
    return found.take(np.asarray(found.data) >= _ETHERTYPE_MIN)


def _cooked(table: _Headers, column: str) -> Values:
    return merged([table.head(head) for head in _COOKED[column]])


def _cooked_source(table: _Headers) -> Values:
    address, sizes = _cooked(table, "address"), _cooked(table, "halen")
    ether = sizes.rows[np.asarray(sizes.data) == _ETHER_BYTES]  # of more frames than have the whole address
    return address.take(np.isin(address.rows, ether))


def _null_family(table: _Headers) -> Values:
    """In the byte order of the host that captured, which the file does not tell: a family is a small number."""
    found = table.head(Head("null", 0, 4))
    data = np.asarray(found.data)
    swapped = data.astype(np.uint32).byteswap().astype(np.int64)
    return Values(found.rows, np.where((data > _FAMILY_MAX) & (swapped <= _FAMILY_MAX), swapped, data), found.layers)


LINK_FIELDS: Final[Mapping[str, Callable[[_Headers], Values]]] = {
    "eth.type": lambda table: _ethertypes(table.head(Head("eth", 12, 2))),
    "vlan.etype": lambda table: _ethertypes(table.head(Head("vlan", 2, 2))),
    "sll": lambda table: merged_octets([table.layer("sll"), table.layer("sll2")]),
    "sll.pkttype": lambda table: _cooked(table, "pkttype"),
    "sll.hatype": lambda table: _cooked(table, "hatype"),
    "sll.halen": lambda table: _cooked(table, "halen"),
    "sll.src.eth": _cooked_source,
    "sll.etype": lambda table: _ethertypes(_cooked(table, "etype")),
    "null.family": _null_family,
}
