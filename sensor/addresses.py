"""Which addresses are the capturing host's own."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from sensor.frames import DIRECTION_RECEIVED, DIRECTION_SENT, DIRECTION_UNKNOWN
from synfin.compiled import compiled, leaf
from synfin.errors import UsageError
from synfin.wire.segment import BOTH, HIGHER, HOW_ADDRESSES, HOW_CAPTURE, HOW_OPTION, HOW_UNKNOWN, LOWER

NETWORK: Final = np.dtype(
    [
        ("prefix_0", "<u8"),  # 16 bytes as in FLOW, IPv4 mapped
        ("prefix_1", "<u8"),
        ("mask_0", "<u8"),
        ("mask_1", "<u8"),
    ]
)

_MAPPED: Final = 0xFFFF << 32
_U0, _U1 = np.uint64(0), np.uint64(1)
_LOWER, _HIGHER, _UNKNOWN = np.uint8(LOWER), np.uint8(HIGHER), np.uint8(HOW_UNKNOWN)


@dataclass(frozen=True, slots=True)
class LocalAddresses:
    """Networks whose addresses are local, and how that is known: HOW_OPTION, or HOW_ADDRESSES for the host's own."""

    networks: npt.NDArray[np.void]  # NETWORK[]
    how: int = HOW_OPTION

    @classmethod
    def parse(cls, text: str, how: int = HOW_OPTION) -> Self:
        """Read what --local takes: addresses and networks of both families, commas between. UsageError."""
        return cls._of([part.strip() for part in text.split(",") if part.strip()], how)

    @classmethod
    def of_host(cls, addresses: Iterable[str]) -> Self:
        """Take the addresses of this host's interfaces; a zone (fe80::1%eth0) is left out."""
        return cls._of([address.partition("%")[0] for address in addresses], HOW_ADDRESSES)

    @classmethod
    def _of(cls, parts: list[str], how: int) -> Self:
        rows = np.zeros(len(parts), NETWORK)
        for row, part in zip(rows, parts, strict=True):
            try:
                network = ipaddress.ip_network(part, strict=False)
            except ValueError as error:
                raise UsageError(
                    f"local addresses: {part!r} is neither an address nor a network such as 10.1.0.0/16 or fe80::/10"
                ) from error
            prefix, mask = int(network.network_address), int(network.netmask)
            if network.version == 4:
                prefix, mask = _MAPPED | prefix, (2**128 - 2**32) | mask
            row["prefix_0"], row["prefix_1"] = divmod(prefix, 2**64)
            row["mask_0"], row["mask_1"] = divmod(mask, 2**64)
        return cls(rows, how)


# What needs no list. `local_how` stays HOW_UNKNOWN, which the records call "inferred".
LOOPBACK: Final = LocalAddresses.parse("127.0.0.0/8,::1", HOW_UNKNOWN)


_NO_DIRECTION, _SENT, _RECEIVED = (np.uint64(n) for n in (DIRECTION_UNKNOWN, DIRECTION_SENT, DIRECTION_RECEIVED))
_BOTH = np.uint64(BOTH)


@leaf
def capture_says(direction: Any, sender: Any, one_host: Any, row: Any) -> None:
    """Say which end sent, and which is this host's as far as the capture knows: sent means the source's address.

    `one_host`: the same address is at both ends, so both are local.
    """
    local = _BOTH
    if direction == _NO_DIRECTION:
        local = _U0
    elif not one_host:
        if direction == _SENT:
            local = sender
        elif direction == _RECEIVED:
            local = sender ^ _BOTH
    row["sender"] = sender
    row["local"] = local
    row["local_how"] = np.uint64(HOW_UNKNOWN if direction == _NO_DIRECTION else HOW_CAPTURE)


@leaf
def _contains(network: Any, address: Any) -> Any:
    return ((address[_U0] & network["mask_0"]) ^ network["prefix_0"]) | (
        (address[_U1] & network["mask_1"]) ^ network["prefix_1"]
    ) == _U0


@leaf
def _mark_flows(flows: Any, networks: Any, local: Any) -> Any:
    """Say of each flow which ends are in NETWORK[]; whether any is."""
    found = _UNKNOWN
    for k in range(len(networks)):
        network = networks[np.uint64(k)]
        for i in range(len(flows)):
            flow = flows[np.uint64(i)]
            ends = local[np.uint64(i)]
            if _contains(network, flow["lower_ip"]):
                ends |= _LOWER
            if _contains(network, flow["higher_ip"]):
                ends |= _HIGHER
            local[np.uint64(i)] = ends
            found |= ends
    return found


@leaf
def _mark_rows(segments: Any, local: Any, how: Any) -> None:
    for i in range(len(segments)):
        row = segments[np.uint64(i)]
        if row["local_how"] == _UNKNOWN:
            row["local"] = local[np.uint64(row["flow"])]
            row["local_how"] = how


@compiled
def mark_local(segments: Any, flows: Any, networks: Any, how: Any, local: Any) -> None:
    """Say of the rows about which the capture itself says nothing which ends are in NETWORK[].

    `local` is uint8[flows], zeros, and is left with the ends of each flow.
    """
    found = _mark_flows(flows, networks, local)
    if found != _UNKNOWN or how != _UNKNOWN:  # else nobody gave a list, and no address of any flow is a loopback one
        _mark_rows(segments, local, how)
