"""A real process over real files, killed with SIGKILL at points that nobody chose."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sink.once import Once, Seq, Verdict
from tests.unit.sink import killed_sink

KILLS_MAX = 8


def expected(topics, key):
    once, records = Once(), []
    for record in topics.logs[key]:
        seq = Seq(*map(int, dict(record.headers)["synfin_seq"].split(b":")))
        if once.judge(seq, record.offset) is Verdict.TAKE:
            records.append(record)
    return records


def run_once(out, seed, after_s):
    """Start it, kill it so long after its first step; None when it came to its end before."""
    program = Path(killed_sink.__file__)
    with subprocess.Popen([sys.executable, program, out, str(seed)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() in {b"step\n", b""}
        time.sleep(after_s)
        process.kill()
        process.stdout.read()
        return process.wait()


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_again_and_again(tmp_path, seed):
    choose = random.Random(seed)
    killed = 0
    while killed < KILLS_MAX and run_once(tmp_path, seed, choose.uniform(0, 0.08)) == -9:
        killed += 1
    assert killed >= 3, "a run that is hardly interrupted shows nothing"
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
