"""How a sensor ends, and what it says when it may not begin."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sensor.pcapfile import CaptureFile
from tests.live.test_commands import frames
from tests.support.frames import ethernet, ipv4, tcp
from tests.support.netns import CALL, CONVERSE, ROOT, SEND_FRAMES, Sensor


def captured(said):
    return int(said.split(" packets captured")[0].split()[-1])


def test_the_first_signal_drains_what_was_sent_before_it(namespace, sensors, tmp_path):
    sensor = sensors(namespace, "-i", "lo", "-w", "all.pcapng", "tcp port 4711").wait_ready()
    namespace.python(CONVERSE, "127.0.0.1", 4711, 50, 10)
    code, said = sensor.end(signal.SIGINT)  # at once: the last packets are still in the kernel's open block
    assert code == 0
    rows = frames(str(tmp_path / "all.pcapng"))
    assert captured(said) == len(rows) >= 50 * 8
    file = CaptureFile(str(tmp_path / "all.pcapng"))
    ends = [block.buffer[int(f["offset"]) + 47] for block in file.blocks() for f in block.frames]
    assert sum(flags & 1 for flags in ends) == 100  # both FINs of each connection
    # The counts are in the file as well.
    assert (tmp_path / "all.pcapng").read_bytes().endswith(len(rows).to_bytes(8, "little") + bytes(4) + b"\x40\0\0\0")


def test_the_second_signal_ends_at_once_and_the_file_is_whole(namespace, sensors, tmp_path):
    sensor = sensors(namespace, "-i", "lo", "-U", "-w", "some.pcapng").wait_ready()
    namespace.python(CONVERSE, "127.0.0.1", 4711, 20, 10)
    sensor.process.send_signal(signal.SIGSTOP)  # so that both signals are there before it acts on the first
    sensor.process.send_signal(signal.SIGTERM)
    sensor.process.send_signal(signal.SIGINT)
    code, _ = sensor.end(signal.SIGCONT)
    assert code in {128 + signal.SIGTERM, 128 + signal.SIGINT}
    frames(str(tmp_path / "some.pcapng"))  # asserts that it is


def test_counters_on_request(namespace, sensors):
    sensor = sensors(namespace, "-i", "lo", "-w", "c.pcapng", "tcp port 4711").wait_ready()
    namespace.python(CONVERSE, "127.0.0.1", 4711, 1, 10)
    sensor.signal(signal.SIGUSR1)
    sensor.wait_for("packets dropped by kernel")
    assert sensor.process.poll() is None
    sensor.end(signal.SIGINT)


@pytest.mark.parametrize(("command", "says"), [("link del v0", "is gone"), ("link set v0 down", "went down")])
def test_a_lost_interface_is_drained_and_named(namespace, sensors, tmp_path, command, says):
    namespace.ip("link add v0 type veth peer name v1")
    namespace.ip("link set v1 up")
    namespace.ip("link set v0 up")
    sensor = sensors(namespace, "-i", "v0", "-w", "lost.pcapng", "tcp").wait_ready()
    namespace.python(SEND_FRAMES, "v1", *[ethernet(ipv4(tcp(1, 2))).hex()] * 9)
    namespace.ip(command)
    code, said = sensor.end()
    assert code == 1
    assert said.endswith(f"sensor: interface 'v0' {says}\n")
    assert "9 packets captured" in said
    assert len(frames(str(tmp_path / "lost.pcapng"))) == 9


def test_what_the_kernel_dropped_is_counted_and_makes_the_run_incomplete(namespace, sensors, tmp_path):
    sensor = sensors(namespace, "-i", "lo", "-B", "2048", "-w", "drops.pcapng", "tcp port 4711").wait_ready()
    sensor.process.send_signal(signal.SIGSTOP)
    namespace.python(CONVERSE, "127.0.0.1", 4711, 200, 40_000)  # 8 MB into a ring of 2 MiB
    sensor.process.send_signal(signal.SIGCONT)
    code, said = sensor.end(signal.SIGINT)
    received, dropped = (int(said.split(f" packets {what}")[0].split()[-1]) for what in ("received by", "dropped by"))
    assert code == 3
    assert dropped > 0
    assert captured(said) == received - dropped == len(frames(str(tmp_path / "drops.pcapng")))


def test_a_reader_that_has_enough_ends_it_quietly(namespace, sensors):
    sensor = sensors(namespace, "-i", "lo", "-U", "-w", "-", "tcp port 4711").wait_ready()
    assert sensor.process.stdout.read(4) == bytes.fromhex("0a0d0d0a")
    sensor.process.stdout.close()
    namespace.python(CONVERSE, "127.0.0.1", 4711, 1, 10)
    code, said = sensor.end()
    assert code == 0
    assert "Traceback" not in said
    assert "Broken pipe" not in said


@pytest.fixture
def open_folder():
    """A folder that a user without rights can reach, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="synfin-live-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to see it given up")
