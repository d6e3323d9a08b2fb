"""Capture files as they are written: read back by our reader, and opened by tshark without complaint."""

import errno
import os
import shutil
import subprocess

import numpy as np
import pytest

from sensor.capfile_writer import CaptureFileFormat, CaptureFileWriter, Statistics
from sensor.frames import (
    DIRECTION_BOTH,
    DIRECTION_RECEIVED,
    DIRECTION_SENT,
    FRAME_VLAN,
    LINK_ETHERNET,
    LINK_RAW,
    LINK_RAW_BSD,
    LINK_SLL2,
)
from sensor.pcapfile import CaptureFile
from synfin.errors import CaptureError
from tests.support.frames import block, ethernet, ipv4, ipv6, packets, tcp

CLASSIC = CaptureFileFormat(classic=True)


def write(path, form, blocks, link=LINK_ETHERNET, **options):
    writer = CaptureFileWriter(str(path), form, link, **options)
    writer.open()
    for each in blocks:
        writer.write(each)
    writer.close()
    return writer


def read(path):
    """(bytes, t_ns, wirelen, direction, link) of each frame."""
    file = CaptureFile(str(path))
    rows = [
        (
            each.buffer[int(f["offset"]) : int(f["offset"]) + int(f["caplen"])].tobytes(),
            int(f["t_ns"]),
            int(f["wirelen"]),
            int(f["direction"]),
            int(f["link"]),
        )
        for each in file.blocks()
        for f in each.frames
    ]
    assert file.torn is None
    return rows


