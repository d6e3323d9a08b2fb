"""Every story, at every tap that it names; and together they take every row of the transition table."""

import pytest

from tests.support.story import check, read, stories

TAPS = [pytest.param(path, tap, id=f"{read(path).name} at {tap}") for path in stories() for tap in read(path).taps]


@pytest.mark.parametrize(("path", "tap"), TAPS)
def test_the_story_is_what_the_core_makes_of_its_packets(path, tap):
    check(path, tap)
