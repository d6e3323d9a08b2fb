"""Leaves compilation off where plain Python is done before numba would be imported."""

import os
import stat
import sys
from collections.abc import Iterable
from typing import Final

# Some 600 packets, a second of plain Python. numba costs 1.6 s to import, and minutes where nothing is cached yet.
PLAIN_BYTES_MAX: Final = 65_536


def plain_if_small(paths: Iterable[str]) -> None:
    """Choose for this process, before any kernel is imported; a choice made by SYNFIN_COMPILED stands.

    The result is the same bit for bit.
    """
    if "SYNFIN_COMPILED" in os.environ or "synfin.compiled" in sys.modules:
        return
    if sum(map(_bytes_at_most, paths)) <= PLAIN_BYTES_MAX:
        os.environ["SYNFIN_COMPILED"] = "0"


def _bytes_at_most(path: str) -> int:
    """Size of a file; 0 for one that is not there, about which the error comes soon; without bound for what is none."""
    if path == "-":
        return sys.maxsize
    try:
        status = os.stat(path)  # noqa: PTH116  pathlib is 4 ms of each --help
    except (OSError, ValueError):
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else sys.maxsize
