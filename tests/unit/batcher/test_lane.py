"""Times never fall within a lane; a step back of over a second is another epoch."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensor.lane import STEP_NS, LaneClock

SECOND = 1_000_000_000


def stretches(clock, times):
    given_times = np.array(times, np.int64)
    out = [(part.start, part.stop, clock.epoch, raised.tolist()) for part, raised in clock.raised(given_times)]
    assert given_times.tolist() == list(times)  # the caller's rows are not touched
    return out


def test_a_clock_begins_with_its_first_row():
    clock = LaneClock()
    assert clock.high_ns is None
    assert stretches(clock, []) == []
    assert stretches(clock, [-5]) == [(0, 1, 0, [-5])]
    assert (clock.high_ns, clock.epoch) == (-5, 0)


def test_a_little_disorder_is_raised_to_the_highest_before():
    clock = LaneClock()
    assert stretches(clock, [10, 8, 12, 11, 13]) == [(0, 5, 0, [10, 10, 12, 12, 13])]
    assert stretches(clock, [9, 14]) == [(0, 2, 0, [13, 14])]


def test_a_step_of_exactly_a_second_is_disorder_and_one_more_is_a_step():
    start = 5 * SECOND
    assert stretches(LaneClock(), [start, start - SECOND]) == [(0, 2, 0, [start, start])]
    assert stretches(LaneClock(), [start, start - SECOND - 1]) == [(0, 1, 0, [start]), (1, 2, 1, [start - SECOND - 1])]


def test_the_step_is_measured_from_the_highest_and_not_from_the_row_before():
    start = 9 * SECOND
    found = stretches(LaneClock(), [start, start - 700_000_000, start - 1_400_000_000])
    assert found == [(0, 2, 0, [start, start]), (2, 3, 1, [start - 1_400_000_000])]


def test_a_step_between_two_blocks_and_two_in_one_block():
    clock = LaneClock()
    stretches(clock, [20 * SECOND])
    found = stretches(clock, [10 * SECOND, 11 * SECOND, 3 * SECOND, 4 * SECOND])
    assert found == [(0, 2, 1, [10 * SECOND, 11 * SECOND]), (2, 4, 2, [3 * SECOND, 4 * SECOND])]
    assert (clock.epoch, clock.high_ns) == (2, 4 * SECOND)


def test_the_host_clock_moves_time_on_and_never_back():
    clock = LaneClock()
    clock.pass_to(7 * SECOND)
    assert clock.high_ns is None  # a lane without rows has no time
    stretches(clock, [5 * SECOND])
    clock.pass_to(7 * SECOND)
    clock.pass_to(6 * SECOND)
    assert clock.high_ns == 7 * SECOND
    assert stretches(clock, [6 * SECOND + 5]) == [(0, 1, 0, [7 * SECOND])]


@given(st.lists(st.integers(-(2**61), 2**61) | st.integers(0, 4 * SECOND), max_size=30), st.lists(st.integers(1, 9)))
def test_stretches_cover_the_rows_and_do_not_depend_on_the_blocks(times, sizes):
    whole = [
        (at, epoch, t)
        for start, _, epoch, raised in stretches(LaneClock(), times)
        for at, t in enumerate(raised, start)
    ]
    assert [at for at, _, _ in whole] == list(range(len(times)))
    high, expected_epoch = None, 0
    for t, (_, epoch, raised) in zip(times, whole, strict=True):
        if high is not None and t < high - STEP_NS:
            expected_epoch, high = expected_epoch + 1, t
        high = t if high is None else max(high, t)
        assert (epoch, raised) == (expected_epoch, high)
    clock, at, parts = LaneClock(), 0, []
    while at < len(times):
        size = sizes.pop() if sizes else len(times)
        for start, _, epoch, raised in stretches(clock, times[at : at + size]):
            parts += [(at + start + k, epoch, t) for k, t in enumerate(raised)]
        at += size
    assert parts == whole
