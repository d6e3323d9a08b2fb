"""A sensor that reads a pipe says its counters while it reads: whoever watches it sees it live."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.support.tile import tile

ROOT = Path(__file__).resolve().parents[3]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def counted(port):
    """Packets so far as the metrics tell, 0 when nobody listens yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            found = re.search(r"^synfin_sensor_packets_total (\S+)$", answer.read().decode(), re.MULTILINE)
    except OSError:
        return 0
    return float(found[1]) if found else 0


def test_the_counters_of_a_pipe_are_told_while_it_comes(tmp_path):
    tile(tmp_path / "tiled.pcapng", 1_000)
    data = (tmp_path / "tiled.pcapng").read_bytes()
    port = free_port()
    become = ["-Z", "root"] if os.geteuid() == 0 else []
    command = [sys.executable, "-m", "sensor.cli", "-r", "-", "--dry-run", "--metrics-port", str(port), *become]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as sensor:
        try:
            at, deadline = 1000, time.monotonic() + 240  # kernels may have to be compiled first
            sensor.stdin.write(data[:at])
            while not counted(port):
                assert sensor.poll() is None, sensor.stderr.read().decode()
                assert time.monotonic() < deadline
                sensor.stdin.write(data[at : at + 200])
                sensor.stdin.flush()
                at += 200
                time.sleep(0.2)
            assert at < len(data), "it was told only at the end"
            sensor.stdin.write(data[at:])
            sensor.stdin.close()
            assert sensor.wait(60) == 0
        finally:
            sensor.kill()
