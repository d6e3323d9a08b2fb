"""The lab still makes what is recorded, and the recordings are whole."""

import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.lab.scenarios import SCENARIOS
from tests.support.tile import CAPTURES, LINK_RAW, read_pcap

ROOT = Path(__file__).resolve().parents[2]
NAMES = [scenario.name + ("" if family == 4 else "_ipv6") for scenario in SCENARIOS for family in scenario.families]


def histories(folder):
    """States of each socket that had a peer, by host, as the kernel told them."""
    found = defaultdict(list)
    for line in (folder / "kernel.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["dport"]:
            found[row["host"], row["sport"], row["dport"]].append(row["new"])
    return dict(found)


def test_every_scenario_is_recorded_and_no_other():
    assert sorted(path.parent.name for path in CAPTURES.glob("*/meta.json")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_is_whole(name):
    folder = CAPTURES / name
    assert {path.name for path in folder.iterdir()} == {"a.pcap", "b.pcap", "kernel.jsonl", "meta.json"}
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["says"].endswith(".")
    rows = [json.loads(line) for line in (folder / "kernel.jsonl").read_text().splitlines()]
    times = [row["t_ns"] for row in rows]
    assert times == sorted(times)
    for host in "ab":
        frames = read_pcap(folder / f"{host}.pcap")
        assert frames
        assert abs(frames[0][0] - times[0]) < 2 * 10**9
        link = int.from_bytes((folder / f"{host}.pcap").read_bytes()[20:24], "little")
        assert (link == LINK_RAW) == (meta["link"] == "tun")


@pytest.mark.parametrize("name", NAMES)
def test_the_kernels_account_is_possible(name):
    """Each socket's states follow one another: the old state of a row is the new one of the row before."""
    last = {}
    for line in (CAPTURES / name / "kernel.jsonl").read_text().splitlines():
        row = json.loads(line)
        key = row["host"], row["sport"], row["dport"]
        if row["dport"]:
            assert row["old"] == last.get(key, row["old"]) or last[key] == "CLOSE"
            last[key] = row["new"]


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the kernel's tracing is not for users")
@pytest.mark.skipif(not shutil.which("tcpdump"), reason="needs tcpdump (apt install tcpdump)")
@pytest.mark.skipif(not shutil.which("ip"), reason="needs ip (apt install iproute2)")
@pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="needs /dev/net/tun")
def test_the_lab_makes_the_same_histories_again(tmp_path):
    names = ["simultaneous_open", "server_closes_ipv6", "simultaneous_close", "unread_data"]
    lab = [sys.executable, "-m", "tests.lab", tmp_path, *names]
    done = subprocess.run(lab, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == sorted(names)
    for name in names:
        assert histories(tmp_path / name) == histories(CAPTURES / name)
