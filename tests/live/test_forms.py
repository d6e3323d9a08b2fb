"""The forms in which the kernel shows a frame: VLAN tags beside it or inside, loopback's copies, cooked sockets."""

import json
import subprocess
import sys

import pytest

from tests.live.test_commands import tshark
from tests.support.frames import ethernet, ipv4, ipv6, tcp
from tests.support.netns import CONVERSE, SEND_FRAMES

# Captures with one filter on several interfaces at once until each has gone quiet; writes a file for each, prints rows.
CAPTURE = """
import json, sys, time
from sensor.capture import open_live
from sensor.capfile_writer import CaptureFileFormat, CaptureFileWriter
text, folder, *interfaces = sys.argv[1:]
captures = {}
for name in interfaces:
    captures[name] = open_live(name, text or None)
print("ready", flush=True)
sys.stdin.readline()
rows = {}
for name, capture in captures.items():
    capture.stop()
    writer = CaptureFileWriter(f"{folder}/{name}.pcapng", CaptureFileFormat(interface=name), capture.link)
    writer.open()
    rows[name] = []
    for block in capture.blocks(0.1):
        writer.write(block)
        for f in block.frames:
            data = block.buffer[f["offset"]:f["offset"] + f["caplen"]].tobytes().hex()
            rows[name].append({k: int(f[k]) for k in ("direction", "link", "vlan_tci", "vlan_tpid", "flags", "wirelen",
                                                      "checksum", "t_ns")} | {"data": data})
    received, dropped = capture.statistics()
    assert received == len(rows[name]), (received, len(rows[name]))
    assert dropped == 0
    writer.close()
    capture.close()
print(json.dumps(rows))
"""


