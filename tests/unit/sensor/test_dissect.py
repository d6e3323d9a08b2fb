"""Headers to rows: packets built by scapy, and every column that they must give."""

import ipaddress
import struct

import numpy as np
import pytest
from scapy.contrib.geneve import GENEVE
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_Timestamp, fragment
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    Jumbo,
    PadN,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, GRE, LLC, SNAP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Dot3, Ether, Loopback
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from sensor import frames as fr
from sensor.addresses import LocalAddresses
from sensor.dissect import Dissector
from sensor.flowindex import KEYS, flow_index, want
from sensor.frames import FrameBlock
from sensor.headers import PACKET
from sensor.tunnels import overlay
from synfin.compiled import ENABLED
from synfin.errors import UsageError
from synfin.wire import segment as sg
from synfin.wire.key import tuple_hash
from tests.support.frames import block

A, B = "10.9.0.1", "10.9.0.2"
A6, B6 = "fd09::1", "fd09::2"
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def dissect(*packets, link=fr.LINK_ETHERNET, local=None, verify=False, **columns):
    """Rows, flows and counters of some packets; `columns` go into all their frames."""
    frames = block([bytes(packet) for packet in packets], link)
    for name, value in columns.items():
        frames.frames[name] = value
    dissector = Dissector(local, verify=verify)
    segments, flows = dissector.dissect(frames)
    assert len(segments) == dissector.counters.tcp + dissector.counters.icmp
    return segments, flows, dissector.counters


def one(packet, **how):
    """The row of a packet, as a dict, with its flow's columns."""
    segments, flows, _ = dissect(packet, **how)
    assert len(segments) == len(flows) == 1
    names = {name: segments[name][0] for name in segments.dtype.names}
    return {**names, **{f"flow.{name}": flows[name][0] for name in flows.dtype.names}}


def counted(*packets, **how):
    """Counters that are not 0."""
    counters = dissect(*packets, **how)[2]
    assert sum(counters[name] for name in counters if name != "frames") == counters.frames
    return {name: counters[name] for name in counters if counters[name]}


def address(halves):
    return ipaddress.IPv6Address((int(halves[0]) << 64) | int(halves[1]))


def syn(**fields):
    return TCP(**{"sport": 40000, "dport": 80, "flags": "S", "seq": 7, **fields})


def test_every_column_of_a_plain_segment():
    tcp = TCP(sport=40000, dport=443, seq=0xDEADBEEF, ack=0x12345678, flags="PA", window=65535)
    row = one(ETHER / IP(src=A, dst=B, id=4242, ttl=63, tos=0x2A) / tcp / (b"x" * 100))
    assert row["t_ns"] == 1_700_000_000_123_456_789
    assert (row["seq"], row["ack"], row["len"], row["ip_len"]) == (0xDEADBEEF, 0x12345678, 100, 140)
    assert (row["window"], row["flags"], row["ip_id"], row["ttl"], row["tos"]) == (
        65535,
        sg.PSH | sg.ACK,
        4242,
        63,
        0x2A,
    )
    assert (row["sender"], row["local"], row["kind"], row["local_how"]) == (sg.LOWER, sg.NONE, sg.TCP, sg.HOW_UNKNOWN)
    for name in ("tsval", "tsecr", "mss", "checksum", "marks", "options", "wscale", "sack_n", "tfo_len", "mptcp"):
        assert row[name] == 0
    assert not row["sack"].any()
    assert address(row["flow.lower_ip"]).ipv4_mapped == ipaddress.ip_address(A)
    assert address(row["flow.higher_ip"]).ipv4_mapped == ipaddress.ip_address(B)
    assert (row["flow.lower_port"], row["flow.higher_port"]) == (40000, 443)
    assert (row["flow.family"], row["flow.domain"]) == (4, 0)


def test_all_twelve_flag_bits_and_the_ack_number_that_counts_only_with_its_flag():
    for bits in (0x000, 0x001, 0x0FF, 0x100, 0x1FF, 0xFFF, 0x029):
        data = bytearray(bytes(ETHER / IP(src=A, dst=B) / syn(ack=99)))
        data[46:48] = struct.pack(">H", 0x5000 | bits)
        row = one(data)
        assert row["flags"] == bits
        assert row["ack"] == (99 if bits & sg.ACK else 0)


@pytest.mark.parametrize(
    ("source", "sport", "target", "dport", "sender"),
    [
        (A, 40000, B, 80, sg.LOWER),
        (B, 80, A, 40000, sg.HIGHER),
        ("9.255.255.255", 80, "10.0.0.0", 1, sg.LOWER),
        ("200.0.0.1", 1, "100.0.0.1", 2, sg.HIGHER),
        (A, 80, A, 81, sg.LOWER),
        (A, 81, A, 80, sg.HIGHER),
        (A, 80, A, 80, sg.UNKNOWN),
        (A6, 40000, B6, 80, sg.LOWER),
        (B6, 1, A6, 2, sg.HIGHER),
        ("fd09::ffff:0:0:1", 1, "fd09::1:0:0:0:1", 2, sg.LOWER),
        ("ffff::", 1, "::ffff:ffff:ffff:ffff", 2, sg.HIGHER),
    ],
)
def test_the_lower_end_is_by_address_and_then_port(source, sport, target, dport, sender):
    ip = IPv6(src=source, dst=target) if ":" in source else IP(src=source, dst=target)
    row = one(ETHER / ip / syn(sport=sport, dport=dport))
    ends = sorted([(int(ipaddress.ip_address(source)), sport), (int(ipaddress.ip_address(target)), dport)])
    mapped = 0 if ":" in source else 0xFFFF << 32
    assert (int(address(row["flow.lower_ip"])), row["flow.lower_port"]) == (ends[0][0] | mapped, ends[0][1])
    assert (int(address(row["flow.higher_ip"])), row["flow.higher_port"]) == (ends[1][0] | mapped, ends[1][1])
    assert row["sender"] == sender
    assert row["flow.family"] == (6 if ":" in source else 4)
    flow = [*row["flow.lower_ip"], row["flow.lower_port"], *row["flow.higher_ip"], row["flow.higher_port"]]
    assert row["flow.hash"] == tuple_hash(*(np.uint64(n) for n in flow))


