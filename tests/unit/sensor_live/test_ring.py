"""The walk over one block of the ring, on blocks laid out as linux/if_packet.h says."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sensor.frames import FRAME, LINK_ETHERNET, LINK_SLL2
from sensor.ring import RingShape, walk_block
from tests.support.frames import ethernet, ipv4, ipv6, tcp

ROOT = Path(__file__).resolve().parent.parent.parent.parent
STATUS_CSUM_NOT_READY, STATUS_VLAN, STATUS_TPID, STATUS_CSUM_VALID = 1 << 3, 1 << 4, 1 << 6, 1 << 7


def packet(
    data, *, status=1, wirelen=None, pkttype=0, hatype=1, tag=(0, 0), protocol=0x0800, sec=1_700_000_000, nsec=7
):
    """One tpacket3_hdr with its sockaddr_ll and frame; tp_next_offset is filled in by `ring_block`."""
    mac = 48 + 20 + 12 + 32  # header, address, alignment, what was reserved
    head = struct.pack(
        "=6I2H2I2H8x", 0, sec, nsec, len(data), wirelen or len(data), status, mac, mac + 14, 0, tag[1], tag[0], 0
    )
    address = struct.pack(
        "=H2siHBB8s", 17, protocol.to_bytes(2), 3, hatype, pkttype, 6, bytes.fromhex("0200000000010000")
    )
    raw = head + address + bytes(mac - 68) + data
    return raw + bytes(-len(raw) % 16)


def ring_block(*packets):
    packets = [struct.pack("=I", len(raw)) + raw[4:] for raw in packets]
    descriptor = struct.pack("=2I4IQ4I", 1, 0, 1, len(packets), 48, 0, 1, 0, 0, 0, 0)
    return np.frombuffer(bytearray(descriptor + b"".join(packets) + bytes(16)), np.uint8)


def walk(octets, link=LINK_ETHERNET):
    frames = np.zeros(64, FRAME)
    frames.view(np.uint8)[:] = 0xEE  # as it was left by the block before
    frames["pad"] = frames["interface"] = 0
    count = walk_block(octets, octets.view(np.uint16), octets.view(np.uint32), np.uint64(link), frames)
    return frames[: int(count)]


def data_of(octets, frame):
    return octets[int(frame["offset"]) : int(frame["offset"]) + int(frame["caplen"])].tobytes()


def test_each_packet_of_a_block_is_a_row():
    datas = [ethernet(ipv4(tcp(1, port, 2, bytes(port)))) for port in range(1, 6)]
    octets = ring_block(*[packet(data, wirelen=2000 + i, nsec=i) for i, data in enumerate(datas)])
    rows = walk(octets)
    assert [data_of(octets, row) for row in rows] == datas
    assert rows["t_ns"].tolist() == [1_700_000_000_000_000_000 + i for i in range(5)]
    assert rows["wirelen"].tolist() == [2000 + i for i in range(5)]
    assert set(rows["link"]) == {LINK_ETHERNET}
    assert not rows["flags"].any()
    assert not rows["vlan_tci"].any()


@pytest.mark.parametrize(
    ("pkttype", "hatype", "direction"),
    [(0, 1, 1), (1, 1, 1), (2, 1, 1), (3, 1, 0), (4, 1, 2), (6, 1, 0), (0, 772, 3), (1, 772, 3)],
)
def test_the_direction_is_the_kernels_word(pkttype, hatype, direction):
    row = walk(ring_block(packet(ethernet(ipv4(tcp(1, 2))), pkttype=pkttype, hatype=hatype)))[0]
    assert row["direction"] == direction


@pytest.mark.parametrize(("status", "checksum"), [(1, 0), (1 | STATUS_CSUM_VALID, 1), (1 | STATUS_CSUM_NOT_READY, 2)])
def test_the_checksums_state(status, checksum):
    assert walk(ring_block(packet(ethernet(ipv4(tcp(1, 2))), status=status)))[0]["checksum"] == checksum


@pytest.mark.parametrize(
    ("status", "expected"),
    [(1, (0, 0, 0)), (1 | STATUS_VLAN, (1, 0x2005, 0x8100)), (1 | STATUS_VLAN | STATUS_TPID, (1, 0x2005, 0x88A8))],
)
def test_the_tag_that_was_taken_out(status, expected):
    row = walk(ring_block(packet(ethernet(ipv4(tcp(1, 2))), status=status, tag=(0x88A8, 0x2005))))[0]
    assert (row["flags"], row["vlan_tci"], row["vlan_tpid"]) == expected


def test_a_frame_longer_than_its_capture_keeps_its_length_and_a_shorter_length_is_no_length():
    rows = walk(ring_block(packet(bytes(60), wirelen=65_226), packet(bytes(60), wirelen=1)))
    assert rows["wirelen"].tolist() == [65_226, 60]


@pytest.mark.parametrize(
    ("payload", "protocol", "named"),
    [
        (ipv4(tcp(1, 2)), 0x0800, 0x0800),
        (ipv6(tcp(1, 2)), 0x86DD, 0x86DD),
        # From 6.10 on the kernel names the innermost protocol of a received frame whose second tag is in the payload.
        (bytes.fromhex("0005 0800") + ipv4(tcp(1, 2)), 0x0800, 0x8100),
        (bytes.fromhex("0005 86dd") + ipv6(tcp(1, 2)), 0x86DD, 0x8100),
        (bytes.fromhex("0005 0800") + ipv4(tcp(1, 2)), 0x8100, 0x8100),  # before 6.10
        (ipv4(tcp(1, 2))[:2] + bytes.fromhex("0800") + ipv4(tcp(1, 2))[4:], 0x0800, 0x0800),  # 2048 bytes long
        (bytes(46), 0x0806, 0x0806),
    ],
)
def test_a_cooked_packet_gets_its_header(payload, protocol, named):
    octets = ring_block(packet(payload, protocol=protocol, pkttype=4, hatype=512, wirelen=3000))
    row = walk(octets, LINK_SLL2)[0]
    header = struct.pack(">HHIHBB8s", named, 0, 3, 512, 4, 6, bytes.fromhex("0200000000010000"))
    assert data_of(octets, row) == header + payload
    assert row["wirelen"] == 3020
    assert row["link"] == LINK_SLL2
    assert row["direction"] == 2


def test_an_empty_block_has_no_rows():
    assert len(walk(ring_block())) == 0


def test_the_request_to_the_kernel_covers_all_blocks_evenly():
    block_bytes, blocks, frame_bytes, frames, retire_ms, private, features = struct.unpack("=7I", RingShape().request())
    assert frames * frame_bytes == block_bytes * blocks
    assert block_bytes >= 512 << 10  # BIG TCP
    assert (retire_ms, private, features) == (50, 0, 0)


# Everything that the live capture compiles, over the same input; what it prints must not depend on compilation.
SCRIPT = """
import hashlib, sys
import numpy as np
from tests.support.frames import block, ethernet, packets
from tests.unit.sensor_live.test_ring import packet, ring_block, walk
from sensor.bpf_run import BlockFilter
from sensor.capfile_blocks import Scratch
digest = hashlib.sha256()
frames = [ethernet(p, tags) for p in packets() for tags in [(), (5,), (7, 5)]]
for link in (1, 276):
    octets = ring_block(*[packet(f, status=1 << i % 8, pkttype=i % 5, tag=(0x88a8, i)) for i, f in enumerate(frames)])
    rows = walk(octets, link)
    digest.update(rows.tobytes() + octets.tobytes())
given = block(frames)
for text in ("port not 22", "len > 60 and ip[2:2] / 3 % 5 != 1", "tcp[13] & 2 != 0 or ip6"):
    digest.update(BlockFilter(text).mask(given).tobytes())
given.frames["flags"], given.frames["direction"], given.frames["vlan_tci"] = 1, 2, 9
digest.update(Scratch().pcap_records(given))
digest.update(Scratch().pcapng_records(given, np.arange(len(given), dtype=np.uint64)))
print(digest.hexdigest())
"""


def test_compiled_and_plain_give_the_same_bytes():
    results = []
    for compiled in "10":
        environment = {**os.environ, "SYNFIN_COMPILED": compiled, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment,
            timeout=200,
        )
        results.append(done.stdout)
    assert len(results[0]) == 65
    assert results[0] == results[1]
