"""Whatever bytes come: no crash, no endless loop, no byte beyond what was captured, and compiled equals plain."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor import frames as fr
from sensor.dissect import Dissector
from sensor.frames import FRAME, FrameBlock
from synfin.compiled import ENABLED
from synfin.errors import CaptureError
from synfin.wire import segment as sg
from tests.support import capture_files as cf
from tests.support import frames as made
from tests.support.plain_decoder import OtherDecoder, digest

MANY = settings(deadline=None, max_examples=150 if ENABLED else 25)
SOME = settings(deadline=None, max_examples=60 if ENABLED else 10)
LINKS = (0, 1, 1, 1, 9, 12, 14, 101, 101, 108, 113, 113, 228, 229, 276, 276)

octets = st.binary(max_size=70)
ports = st.sampled_from((0, 80, 443, 65535))
hosts4 = st.sampled_from(("10.9.0.1", "10.9.0.2", "127.0.0.1", "203.0.113.7"))
hosts6 = st.sampled_from(("fd09::1", "fd09::2", "::1", "::ffff:10.9.0.1", "fd09:0:0:1::"))


@st.composite
def tcp(draw):
    """A TCP header with options of which some make sense, and some payload."""
    known = (
        "020405b4",
        "030307",
        "0402",
        "080a0000000100000002",
        "050a0000000100000009",
        "01",
        "1e040805",
        "220a0102030405060708",
    )
    options = b"".join(
        draw(st.lists(st.sampled_from([bytes.fromhex(o) for o in known]) | st.binary(max_size=5), max_size=4))
    )
    options = (options + bytes(-len(options) % 4))[:40]
    seq, ack = draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 2**32 - 1))
    offset = draw(st.sampled_from((5 + len(options) // 4,) * 9 + (0, 4, 15)))
    word = offset << 12 | draw(st.integers(0, 0xFFF))
    head = struct.pack(">HHIIHHHH", draw(ports), draw(ports), seq, ack, word, draw(st.integers(0, 65535)), 0, 0)
    return head + options + draw(octets)


@st.composite
def ipv4(draw, bodies):
    protocol, body = draw(bodies)
    fragment = draw(st.sampled_from((0,) * 8 + (0x2000, 0x2001, 0x4000, 0x00FF)))
    options = draw(st.sampled_from((b"", b"", b"", b"\1\1\1\0", b"\x44\x04\x05\x00" * 10)))
    packet = bytearray(made.ipv4(body, draw(hosts4), draw(hosts4), protocol, fragment, options))
    if draw(st.integers(0, 9)) == 0:
        packet[2:4] = draw(st.sampled_from((b"\0\0", b"\0\x13", b"\0\x28", b"\xff\xff")))
    return bytes(packet)


@st.composite
def ipv6(draw, bodies):
    protocol, body = draw(bodies)
    for kind in draw(st.lists(st.sampled_from((0, 43, 44, 51, 60, 135)), max_size=3)):
        extra = draw(st.integers(0, 2))
        size = 8 if kind == 44 else 4 * extra + 8 if kind == 51 else 8 * extra + 8
        inside = draw(st.binary(min_size=size - 2, max_size=size - 2))
        if kind == 44:
            inside = b"\0" + draw(st.sampled_from((b"\0", b"\1", b"\x08"))) + inside[2:]
        body, protocol = bytes([protocol, extra]) + inside + body, kind
    packet = bytearray(made.ipv6(body, draw(hosts6), draw(hosts6), protocol))
    if draw(st.integers(0, 9)) == 0:
        packet[4:6] = draw(st.sampled_from((b"\0\0", b"\0\x13", b"\xff\xff")))
    return bytes(packet)


carried4 = st.tuples(st.just(6), tcp()) | st.tuples(st.sampled_from((6, 1, 17)), octets)
carried6 = st.tuples(st.just(6), tcp()) | st.tuples(st.sampled_from((6, 58, 17)), octets)
quoting4 = st.tuples(
    st.just(1), st.builds(lambda kind, p: bytes([kind, 1]) + bytes(6) + p, st.sampled_from((3, 11, 5)), ipv4(carried4))
)
quoting6 = st.tuples(
    st.just(58),
    st.builds(lambda kind, p: bytes([kind, 4]) + bytes(6) + p, st.sampled_from((1, 2, 3, 129)), ipv6(carried6)),
)
bare = ipv4(carried4) | ipv4(carried4) | ipv6(carried6) | ipv4(quoting4) | ipv6(quoting6)


@st.composite
def in_tunnels(draw):
    """A packet inside tunnels, some more than are opened, some of wrong or short headers."""
    packet = draw(bare)
    for _ in range(draw(st.integers(1, 5))):
        kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
        frame = made.MACS + kind + packet
        flags = draw(st.sampled_from((0x00, 0x20, 0x80, 0xB0, 0x40)))
        gre = bytes([flags, 0]) + kind + bytes(4 * (flags & 0xB0).bit_count()) + packet
        protocol, body = draw(
            st.sampled_from(
                (
                    (4 if packet[0] >> 4 == 4 else 41, packet),
                    (47, gre),
                    (47, b"\0\0\x65\x58" + frame),
                    (17, made.udp(9, 4789, bytes([8, 0, 0, 0, 0, 0, flags, 0]) + frame)),
                    (17, made.udp(9, 6081, bytes([flags & 3, 0, 0x65, 0x58, 0, 0, 7, 0]) + frame)),
                    (17, made.udp(9, 6081, bytes([1, 0]) + kind + bytes([0, 0, 7, 0, 1, 2, 3, 4]) + packet)),
                )
            )
        )
        packet = made.ipv4(body, protocol=protocol) if draw(st.booleans()) else made.ipv6(body, protocol=protocol)
    return packet


packets = bare | bare | in_tunnels()


@st.composite
def framed(draw):
    """Link type and bytes of a frame."""
    packet, link = draw(packets), draw(st.sampled_from(LINKS))
    ethertype = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    tags = draw(st.lists(st.sampled_from((b"\x81\x00\0\x05", b"\x88\xa8\0\x06", b"\x91\x00\0\x07")), max_size=3))
    ethertype = b"".join(tags) + ethertype
    if link == 1:
        return link, made.MACS + ethertype + packet
    if link == 113:
        return link, bytes([0, draw(st.integers(0, 4))]) + bytes(12) + ethertype + packet
    if link == 276:
        return link, ethertype[:2] + bytes(8) + bytes([draw(st.integers(0, 4))]) + bytes(9) + ethertype[2:] + packet
    return link, (bytes(4) if link in (0, 108) else b"") + packet


@st.composite
def captures(draw):
    """A pcapng file of frames of many link types, some of them cut."""
    order = draw(st.sampled_from("<>"))
    out = [cf.ng_section(order), *(cf.ng_interface(order, link=link, resolution=9) for link in LINKS)]
    for n, (link, frame) in enumerate(draw(st.lists(framed(), min_size=1, max_size=8))):
        cut = draw(st.sampled_from((None,) * 6 + (20, 40, 60, 66, 100, 150)))
        flags = draw(st.sampled_from((None, 0, 1, 2, 3)))
        out.append(cf.ng_packet(10**18 + n, frame[:cut], order, LINKS.index(link), flags, wire=len(frame)))
    return b"".join(out)


@st.composite
def damaged(draw, whole):
    """Bytes of `whole`, some of them changed, left out or repeated."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(1, 6))):
        if not data:
            break
        at, size = draw(st.integers(0, len(data) - 1)), draw(st.integers(1, 40))
        what = draw(st.sampled_from(["flip", "set", "cut", "double", "zero", "ones"]))
        if what == "flip":
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "set":
            data[at] = draw(st.integers(0, 255))
        elif what == "cut":
            del data[at : at + size]
        elif what == "double":
            data[at:at] = data[at : at + size]
        else:
            data[at : at + 4] = bytes(4) if what == "zero" else b"\xff" * 4
    return bytes(data)