def test_flows_stand_in_order_of_first_appearance_and_both_directions_are_one():
    there = ETHER / IP(src=A, dst=B) / syn()
    back = ETHER / IP(src=B, dst=A) / TCP(sport=80, dport=40000, flags="SA")
    other = ETHER / IP(src=A, dst=B) / syn(sport=40001)
    mapped = ETHER / IPv6(src=f"::ffff:{A}", dst=f"::ffff:{B}") / syn()
    segments, flows, _ = dissect(back, other, there, mapped, other)
    assert segments["flow"].tolist() == [0, 1, 0, 2, 1]
    assert segments["frame"].tolist() == [0, 1, 2, 3, 4]
    assert segments["sender"].tolist() == [sg.HIGHER, sg.LOWER, sg.LOWER, sg.LOWER, sg.LOWER]
    assert flows["family"].tolist() == [4, 4, 6]
    assert flows["hash"][0] == flows["hash"][2] != flows["hash"][1]


V4, V6 = IP(src=A, dst=B) / syn(), IPv6(src=A6, dst=B6) / syn()
LINKS = [
    (fr.LINK_ETHERNET, ETHER / V4),
    (fr.LINK_ETHERNET, ETHER / V6),
    (fr.LINK_ETHERNET, ETHER / Dot1Q(vlan=5) / V4),
    (fr.LINK_ETHERNET, ETHER / Dot1AD(vlan=5) / Dot1Q(vlan=6) / V6),
    (fr.LINK_ETHERNET, ETHER / Dot1Q(vlan=5) / Dot1Q(vlan=6) / Dot1Q(vlan=7) / V4),
    (fr.LINK_ETHERNET, Ether(bytes(ETHER)[:12] + b"\x91\x00\0\x05\x08\0" + bytes(V4))),
    (fr.LINK_ETHERNET, ETHER / MPLS(label=7, s=1) / V4),
    (fr.LINK_ETHERNET, ETHER / Dot1Q(vlan=5) / MPLS(label=7, s=0) / MPLS(label=8, s=1) / V6),
    (fr.LINK_ETHERNET, ETHER / PPPoE(sessionid=9) / PPP(proto=0x0021) / V4),
    (fr.LINK_ETHERNET, ETHER / Dot1AD(vlan=5) / Dot1Q(vlan=6) / PPPoE() / PPP(proto=0x0057) / V6),
    (fr.LINK_ETHERNET, Dot3() / LLC() / SNAP() / V4),
    (fr.LINK_SLL, CookedLinux(proto=0x0800) / V4),
    (fr.LINK_SLL, CookedLinux(proto=0x86DD) / V6),
    (fr.LINK_SLL, CookedLinux(proto=0x8100) / Dot1Q(vlan=5) / V4),
    (fr.LINK_SLL2, CookedLinuxV2(proto=0x0800) / V4),
    (fr.LINK_SLL2, CookedLinuxV2(proto=0x86DD) / V6),
    (fr.LINK_NULL, Loopback(type=2) / V4),
    (fr.LINK_NULL, Loopback(type=30) / V6),
    (fr.LINK_LOOP, Loopback(type=24) / V6),
    (fr.LINK_RAW, V4),
    (fr.LINK_RAW, V6),
    (fr.LINK_RAW_BSD, V4),
    (fr.LINK_RAW_OPENBSD, V6),
    (fr.LINK_IPV4, V4),
    (fr.LINK_IPV6, V6),
]


@pytest.mark.parametrize(("link", "packet"), LINKS)
def test_every_link_type_and_tag_leads_to_the_same_row(link, packet):
    row = one(packet, link=link)
    assert (row["seq"], row["len"], row["flags"], row["flow.lower_port"]) == (7, 0, sg.SYN, 40000)
    assert row["ip_len"] == (60 if row["flow.family"] == 6 else 40)


@pytest.mark.parametrize(("link", "packet"), LINKS)
def test_a_frame_cut_at_any_byte_of_its_headers_is_counted_and_skipped(link, packet):
    data = bytes(packet)
    for cut in range(len(data)):
        counters = counted(data[:cut], link=link, wirelen=len(data))
        unknown = 14 <= cut < 22 and data[12:14] == b"\0\x30"  # a SNAP header that is not all there is not yet one
        assert counters == {"frames": 1, "not_ip" if unknown else "truncated": 1}


OUT4, OUT6 = IP(src="192.0.2.1", dst="192.0.2.2", ttl=9), IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=9)
GENEVE_IPV4 = GENEVE(vni=7, proto=0x0800)
TUNNELS = [
    (0, OUT4 / V4),
    (0, OUT4 / V6),
    (0, OUT6 / V4),
    (0, OUT6 / V6),
    (0, OUT4 / GRE() / V4),
    (0, OUT6 / GRE(chksum_present=1) / V6),
    (5, OUT4 / GRE(key_present=1, key=5) / V4),
    (5, OUT4 / GRE(chksum_present=1, key_present=1, key=5, seqnum_present=1) / V6),
    (0, OUT4 / GRE() / ETHER / V4),
    (0, OUT4 / GRE() / MPLS(label=7, s=1) / V4),
    (7, OUT4 / UDP(dport=4789) / VXLAN(vni=7) / ETHER / V4),
    (7, OUT6 / UDP(dport=8472) / VXLAN(vni=7) / ETHER / Dot1Q(vlan=5) / V6),
    (7, OUT4 / UDP(dport=6081) / GENEVE(vni=7) / ETHER / V4),
    (7, OUT4 / UDP(dport=6081) / GENEVE_IPV4 / V4),
    (7, OUT4 / UDP(dport=6081) / Raw(bytes.fromhex("02000800 00000700 0102800100000000".replace(" ", ""))) / V4),
]


