"""Filters: libpcap judges, on each form in which a frame comes."""

import ctypes.util
import random
import sys

import cypcap
import numpy as np
import pytest

from sensor import bpf
from sensor.bpf import INSTRUCTIONS_MAX, REJECT, Instruction, compile_expression
from sensor.bpf_join import SocketView, file_filter, socket_filter
from sensor.bpf_run import BlockFilter, _judge, as_array
from sensor.frames import LINK_ETHERNET, LINK_RAW, LINK_SLL2
from synfin.errors import CaptureError, UsageError
from tests.support.frames import block, ethernet, packets, tcp

EXPRESSIONS = [
    "port not 22",
    "not port 22",
    "tcp port 80",
    "host 203.119.160.6 and tcp port 80",
    "host 203.119.160.6 and port not 22",
    "host 192.168.2.29 and (port 22222 or port 22221 or port 80)",
    "ip6 and tcp",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "not tcp",
    "ip proto 6 or udp dst port 9",
    "tcp portrange 20-80 and greater 200",
    "ip[6:2] & 0x1fff != 0",
    "src net 10.9.0.0/16",
    "ether host 02:00:00:00:00:01 and tcp",
]


def libpcap(text, frame, link=LINK_ETHERNET):
    """What libpcap says of one frame."""
    program = cypcap.compile(link, 262144, text, True, cypcap.NETMASK_UNKNOWN)
    header = cypcap.Pkthdr(0, len(frame), len(frame))
    return bool(program.offline_filter(header, frame))


def kept(text, frames, link=LINK_ETHERNET):
    return BlockFilter(text).mask(block(frames, link)).tolist()


@pytest.mark.parametrize("text", EXPRESSIONS)
@pytest.mark.parametrize("tags", [(), (5,), (7, 5), (0x4500,)], ids=["plain", "tagged", "qinq", "tag like IPv4"])
def test_a_frame_is_judged_as_if_it_had_no_tag(text, tags):
    expected = [libpcap(text, ethernet(packet)) for packet in packets()]
    assert kept(text, [ethernet(packet, tags) for packet in packets()]) == expected
    assert len(set(expected)) == 2  # the expression tells them apart


@pytest.mark.parametrize("tpid", [0x8100, 0x88A8, 0x9100])
def test_every_tag_type_that_libpcap_knows(tpid):
    frames = [ethernet(packet, (5,), (tpid,)) for packet in packets()]
    assert kept("port not 22", frames) == [libpcap("port not 22", ethernet(packet)) for packet in packets()]


@pytest.mark.parametrize("text", [*EXPRESSIONS, "ip protochain 6"])
def test_on_links_without_tags_libpcap_is_followed_to_the_letter(text):
    if "ether" in text or "protochain" in text:
        with pytest.raises(UsageError, match=r"ether host|protochain"):
            BlockFilter(text).mask(block(packets(), LINK_RAW))
        return
    assert kept(text, packets(), LINK_RAW) == [libpcap(text, packet, 12) for packet in packets()]


def sll2(packet, tags=()):
    inner = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    chain = [*([0x88A8, 0x8100][-len(tags) :] if tags else []), inner]
    body = b"".join(tag.to_bytes(2) + chain[i + 1].to_bytes(2) for i, tag in enumerate(tags))
    return chain[0].to_bytes(2) + bytes.fromhex("0000 00000002 0001 00 06 0200000000010000") + body + packet


@pytest.mark.parametrize("text", [t for t in EXPRESSIONS if "ether" not in t and "ip[" not in t])
@pytest.mark.parametrize("tags", [(), (5,), (7, 5)])
def test_cooked_frames_are_judged_as_if_they_had_no_tag(text, tags):
    if text.startswith("tcp portrange"):
        text = "tcp portrange 20-80"  # lengths differ by the header
    expected = [libpcap(text, sll2(packet), LINK_SLL2) for packet in packets()]
    assert kept(text, [sll2(packet, tags) for packet in packets()], LINK_SLL2) == expected


def test_an_expression_that_speaks_of_vlans_means_the_tags():
    frames = [ethernet(packet, tags) for packet in packets() for tags in [(), (5,), (6,), (5, 6)]]
    for text in ["vlan", "vlan 5 and port 80", "not vlan", "vlan 5 and vlan 6 and tcp"]:
        assert kept(text, frames) == [libpcap(text, frame) for frame in frames]


