"""A real process over real files, killed with SIGKILL at points that nobody chose."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synfin.once import Once, Seq, Verdict
from tests.unit.sink import killed_sink

KILLS = 8
STEPS_MAX = 5


def expected(topics, key):
    once, records = Once(), []
    for record in topics.logs[key]:
        seq = Seq(*map(int, dict(record.headers)["synfin_seq"].split(b":")))
        if once.judge(seq, record.offset) is Verdict.TAKE:
            records.append(record)
    return records


def run_and_kill(out, seed, steps, part):
    """Let it make so many steps, and kill it so far into the next one, as a part of the time the last one took."""
    program = Path(killed_sink.__file__)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, program, out, str(seed)], **pipes) as process:
        process.stdin.write(b"go\n" * (steps + 1))
        process.stdin.flush()
        took_s = 0.001
        for _ in range(steps):
            since = time.perf_counter()
            assert process.stdout.readline() == b"step\n"
            took_s = time.perf_counter() - since
        time.sleep(part * min(took_s, 0.1))
        process.kill()
        process.stdout.read()
        assert process.wait() == -9


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_again_and_again(tmp_path, seed):
    choose = random.Random(seed)
    for _ in range(KILLS):
        run_and_kill(tmp_path, seed, choose.randint(1, STEPS_MAX), choose.uniform(0, 1.5))
    program = Path(killed_sink.__file__)
    subprocess.run([sys.executable, program, tmp_path, str(seed)], check=True, stdout=subprocess.DEVNULL)

    topics = killed_sink.made(seed)
    for key in killed_sink.KEYS:
        topic, number = key
        assert not list((tmp_path / topic).glob("*.live"))
        files = sorted((tmp_path / topic).glob(f"{topic}-{number}-*.jsonl"))
        lines = [line for file in files for line in file.read_bytes().splitlines()]
        assert lines == [record.value for record in expected(topics, key)]
        assert len(lines) < len(topics.logs[key])
    sent = [line.split(b" ", 2) for line in (tmp_path / "alerts").read_bytes().splitlines()]
    wanted = {
        dict(record.headers)["ce_id"]: record.value
        for record in expected(topics, killed_sink.KEYS[0])
        if dict(record.headers)["ce_type"].startswith(b"alert.")
    }
    assert {alert_id: value for alert_id, _, value in sent} == wanted
    assert len({(alert_id, value) for alert_id, _, value in sent}) == len(wanted), "one id, one value"