@pytest.mark.parametrize(("number", "packet"), TUNNELS)
def test_a_tunnel_leads_to_the_row_of_the_packet_inside(number, packet):
    row = one(ETHER / packet, direction=fr.DIRECTION_SENT, checksum=fr.CHECKSUM_VALID)
    assert (row["seq"], row["len"], row["flags"], row["flow.lower_port"], row["ttl"]) == (7, 0, sg.SYN, 40000, 64)
    assert row["ip_len"] == (60 if row["flow.family"] == 6 else 40)
    assert row["flow.domain"] == (overlay(np.uint64(0), np.uint64(number)) if number else 0)
    assert (row["local"], row["local_how"], row["checksum"]) == (sg.NONE, sg.HOW_UNKNOWN, sg.CSUM_UNKNOWN)
    assert one(ETHER / packet, verify=True)["checksum"] == sg.CSUM_OK


@pytest.mark.parametrize(("number", "packet"), TUNNELS)
def test_a_tunnel_cut_at_any_byte_is_counted_and_skipped(number, packet):
    data = bytes(packet)
    for cut in range(41, len(data)):
        counters = counted(data[:cut], link=fr.LINK_RAW, wirelen=len(data))
        assert counters in ({"frames": 1, "truncated": 1}, {"frames": 1, "not_tcp": 1})
        short = bytearray(data[:cut])
        at = 2 if data[0] == 0x45 else 4
        short[at : at + 2] = (cut - (0 if at == 2 else 40)).to_bytes(2, "big")  # not cut: the outer packet is so short
        why = "malformed" if cut < len(data) - 20 else "truncated"  # by what the IP header inside says, TCP is cut
        assert counted(short, link=fr.LINK_RAW) in ({"frames": 1, why: 1}, {"frames": 1, "not_tcp": 1})


def test_four_tunnels_and_no_more():
    four = OUT4 / GRE(key_present=1, key=5) / OUT6 / UDP(dport=4789) / VXLAN(vni=7) / ETHER / OUT4 / OUT6 / V4
    row = one(ETHER / four)
    assert row["flow.domain"] == overlay(overlay(np.uint64(0), np.uint64(5)), np.uint64(7))
    assert counted(ETHER / OUT6 / four) == {"frames": 1, "not_tcp": 1}


def test_both_sides_of_a_tunnel_are_two_flows_of_one_slice():
    _, flows, _ = dissect(ETHER / V4, ETHER / OUT4 / GRE(key_present=1, key=5) / V4, ETHER / OUT4 / V4)
    assert flows["domain"].tolist() == [0, overlay(np.uint64(0), np.uint64(5))]
    assert flows["hash"][0] == flows["hash"][1]


def test_an_overlay_has_the_same_domain_for_ever():
    numbers = [int(overlay(np.uint64(0), np.uint64(n))) for n in (0, 1, 2**24 - 1, 2**32 - 1)]
    assert numbers == [1364076727, 821347078, 1203403669, 1]
    assert int(overlay(np.uint64(1), np.uint64(0))) != numbers[0]


def test_what_looks_like_a_tunnel_and_is_none():
    packets = [
        OUT4 / UDP(dport=4788) / VXLAN(vni=7) / ETHER / V4,
        OUT4 / UDP(dport=4789) / VXLAN(vni=7, flags=0) / ETHER / V4,
        OUT4 / UDP(dport=6081) / GENEVE(vni=7, version=1) / ETHER / V4,
        OUT4 / UDP(dport=6081) / GENEVE(vni=7, proto=0x1234) / V4,
        OUT4 / GRE(routing_present=1) / V4,
        OUT4 / GRE(version=1) / V4,
        OUT4 / GRE(proto=0x1234) / V4,
        OUT4 / GRE() / ETHER / ARP(),
        OUT4 / IP(src=A, dst=B) / UDP(),
    ]
    assert counted(*(ETHER / packet for packet in packets)) == {"frames": len(packets), "not_tcp": len(packets)}
    later = ETHER / IP(src="192.0.2.1", dst="192.0.2.2", frag=4, proto=4) / Raw(bytes(V4))
    assert counted(later) == {"frames": 1, "not_tcp": 1}


def test_an_icmp_error_inside_a_tunnel_belongs_to_the_flow_of_its_domain():
    error = IP(src="192.0.2.9", dst=A) / ICMP(type=3, code=1) / IP(src=A, dst=B) / syn(seq=9)
    gre = OUT4 / GRE(key_present=1, key=5)
    segments, flows, _ = dissect(ETHER / gre / V4, ETHER / gre / error, direction=fr.DIRECTION_RECEIVED)
    assert (segments["kind"].tolist(), segments["flow"].tolist(), len(flows)) == ([sg.TCP, sg.ICMP], [0, 0], 1)
    assert segments["local_how"].tolist() == [sg.HOW_UNKNOWN] * 2


def copies(*packets, after_ns=1000, **columns):
    """Which of some packets, so much apart, are marked as copies; each packet is a block of its own."""
    dissector, marked = Dissector(), []
    for n, packet in enumerate(packets):
        frames = block([bytes(packet)], first_ns=10**18 + n * after_ns)
        for name, value in columns.items():
            frames.frames[name] = value[n]
        marked += (dissector.dissect(frames)[0]["marks"] & sg.MARK_DUPLICATE).astype(bool).tolist()
    return marked


def data(ttl=64, **fields):
    stamps = [("NOP", None), ("NOP", None), ("Timestamp", (5, 6))]
    tcp = {"sport": 40000, "dport": 80, "flags": "A", "seq": 7, "ack": 9, "options": stamps}
    ip = {name: fields.pop(name) for name in ("id", "src", "dst") if name in fields}
    return ETHER / IP(**{"src": A, "dst": B, "id": 42, **ip}, ttl=ttl) / TCP(**{**tcp, **fields}) / b"data"