@pytest.fixture(scope="module")
def other():
    with OtherDecoder() as decoder:
        yield decoder


@SOME
@given(captures() | damaged(captures()))
def test_compiled_and_plain_agree_on_files(other, data):
    assert digest(data) == other.digest(data)


@SOME
@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), octets), max_size=6),
    st.sampled_from("<>"),
    st.sampled_from((cf.PCAP_MICRO, cf.PCAP_NANO, cf.PCAP_MODIFIED)),
    st.data(),
)
def test_compiled_and_plain_agree_on_classic_files(other, frames, order, magic, data):
    whole = st.just(cf.pcap(frames, order, magic))
    damaged_or_not = data.draw(whole | damaged(whole))
    assert digest(damaged_or_not) == other.digest(damaged_or_not)


@MANY
@given(damaged(captures()))
def test_a_damaged_file_ends_in_good_order(tmp_path_factory, data):
    file = cf.CaptureFile(cf.written(tmp_path_factory.mktemp("x"), data))
    try:
        for block in file.blocks():
            ends = block.frames["offset"].astype(np.int64) + block.frames["caplen"]
            assert (ends <= len(block.buffer)).all()
            assert (block.frames["wirelen"] >= block.frames["caplen"]).all()
    except CaptureError:
        assert file.frames == 0
    else:
        assert file.bytes_read == len(data) or file.torn


