"""The table of fields: name, kind, and where in a packet its values are. Filters and `-T fields` both go by it.

Names, kinds and meanings are Wireshark's (4.0). A packet has any number of values of a field: two of `tcp.port`, those
of each layer where layers repeat, none where there is no such layer or the capture cut it off.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as made
from typing import Final, TypeAlias

from synfin.filter.kinds import Kind

UINT, BOOL, BYTES, NONE = Kind.UINT, Kind.BOOL, Kind.BYTES, Kind.NONE


@dataclass(frozen=True, slots=True)
class Layer:
    """The layer itself: all bytes from its first on, its own header and what it carries."""

    layer: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What the capture says of the frame."""

    column: str


@dataclass(frozen=True, slots=True)
class Head:
    """A number or an address in a layer's header: `size` bytes in network order, masked, shifted right, multiplied."""

    layer: str
    offset: int
    size: int
    mask: int = 0  # 0: all bits
    factor: int = 1


@dataclass(frozen=True, slots=True)
class Option:
    """A number in a TCP option, `offset` bytes behind the option's first and again at each `step`; size 0: is there."""

    kind: int
    offset: int
    size: int
    step: int = 0  # bytes between two of its values where the option may have several
    mask: int = 0
    at_least: int = 0  # bytes of an option that has it
    relative: bool = False  # to the peer's first sequence number


@dataclass(frozen=True, slots=True)
class Stream:
    """What follows from the packets of the connection so far, or, of `completeness`, from all."""

    column: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """Of Wireshark's analysis of sequence numbers, see `synfin.packets.analysis`."""

    name: str


@dataclass(frozen=True, slots=True)
class Derived:
    """What `synfin.packets` makes from several of the above."""

    name: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """The values of several fields."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """Of a connection's record alone."""

    column: str