def test_a_packet_seen_twice_is_marked():
    assert copies(data(), data(), data()) == [False, True, True]
    assert copies(data(), data(seq=11, id=43), data(), data(seq=11, id=43)) == [False, False, True, True]
    assert copies(data(64), data(63)) == [False, True]
    assert copies(data(64), data(65)) == copies(data(64), data(62)) == [False, False]
    tagged = [ETHER / Dot1Q(vlan=5) / data().payload, data()]
    assert copies(*tagged) == [False, True]
    v6 = ETHER / IPv6(src=A6, dst=B6) / data().getlayer(TCP)
    assert copies(v6, v6) == [False, True]


@pytest.mark.parametrize(
    "changed",
    [
        {"id": 43},
        {"seq": 8},
        {"ack": 10},
        {"flags": "PA"},
        {"window": 1},
        {"chksum": 1},
        {"options": [("NOP", None), ("NOP", None), ("Timestamp", (6, 6))]},
        {"options": []},
        {"sport": 40001},
        {"src": B, "dst": A, "sport": 80, "dport": 40000},
    ],
)
def test_what_differs_is_no_copy(changed):
    assert copies(data(), data(**changed)) == [False, False]


def test_a_copy_comes_within_milliseconds():
    ms = 10**6
    assert copies(data(), data(), after_ns=5 * ms) == copies(data(), data(), after_ns=-ms) == [False, True]
    assert copies(data(), data(), after_ns=5 * ms + 1) == [False, False]
    no_id = data(id=0)
    assert copies(no_id, no_id, after_ns=ms) == [False, True]
    assert copies(no_id, no_id, after_ns=ms + 1) == [False, False]


def test_each_segment_to_a_closed_port_is_answered_by_the_same_rst():
    assert copies(data(id=0, flags="R"), data(id=0, flags="R")) == [False, False]
    assert copies(data(id=0, flags="R"), data(id=0, flags="R"), after_ns=0) == [False, True]
    assert copies(data(flags="R"), data(flags="R")) == [False, True]


def test_sent_and_received_are_no_copies():
    assert copies(data(), data(), direction=[1, 2]) == [False, False]
    assert copies(data(), data(), direction=[2, 2]) == [False, True]


def test_copies_behind_a_hundred_other_packets():
    sent = [data(id=n, seq=1000 * n) for n in range(100)]
    frames = block([bytes(packet) for packet in sent + sent])
    assert (Dissector().dissect(frames)[0]["marks"] == [0] * 100 + [sg.MARK_DUPLICATE] * 100).all()


def test_a_tag_that_the_kernel_took_out_changes_nothing():
    row = one(ETHER / V4, flags=fr.FRAME_VLAN, vlan_tci=5, vlan_tpid=0x8100)
    assert (row["seq"], row["len"]) == (7, 0)


def test_other_link_types_are_counted_by_number():
    frames = block([bytes(V4)] * 5)
    frames.frames["link"] = [1, 105, 105, 9, 65535]
    dissector = Dissector()
    dissector.dissect(frames)
    dissector.dissect(frames)
    assert dissector.counters.unsupported == 8
    assert dissector.counters.links == {105: 4, 9: 2, 65535: 2}
    assert dissector.counters.not_ip == 2


def test_what_is_not_tcp_is_counted():
    packets = [ETHER / ARP(), ETHER / IP() / UDP(), ETHER / IPv6() / UDP(), ETHER / IP() / ICMP(), Dot3() / LLC()]
    packets += [ETHER / PPPoE() / PPP(proto=0xC021) / b"lcp", ETHER / MPLS(s=1) / b"\0pseudowire"]
    packets += [ETHER / IPv6() / ICMPv6EchoRequest(), ETHER / IP(proto=47) / b"x", ETHER / IP(proto=58) / b"12345678"]
    assert counted(*packets) == {"frames": 10, "not_ip": 4, "not_tcp": 5, "malformed": 1}


def test_padding_is_not_payload():
    row = one(bytes(ETHER / V4) + bytes(6))
    assert (row["len"], row["ip_len"]) == (0, 40)
    row = one(bytes(ETHER / V6 / b"ab") + bytes(6))
    assert (row["len"], row["ip_len"]) == (2, 62)


def test_ipv4_options_are_passed():
    row = one(ETHER / IP(src=A, dst=B, options=[IPOption_NOP(), IPOption_Timestamp()]) / syn() / b"abc")
    assert (row["seq"], row["len"], row["ip_len"]) == (7, 3, 20 + row["ip_len"] - 43 + 23)
    assert row["ip_len"] > 43


HOP, DST, ROUTE = IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 12)]), IPv6ExtHdrDestOpt(), IPv6ExtHdrRouting()


@pytest.mark.parametrize(
    "extensions",
    [
        HOP,
        DST,
        ROUTE,
        HOP / DST / ROUTE,
        AH(nh=6, payloadlen=4, icv=b"\0" * 12),
        IPv6ExtHdrFragment(),
        HOP / ROUTE / AH(nh=60, payloadlen=7, icv=b"\0" * 24) / DST,
    ],
)
def test_ipv6_extension_headers_are_passed(extensions):
    row = one(ETHER / IPv6(src=A6, dst=B6, tc=0xB8, hlim=9) / extensions / syn() / b"abcde")
    assert (row["seq"], row["len"], row["flags"], row["marks"]) == (7, 5, sg.SYN, 0)
    assert row["ip_len"] == 40 + len(extensions) + 25
    assert (row["tos"], row["ttl"], row["ip_id"]) == (0xB8, 9, 0)


def test_extension_headers_without_end_are_malformed():
    packet = bytes(IPv6(src=A6, dst=B6, nh=60)) + b"\x3c\0\1\4\0\0\0\0" * 40
    assert counted(packet, link=fr.LINK_RAW) == {"frames": 1, "malformed": 1}