def tshark(path, *fields):
    if shutil.which("tshark") is None:
        pytest.skip("needs tshark: apt install tshark")
    arguments = [part for field in fields for part in ("-e", field)]
    done = subprocess.run(
        ["tshark", "-r", path, "-T", "fields", *arguments], check=True, capture_output=True, text=True
    )
    assert [line for line in done.stderr.splitlines() if "Running as user" not in line] == []
    return [tuple(line.split("\t")) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("form", [CLASSIC, CaptureFileFormat(interface="eth0", filter="tcp port 80")])
@pytest.mark.parametrize("size", range(64, 69))  # every padding
def test_what_is_written_is_read_again(tmp_path, form, size):
    frames = [ethernet(ipv4(tcp(1, 2, 0x10, bytes(size))))[:size], *map(ethernet, packets())]
    given = block(frames)
    given.frames["wirelen"] += 3
    given.frames["direction"] = [DIRECTION_RECEIVED, DIRECTION_SENT, 0] * (len(frames) // 3)
    write(tmp_path / "f", form, [given, block([]), given])
    directions = [0] * len(frames) if form.classic else given.frames["direction"].tolist()
    expected = [
        (frame, int(row["t_ns"]), len(frame) + 3, direction, LINK_ETHERNET)
        for frame, row, direction in zip(frames, given.frames, directions, strict=True)
    ]
    assert read(tmp_path / "f") == expected * 2


@pytest.mark.parametrize("name", ["x.pcap", "x.pcapng"])
def test_tshark_reads_names_times_directions_and_counts(tmp_path, name):
    given = block([ethernet(packet) for packet in packets()])
    given.frames["direction"] = DIRECTION_BOTH
    form = CaptureFileFormat(classic=name.endswith(".pcap"), snaplen=1500, interface="wlan é", filter="tcp")
    writer = CaptureFileWriter(str(tmp_path / name), form, LINK_ETHERNET)
    writer.open()
    writer.write(given)
    writer.close(Statistics(t_ns=1_700_000_001_000_000_000, captured=17, received=20, dropped=3))
    rows = tshark(tmp_path / name, "frame.time_epoch", "frame.interface_name", "frame.packet_flags_direction")
    assert len(rows) == len(given)
    assert rows[1][0] == "1700000000.123457789"
    if name == "x.pcapng":
        assert {row[1:] for row in rows} == {("wlan é", "0x00000001")}  # loopback's copy is a received one
        info = subprocess.run(["capinfos", tmp_path / name], check=True, capture_output=True, text=True).stdout
        assert "Capture length = 1500" in info
        assert "Filter string = tcp" in info
        assert "Number of stat entries = 1" in info


def test_a_tag_that_the_kernel_took_out_is_put_back(tmp_path):
    given = block([ethernet(packet) for packet in packets()])
    given.frames["flags"], given.frames["vlan_tci"], given.frames["vlan_tpid"] = FRAME_VLAN, 0x6005, 0x88A8
    for form in (CLASSIC, CaptureFileFormat()):
        write(tmp_path / "f", form, [given])
        expected = [ethernet(packet, (0x6005,), (0x88A8,)) for packet in packets()]
        assert [row[0] for row in read(tmp_path / "f")] == expected
        assert [row[2] for row in read(tmp_path / "f")] == [len(frame) for frame in expected]


def test_a_tag_of_a_cooked_frame_is_put_back_behind_its_header(tmp_path):
    header = bytes.fromhex("86dd 0000 00000002 0001 00 06 0200000000010000")
    given = block([header + ipv6(tcp(1, 2))], LINK_SLL2)
    given.frames["flags"], given.frames["vlan_tci"], given.frames["vlan_tpid"] = FRAME_VLAN, 5, 0x8100
    write(tmp_path / "f", CaptureFileFormat(), [given], LINK_SLL2)
    assert [row[0] for row in read(tmp_path / "f")] == [
        bytes.fromhex("8100") + header[2:] + bytes.fromhex("0005 86dd") + ipv6(tcp(1, 2))
    ]
    assert tshark(tmp_path / "f", "vlan.id", "tcp.dstport") == [("5", "2")]


def test_pcapng_holds_several_link_types_and_classic_pcap_one(tmp_path):
    mixed = block([ethernet(packets()[0]), packets()[1], packets()[2]])
    mixed.frames["link"] = [LINK_ETHERNET, LINK_RAW, LINK_RAW_BSD]
    write(tmp_path / "f", CaptureFileFormat(), [mixed], None)
    assert [row[4] for row in read(tmp_path / "f")] == [LINK_ETHERNET, LINK_RAW, LINK_RAW]
    with pytest.raises(CaptureError, match="link types 1 and 12: classic pcap holds one, write pcapng"):
        write(tmp_path / "g", CLASSIC, [mixed], None)


def test_a_classic_file_without_a_frame_is_a_file(tmp_path):
    write(tmp_path / "f", CLASSIC, [], None)
    assert read(tmp_path / "f") == []
    assert tshark(tmp_path / "f", "frame.number") == []


def test_beside_until_it_is_complete(tmp_path):
    given = block([ethernet(packets()[0])])
    (tmp_path / "out").write_text("older")
    for complete in (False, True):
        writer = CaptureFileWriter(str(tmp_path / "out"), CaptureFileFormat(), 1, beside=True)
        writer.open()
        writer.write(given)
        assert (tmp_path / "out").read_text() == "older"
        writer.close(complete=complete)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len(read(tmp_path / "out")) == 1


def test_unbuffered_records_are_there_at_once_and_others_after_a_flush(tmp_path):
    given = block([ethernet(packets()[0])])
    for unbuffered in (True, False):
        writer = CaptureFileWriter(str(tmp_path / "f"), CaptureFileFormat(), 1, unbuffered=unbuffered)
        writer.open()
        before = (tmp_path / "f").stat().st_size
        writer.write(given)
        assert ((tmp_path / "f").stat().st_size > before) == unbuffered
        writer.flush()
        assert len(read(tmp_path / "f")) == 1  # whole, though it is still open
        writer.close()


def test_a_full_disk_leaves_whole_records(tmp_path, monkeypatch):
    given = block([ethernet(packet) for packet in packets()])
    writer = CaptureFileWriter(str(tmp_path / "f"), CaptureFileFormat(), 1, unbuffered=True)
    writer.open()
    writer.write(given)
    real, calls = os.writev, []

    def short(fd, parts):
        calls.append(len(parts))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, [b"".join(parts)[:100]])

    monkeypatch.setattr(os, "writev", short)
    with pytest.raises(CaptureError, match=r"-w .*/f: No space left on device"):
        writer.write(given)
    monkeypatch.undo()
    writer.close(complete=False)
    assert len(read(tmp_path / "f")) == len(given)


def test_an_output_that_cannot_be_made_is_named(tmp_path):
    with pytest.raises(CaptureError, match=r"-w .*/no/x: No such file or directory"):
        CaptureFileWriter(str(tmp_path / "no/x"), CLASSIC, 1).open()


def test_times_beyond_32_bits_of_seconds_and_wide_blocks(tmp_path):
    many = block([ethernet(packets()[0])] * 5000, first_ns=1_700_000_000_999_999_999)
    write(tmp_path / "f", CaptureFileFormat(), [many])
    assert np.array_equal([row[1] for row in read(tmp_path / "f")], many.frames["t_ns"])


def test_short_writes_are_gone_on_with(tmp_path, monkeypatch):
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, parts: real(fd, [b"".join(parts)[:7]]))
    given = block([ethernet(packet) for packet in packets()])
    write(tmp_path / "f", CaptureFileFormat(), [given, given], unbuffered=True)
    monkeypatch.undo()
    assert len(read(tmp_path / "f")) == 2 * len(given)
