"""`sensor -r --speed`: every frame once, in its order, none before it is due, and an end when one asks for it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.frames import FRAME, FrameBlock
from sensor.pace import WAIT_S_MAX, Pace

TOP = Path(__file__).resolve().parents[3]
DEMO = TOP / "synfin" / "demo" / "connections.pcapng"


class Clock:
    """Time that passes while one sleeps."""

    def __init__(self):
        self.now_s = 1000.0
        self.longest_s = 0.0

    def __call__(self):
        return self.now_s

    def sleep(self, seconds):
        self.longest_s = max(self.longest_s, seconds)
        self.now_s += seconds


def blocks(times):
    """Blocks with frames of these times."""
    for block in times:
        frames = np.zeros(len(block), FRAME)
        frames["t_ns"] = block
        yield FrameBlock(np.zeros(1, np.uint8), frames)


TIMES = st.lists(st.lists(st.integers(0, 3_000_000_000), max_size=20), min_size=1, max_size=4)


@given(TIMES, st.sampled_from([0.5, 1.0, 7.0]))
def test_each_frame_comes_once_in_its_order_and_none_before_it_is_due(times, speed):
    clock = Clock()
    pace = Pace(speed, clock, clock.sleep)
    came = [(int(t), clock.now_s) for block in pace.of(blocks(times), lambda: False) for t in block.frames["t_ns"]]
    flat = [t for block in times for t in block]
    assert [t for t, _ in came] == flat
    for t, now_s in came:
        assert now_s >= 1000 + (t - flat[0]) / 1e9 / speed - 1e-6
    if flat:
        last_s = 1000 + max(0, max(flat) - flat[0]) / 1e9 / speed
        assert clock.now_s <= last_s + 0.002
    assert clock.longest_s <= WAIT_S_MAX


def test_the_time_of_the_file_is_known_between_its_frames():
    clock = Clock()
    pace = Pace(2.0, clock, clock.sleep)
    assert pace.now_ns() is None
    told = [pace.now_ns() for block in pace.of(blocks([[10**9, 5 * 10**9]]), lambda: False) if not len(block)]
    assert told == sorted(told)
    assert 10**9 < told[0] < 2 * 10**9
    assert told[-1] == pytest.approx(5 * 10**9, rel=0.01)


def test_who_asks_for_the_end_waits_no_longer():
    clock = Clock()
    came = []
    for block in Pace(1.0, clock, clock.sleep).of(blocks([[0, 10**12]]), lambda: clock.now_s > 1000.3):
        came += block.frames["t_ns"].tolist()
    assert came == [0]
    assert clock.now_s < 1000.5


def sensor(*words, command=("-m", "sensor.cli")):
    return subprocess.run(
        [sys.executable, *command, *words], cwd=TOP, env={**os.environ, "SYNFIN_COMPILED": "0"}, capture_output=True,
        timeout=120, check=False,
    )  # fmt: skip


def test_a_file_takes_as_long_as_it_took_and_all_of_it_is_taken():
    begun = time.monotonic()
    done = sensor(str(DEMO), "--speed", "0.1", "--dry-run", "--json", "-q", command=("-m", "synfin.cli", "replay"))
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["captured"] == 20
    assert time.monotonic() - begun > 0.6  # 67 ms were captured


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-r", str(DEMO), "--speed", "fast"), "how many times as fast is wanted"),
        (("-r", str(DEMO), "--speed", "nan"), "how many times as fast is wanted"),
        (("-r", str(DEMO), "--speed", "0"), "how many times as fast is wanted"),
        (("-i", "lo", "--speed", "1"), "--speed is of a file"),
    ],
)
def test_a_speed_that_is_none_is_said(words, says):
    done = sensor(*words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert says in done.stderr.decode()