def test_the_first_fragment_gives_a_row_and_the_others_are_counted():
    parts = fragment(IP(src=A, dst=B, id=9) / syn() / (b"x" * 3000), fragsize=1480)
    segments, _, counters = dissect(*(ETHER / part for part in parts))
    assert (counters.tcp, counters.fragments) == (1, 2)
    assert (segments["marks"][0], segments["flags"][0], segments["ip_id"][0]) == (sg.MARK_FRAGMENT, sg.SYN, 9)
    first = ETHER / IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(m=1, nh=6) / Raw(bytes(syn()) + b"x" * 12)
    later = ETHER / IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(m=1, offset=4, nh=6) / (b"x" * 32)
    udp = ETHER / IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(m=1, offset=4, nh=17) / (b"x" * 32)
    segments, _, counters = dissect(first, later, udp)
    assert segments["marks"].tolist() == [sg.MARK_FRAGMENT]
    assert (counters.tcp, counters.fragments, counters.not_tcp) == (1, 1, 1)


def test_a_fragment_too_small_for_the_tcp_header_is_malformed():
    tiny = ETHER / IP(src=A, dst=B, flags="MF", proto=6) / bytes(syn())[:8]
    assert counted(tiny) == {"frames": 1, "malformed": 1}


@pytest.mark.parametrize(
    ("at", "value"),
    [(14, 0x55), (14, 0x44), (16, 0x00), (17, 0x13), (17, 0x20), (46, 0x40), (46, 0x60)],
)
def test_headers_that_contradict_themselves_are_malformed(at, value):
    data = bytearray(bytes(ETHER / V4))
    data[at] = value
    if at == 16:
        data[17] = 39  # a total length that leaves 19 bytes
    assert counted(data) == {"frames": 1, "malformed": 1}


def test_no_length_or_a_jumbo_length_is_offload():
    data = bytearray(bytes(ETHER / V4) + bytes(30_000))
    data[16:18] = bytes(2)
    row = one(data)
    assert (row["len"], row["ip_len"], row["marks"]) == (30_000, 30_040, sg.MARK_GSO)
    row = one(data[:100], wirelen=len(data))
    assert (row["len"], row["marks"]) == (30_000, sg.MARK_GSO)
    row = one(data[: 14 + 40 + 600])
    assert (row["len"], row["marks"]) == (600, 0)
    data = bytearray(bytes(ETHER / V6) + bytes(70_000))
    data[18:20] = bytes(2)
    row = one(data)
    assert (row["len"], row["ip_len"], row["marks"]) == (70_000, 70_060, sg.MARK_GSO)
    hop = IPv6ExtHdrHopByHop(options=[Jumbo(jumboplen=8 + 20 + 100_000)])
    packet = IPv6(src=A6, dst=B6, plen=0) / hop / syn()
    row = one(bytes(ETHER / packet) + bytes(100), wirelen=14 + 40 + 8 + 20 + 100_000)
    assert (row["len"], row["ip_len"], row["marks"]) == (100_000, 100_068, sg.MARK_GSO)


def test_a_long_packet_is_marked_above_what_a_link_carries():
    packet = IP(src=A, dst=B) / syn()
    assert one(packet / (b"x" * (9216 - 40)), link=fr.LINK_RAW)["marks"] == 0
    assert one(packet / (b"x" * (9216 - 39)), link=fr.LINK_RAW)["marks"] == sg.MARK_GSO


def tcp_options(options, **fields):
    return one(ETHER / IP(src=A, dst=B) / syn(options=options, **fields) / b"payload")


def test_the_options_of_a_syn():
    row = tcp_options([("MSS", 1460), ("SAckOK", b""), ("Timestamp", (123, 456)), ("NOP", None), ("WScale", 7)])
    assert row["options"] == sg.OPT_MSS | sg.OPT_SACK_PERMITTED | sg.OPT_TS | sg.OPT_WSCALE
    assert (row["mss"], row["tsval"], row["tsecr"], row["wscale"], row["len"]) == (1460, 123, 456, 7, 7)
    windows = [("MSS", 1440), ("NOP", None), ("WScale", 8), ("NOP", None), ("NOP", None), ("SAckOK", b"")]
    row = tcp_options(windows)
    assert row["options"] == sg.OPT_MSS | sg.OPT_WSCALE | sg.OPT_SACK_PERMITTED
    assert (row["mss"], row["wscale"], row["tsval"]) == (1440, 8, 0)


def test_timestamps_wherever_they_stand():
    for options in ([("NOP", None)] * 2, [], [("NOP", None)] * 3):
        row = tcp_options([*options, ("Timestamp", (0xFFFFFFFE, 5))], flags="A")
        assert (row["options"], row["tsval"], row["tsecr"], row["len"]) == (sg.OPT_TS, 0xFFFFFFFE, 5, 7)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_sack_blocks(n):
    edges = tuple(range(100, 100 + 2 * n))
    row = tcp_options([("NOP", None), ("NOP", None), ("SAck", edges)], flags="A")
    assert row["sack_n"] == n
    assert row["sack"].tolist() == [*edges] + [0] * (8 - 2 * n)
    assert row["options"] == 0


@pytest.mark.parametrize(
    ("raw", "cookie"),
    [("2202", 0), ("220a0102030405060708", 8), ("fd04f989", 0), ("fe0cf9890102030405060708", 8)],
)
def test_fast_open_cookies(raw, cookie):
    row = tcp_options([("MSS", 1460), *[(int(raw[:2], 16), bytes.fromhex(raw)[2:])]])
    assert row["options"] == sg.OPT_MSS | sg.OPT_TFO
    assert row["tfo_len"] == cookie


def test_another_experiment_is_not_fast_open():
    assert tcp_options([(253, bytes.fromhex("f98a0102"))])["options"] == 0