def capture(namespace, text, folder, interfaces, traffic):
    """Rows of each interface while `traffic` was made."""
    process = namespace.start(
        sys.executable, "-c", CAPTURE, text, str(folder), *interfaces,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "ready\n"
        traffic()
        out, _ = process.communicate("go\n", timeout=60)
        assert process.returncode == 0
        return json.loads(out)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.fixture
def cable(namespace):
    """A namespace with both ends of a cable, v0 and v1, on which nobody speaks by himself."""
    namespace.ip("link add v0 type veth peer name v1")
    for end in ("v0", "v1"):
        namespace.run("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{end}/disable_ipv6 || true")
        namespace.ip(f"link set {end} up")
    return namespace


TO_22 = [ipv4(tcp(40000, 22)), ipv4(tcp(22, 40000, 0x12)), ipv6(tcp(40001, 22))]
TO_80 = [ipv4(tcp(40000, 80)), ipv6(tcp(80, 40001, 0x12), source="fd09::2", target="fd09::1")]
TAGS = [(), (5,), (7, 5)]
LINES = [ethernet(packet, tags).hex() for packet in [*TO_22, *TO_80] for tags in TAGS]


@pytest.mark.parametrize(("text", "packets"), [("port not 22", TO_80), ("tcp port 22", TO_22), ("", [*TO_22, *TO_80])])
def test_a_filter_judges_plain_tagged_and_doubly_tagged_frames_alike(cable, tmp_path, text, packets):
    rows = capture(cable, text, tmp_path, ["v0", "v1", "any"], lambda: cable.python(SEND_FRAMES, "v0", *LINES))
    sent, received = rows["v0"], rows["v1"]
    assert len(sent) == len(received) == len(packets) * len(TAGS)
    assert {row["direction"] for row in sent} == {2}
    assert {row["flags"] for row in sent} == {0}  # inside the frame
    assert [row["data"] for row in sent] == [ethernet(p, tags).hex() for p in packets for tags in TAGS]
    assert [(row["flags"], row["vlan_tpid"], row["vlan_tci"]) for row in received[:3]] == [
        (0, 0, 0),
        (1, 0x8100, 5),
        (1, 0x88A8, 7),
    ]
    assert len(rows["any"]) == len(sent) + len(received)
    # Put back, the tags are in the file at both ends, and both files hold the same frames.
    fields = ("-T", "fields", "-e", "vlan.id", "-e", "ieee8021ad.id", "-e", "tcp.dstport", "-e", "frame.len")
    assert tshark(str(tmp_path / "v0.pcapng"), *fields) == tshark(str(tmp_path / "v1.pcapng"), *fields)
    ports = tshark(str(tmp_path / "any.pcapng"), "-T", "fields", "-e", "tcp.srcport").split()
    assert len(ports) == len(rows["any"])  # tshark finds the TCP header in each cooked form
    assert "".join(fields_of_tags(tmp_path / "v1.pcapng")) == "".join(["", "5", "75"] * len(packets))


def fields_of_tags(path):
    lines = tshark(str(path), "-T", "fields", "-e", "ieee8021ad.id", "-e", "vlan.id").split("\n")
    return [line.replace("\t", "").replace(",", "") for line in lines]


def test_an_expression_about_vlans_means_the_tag_wherever_it_is(cable, tmp_path):
    rows = capture(
        cable, "vlan 5 and tcp port 22", tmp_path, ["v0", "v1"], lambda: cable.python(SEND_FRAMES, "v0", *LINES)
    )
    tagged = [ethernet(packet, (5,)).hex() for packet in TO_22]
    assert [row["data"] for row in rows["v0"]] == tagged
    assert [row["data"] for row in rows["v1"]] == [ethernet(packet).hex() for packet in TO_22]
    assert {(row["vlan_tpid"], row["vlan_tci"]) for row in rows["v1"]} == {(0x8100, 5)}


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_loopback_shows_each_packet_once_and_as_both_ends(namespace, tmp_path, address):
    rows = capture(
        namespace, "tcp port 4711", tmp_path, ["lo", "any"], lambda: namespace.python(CONVERSE, address, 4711, 3, 2000)
    )
    assert {row["direction"] for row in rows["lo"]} == {3}
    assert {row["checksum"] for row in rows["lo"]} <= {1, 2}  # loopback computes none
    assert 2 in {row["checksum"] for row in rows["lo"]}
    path = str(tmp_path / "lo.pcapng")
    numbers = ("-T", "fields", "-e", "frame.number")
    assert tshark(path, "-Y", "tcp.analysis.retransmission or tcp.analysis.duplicate_ack", *numbers) == ""
    assert len(tshark(path, "-Y", "tcp.flags.syn==1 and tcp.flags.ack==0", *numbers).split()) == 3
    # Behind the cooked header (20 bytes) stands what stands behind the Ethernet header (14).
    assert [row["data"][40:] for row in rows["any"]] == [row["data"][28:] for row in rows["lo"]]
    assert {row["direction"] for row in rows["any"]} == {3}


def test_scapy_reads_packets_from_the_ring(namespace):
    code = """
import subprocess, sys
from scapy.sendrecv import sniff
from scapy.layers.inet import TCP
from sensor.capture import open_live
capture = open_live("lo", "tcp port 4711")
subprocess.run([sys.executable, "-c", sys.argv[1], "127.0.0.1", "4711", "2", "3000"], check=True)
packets = sniff(opened_socket=capture._scapy_socket, count=15, timeout=20)
assert all(TCP in packet for packet in packets)
print(len(packets), packets[0].sprintf("%TCP.flags%"), packets[1].sprintf("%TCP.flags%"), packets[0].time > 1.5e9)
capture.close()
"""
    assert namespace.python(code, CONVERSE).split() == ["15", "S", "SA", "True"]


def test_scapys_own_socket_gives_the_same_frames_where_there_is_no_ring(namespace):
    code = """
import subprocess, sys, time
from sensor.capture import PortableCapture, open_live
first = open_live("lo", "tcp port 4711", direction="inout")
second = PortableCapture("lo", "tcp port 4711", 262144)
subprocess.run([sys.executable, "-c", sys.argv[1], "127.0.0.1", "4711", "2", "3000"], check=True)
first.stop()
def frames(capture, enough):
    found = []
    for block in capture.blocks(0.3):
        found += [block.buffer[f["offset"]:f["offset"] + f["caplen"]].tobytes() for f in block.frames]
        if not len(block) and enough:
            capture.stop()
    return found
ring = frames(first, False)
portable = frames(second, True)
# scapy's socket also hears loopback's outgoing copy of each packet
print(len(ring) > 15, portable[::2] == ring, portable[1::2] == ring, second.statistics()[0] == 2 * len(ring))
"""
    assert namespace.python(code, CONVERSE).split() == ["True"] * 4
