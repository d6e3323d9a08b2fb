"""The sensor's own connections to the brokers, which it must not report: each batch would make the next one."""

import ipaddress
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from synfin.clients import Address
from synfin.wire.batch import Batch

_MAPPED: Final = 0xFFFF << 32


def _number(text: str) -> int:
    """An address as FLOW holds it: 128 bits, IPv4 mapped."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return int(address) | (_MAPPED if address.version == 4 else 0)


def _row(address: Address) -> tuple[int, int, int, int, int, int]:
    """Canonical tuple of a connection: the halves of the lower address, its port, and the same of the higher."""
    ends = [(_number(address.local_ip), address.local_port), (_number(address.remote_ip), address.remote_port)]
    (lower, lower_port), (higher, higher_port) = sorted(ends)
    return *divmod(lower, 2**64), lower_port, *divmod(higher, 2**64), higher_port


class OwnTraffic:
    """Finds flows of the sensor's own among others; `packets` counts what was left out."""

    def __init__(self) -> None:
        self.packets = 0
        self._known: frozenset[Address] = frozenset()
        self._rows: list[tuple[int, int, int, int, int, int]] = []

    def learn(self, addresses: Iterable[Address]) -> None:
        """Take the sockets that are open now, in place of those before."""
        addresses = frozenset(addresses)
        if addresses != self._known:
            self._known = addresses
            self._rows = [_row(address) for address in addresses]

    def flows(self, flows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
        """bool[m]: which of FLOW[m] are ours."""
        own = np.zeros(len(flows), np.bool_)
        for lower_0, lower_1, lower_port, higher_0, higher_1, higher_port in self._rows:
            own |= (
                (flows["lower_port"] == lower_port)
                & (flows["higher_port"] == higher_port)
                & (flows["lower_ip"] == np.array((lower_0, lower_1), np.uint64)).all(axis=1)
                & (flows["higher_ip"] == np.array((higher_0, higher_1), np.uint64)).all(axis=1)
            )
        return own

    def without(self, segments: npt.NDArray[np.void], flows: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        """The rows that are not ours."""
        own = self.flows(flows)
        if not own.any():
            return segments
        keep = ~own[segments["flow"]]
        self.packets += len(segments) - int(np.count_nonzero(keep))
        kept: npt.NDArray[np.void] = segments[keep]
        return kept

    def batch_without(self, batch: Batch) -> Batch:
        """The batch without the first packets of a connection of which we learn only after they were captured.

        It stays a batch when nothing is left in it: its number must not be missing.
        """
        segments = self.without(batch.segments, batch.flows)
        if segments is batch.segments:
            return batch
        used, places = np.unique(segments["flow"], return_inverse=True)
        segments["flow"] = places
        return replace(batch, segments=segments, flows=batch.flows[used])
