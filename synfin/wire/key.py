"""The fixed hash that chooses slice and partition: XXH64, seed 0, over the canonical tuple.

36 bytes: the lower (address, port), then the higher; addresses as 16 bytes (IPv4 mapped), ports big-endian. "Lower" is
by address and then port, as numbers. The domain is left out, so that both sides of a tunnel meet in one slice.
Source: the xxHash specification, version 0.1.1.
"""

from typing import Any, Final

import numpy as np

from synfin.compiled import leaf

SLICES: Final = 384  # partition = slice mod P, and P divides this

_P1: Final = np.uint64(0x9E3779B185EBCA87)
_P2: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_P3: Final = np.uint64(0x165667B19E3779F9)
_P4: Final = np.uint64(0x85EBCA77C2B2AE63)
_LENGTH: Final = np.uint64(36)
_LANE_1: Final = np.uint64((0x9E3779B185EBCA87 + 0xC2B2AE3D27D4EB4F) % 2**64)
_LANE_4: Final = np.uint64(2**64 - 0x9E3779B185EBCA87)
_ZERO: Final = np.uint64(0)


@leaf
def _rotate(x: Any, bits: Any) -> Any:
    return (x << np.uint64(bits)) | (x >> np.uint64(64 - bits))


@leaf
def _swap(x: Any) -> Any:
    """Reverse the eight bytes: the tuple is kept as numbers, and XXH64 reads little-endian words of the bytes."""
    x = ((x & np.uint64(0x00FF00FF00FF00FF)) << np.uint64(8)) | ((x >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF))
    x = ((x & np.uint64(0x0000FFFF0000FFFF)) << np.uint64(16)) | ((x >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF))
    return (x << np.uint64(32)) | (x >> np.uint64(32))


@leaf
def _round(lane: Any, word: Any) -> Any:
    return _rotate(lane + word * _P2, 31) * _P1


@leaf
def _merge(h: Any, lane: Any) -> Any:
    return (h ^ _round(_ZERO, lane)) * _P1 + _P4


@leaf
def tuple_hash(lower_0: Any, lower_1: Any, lower_port: Any, higher_0: Any, higher_1: Any, higher_port: Any) -> Any:
    """XXH64 of the 36 bytes. All parameters and the result uint64; addresses as in FLOW, high half first."""
    # Bytes: lower 16, port 2, higher 16, port 2. As big-endian words, the higher address is shifted by the port.
    w2 = (lower_port << np.uint64(48)) | (higher_0 >> np.uint64(16))
    w3 = ((higher_0 & np.uint64(0xFFFF)) << np.uint64(48)) | (higher_1 >> np.uint64(16))
    tail = ((higher_1 & np.uint64(0xFFFF)) << np.uint64(16)) | higher_port  # last four bytes, big-endian

    a = _round(_LANE_1, _swap(lower_0))
    b = _round(_P2, _swap(lower_1))
    c = _round(_ZERO, _swap(w2))
    d = _round(_LANE_4, _swap(w3))
    h = _rotate(a, 1) + _rotate(b, 7) + _rotate(c, 12) + _rotate(d, 18)
    h = _merge(_merge(_merge(_merge(h, a), b), c), d) + _LENGTH

    h = h ^ ((_swap(tail) >> np.uint64(32)) * _P1)
    h = _rotate(h, 23) * _P2 + _P3
    h = (h ^ (h >> np.uint64(33))) * _P2
    h = (h ^ (h >> np.uint64(29))) * _P3
    return h ^ (h >> np.uint64(32))


@leaf
def slice_of(flow_hash: Any) -> Any:
    """Slice of a FLOW.hash, 0..383."""
    return flow_hash % np.uint64(SLICES)