Source: TypeAlias = Layer | Frame | Head | Option | Stream | Analysis | Derived | OneOf | Flow


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `digits` are those of its hexadecimal form, 0 where it is shown in decimal."""

    name: str
    kind: Kind
    source: Source
    bits: int = 32
    digits: int = 0
    names: Mapping[str, int] = made(default_factory=dict, compare=False)  # values that have a name
    flow: str = ""  # what a connection's record has of it


PROTOCOLS: Final = {"ICMP": 1, "IPv4": 4, "TCP": 6, "UDP": 17, "IPv6": 41, "GRE": 47, "ICMPv6": 58}
STATUSES: Final = {"Bad": 0, "Good": 1, "Unverified": 2}
MPTCP: Final = 30


def _frame() -> Iterator[Field]:
    yield Field("frame", Kind.PROTOCOL, Layer("frame"))
    for name in ("number", "len", "cap_len"):
        yield Field(f"frame.{name}", UINT, Frame(name))
    yield Field("frame.time", Kind.TIME, Frame("time"))
    for name in ("time_epoch", "time_relative", "time_delta"):
        yield Field(f"frame.{name}", Kind.DURATION, Frame(name))
    yield Field("frame.protocols", Kind.STRING, Frame("protocols"))


def _link() -> Iterator[Field]:
    yield Field("eth", Kind.PROTOCOL, Layer("eth"))
    yield Field("eth.dst", Kind.ETHER, Head("eth", 0, 6))
    yield Field("eth.src", Kind.ETHER, Head("eth", 6, 6))
    yield Field("eth.addr", Kind.ETHER, OneOf(("eth.dst", "eth.src")))
    yield Field("eth.type", UINT, Derived("eth.type"), 16, 4)
    yield from _cooked()
    yield Field("vlan", Kind.PROTOCOL, Layer("vlan"))
    yield Field("vlan.priority", UINT, Head("vlan", 0, 2, 0xE000), 16)
    yield Field("vlan.dei", BOOL, Head("vlan", 0, 2, 0x1000), 16)
    yield Field("vlan.id", UINT, Head("vlan", 0, 2, 0x0FFF), 16)
    yield Field("vlan.etype", UINT, Derived("vlan.etype"), 16, 4)


def _cooked() -> Iterator[Field]:
    yield Field("sll", Kind.PROTOCOL, Derived("sll"))
    for name in ("pkttype", "hatype", "halen"):
        yield Field(f"sll.{name}", UINT, Derived(f"sll.{name}"), 16)
    yield Field("sll.ifindex", UINT, Head("sll2", 4, 4))
    yield Field("sll.src.eth", Kind.ETHER, Derived("sll.src.eth"))
    yield Field("sll.etype", UINT, Derived("sll.etype"), 16, 4)
    yield Field("null", Kind.PROTOCOL, Layer("null"))
    yield Field("null.family", UINT, Derived("null.family"))


def _ip() -> Iterator[Field]:
    def head(name: str, offset: int, size: int, mask: int = 0, digits: int = 0, factor: int = 1) -> Field:
        return Field(f"ip.{name}", UINT, Head("ip", offset, size, mask, factor), 8 * size, digits)

    yield Field("ip", Kind.PROTOCOL, Layer("ip"), flow="v4")
    yield Field("ip.version", UINT, Derived("ip.version"), 8)  # of IPv6 too
    yield head("hdr_len", 0, 1, 0x0F, factor=4)
    yield head("dsfield", 1, 1, digits=2)
    yield head("dsfield.dscp", 1, 1, 0xFC)
    yield head("dsfield.ecn", 1, 1, 0x03)
    yield head("len", 2, 2)
    yield head("id", 4, 2, digits=4)
    yield head("flags", 6, 1, 0xE0, digits=2)
    for name, mask in (("rb", 0x80), ("df", 0x40), ("mf", 0x20)):
        yield Field(f"ip.flags.{name}", BOOL, Head("ip", 6, 1, mask))
    yield head("frag_offset", 6, 2, 0x1FFF)
    yield head("ttl", 8, 1)
    yield Field("ip.proto", UINT, Head("ip", 9, 1), 8, names=PROTOCOLS)
    yield head("checksum", 10, 2, digits=4)
    yield Field("ip.src", Kind.IPV4, Head("ip", 12, 4))
    yield Field("ip.dst", Kind.IPV4, Head("ip", 16, 4))
    yield Field("ip.addr", Kind.IPV4, OneOf(("ip.src", "ip.dst")), flow="v4_ends")
    for name, whose in (("src_host", "src"), ("dst_host", "dst"), ("host", "addr")):
        yield Field(f"ip.{name}", Kind.STRING, Derived(f"text of ip.{whose}"))


def _ipv6() -> Iterator[Field]:
    yield Field("ipv6", Kind.PROTOCOL, Layer("ipv6"), flow="v6")
    yield Field("ipv6.version", UINT, Head("ipv6", 0, 1, 0xF0), 8)
    yield Field("ipv6.tclass", UINT, Head("ipv6", 0, 4, 0x0FF00000), 32, 8)
    yield Field("ipv6.tclass.dscp", UINT, Head("ipv6", 0, 4, 0x0FC00000))
    yield Field("ipv6.tclass.ecn", UINT, Head("ipv6", 0, 4, 0x00300000))
    yield Field("ipv6.flow", UINT, Head("ipv6", 0, 4, 0x000FFFFF), 24, 6)
    yield Field("ipv6.plen", UINT, Head("ipv6", 4, 2), 16)
    yield Field("ipv6.nxt", UINT, Head("ipv6", 6, 1), 8, names=PROTOCOLS)
    yield Field("ipv6.hlim", UINT, Head("ipv6", 7, 1), 8)
    yield Field("ipv6.src", Kind.IPV6, Head("ipv6", 8, 16))
    yield Field("ipv6.dst", Kind.IPV6, Head("ipv6", 24, 16))
    yield Field("ipv6.addr", Kind.IPV6, OneOf(("ipv6.src", "ipv6.dst")), flow="v6_ends")
    for name, whose in (("src_host", "src"), ("dst_host", "dst"), ("host", "addr")):
        yield Field(f"ipv6.{name}", Kind.STRING, Derived(f"text of ipv6.{whose}"))


def _beside_tcp() -> Iterator[Field]:
    for layer in ("icmp", "icmpv6"):
        yield Field(layer, Kind.PROTOCOL, Layer(layer))
        yield Field(f"{layer}.type", UINT, Head(layer, 0, 1), 8)
        yield Field(f"{layer}.code", UINT, Head(layer, 1, 1), 8)
    yield Field("udp", Kind.PROTOCOL, Layer("udp"))
    yield Field("udp.srcport", UINT, Head("udp", 0, 2), 16)
    yield Field("udp.dstport", UINT, Head("udp", 2, 2), 16)
    yield Field("udp.port", UINT, OneOf(("udp.srcport", "udp.dstport")), 16)
    yield Field("udp.length", UINT, Head("udp", 4, 2), 16)
    yield Field("udp.checksum", UINT, Head("udp", 6, 2), 16, 4)


TCP_FLAGS: Final = {
    "res": 0x0E00,
    "ae": 0x0100,
    "cwr": 0x0080,
    "ece": 0x0040,
    "urg": 0x0020,
    "ack": 0x0010,
    "push": 0x0008,
    "reset": 0x0004,
    "syn": 0x0002,
    "fin": 0x0001,
}


def _tcp() -> Iterator[Field]:
    yield Field("tcp", Kind.PROTOCOL, Layer("tcp"), flow="all")
    yield Field("tcp.srcport", UINT, Head("tcp", 0, 2), 16)
    yield Field("tcp.dstport", UINT, Head("tcp", 2, 2), 16)
    yield Field("tcp.port", UINT, OneOf(("tcp.srcport", "tcp.dstport")), 16, flow="ports")
    yield Field("tcp.seq_raw", UINT, Head("tcp", 4, 4))
    yield Field("tcp.ack_raw", UINT, Head("tcp", 8, 4))
    yield Field("tcp.hdr_len", UINT, Head("tcp", 12, 1, 0xF0, 4), 8)
    yield Field("tcp.flags", UINT, Head("tcp", 12, 2, 0x0FFF), 16, 4)
    for name, mask in TCP_FLAGS.items():
        yield Field(f"tcp.flags.{name}", BOOL, Head("tcp", 12, 2, mask))
    yield Field("tcp.flags.str", Kind.STRING, Derived("tcp.flags.str"))
    yield Field("tcp.window_size_value", UINT, Head("tcp", 14, 2), 16)
    yield Field("tcp.checksum", UINT, Head("tcp", 16, 2), 16, 4)
    yield Field("tcp.checksum.status", UINT, Derived("tcp.checksum.status"), 8, names=STATUSES)
    yield Field("tcp.urgent_pointer", UINT, Head("tcp", 18, 2), 16)
    yield Field("tcp.len", UINT, Derived("tcp.len"))
    yield Field("tcp.payload", BYTES, Derived("tcp.payload"))
    for name in ("stream", "seq", "nxtseq", "ack", "window_size"):
        yield Field(f"tcp.{name}", UINT, Stream(name))
    yield Field("tcp.completeness", UINT, Stream("completeness"), 8, flow="completeness")
    yield Field("tcp.window_size_scalefactor", Kind.INT, Stream("scale_factor"))
    for name in ("time_relative", "time_delta"):
        yield Field(f"tcp.{name}", Kind.DURATION, Stream(name))
    for name in ("syn", "synack", "fin", "rst", "fin_active", "fin_passive"):
        yield Field(f"tcp.connection.{name}", NONE, Stream(name))


ANALYSIS_LABELS: Final = (
    "retransmission",
    "fast_retransmission",
    "spurious_retransmission",
    "out_of_order",
    "lost_segment",
    "ack_lost_segment",
    "keep_alive",
    "keep_alive_ack",
    "duplicate_ack",
    "zero_window",
    "zero_window_probe",
    "zero_window_probe_ack",
    "window_update",
    "window_full",
    "reused_ports",
)
ANALYSIS_FAST_OPEN: Final = ("tfo_syn", "tfo_ack", "tfo_ignored")
ANALYSIS_NUMBERS: Final = (
    "acks_frame",
    "duplicate_ack_num",
    "duplicate_ack_frame",
    "rto_frame",
    "bytes_in_flight",
    "push_bytes_sent",
)
ANALYSIS_TIMES: Final = ("ack_rtt", "rto", "initial_rtt")


def _analysis() -> Iterator[Field]:
    yield Field("tcp.analysis", NONE, Analysis(""))
    for name in ("flags", *ANALYSIS_LABELS, *ANALYSIS_FAST_OPEN):
        yield Field(f"tcp.analysis.{name}", NONE, Analysis(name))
    for name in ANALYSIS_NUMBERS:
        yield Field(f"tcp.analysis.{name}", UINT, Analysis(name))
    for name in ANALYSIS_TIMES:
        yield Field(f"tcp.analysis.{name}", Kind.DURATION, Analysis(name))


def _tcp_options() -> Iterator[Field]:
    yield Field("tcp.options", BYTES, Derived("tcp.options"))
    yield Field("tcp.options.mss_val", UINT, Option(2, 2, 2, at_least=4), 16)
    yield Field("tcp.options.wscale.shift", UINT, Option(3, 2, 1, at_least=3), 8)
    yield Field("tcp.options.sack_perm", BYTES, Option(4, 0, 0))
    yield Field("tcp.options.sack_le", UINT, Option(5, 2, 4, 8, relative=True))
    yield Field("tcp.options.sack_re", UINT, Option(5, 6, 4, 8, relative=True))
    yield Field("tcp.options.timestamp.tsval", UINT, Option(8, 2, 4, at_least=10))
    yield Field("tcp.options.timestamp.tsecr", UINT, Option(8, 6, 4, at_least=10))
    yield Field("tcp.options.tfo", BYTES, Option(34, 0, 0))
    yield Field("tcp.options.mptcp.subtype", UINT, Option(MPTCP, 2, 1, mask=0xF0, at_least=3), 8)


FLOW_TEXTS: Final = {
    "state.orig": "the originator's last state",
    "state.resp": "the responder's last state",
    "handshake": "kind of the opening",
    "teardown": "kind of the close",
    "rst_form": "form of the reset that ended it",
    "conn_state": "as Zeek's",
    "history": "as Zeek's",
    "flow_id": "of the record",
}


def _synfin() -> Iterator[Field]:
    for name in FLOW_TEXTS:
        yield Field(f"synfin.{name}", Kind.STRING, Flow(name), flow=name)


def _table() -> Iterator[Field]:
    for part in (_frame, _link, _ip, _ipv6, _beside_tcp, _tcp, _analysis, _tcp_options, _synfin):
        yield from part()


FIELDS: Final[dict[str, Field]] = {field.name: field for field in _table()}
# What Wireshark has and a filter here has not yet; said instead of "no such field".
BEYOND: Final = (
    "tcp.options",
    "tcp.checksum",
    "tcp.ack.nonzero",
    "tcp.pdu",
    "frame",
    "ip",
    "ipv6",
    "eth",
    "vlan",
    "udp",
    "icmp",
    "icmpv6",
    "http",
    "tls",
    "dns",
    "arp",
)
