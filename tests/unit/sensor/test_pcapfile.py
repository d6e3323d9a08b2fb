"""Capture files: every form is read exactly, and what is cut or corrupt gives what stands before it."""

import gzip
import io
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import dpkt
import pytest

from sensor import pcapfile
from sensor.pcapfile import CaptureFile
from synfin.errors import CaptureError
from tests.support.capture_files import (
    PCAP_MICRO,
    PCAP_MODIFIED,
    PCAP_NANO,
    ng_block,
    ng_interface,
    ng_old_packet,
    ng_options,
    ng_packet,
    ng_section,
    ng_simple,
    pcap,
    read_all,
    written,
)

FRAMES = [(1_700_000_000 + i, 123_456 + i, bytes([i]) * (60 + 7 * i)) for i in range(9)]
SECOND = 1_000_000_000


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(PCAP_MICRO, 1000), (PCAP_NANO, 1), (PCAP_MODIFIED, 1000)])
def test_pcap_in_both_byte_orders_and_all_resolutions(tmp_path, order, magic, unit):
    path = written(tmp_path, pcap(FRAMES, order, magic, link=101))
    file, frames = read_all(path)
    assert file.torn is None
    assert file.bytes_read == file.size == path.stat().st_size
    assert frames == [(s * SECOND + f * unit, data, len(data), 101, 0) for s, f, data in FRAMES]


