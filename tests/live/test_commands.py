"""The command lines that everybody knows from tcpdump, as they stand, against real connections."""

import shlex
import shutil
import signal
import subprocess

import pytest

from sensor.frames import DIRECTION_RECEIVED, DIRECTION_SENT
from sensor.pcapfile import CaptureFile
from tests.support.netns import CALL

HOST = "203.119.160.6"


def words(line):
    """The arguments of a line that begins with `sensor`."""
    first, *rest = shlex.split(line)
    assert first == "sensor"
    return rest


def frames(path):
    """Rows of all frames of a capture file, which must be whole."""
    file = CaptureFile(path)
    rows = [row for block in file.blocks() for row in block.frames.copy()]
    assert file.torn is None
    return rows


def tshark(path, *arguments):
    """What tshark prints about a file; it must have nothing to complain of."""
    if shutil.which("tshark") is None:
        pytest.skip("needs tshark: apt install tshark")
    done = subprocess.run(["tshark", "-r", path, *arguments], check=True, capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    assert complaints == []
    return done.stdout


@pytest.mark.parametrize(
    "line",
    [
        "sensor -i eth0 host 203.119.160.6 and tcp port 80 -w 1.cap",
        "sensor host 203.119.160.6 and tcp port 80 -w 1.cap",
    ],
)
def test_a_file_of_one_hosts_web_connections(hosts, servers, sensors, tmp_path, line):
    near, far = hosts
    servers(far, HOST, 80, 22)
    servers(far, "192.168.2.29", 80)
    sensor = sensors(near, *words(line)).wait_ready()
    near.python(CALL, HOST, 80, 22, 80)
    near.python(CALL, "192.168.2.29", 80)
    code, said = sensor.end(signal.SIGINT)
    assert code == 0
    path = str(tmp_path / "1.cap")
    rows = frames(path)
    assert f"{len(rows)} packets captured\n{len(rows)} packets received by filter\n0 packets dropped by kernel" in said
    streams = tshark(path, "-T", "fields", "-e", "tcp.stream", "-e", "ip.addr", "-e", "tcp.flags.str").splitlines()
    assert len(streams) == len(rows)
    assert {line.split("\t")[0] for line in streams} == {"0", "1"}
    assert all(HOST in line for line in streams)
    assert tshark(path, "-Y", "not tcp.port==80") == ""
    whole = tshark(path, "-2", "-Y", "tcp.completeness==31", "-T", "fields", "-e", "frame.number")
    assert len(whole.splitlines()) == len(rows)
    assert {int(row["direction"]) for row in rows} == {DIRECTION_RECEIVED, DIRECTION_SENT}
    ours = "frame.packet_flags_direction==2 and ip.src==192.168.2.30"
    sent = tshark(path, "-Y", ours, "-T", "fields", "-e", "frame.number")
    assert len(sent.splitlines()) == sum(int(row["direction"]) == DIRECTION_SENT for row in rows)
    assert any(int(row["t_ns"]) % 1000 for row in rows)


def test_a_capture_to_standard_output_is_followed_packet_by_packet(hosts, servers, sensors):
    near, far = hosts
    servers(far, "192.168.2.29", 22222, 22221, 80, 443)
    line = "sensor -i eth0 -U -w - 'host 192.168.2.29 and (port 22222 or port 22221 or port 80)'"
    sensor = sensors(near, *words(line)).wait_ready()
    near.python(CALL, "192.168.2.29", 22222, 443)
    file = CaptureFile(f"/dev/fd/{sensor.process.stdout.fileno()}")
    blocks = file.blocks()
    first = next(blocks)  # comes while the sensor goes on
    assert sensor.process.poll() is None
    near.python(CALL, "192.168.2.29", 22221, 80, 443)
    sensor.signal()
    count = len(first) + sum(len(block) for block in blocks)
    code, said = sensor.end()
    assert code == 0
    assert file.torn is None
    assert f"{count} packets captured" in said
    assert count >= 3 * 9  # three connections of nine or more packets, and nothing of the one to 443
    assert count <= 3 * 13


@pytest.mark.parametrize(
    "line", ["sensor host 203.119.160.6 and port not 22", "sensor --iface eth0 --bpf 'tcp port 80'"]
)
def test_without_a_file_batches_wait_for_the_broker_of_this_host(hosts, servers, sensors, tmp_path, line):
    near, far = hosts
    servers(far, HOST, 80, 22)
    sensor = sensors(near, *words(line), "--spool", str(tmp_path / "spool"), "-Z", "root").wait_ready()
    near.python(CALL, HOST, 80, 22, 80)
    code, said = sensor.end(signal.SIGTERM)
    assert code == 0  # an absent broker ends no live sensor
    captured = int(said.split(" packets captured")[0].split()[-1])
    assert 2 * 9 <= captured <= 2 * 13
    assert "synfin.packets.v1 at localhost:9092" in said
    assert "0 packets published" in said
    assert f"{captured} packets spooled" in said
    assert "0 packets dropped (" in said


def test_a_count_is_kept_exactly(hosts, servers, sensors, tmp_path):
    near, far = hosts
    servers(far, HOST, 80)
    sensor = sensors(near, "-c", "7", "-w", "seven.pcap", "tcp").wait_ready()
    near.python(CALL, HOST, 80, 80)
    code, said = sensor.end()
    assert code == 0
    assert "7 packets captured" in said
    assert len(frames(str(tmp_path / "seven.pcap"))) == 7
    assert tshark(str(tmp_path / "seven.pcap"), "-T", "fields", "-e", "frame.number").split() == list("1234567")
    assert (tmp_path / "seven.pcap").read_bytes()[:4] == bytes.fromhex("4d3cb2a1")  # classic, nanoseconds


def test_a_snap_length_cuts_frames_and_keeps_their_length(hosts, servers, sensors, tmp_path):
    near, far = hosts
    servers(far, HOST, 80)
    sensor = sensors(near, "-s", "60", "-w", "short.pcapng", "tcp port 80").wait_ready()
    near.python(CALL, HOST, 80)
    assert sensor.end(signal.SIGINT)[0] == 0
    rows = frames(str(tmp_path / "short.pcapng"))
    assert {int(row["caplen"]) for row in rows} == {60}
    assert {int(row["wirelen"]) for row in rows} == {66, 71, 74}  # with timestamps; SYN; five bytes


@pytest.mark.parametrize(("flag", "direction"), [("in", DIRECTION_RECEIVED), ("out", DIRECTION_SENT)])
def test_one_direction_alone(hosts, servers, sensors, tmp_path, flag, direction):
    near, far = hosts
    servers(far, HOST, 80)
    sensor = sensors(near, "-Q", flag, "-w", "one.pcapng", "tcp").wait_ready()
    near.python(CALL, HOST, 80)
    assert sensor.end(signal.SIGINT)[0] == 0
    rows = frames(str(tmp_path / "one.pcapng"))
    assert len(rows) >= 4
    assert {int(row["direction"]) for row in rows} == {direction}
