"""Arrays that are lent, and lent again once nobody holds any part of them."""

import sys
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_HUGE_PAGE: Final = 2 << 20
_KEPT: Final = 2  # who takes blocks one by one still holds the last when the next is read


def _holders(arrays: list[npt.NDArray[Any]]) -> list[int]:
    """References to each, those of the list and of the counting among them; views of it and blocks hold one."""
    return [sys.getrefcount(array) for array in arrays]


_NOBODY_ELSE: Final = _holders([np.empty(0)])[0]


class Arrays:
    """Arrays of one kind, given out again once nobody holds them.

    Fresh memory costs about as much as reading into it: the kernel zeroes it, and no cache knows it. A large array
    begins where a huge page may (numpy asks the kernel for such): with small pages, to find their addresses costs too.
    """

    def __init__(self, length: int, dtype: npt.DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._bytes = length * self._dtype.itemsize
        self._made: list[npt.NDArray[np.uint8]] = []

    def take(self) -> npt.NDArray[Any]:
        """Give one of which nobody holds any part."""
        for place, holders in enumerate(_holders(self._made)):
            if holders == _NOBODY_ELSE:
                return self._aligned(self._made[place])
        whole = np.empty(self._bytes + _HUGE_PAGE, np.uint8)
        self._made = [*self._made[1 - _KEPT :], whole]
        return self._aligned(whole)

    def _aligned(self, whole: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        start = -whole.ctypes.data % _HUGE_PAGE
        return whole[start : start + self._bytes].view(self._dtype)
