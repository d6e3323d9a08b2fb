"""Every column beside what tshark says of the same packets: of captures built here, and of the kernel's own."""

import ipaddress
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from scapy.contrib.geneve import GENEVE
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop
from scapy.layers.l2 import GRE, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN

from sensor.dissect import Dissector
from sensor.pcapfile import CaptureFile
from synfin.wire import segment as sg
from tests.support.capture_files import ng_interface, ng_packet, ng_section, pcap, written

KERNEL = Path(__file__).resolve().parents[2] / "captures"
FIELDS = (
    "frame.number",
    "frame.time_epoch",
    "frame.protocols",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "ip.ttl",
    "ip.id",
    "ip.dsfield",
    "ipv6.hlim",
    "ipv6.tclass",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.flags",
    "tcp.window_size_value",
    "tcp.len",
    "tcp.options.mss_val",
    "tcp.options.wscale.shift",
    "tcp.options.sack_perm",
    "tcp.options.timestamp.tsval",
    "tcp.options.timestamp.tsecr",
    "tcp.options.sack_le",
    "tcp.options.sack_re",
)
MACS = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark (package tshark)")


def theirs(path):
    """What tshark says of each TCP packet, by FIELDS; of the innermost packet where there are several."""
    command = ["tshark", "-n", "-r", str(path), "-Y", "tcp && !icmp && !icmpv6", "-T", "fields", "-E", "occurrence=a"]
    command += ["-o", "ip.defragment:FALSE", "-o", "tcp.relative_sequence_numbers:FALSE"]
    for field in FIELDS:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    told = []
    for line in done.stdout.splitlines():
        fields = dict(zip(FIELDS, line.split("\t"), strict=True))
        layers = fields.pop("frame.protocols").split(":")
        inner = next(layer for layer in reversed(layers) if layer in {"ip", "ipv6"})
        for name, value in fields.items():
            if name.startswith(("ip.", "ipv6.")):
                fields[name] = value.split(",")[-1] if name.startswith(f"{inner}.") else ""
        told.append(fields)
    return told


def ours(path):
    """Our rows of TCP with their flows."""
    dissector = Dissector()
    for block in CaptureFile(path).blocks():
        segments, flows = dissector.dissect(block)
        yield from ((row, flows[row["flow"]]) for row in segments if row["kind"] == sg.TCP)


def number(text):
    return int(text, 0) if text else 0


def end(flow, name):
    high, low = (int(half) for half in flow[f"{name}_ip"])
    address = ipaddress.IPv6Address(high << 64 | low)
    return str(address.ipv4_mapped if flow["family"] == 4 else address), int(flow[f"{name}_port"])


def same(row, flow, told):
    v6 = bool(told["ipv6.src"])
    names = ("ipv6.hlim", "ipv6.tclass") if v6 else ("ip.ttl", "ip.dsfield")
    seconds, _, fraction = told["frame.time_epoch"].partition(".")
    assert row["t_ns"] == int(seconds) * 10**9 + int(fraction.ljust(9, "0"))
    ends = end(flow, "lower"), end(flow, "higher")
    source, target = ends if row["sender"] == sg.LOWER else ends[::-1]
    assert source == (told["ipv6.src"] or told["ip.src"], number(told["tcp.srcport"]))
    assert target == (told["ipv6.dst"] or told["ip.dst"], number(told["tcp.dstport"]))
    assert flow["family"] == (6 if v6 else 4)
    assert (row["ttl"], row["tos"]) == (number(told[names[0]]), number(told[names[1]]))
    assert row["ip_id"] == number(told["ip.id"])
    assert row["seq"] == number(told["tcp.seq_raw"])
    assert row["flags"] == number(told["tcp.flags"])
    assert row["ack"] == (number(told["tcp.ack_raw"]) if row["flags"] & sg.ACK else 0)
    assert row["window"] == number(told["tcp.window_size_value"])
    assert row["len"] == number(told["tcp.len"])
    assert row["mss"] == number(told["tcp.options.mss_val"])
    assert row["wscale"] == number(told["tcp.options.wscale.shift"])
    assert (row["tsval"], row["tsecr"]) == tuple(number(told[f"tcp.options.timestamp.{n}"]) for n in ("tsval", "tsecr"))
    for bit, name in (
        (sg.OPT_MSS, "tcp.options.mss_val"),
        (sg.OPT_WSCALE, "tcp.options.wscale.shift"),
        (sg.OPT_SACK_PERMITTED, "tcp.options.sack_perm"),
        (sg.OPT_TS, "tcp.options.timestamp.tsval"),
    ):
        assert bool(row["options"] & bit) == bool(told[name])
    left = [number(n) for n in told["tcp.options.sack_le"].split(",") if n]
    right = [number(n) for n in told["tcp.options.sack_re"].split(",") if n]
    assert row["sack_n"] == len(left)
    edges = [edge for pair in zip(left, right, strict=True) for edge in pair]
    assert row["sack"][: 2 * len(left)].tolist() == edges


