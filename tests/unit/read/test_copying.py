"""`synfin read -w`: packets that pass, into a capture file that other tools open as the one they were in."""

import shutil
import subprocess

import pytest

from tests.support.capture_files import ng_block, ng_options, ng_packet, ng_section, pcap, read_all, written
from tests.support.frames import ethernet, ipv4, tcp
from tests.unit.read.test_filter import DEMO
from tests.unit.read.test_read import CAPTURES, CLOSES, synfin

SYN = ethernet(ipv4(tcp(1025, 80)))
TSHARK = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def copied(to, *words, expect=0, stdin=b""):
    """What is said, and the frames of the file."""
    done = synfin("read", "-w", to, *words, stdin=stdin)
    assert done.returncode == expect, done.stderr.decode()
    return done.stderr.decode(), read_all(to)[1]


def by_tshark(path):
    fields = (
        "frame.time_epoch",
        "frame.len",
        "frame.cap_len",
        "frame.interface_name",
        "frame.packet_flags",
        "tcp.port",
    )
    words = [word for field in fields for word in ("-e", field)]
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-T", "fields", *words], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_packets_that_pass_are_written_as_they_were(tmp_path):
    said, frames = copied(tmp_path / "x.pcapng", "-Y", "tcp.flags.syn == 1", DEMO)
    assert said == "5 of 20 packets written\n"
    everything = read_all(DEMO)[1]
    assert frames == [everything[number - 1] for number in (1, 2, 11, 13, 14)]


def test_a_filter_about_connections_takes_all_their_packets(tmp_path):
    said, frames = copied(tmp_path / "x.pcapng", "-Y", 'synfin.teardown == "abort"', DEMO)
    assert said == "8 of 20 packets written\n"
    assert frames == read_all(DEMO)[1][12:]
    path = CAPTURES / "rejected_by_router" / "a.pcap"
    assert len(copied(tmp_path / "y.pcapng", "-Y", 'synfin.handshake == "rejected_icmp"', path)[1]) == 2


def test_a_link_goes_on_naming_the_file_that_is_written(tmp_path):
    real, link = tmp_path / "real.pcapng", tmp_path / "link.pcapng"
    real.write_bytes(b"old")
    link.symlink_to(real)
    copied(link, DEMO)
    assert link.is_symlink()
    assert len(read_all(real)[1]) == 20


def test_without_a_filter_files_are_joined_and_a_pipe_is_read(tmp_path):
    _, frames = copied(tmp_path / "x.pcapng", CLOSES, DEMO)
    assert frames == read_all(CLOSES)[1] + read_all(DEMO)[1]
    _, frames = copied(tmp_path / "x.pcap", "-Y", "tcp.len > 0", "-", stdin=CLOSES.read_bytes())
    assert [frame[0] for frame in frames] == [read_all(CLOSES)[1][i][0] for i in (3, 5)]
    assert (tmp_path / "x.pcap").read_bytes()[:4] == bytes.fromhex("4d3cb2a1")


def test_a_file_may_be_written_onto_itself_and_what_is_cut_off_is_said(tmp_path):
    path = written(tmp_path, CLOSES.read_bytes()[:-10])
    said, frames = copied(path, "-Y", "tcp.len > 0", path, expect=3)
    assert "cut off" in said
    assert len(frames) == 2
    assert list(tmp_path.iterdir()) == [path]


@TSHARK
def test_times_lengths_and_interfaces_are_what_tshark_read_before(tmp_path):
    def interface(name, link=1):
        body = link.to_bytes(2, "little") + bytes(6)
        return ng_block(1, body + ng_options([(2, name), (9, b"\x09")]))

    one, other = (1_700_000_000_000_000_001 + i for i in range(2))
    data = ng_section() + interface(b"eth0") + interface(b"tun0", 101)
    data += ng_packet(one, SYN, flags=1) + ng_packet(other, SYN[14:], interface=1, wire=60)
    path = written(tmp_path, data, "several.pcapng")
    copied(tmp_path / "x.pcapng", "-Y", "tcp", path, DEMO)
    assert by_tshark(tmp_path / "x.pcapng") == by_tshark(path) + by_tshark(DEMO)
    section = ng_section() + interface(b"wlan0") + ng_packet(other + 1, SYN, flags=2, wire=1500)
    copied(tmp_path / "y.pcapng", written(tmp_path, data + section, "sections.pcapng"))
    assert [line.split("\t")[3] for line in by_tshark(tmp_path / "y.pcapng")] == ["eth0", "tun0", "wlan0"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-w", "/nowhere/x.pcapng"], "/nowhere/x.pcapng"),
        (["-w", ""], "a file is wanted"),
        (["-w", "/tmp"], "a file is wanted"),
        (["-w", "x", "-V"], "not allowed"),
        (["-w", "x", "-x"], "-x goes with"),
        (["-w", "x", "-Y", "tcp.seqq"], "did you mean tcp.seq?"),
    ],
)
def test_what_is_wrong_is_said(words, says):
    done = synfin("read", *words, CLOSES)
    assert done.returncode in (1, 2)
    assert says in done.stderr.decode()


def test_classic_pcap_cannot_hold_two_kinds_of_links(tmp_path):
    raw = written(tmp_path, pcap([(1, 0, SYN[14:])], link=101), "raw.pcap")
    done = synfin("read", "-w", tmp_path / "x.pcap", CLOSES, raw)
    assert done.returncode == 1
    assert "classic pcap holds one" in done.stderr.decode()
    assert not (tmp_path / "x.pcap").exists()
