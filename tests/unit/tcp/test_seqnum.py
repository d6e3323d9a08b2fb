"""Sequence numbers go round at 2^32."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processor.tcp.seqnum import distance, latest, plus

SEQ = st.integers(0, 2**32 - 1)


@given(SEQ, st.integers(-(2**31), 2**31 - 1))
def test_a_distance_leads_back(seq: int, n: int) -> None:
    assert distance(plus(seq, n), seq) == n


@given(SEQ, SEQ)
def test_the_later_is_at_most_half_the_circle_ahead(a: int, b: int) -> None:
    ahead = (a - b) % 2**32
    assert distance(a, b) == (ahead if ahead < 2**31 else ahead - 2**32)
    assert latest(a, b) == (a if ahead < 2**31 else b)


@given(SEQ, SEQ)
def test_columns_of_32_bits_give_the_same_as_numbers(a: int, b: int) -> None:
    assert distance(np.uint32(a), np.uint32(b)) == distance(a, b)
    assert plus(np.uint32(a), np.uint32(b)) == (a + b) % 2**32
    assert latest(np.uint32(a), np.uint32(b)) == latest(a, b)


def test_zero_follows_the_highest_number() -> None:
    assert plus(0xFFFFFFFF, 1) == 0
    assert plus(0, -1) == 0xFFFFFFFF
    assert distance(0, 0xFFFFFFFF) == 1
    assert latest(0, 0xFFFFFFFF) == 0