def compare(path):
    rows, told = list(ours(path)), theirs(path)
    assert [int(row["frame"]) + 1 for row, _ in rows] == [number(line["frame.number"]) for line in told]
    for (row, flow), line in zip(rows, told, strict=True):
        same(row, flow, line)
    return len(rows)


def made_packet(chance):
    """A TCP packet of random headers, without what tshark would call malformed."""
    options = [("MSS", chance.randrange(65536)), ("WScale", chance.randrange(15)), ("SAckOK", b"")]
    options += [("Timestamp", (chance.getrandbits(32), chance.getrandbits(32)))]
    options += [("SAck", tuple(chance.getrandbits(32) for _ in range(2 * chance.randint(1, 2))))]
    chance.shuffle(options)
    if chance.random() < 0.5:
        ends = {"src": f"10.0.0.{chance.randrange(9)}", "dst": f"10.0.0.{chance.randrange(9)}"}
        layers = IP(**ends, ttl=chance.randrange(1, 256), tos=chance.randrange(256), id=chance.randrange(65536))
    else:
        ends = {"src": f"fd09::{chance.randrange(9)}", "dst": f"fd09::{chance.randrange(9)}"}
        layers = IPv6(**ends, hlim=chance.randrange(1, 256), tc=chance.randrange(256))
        for extension in chance.sample([IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt()], chance.randrange(3))[:1]:
            layers /= extension
    return (
        layers
        / TCP(
            sport=chance.randrange(1, 65536),
            dport=chance.randrange(1, 65536),
            seq=chance.getrandbits(32),
            ack=chance.getrandbits(32),
            flags=chance.choice(["S", "SA", "A", "PA", "FA", "R", "RA", "SEC", "FPU"]),
            window=chance.randrange(65536),
            options=options[: chance.randrange(4)],
        )
        / bytes(chance.randrange(200))
    )


def made_frame(chance):
    layers = MACS
    for _ in range(chance.choice([0, 0, 1, 2])):
        layers /= Dot1Q(vlan=chance.randrange(1, 4095))
    return bytes(layers / made_packet(chance))


@pytest.mark.parametrize("seed", [1, 2])
def test_packets_made_at_random(tmp_path, seed):
    chance = random.Random(seed)
    packets = [made_frame(chance) for _ in range(300)]
    assert compare(written(tmp_path, pcap([(1000 + i, i, data) for i, data in enumerate(packets)]))) == 300
    order = "<>"[seed - 1]
    blocks = [ng_packet(1_700_000_000 * 1024 + i, data, order, flags=i % 3) for i, data in enumerate(packets)]
    file = ng_section(order) + ng_interface(order, resolution=0x80 | 10) + b"".join(blocks)
    assert compare(written(tmp_path, file)) == 300


def in_tunnels(packet, depth, chance):
    """A packet inside so many tunnels."""
    for _ in range(depth):
        if chance.random() < 0.5:
            outer = IP(src="192.0.2.1", dst="192.0.2.2", ttl=chance.randrange(1, 256))
        else:
            outer = IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=chance.randrange(1, 256))
        kind = 0x0800 if isinstance(packet, IP) else 0x86DD
        number, bridged = chance.randrange(1 << 24), MACS / packet
        packet = outer / chance.choice(
            [
                packet,
                GRE() / packet,
                GRE(key_present=1, key=number, seqnum_present=chance.randrange(2)) / packet,
                GRE(chksum_present=1) / bridged,
                UDP(sport=50000, dport=4789) / VXLAN(vni=number) / bridged,
                UDP(sport=50000, dport=6081) / GENEVE(vni=number) / bridged,
                UDP(sport=50000, dport=6081) / GENEVE(vni=number, proto=kind) / packet,
            ]
        )
    return packet


def test_tunnels(tmp_path):
    chance = random.Random(5)
    frames = [bytes(MACS / in_tunnels(made_packet(chance), n % 5, chance)) for n in range(200)]
    assert compare(written(tmp_path, pcap([(1000 + i, i, data) for i, data in enumerate(frames)]))) == 200


@pytest.mark.parametrize(
    "scenario", ["bulk", "client_closes_ipv6", "simultaneous_open", "rejected_by_router", "data_lost"]
)
def test_recordings_of_the_kernel(scenario):
    paths = sorted((KERNEL / scenario).glob("*.pcap*"))
    assert paths
    assert sum(compare(path) for path in paths) > 0