@MANY
@given(captures(), st.data())
def test_a_changed_byte_leaves_the_frames_before_it(tmp_path_factory, whole, data):
    folder = tmp_path_factory.mktemp("x")
    file, before = cf.read_all(cf.written(folder, whole))
    assert file.torn is None
    at = data.draw(st.integers(len(whole) // 2, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    _, after = cf.read_all(cf.written(folder, bytes(changed)))
    _, whole_before = cf.read_all(cf.written(folder, whole[:at]))
    assert after[: len(whole_before)] == whole_before == before[: len(whole_before)]


def guarded(frames):
    """A block in which bytes that no frame holds lie between the frames; reading one would change the rows."""

    def block(filler):
        rows, buffer = np.zeros(len(frames), FRAME), bytearray()
        for row, (link, data, more) in zip(rows, frames, strict=True):
            buffer += bytes([filler]) * 40
            row["offset"], row["caplen"], row["wirelen"], row["link"] = len(buffer), len(data), len(data) + more, link
            buffer += data
        return FrameBlock(np.frombuffer(bytes(buffer), np.uint8), rows)

    return block


random_frames = st.tuples(st.sampled_from(LINKS), st.binary(max_size=120), st.integers(0, 3000))
cut_frames = st.builds(lambda f, cut, more: (f[0], f[1][:cut], more), framed(), st.integers(0, 110), st.integers(0, 99))


@MANY
@given(st.lists(random_frames | cut_frames, max_size=12))
def test_no_byte_is_read_that_was_not_captured(frames):
    block = guarded(frames)
    for verify in (False, True):
        told = []
        for filler in (0x00, 0xFF, 0x45):
            dissector = Dissector(verify=verify)
            segments, flows = dissector.dissect(block(filler))
            told.append((segments.tobytes(), flows.tobytes(), dissector.counters))
        assert told[0] == told[1] == told[2]


@MANY
@given(st.lists(ipv4(carried4), min_size=1, max_size=6), st.integers(0, 3), st.integers(0, 140))
def test_the_short_way_and_the_long_way_give_the_same_rows(sent, direction, cut):
    """A VLAN tag keeps a frame from the short way; all else about it is the same."""
    told = []
    for tag in (b"", b"\x81\x00\0\x05"):
        head = made.MACS + tag + b"\x08\x00"
        data = [head + packet[:cut] for packet in sent]
        block = guarded([(fr.LINK_ETHERNET, d, len(p) - len(p[:cut])) for d, p in zip(data, sent, strict=True)])(0x45)
        block.frames["direction"] = direction
        block.frames["checksum"] = [n % 2 for n in range(len(sent))]
        dissector = Dissector()
        segments, flows = dissector.dissect(block)
        told.append((segments.tobytes(), flows.tobytes(), dissector.counters))
    assert told[0] == told[1]


@MANY
@given(st.lists(framed(), max_size=12), st.integers(0, 3))
def test_every_frame_is_in_one_count_and_every_row_in_bounds(frames, direction):
    block = guarded([(link, data, 0) for link, data in frames])(0)
    block.frames["direction"] = direction
    dissector = Dissector()
    segments, flows = dissector.dissect(block)
    counters = dissector.counters
    assert counters.frames == len(frames) == sum(counters[name] for name in counters if name != "frames")
    assert len(segments) == counters.tcp + counters.icmp
    assert sum(counters.links.values()) == counters.unsupported
    assert sorted(set(segments["flow"].tolist())) == list(range(len(flows)))
    assert (np.diff(segments["frame"].astype(np.int64)) > 0).all()
    assert (segments["sack_n"] <= 4).all()
    assert len(np.unique(flows)) == len(flows)
    lower, higher = flows["lower_ip"].astype(object), flows["higher_ip"].astype(object)
    for (a0, a1), (b0, b1), flow in zip(lower, higher, flows, strict=True):
        assert (a0, a1, flow["lower_port"]) <= (b0, b1, flow["higher_port"])
    if direction == fr.DIRECTION_BOTH:  # of what stands inside a tunnel the capture says nothing
        assert (segments["local"][segments["local_how"] == sg.HOW_CAPTURE] == sg.BOTH).all()
