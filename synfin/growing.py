"""Arrays that grow in place: the kernel moves their pages, and what is not written takes no memory."""

import contextlib
import mmap
from typing import Any, Final

import numpy as np
import numpy.typing as npt

HUGE: Final = 2 << 20  # bytes of a huge page; a mapping of whole ones is moved as such


class Growing:
    """Rows of one dtype, zero at first."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        """Begin with room for no row."""
        self._dtype = dtype
        self._memory = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def rows(self, n: int) -> npt.NDArray[Any]:
        """The array with n rows; nobody may hold the one before, whose rows stand where they stood.

        Raises BufferError when somebody does, MemoryError when there is no room.
        """
        size = n * self._dtype.itemsize
        if size > len(self._memory):
            unit = HUGE if size >= HUGE else mmap.PAGESIZE
            try:
                self._memory.resize(-(-size // unit) * unit)
            except OSError as error:
                raise MemoryError(f"no memory for {size} bytes: {error.strerror}") from error
            if size >= HUGE:
                with contextlib.suppress(OSError):  # a kernel without them
                    self._memory.madvise(mmap.MADV_HUGEPAGE)
        return np.frombuffer(self._memory, self._dtype, n)
