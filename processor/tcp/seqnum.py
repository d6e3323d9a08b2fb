"""Arithmetic modulo 2^32 for sequence numbers. All of it: compiled and plain uint32 differences are not the same.

A sequence number is an int64 in 0..2^32-1 here, and a distance an int64 from -2^31 to 2^31-1.
"""

from typing import Any, Final

import numpy as np

from synfin.compiled import inner

_MASK: Final = 0xFFFFFFFF
_HALF: Final = 0x80000000


@inner
def plus(seq: Any, n: Any) -> Any:
    """The sequence number n after seq; n may be negative."""
    return (np.int64(seq) + np.int64(n)) & _MASK


@inner
def distance(a: Any, b: Any) -> Any:
    """How far a is after b, negative when it is before."""
    return ((np.int64(a) - np.int64(b) + _HALF) & _MASK) - _HALF


@inner
def latest(a: Any, b: Any) -> Any:
    """The later of two sequence numbers."""
    return np.int64(a) if distance(a, b) >= 0 else np.int64(b)