@pytest.mark.parametrize(
    ("options", "subtype", "reason"),
    [
        (["0181aabbccddeeff0011"], 0, 0),
        (["1004aabbccdd"], 1, 0),
        (["20010000000100000002"], 2, 0),
        (["8005"], 8, 5),
        (["2001000000010000", "8003"], 8, 3),
        (["7000aabbccddeeff0011", "8001"], 8, 1),
        (["8001", "7000aabbccddeeff0011"], 8, 1),
    ],
)
def test_mptcp_subtype_and_reset_reason(options, subtype, reason):
    row = tcp_options([(30, bytes.fromhex(raw)) for raw in options])
    assert (row["options"], row["mptcp"], row["mptcp_reason"]) == (sg.OPT_MPTCP, subtype, reason)


@pytest.mark.parametrize(
    ("raw", "known"),
    [
        ("020405b4 0300 0101", sg.OPT_MSS),  # a length below 2
        ("020405b4 0303 07 08", sg.OPT_MSS | sg.OPT_WSCALE),  # a kind without a length
        ("020405b4 080a0000", sg.OPT_MSS),  # a length behind the end
        ("020405b4 00 0303 07", sg.OPT_MSS),  # end of list
        ("0203050101010101", 0),  # an MSS of three bytes
        ("0509000000010000 00000000", 0),  # half a SACK block
        ("ff04abcd 020405b4", sg.OPT_MSS),  # an unknown kind
    ],
)
def test_malformed_options_end_the_list(raw, known):
    options = bytes.fromhex(raw.replace(" ", ""))
    header = bytearray(bytes(syn()))
    header[12] = (20 + len(options)) // 4 << 4
    row = one(ETHER / IP(src=A, dst=B, proto=6) / Raw(bytes(header) + options + b"payload"))
    assert (row["options"], row["sack_n"], row["marks"], row["len"]) == (known, 0, 0, 7)


def test_options_cut_by_the_snap_length_are_marked():
    packet = bytes(
        ETHER / IP(src=A, dst=B) / syn(options=[("MSS", 1460), ("Timestamp", (1, 2)), ("WScale", 7)]) / b"abc"
    )
    for cut in range(54, len(packet) - 3):
        row = one(packet[:cut], wirelen=len(packet))
        assert row["marks"] == sg.MARK_OPTIONS_CUT
        assert row["len"] == 3
        assert row["options"] == (sg.OPT_MSS if cut >= 58 else 0) | (sg.OPT_TS if cut >= 68 else 0) | (
            sg.OPT_WSCALE if cut >= 71 else 0
        )
    assert one(packet[: len(packet) - 3], wirelen=len(packet))["marks"] == 0


QUOTED4, QUOTED6 = IP(src=A, dst=B) / syn(seq=0xCAFE), IPv6(src=A6, dst=B6) / syn(seq=0xCAFE)


@pytest.mark.parametrize(
    ("packet", "kind", "code"),
    [
        (IP(src="192.0.2.1", dst=A, id=5, ttl=61) / ICMP(type=3, code=1) / QUOTED4, 3, 1),
        (IP(src="192.0.2.1", dst=A, id=5, ttl=61) / ICMP(type=3, code=4) / Raw(bytes(QUOTED4)[:28]), 3, 4),
        (IP(src="192.0.2.1", dst=A, id=5, ttl=61) / ICMP(type=11, code=0) / QUOTED4, 11, 0),
        (IPv6(src="2001:db8::1", dst=A6, hlim=61) / ICMPv6DestUnreach(code=4) / QUOTED6, 1, 4),
        (IPv6(src="2001:db8::1", dst=A6, hlim=61) / ICMPv6PacketTooBig(mtu=1280) / QUOTED6, 2, 0),
        (IPv6(src="2001:db8::1", dst=A6, hlim=61) / ICMPv6TimeExceeded(code=1) / QUOTED6, 3, 1),
    ],
)
def test_an_icmp_error_is_a_row_of_the_flow_that_it_quotes(packet, kind, code):
    row = one(ETHER / packet, direction=fr.DIRECTION_RECEIVED)
    assert (row["kind"], row["icmp_type"], row["icmp_code"], row["seq"]) == (sg.ICMP, kind, code, 0xCAFE)
    assert (row["sender"], row["flow.lower_port"], row["flow.higher_port"]) == (sg.LOWER, 40000, 80)
    assert (row["local"], row["local_how"], row["ttl"]) == (sg.LOWER, sg.HOW_CAPTURE, 61)
    assert (row["ack"], row["len"], row["flags"], row["window"], row["options"], row["sack_n"]) == (0, 0, 0, 0, 0, 0)
    router = ipaddress.ip_address(packet.src)
    mapped = router.packed if router.version == 6 else bytes(10) + b"\xff\xff" + router.packed
    assert b"".join(struct.pack(">I", part) for part in row["sack"][:4]) == mapped
    assert not row["sack"][4:].any()


def test_an_icmp_error_by_the_other_host_about_what_the_higher_end_sent():
    quoted = IP(src=B, dst=A) / TCP(sport=80, dport=40000, seq=3)
    row = one(ETHER / IP(src=A, dst=B) / ICMP(type=3, code=3) / quoted, direction=fr.DIRECTION_SENT)
    assert (row["sender"], row["local"]) == (sg.HIGHER, sg.LOWER)
    row = one(ETHER / IP(src="192.0.2.1", dst=B) / ICMP(type=3, code=3) / quoted, direction=fr.DIRECTION_SENT)
    assert (row["sender"], row["local"]) == (sg.HIGHER, sg.NONE)


def test_icmp_that_quotes_no_tcp_header_is_not_tcp():
    outer = ETHER / IP(src="192.0.2.1", dst=A)
    packets = [
        outer / ICMP(type=3, code=3) / IP(src=A, dst=B) / UDP(),
        outer / ICMP(type=5) / QUOTED4,
        outer / ICMP(type=8),
        outer / ICMP(type=3) / b"short",
        outer / ICMP(type=3) / Raw(bytes(IP(src=A, dst=B, frag=4, proto=6)) + bytes(8)),
        ETHER / IPv6() / ICMPv6DestUnreach() / QUOTED4,
    ]
    assert counted(*packets) == {"frames": len(packets), "not_tcp": len(packets)}
    cut = outer / ICMP(type=3, code=1) / Raw(bytes(QUOTED4)[:27])
    assert counted(cut) == {"frames": 1, "truncated": 1}


