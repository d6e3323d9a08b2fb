"""Pools grow where they stand: rows keep their bytes, new ones are zero, and no array of before goes on in use."""

import mmap
from pathlib import Path

import numpy as np
import pytest

from synfin.growing import HUGE, Growing


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


ROW = np.dtype([("a", "<u8"), ("b", "<u4")])


def test_rows_keep_their_bytes_over_many_growths_and_new_ones_are_zero():
    pool = Growing(ROW)
    n, rows = 1, pool.rows(1)
    while rows.nbytes < 4 * HUGE:
        rows["a"] = np.arange(n) + 1
        rows["b"] = 7
        before, n = n, 3 * n + 1
        del rows
        rows = pool.rows(n)
        assert (rows["a"][:before] == np.arange(before) + 1).all()
        assert (rows["b"][:before] == 7).all()
        assert not rows["a"][before:].any()
        assert not rows["b"][before:].any()


def test_rows_that_nobody_wrote_take_no_memory():
    before = resident()
    pool = Growing(ROW)
    rows = pool.rows(1 << 26)
    rows["a"][:1000] = 1
    assert resident() - before < 4 * HUGE
    assert rows.nbytes > 256 * HUGE


def test_an_array_that_somebody_still_holds_is_not_taken_away():
    pool = Growing(ROW)
    held = pool.rows(1)
    with pytest.raises(BufferError):
        pool.rows(1 << 20)
    held["a"] = 1


def test_more_than_there_is_says_how_much_was_wanted():
    with pytest.raises(MemoryError, match="no memory for 12582912000000000 bytes"):
        Growing(ROW).rows(1_048_576_000_000_000)