def test_the_machine_agrees_with_libpcap_on_rubbish():
    seeded = random.Random(7)
    frames = []
    for frame in [ethernet(packet, tags) for packet in packets() for tags in [(), (5,)]] * 6:
        octets = bytearray(frame)
        for _ in range(seeded.randrange(4)):
            octets[seeded.randrange(12, min(len(octets), 60))] = seeded.randrange(256)
        frames.append(bytes(octets[: seeded.randrange(1, len(octets) + 1)]))
    more = [
        "len = 54 or ip[2:2] % 7 = 3 or ip[2:2] / 9 > 3",
        "ether[0] * 3 - 1 = 5 or (ip[8] << 2) ^ 1 = 1",
        "tcp[13] = 2",
    ]
    for text in [*EXPRESSIONS, *more, "ip[ip[8]] > 3", "ether[14:4] - ether[16:4] > 77", "vlan and tcp"]:
        program = BlockFilter(text)
        program._programs[LINK_ETHERNET] = as_array(compile_expression(text, LINK_ETHERNET))
        assert program.mask(block(frames)).tolist() == [libpcap(text, frame) for frame in frames], text


def test_each_link_type_of_a_block_has_its_own_program():
    mixed = block([ethernet(packets()[0]), packets()[0], ethernet(packets()[2]), packets()[2]])
    mixed.frames["link"] = [LINK_ETHERNET, LINK_RAW] * 2
    assert BlockFilter("port 22").mask(mixed).tolist() == [True, True, False, False]


@pytest.mark.parametrize("text", ["prt 22", "port 22 and", "host 1.2.3.4.5", "udp and tcp", "port 70000"])
def test_a_bad_filter_names_itself_and_says_what_libpcap_says(text):
    with pytest.raises(cypcap.Error) as theirs:
        cypcap.compile(1, 262144, text, True, cypcap.NETMASK_UNKNOWN)
    with pytest.raises(UsageError) as ours:
        socket_filter(text, SocketView(LINK_ETHERNET, 262144))
    assert str(ours.value) == f"filter '{text}': {theirs.value.args[-1]}"


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(UsageError, match="is not UTF-8"):
        compile_expression("host \udcff", LINK_ETHERNET)


def test_a_filter_that_the_kernel_would_not_take_is_refused():
    text = " or ".join(f"tcp port {i}" for i in range(1, 180))
    with pytest.raises(UsageError, match=rf"makes \d+ instructions, and the kernel takes {INSTRUCTIONS_MAX}"):
        socket_filter(text, SocketView(LINK_ETHERNET, 262144))


def test_what_the_kernel_takes_out_of_a_frame_cannot_be_tested_in_the_middle():
    with pytest.raises(
        UsageError, match="bytes 10 to 13 of the frame cannot be tested where the kernel takes VLAN tags"
    ):
        socket_filter("vlan and ether[10:4] = 7", SocketView(LINK_ETHERNET, 262144))


def test_the_snap_length_is_what_the_program_returns():
    for link, less in [(LINK_ETHERNET, 0), (LINK_RAW, 0), (LINK_SLL2, 20)]:
        returns = {row.k for row in socket_filter("tcp port 80", SocketView(link, 96)) if row.code == bpf.RET}
        assert returns == {0, 96 - less}


@pytest.mark.skipif(
    ctypes.util.find_library("pcap") is None, reason="needs the system's libpcap: apt install libpcap0.8"
)
def test_the_systems_libpcap_does_without_cypcap(monkeypatch):
    frames = [ethernet(packet, tags) for packet in packets() for tags in [(), (5,), (7, 5)]]
    expected = {text: kept(text, frames) for text in EXPRESSIONS}
    monkeypatch.setitem(sys.modules, "cypcap", None)
    bpf._compiler.cache_clear()
    try:
        assert {text: kept(text, frames) for text in EXPRESSIONS} == expected
        with pytest.raises(UsageError, match=r"filter 'prt 22': .*syntax error"):
            compile_expression("prt 22", LINK_ETHERNET)
    finally:
        bpf._compiler.cache_clear()


def test_without_any_libpcap_the_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cypcap", None)
    monkeypatch.setattr(ctypes.util, "find_library", lambda _name: None)
    bpf._compiler.cache_clear()
    try:
        with pytest.raises(CaptureError, match="pip install cypcap, or apt install libpcap"):
            compile_expression("tcp", LINK_ETHERNET)
    finally:
        bpf._compiler.cache_clear()


def test_a_program_that_runs_off_its_end_or_loads_beyond_the_frame_rejects():
    frames = block([ethernet(tcp(1, 2).join([b"", packets()[0]]))])
    for program in [(Instruction(0x28, 0, 0, 4000), Instruction(bpf.RET, 0, 0, 1)), (Instruction(0, 0, 0, 1),), REJECT]:
        keep = np.ones(1, np.bool_)
        _judge(as_array(program), frames.buffer, frames.frames, np.uint64(LINK_ETHERNET), keep)
        assert not keep[0]
    assert file_filter("", LINK_ETHERNET) == (Instruction(bpf.RET, 0, 0, 262144),)
