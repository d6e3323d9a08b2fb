"""Numbers to byte planes and back: all lowest bytes, then all second bytes. Equal bytes then stand side by side.

A plane of zeros is left out, so small numbers cost no more for a wide column.
"""

from typing import Any

import numpy as np

from synfin.compiled import compiled

_U0, _U1, _U8 = (np.uint64(n) for n in (0, 1, 8))
_M8 = np.uint64(0xFF)


@compiled
def split(numbers: Any, begin: Any, end: Any, body: Any, at: Any) -> Any:
    """Write the planes of numbers[begin:end], uint64 or narrower, to uint8 body[at:], lowest first. A mask of them.

    The body must have room for as many bytes as the numbers have.
    """
    union = _U0
    for i in range(begin, end):
        union |= np.uint64(numbers[np.uint64(i)])
    mask, bit, shift = _U0, _U1, _U0
    while union != _U0:
        if union & _M8:
            mask |= bit
            for i in range(begin, end):
                body[at] = (numbers[np.uint64(i)] >> shift) & _M8
                at += _U1
        union >>= _U8
        bit <<= _U1
        shift += _U8
    return mask


@compiled
def merge_plane(plane: Any, shift: Any, numbers: Any) -> None:
    """Set the byte at bit `shift` of each of the numbers, where there is 0, from uint8 plane[n]."""
    for i in range(len(plane)):
        at = np.uint64(i)
        numbers[at] |= np.uint64(plane[at]) << shift