def test_pcap_agrees_with_dpkt(tmp_path):
    data = pcap(FRAMES, magic=PCAP_MICRO)
    theirs = [(round(t * 1e6), frame) for t, frame in dpkt.pcap.Reader(io.BytesIO(data))]
    assert [(t // 1000, frame) for t, frame, *_ in read_all(written(tmp_path, data))[1]] == theirs


def test_the_wire_length_is_kept_and_never_below_the_captured(tmp_path):
    _, frames = read_all(written(tmp_path, pcap([(1, 0, b"x" * 60, 1500), (2, 0, b"x" * 60, 10)])))
    assert [wire for _, _, wire, _, _ in frames] == [1500, 60]


def test_bits_above_the_link_type_say_other_things(tmp_path):
    _, frames = read_all(written(tmp_path, pcap(FRAMES[:1], link=0x24000001)))  # Ethernet with an FCS of four bytes
    assert frames[0][3] == 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "ticks", "t_ns"),
    [
        (None, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        (9, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        (3, 1_700_000_000_123, 1_700_000_000_123_000_000),
        (0, 1_700_000_000, 1_700_000_000 * SECOND),
        (12, 7_000_123_456_789_012, 7_000_123_456_789),
        (0x80 | 10, 1_700_000_000 * 1024 + 512, 1_700_000_000 * SECOND + SECOND // 2),
        (0x80 | 40, (7 << 40) + (3 << 38), 7 * SECOND + 3 * SECOND // 4),
        (0x80 | 63, (1 << 63) + (1 << 62), SECOND + SECOND // 2),
        (0x80 | 64, 1 << 63, 1 * SECOND // 2),
        (28, 2**64 - 1, 1),
        (0, 2**64 - 1, 0),
        (9, 2**63, 0),
        (0x80, 2**64 - 1, 0),
    ],
)
def test_pcapng_times_in_every_resolution(tmp_path, order, resolution, ticks, t_ns):
    data = ng_section(order) + ng_interface(order, resolution=resolution) + ng_packet(ticks, b"abc", order)
    file, frames = read_all(written(tmp_path, data))
    assert file.torn is None
    assert frames[0][1] == b"abc"
    assert abs(frames[0][0] - t_ns) <= (2 if resolution == 0x80 | 64 else 0)


@pytest.mark.parametrize(("offset_s", "t_ns"), [(5, 15 * SECOND), (-4, 6 * SECOND), (-11, 0)])
def test_pcapng_time_offset(tmp_path, offset_s, t_ns):
    data = ng_section() + ng_interface(offset_s=offset_s) + ng_packet(10_000_000, b"abc")
    assert read_all(written(tmp_path, data))[1][0][0] == t_ns


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_blocks_of_every_kind(tmp_path, order):
    data = b"".join(
        [
            ng_section(order, options=[(4, b"somebody")]),
            ng_block(5, bytes(20), order),  # statistics come anywhere
            ng_interface(order, link=1),
            ng_interface(order, link=276, resolution=9),
            ng_packet(1_000_000, b"one", order, flags=1),
            ng_packet(2 * SECOND, b"two--", order, interface=1, flags=2 | 0xFFFF0000, wire=99),
            ng_block(0x80000001, b"unknown", order),
            ng_simple(b"three", order),
            ng_old_packet(4_000_000, b"four", order),
            ng_packet(5_000_000, b"", order),
        ]
    )
    file, frames = read_all(written(tmp_path, data))
    assert file.torn is None
    assert frames == [
        (1 * SECOND, b"one", 3, 1, 1),
        (2 * SECOND, b"two--", 99, 276, 2),
        (2 * SECOND, b"three", 5, 1, 0),  # carries no time: that of the frame before
        (4 * SECOND, b"four", 4, 1, 0),
        (5 * SECOND, b"", 0, 1, 0),
    ]


def test_a_simple_packet_ends_at_the_interface_s_snap_length(tmp_path):
    data = ng_section() + ng_interface(snaplen=4) + ng_simple(b"abcd", wire=900)
    assert read_all(written(tmp_path, data))[1] == [(0, b"abcd", 900, 1, 0)]


def test_sections_follow_one_another_and_each_has_its_interfaces_and_byte_order(tmp_path):
    data = ng_section("<") + ng_interface("<", link=1) + ng_packet(1, b"a", "<")
    data += ng_section(">") + ng_interface(">", link=101) + ng_packet(2, b"b", ">")
    file, frames = read_all(written(tmp_path, data))
    assert file.torn is None
    assert frames == [(1000, b"a", 1, 1, 0), (2000, b"b", 1, 101, 0)]
    file, frames = read_all(written(tmp_path, data + ng_section("<") + ng_packet(3, b"c", "<")))
    assert len(frames) == 2
    assert "interface 0" in file.torn


def test_many_interfaces_but_not_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(pcapfile, "INTERFACES_MAX", 40)
    data = ng_section() + b"".join(ng_interface(link=n) for n in range(40))
    data += b"".join(ng_packet(n, b"x", interface=n) for n in range(40))
    file, frames = read_all(written(tmp_path, data))
    assert [link for *_, link, _ in frames] == list(range(40))
    file, frames = read_all(written(tmp_path, data + ng_interface()))
    assert len(frames) == 40
    assert "interface block 40" in file.torn


def test_a_block_that_nobody_needs_may_be_longer_than_any_buffer(tmp_path):
    big = ng_block(0xBAD, bytes(3 * pcapfile.BUFFER_BYTES))
    data = ng_section() + big + ng_interface() + ng_packet(7, b"a") + big + ng_packet(8, b"b")
    file, frames = read_all(written(tmp_path, data))
    assert file.torn is None
    assert [frame[1] for frame in frames] == [b"a", b"b"]
    cut = read_all(written(tmp_path, data[: len(ng_section()) + len(big) // 2]))
    assert cut[1] == []
    assert "cut off" in cut[0].torn


def test_a_long_file_comes_in_blocks_whatever_lies_on_a_border(tmp_path):
    sizes = [60 + 13 * i % 1453 for i in range(20_000)]
    frames = [(i, i, struct.pack("<I", i) * (size // 4)) for i, size in enumerate(sizes)]
    path = written(tmp_path, pcap(frames))
    file = CaptureFile(path)
    blocks = list(file.blocks())
    assert len(blocks) > 3
    assert max(len(block) for block in blocks) <= pcapfile.BLOCK_FRAMES
    assert max(len(block.buffer) for block in blocks) == pcapfile.BUFFER_BYTES
    assert [frame[1] for frame in read_all(path)[1]] == [data for _, _, data in frames]
    small = written(tmp_path, pcap([(i, 0, b"") for i in range(40_000)]))
    assert [t // SECOND for t, *_ in read_all(small)[1]] == list(range(40_000))


@pytest.mark.parametrize(
    ("array", "part"),
    [("buffer", lambda array: array[5:]), ("frames", lambda array: array["t_ns"]), ("frames", lambda array: array[0])],
)
def test_memory_is_used_again_when_nobody_holds_any_of_it(tmp_path, array, part):
    path = written(tmp_path, pcap([(i, i, struct.pack("<I", i) * 250) for i in range(40_000)]))
    arrays = [getattr(block, array).ctypes.data for block in CaptureFile(path).blocks()]
    assert len(arrays) > 8
    assert len(set(arrays)) == 2
    held = [(getattr(block, array).ctypes.data, part(getattr(block, array))) for block in CaptureFile(path).blocks()]
    assert len({place for place, _ in held}) == len(arrays)


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_a_file_cut_at_any_byte_gives_the_frames_before(tmp_path, kind):
    if kind == "pcap":
        data, ends = pcap([]), []
        for frame in FRAMES[:4]:
            data += pcap([frame])[24:]
            ends.append(len(data))
        start = 24
    else:
        data, ends = ng_section() + ng_interface(), []
        start = len(data)
        for n in range(4):
            data += ng_packet(n, b"data" * n, flags=1)
            ends.append(len(data))
    for cut in range(start, len(data) + 1):
        file, frames = read_all(written(tmp_path, data[:cut]))
        whole = sum(end <= cut for end in ends)
        assert len(frames) == whole
        if cut in (start, *ends):
            assert file.torn is None
        else:
            at = [start, *ends][whole]
            assert f"at byte {at}, after {whole} frames: the file is cut off" in file.torn


@pytest.mark.parametrize("cut", range(28))
def test_a_file_without_its_header_is_no_capture_file(tmp_path, cut):
    path = written(tmp_path, pcap(FRAMES)[: min(cut, 23)])
    with pytest.raises(CaptureError, match=r"x\.pcap: cannot be read as a capture file: it"):
        read_all(path)
    with pytest.raises(CaptureError, match=r"x\.pcap: cannot be read as a capture file: it"):
        read_all(written(tmp_path, ng_section()[:cut]))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 9, "it begins with 47 45 54 20, which is neither pcap nor pcapng"),
        (b"\xd4\xc3\xb2\xa1\x01\x00\x04\x00" + bytes(16), "pcap version 1 is not known"),
        (ng_section(version=2), r"pcapng version 2\.0 is not known"),
        (ng_section()[:8] + bytes(20), "without byte-order magic"),
        (gzip.compress(b""), "it is empty"),
        (b"\x1f\x8b\x08nonsense", "the gzip stream is broken"),
    ],
)
def test_what_is_no_capture_file_is_said_plainly(tmp_path, data, reason):
    with pytest.raises(CaptureError, match=reason):
        read_all(written(tmp_path, data))


def test_a_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(CaptureError, match="No such file"):
        read_all(tmp_path / "away.pcap")
    with pytest.raises(CaptureError, match="Is a directory"):
        read_all(tmp_path)


def corrupt_cases():
    good = pcap(FRAMES[:2])
    ng = ng_section() + ng_interface() + ng_packet(1, b"abcd") + ng_packet(2, b"efgh")
    yield good + struct.pack("<IIII", 1, 1, 262_145, 60) + bytes(60), len(good), "a record claims 262145 bytes"
    yield ng + ng_packet(3, b"x" * 8)[:-4] + b"\x0c\0\0\0", len(ng), "a block's two lengths differ, the first is 40"
    yield ng + struct.pack("<II", 6, 0) + bytes(30), len(ng), "a record claims 0 bytes"
    yield ng + struct.pack("<II", 0xABC, 8) + bytes(30), len(ng), "a record claims 8 bytes"
    yield ng + struct.pack("<II", 6, 33) + bytes(30), len(ng), "a record claims 33 bytes"
    yield ng + struct.pack("<II", 6, 1 << 31) + bytes(30), len(ng), "a record claims 2147483648 bytes"
    lying = struct.pack("<IIIII", 0, 0, 3, 4000, 4000) + b"data"
    yield ng + ng_block(6, lying), len(ng), "a record claims 4000 bytes"
    yield ng + ng_block(6, bytes(12)), len(ng), "a record claims 24 bytes"
    yield ng + ng_block(1, bytes(4)), len(ng), "interface block 1 of 16 bytes"
    yield ng + ng_packet(3, b"x", interface=5), len(ng), "a packet of interface 5, which no block before describes"
    yield ng + ng_section()[:8] + bytes(20), len(ng), "a section header without byte-order magic (00 00 00 00)"
    short = struct.pack("<II", 0x0A0D0D0A, 12) + ng_section()[8:]
    yield ng + short, len(ng), "a section header claims 12 bytes"


@pytest.mark.parametrize(("data", "at", "reason"), list(corrupt_cases()))
def test_a_corrupt_file_says_where_and_why_and_gives_what_stands_before(tmp_path, data, at, reason):
    path = written(tmp_path, data)
    file, frames = read_all(path)
    assert len(frames) == 2
    assert file.torn == f"{path}: at byte {at}, after 2 frames: {reason}"


def test_options_that_lie_about_their_length_are_left(tmp_path):
    for options in (b"\x09\x00\xff\xff", b"\x09\x00\x01\x00", ng_options([(9, b"\x09\x09")]), b"\x09\x00"):
        data = ng_section() + ng_block(1, struct.pack("<HHI", 1, 0, 0) + options) + ng_packet(1, b"abcd")
        file, frames = read_all(written(tmp_path, data))
        assert file.torn is None
        assert frames[0][0] == 1000
    body = struct.pack("<IIIII", 0, 0, 1, 4, 4) + b"abcd" + b"\x02\x00\xff\xff\x01\x00\x00\x00"
    file, frames = read_all(written(tmp_path, ng_section() + ng_interface() + ng_block(6, body)))
    assert file.torn is None
    assert frames[0][4] == 0


def test_gzip_with_several_members_and_cut(tmp_path):
    data = pcap(FRAMES)
    whole = gzip.compress(data[:500]) + gzip.compress(data[500:])
    file, frames = read_all(written(tmp_path, whole))
    assert file.torn is None
    assert file.bytes_read == file.size == len(whole)
    assert [frame[1] for frame in frames] == [frame for _, _, frame in FRAMES]
    file, frames = read_all(written(tmp_path, whole[:-20]))
    assert "the gzip stream is cut off" in file.torn
    assert 0 < len(frames) < len(FRAMES)
    file, frames = read_all(written(tmp_path, whole + b"rubbish"))
    assert "the gzip stream is broken" in file.torn
    assert len(frames) == len(FRAMES)


def test_a_pipe_gives_frames_as_soon_as_they_are_there(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    data = pcap(FRAMES)
    first = 24 + 16 + len(FRAMES[0][2])
    seen = threading.Event()

    def write():
        with fifo.open("wb", buffering=0) as pipe:
            pipe.write(data[:3])
            pipe.write(data[3:first])
            assert seen.wait(30)
            pipe.write(data[first : first + 5])
            pipe.write(data[first + 5 :])

    writer = threading.Thread(target=write)
    writer.start()
    file = CaptureFile(fifo)
    blocks = file.blocks()
    block = next(blocks)
    seen.set()
    assert len(block) == 1
    assert file.size is None
    assert 1 + sum(len(block) for block in blocks) == len(FRAMES)
    writer.join(30)
    assert file.torn is None
    assert file.bytes_read == len(data)


def test_standard_input(tmp_path):
    program = (
        "from sensor.pcapfile import CaptureFile\n"
        "file = CaptureFile('-')\n"
        "print(sum(len(block) for block in file.blocks()), file.torn)\n"
        "try: list(CaptureFile('-').blocks())\n"
        "except Exception as error: print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, "-c", program], input=pcap(FRAMES)[:-1], capture_output=True, check=True, env=environment
    )
    torn, again = done.stdout.decode().splitlines()
    assert torn.startswith(f"{len(FRAMES) - 1} standard input: at byte ")
    assert again == "standard input: cannot be read as a capture file: it is empty"