@pytest.mark.parametrize(
    ("direction", "local"),
    [
        (fr.DIRECTION_SENT, {"there": sg.LOWER, "back": sg.HIGHER, "self": sg.BOTH}),
        (fr.DIRECTION_RECEIVED, {"there": sg.HIGHER, "back": sg.LOWER, "self": sg.BOTH}),
        (fr.DIRECTION_BOTH, {"there": sg.BOTH, "back": sg.BOTH, "self": sg.BOTH}),
        (fr.DIRECTION_UNKNOWN, {"there": sg.NONE, "back": sg.NONE, "self": sg.NONE}),
    ],
)
def test_metadata_says_which_end_is_local(direction, local):
    packets = {
        "there": ETHER / IP(src=A, dst=B) / syn(),
        "back": ETHER / IP(src=B, dst=A) / TCP(sport=80, dport=40000),
        "self": ETHER / IP(src=A, dst=A) / syn(),
    }
    for name, packet in packets.items():
        row = one(packet, direction=direction)
        assert row["local"] == local[name]
        assert row["local_how"] == (sg.HOW_CAPTURE if direction else sg.HOW_UNKNOWN)
    itself = one(ETHER / IP(src=A, dst=A) / syn(sport=80), direction=direction)
    assert itself["sender"] == sg.UNKNOWN
    assert itself["local"] == local["self"]


@pytest.mark.parametrize(
    ("kind", "direction"), [(0, "received"), (1, "received"), (2, "received"), (4, "sent"), (3, "")]
)
@pytest.mark.parametrize("version", [1, 2])
def test_a_cooked_header_says_the_direction(kind, direction, version):
    if version == 1:
        row = one(CookedLinux(pkttype=kind, proto=0x0800) / V4, link=fr.LINK_SLL)
    else:
        row = one(CookedLinuxV2(pkttype=kind, proto=0x0800) / V4, link=fr.LINK_SLL2)
    assert row["local"] == {"sent": sg.LOWER, "received": sg.HIGHER, "": sg.NONE}[direction]
    assert row["local_how"] == (sg.HOW_CAPTURE if direction else sg.HOW_UNKNOWN)


def test_the_capture_s_own_direction_wins_over_the_cooked_header_and_over_addresses():
    local = LocalAddresses.parse(B)
    packet = CookedLinux(pkttype=0, proto=0x0800) / V4
    row = one(packet, link=fr.LINK_SLL, direction=fr.DIRECTION_SENT, local=local)
    assert (row["local"], row["local_how"]) == (sg.LOWER, sg.HOW_CAPTURE)


@pytest.mark.parametrize(
    ("text", "v4", "v6"),
    [
        (A, sg.LOWER, sg.NONE),
        (f"{B}, fd09::2", sg.HIGHER, sg.HIGHER),
        ("10.9.0.0/30,fd09::/64", sg.BOTH, sg.BOTH),
        ("10.9.0.2/31", sg.HIGHER, sg.NONE),
        ("0.0.0.0/0", sg.BOTH, sg.NONE),
        ("::/0", sg.BOTH, sg.BOTH),
        ("fe80::/10,192.0.2.7", sg.NONE, sg.NONE),
        ("", sg.NONE, sg.NONE),
    ],
)
def test_local_addresses_speak_where_the_capture_does_not(text, v4, v6):
    local = LocalAddresses.parse(text)
    segments = dissect(ETHER / V4, ETHER / V6, local=local)[0]
    assert segments["local"].tolist() == [v4, v6]
    assert segments["local_how"].tolist() == [sg.HOW_OPTION, sg.HOW_OPTION]


def test_the_host_s_own_addresses_are_known_otherwise_than_an_option():
    row = one(ETHER / V6, local=LocalAddresses.of_host([A, "fd09::2%eth0"]))
    assert (row["local"], row["local_how"]) == (sg.HIGHER, sg.HOW_ADDRESSES)


@pytest.mark.parametrize("text", ["10.9.0", "eth0", "10.0.0.0/33", "fe80::/10,::1%lo,x"])
def test_a_wrong_local_address_is_a_usage_error(text):
    with pytest.raises(UsageError, match="is neither an address nor a network"):
        LocalAddresses.parse(text)


def test_loopback_addresses_are_local_without_being_told():
    packets = [
        ETHER / IP(src="127.0.0.1", dst="127.8.9.1") / syn(),
        ETHER / IPv6(src="::1", dst="::1") / syn(),
        ETHER / V4,
    ]
    segments = dissect(*packets)[0]
    assert segments["local"].tolist() == [sg.BOTH, sg.BOTH, sg.NONE]
    assert segments["local_how"].tolist() == [sg.HOW_UNKNOWN] * 3
    assert dissect(*packets, local=LocalAddresses.parse(A))[0]["local"].tolist() == [sg.NONE, sg.NONE, sg.LOWER]


@pytest.mark.parametrize(
    ("metadata", "verify", "good", "bad"),
    [
        (fr.CHECKSUM_VALID, False, sg.CSUM_OK, sg.CSUM_OK),
        (fr.CHECKSUM_NOT_READY, True, sg.CSUM_UNKNOWN, sg.CSUM_UNKNOWN),
        (fr.CHECKSUM_UNKNOWN, False, sg.CSUM_UNKNOWN, sg.CSUM_UNKNOWN),
        (fr.CHECKSUM_UNKNOWN, True, sg.CSUM_OK, sg.CSUM_BAD),
    ],
)
@pytest.mark.parametrize("ip", [IP(src=A, dst=B), IPv6(src=A6, dst=B6)])
@pytest.mark.parametrize("payload", [b"", b"a", b"payload", b"x" * 1400])
def test_checksums(metadata, verify, good, bad, ip, payload):
    right = bytes(ETHER / ip / syn(flags="A") / payload)
    wrong = right[:-1] + bytes([right[-1] ^ 0x40])
    segments = dissect(right, right, wrong, checksum=metadata, verify=verify)[0]
    assert segments["checksum"].tolist() == [good, good, bad]