def test_root_is_given_up_by_every_thread(hosts, servers, open_folder):
    near, far = hosts
    servers(far, "192.168.2.29", 80)
    arguments = ("-w", "dropped.pcapng", "--brokers", "localhost:1", "--spool", str(open_folder / "spool"))
    sensor = Sensor(near, *arguments, cwd=open_folder)
    try:
        sensor.wait_ready()
        near.python(CALL, "192.168.2.29", 80)
        expected = next(entry.pw_uid for name in ("synfin", "nobody") if (entry := account(name)))
        tasks = list(Path(f"/proc/{sensor.process.pid}/task").iterdir())
        assert len(tasks) > 1  # the publisher has a thread of its own
        for task in tasks:
            status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
            assert status["Uid"].split() == [str(expected)] * 4
            assert {status[name] for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")} == {"0" * 16}
            assert status["NoNewPrivs"] == "1"
        code, said = sensor.end(signal.SIGINT)
    finally:
        sensor.kill()
    assert code == 0
    assert captured(said) == len(frames(str(open_folder / "dropped.pcapng"))) > 8
    assert (open_folder / "spool").stat().st_uid == expected


def account(name):
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv (util-linux)")
def test_without_permission_it_says_which_capability_and_how_to_grant_it(namespace, sensors):
    give_up = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all")
    code, said = sensors(namespace, "-i", "lo", "-w", "x.pcapng", prefix=give_up).end()
    assert code == 4
    assert said.startswith("sensor: no permission to capture on 'lo': this needs the capability CAP_NET_RAW.")
    assert "setcap cap_net_raw=ep" in said


def test_a_file_is_read_filtered_and_written_beside(namespace, sensors, tmp_path):
    sensor = sensors(namespace, "-i", "lo", "-w", "in.pcapng", "tcp port 4711 or tcp port 4712").wait_ready()
    namespace.python(CONVERSE, "127.0.0.1", 4711, 2, 10)
    namespace.python(CONVERSE, "127.0.0.1", 4712, 2, 10)
    sensor.end(signal.SIGINT)
    whole = frames(str(tmp_path / "in.pcapng"))
    done = read_file(tmp_path, "-r", "in.pcapng", "-w", "out.pcap", "tcp port 4712")
    assert done.returncode == 0
    kept = frames(str(tmp_path / "out.pcap"))
    assert 0 < len(kept) < len(whole)
    assert {int(row["t_ns"]) for row in kept} < {int(row["t_ns"]) for row in whole}
    assert done.stderr.endswith(f"{len(kept)} packets captured\n")
    assert not list(tmp_path.glob(".out*"))
    # Torn, it gives what is before the tear, says where, and is incomplete.
    (tmp_path / "torn.pcapng").write_bytes((tmp_path / "in.pcapng").read_bytes()[:-150])
    done = read_file(tmp_path, "-r", "torn.pcapng", "-w", "out2.pcap")
    assert done.returncode == 3
    assert "torn.pcapng" in done.stderr.splitlines()[-1]
    left = frames(str(tmp_path / "out2.pcap"))
    assert len(whole) - 2 <= len(left) < len(whole)
    assert [int(row["t_ns"]) for row in left] == [int(row["t_ns"]) for row in whole[: len(left)]]


def read_file(folder, *arguments):
    command = [sys.executable, "-m", "sensor.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=folder, env=environment, timeout=240
    )