def test_a_checksum_that_was_left_to_the_card_is_unknown():
    """Linux leaves the pseudo header's sum in the field. Others leave anything: seen when nine of ten are bad."""
    packet = ETHER / IP(src=A, dst=B) / syn(flags="A") / b"data"
    data = bytearray(bytes(packet))
    pseudo = sum(struct.unpack(">6H", data[26:34] + struct.pack(">HH", 6, 24)))
    data[50:52] = struct.pack(">H", (pseudo & 0xFFFF) + (pseudo >> 16))
    good, bad = bytes(packet), bytes(ETHER / IP(src=A, dst=B) / syn(flags="A", chksum=0x1234) / b"data")
    none = bytes(ETHER / IP(src=A, dst=B) / syn(flags="A", chksum=0) / b"data")
    assert dissect(data, none, good, verify=True)[0]["checksum"].tolist() == [0, 0, sg.CSUM_OK]
    back = bytes(ETHER / IP(src=B, dst=A) / TCP(sport=80, dport=40000, flags="A"))
    assert set(dissect(*[bad] * 9, back, good, verify=True)[0]["checksum"][:9].tolist()) == {sg.CSUM_UNKNOWN}
    assert set(dissect(*[bad] * 8, back, good, verify=True)[0]["checksum"][:8].tolist()) == {sg.CSUM_BAD}


def test_what_is_not_wholly_captured_is_not_verified():
    data = bytes(ETHER / IP(src=A, dst=B) / syn() / b"data")
    assert one(data[:-1], verify=True, wirelen=len(data))["checksum"] == sg.CSUM_UNKNOWN
    parts = fragment(IP(src=A, dst=B) / syn() / (b"x" * 3000), fragsize=1480)
    assert one(ETHER / parts[0], verify=True)["checksum"] == sg.CSUM_UNKNOWN


def test_rows_own_their_memory_and_count_frames_from_the_first():
    frames = block([bytes(ETHER / V4), bytes(ETHER / ARP()), bytes(ETHER / V6)])
    buffer = np.array(frames.buffer)
    dissector = Dissector()
    late = FrameBlock(buffer, frames.frames, first_frame=2**32 - 1)
    segments, flows = dissector.dissect(late)
    before = segments.tobytes(), flows.tobytes()
    buffer[:] = 0xFF
    dissector.dissect(block([bytes(ETHER / V6)] * 3))
    assert (segments.tobytes(), flows.tobytes()) == before
    assert segments["frame"].tolist() == [2**32 - 1, 1]


def test_an_empty_block():
    segments, flows, counters = dissect()
    assert (len(segments), len(flows), counters.frames) == (0, 0, 0)


def test_the_random_keys_of_the_index_never_show():
    packets = [ETHER / IP(src=A, dst=B) / syn(sport=1000 + i * 7 % 300, seq=i) for i in range(900)]
    frames = block([bytes(packet) for packet in packets])
    one_run, other = Dissector().dissect(frames), Dissector().dissect(frames)
    for mine, theirs in zip(one_run, other, strict=True):
        assert mine.tobytes() == theirs.tobytes()
    assert len(one_run[1]) == 300


def test_blocks_of_any_size_one_after_the_other():
    packets = [bytes(ETHER / IP(src=A, dst=B) / syn(sport=1 + i, seq=i)) for i in range(700)]
    dissector = Dissector()
    for n in (3, 700, 0, 31, 32, 33, 64, 700):
        segments, flows = dissector.dissect(block(packets[:n]))
        assert segments["seq"].tolist() == segments["flow"].tolist() == list(range(n))
        assert flows["lower_port"].tolist() == list(range(1, n + 1))


def tuples(kind, n):
    """Lower and higher halves of n tuples of a kind that somebody could choose to make hash tables slow."""
    flows = np.zeros(n, sg.FLOW)
    numbers = np.arange(n, dtype=np.uint64)
    flows["family"] = 4 if kind in {"ports", "hosts"} else 6
    flows["lower_ip"][:, 1], flows["higher_ip"][:, 1] = 0xFFFF_0A00_0001, 0xFFFF_CB00_0001
    if kind == "ports":
        flows["lower_port"], flows["higher_port"] = numbers, 65535 - numbers
    elif kind == "hosts":
        flows["higher_ip"][:, 1] += numbers << np.uint64(8)
    elif kind == "high":
        flows["lower_ip"][:, 0] = numbers << np.uint64(48)
    else:
        flows["lower_ip"][:, 0], flows["higher_ip"][:, 0] = numbers, numbers << np.uint64(32)
    return flows


@pytest.mark.parametrize("kind", ["ports", "hosts", "high", "both"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_kind_of_tuples_makes_long_chains(kind, seed):
    room = 4096 if ENABLED else 512
    index = flow_index(room)
    index.keys[:] = np.random.default_rng(seed).integers(0, 2**64, KEYS, np.uint64)  # as if drawn at start
    packet = np.zeros(1, PACKET)
    flows = tuples(kind, room)
    slots = np.zeros(len(index.heads), np.int64)
    for flow in flows:
        packet["family"] = flow["family"]
        packet["source_0"], packet["source_1"] = flow["lower_ip"]
        packet["target_0"], packet["target_1"] = flow["higher_ip"]
        packet["source_port"], packet["target_port"] = flow["lower_port"], flow["higher_port"]
        want(packet[0], index.keys, index.wanted[0])
        slots[int(index.wanted["hash"][0]) >> 32 & len(index.heads) - 1] += 1
    assert slots.sum() == room
    assert slots.max() <= 12
