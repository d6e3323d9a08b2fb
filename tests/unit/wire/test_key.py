"""The hash that chooses slice and partition is XXH64 of 36 fixed bytes; vectors, and a second implementation."""

import ipaddress
import struct

import numpy as np
import pytest

from synfin.wire.key import SLICES, slice_of, tuple_hash

M64 = 2**64 - 1
P1, P2, P3, P4, P5 = (
    *(11400714785074694791, 14029467366897019727, 1609587929392839161),
    *(9650029242287828579, 2870177450012600261),
)


def xxh64(data, seed=0):
    """XXH64 as the specification has it, over any bytes."""

    def rotate(x, bits):
        return (x << bits | x >> 64 - bits) & M64

    def one(lane, word):
        return rotate((lane + word * P2) & M64, 31) * P1 & M64

    at = 0
    if len(data) >= 32:
        lanes = [(seed + P1 + P2) & M64, (seed + P2) & M64, seed, (seed - P1) & M64]
        while at + 32 <= len(data):
            words = struct.unpack_from("<4Q", data, at)
            lanes = [one(lane, word) for lane, word in zip(lanes, words, strict=True)]
            at += 32
        h = sum(rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & M64
        for lane in lanes:
            h = ((h ^ one(0, lane)) * P1 + P4) & M64
    else:
        h = (seed + P5) & M64
    h = (h + len(data)) & M64
    while at + 8 <= len(data):
        h = (rotate(h ^ one(0, struct.unpack_from("<Q", data, at)[0]), 27) * P1 + P4) & M64
        at += 8
    if at + 4 <= len(data):
        h = (rotate(h ^ struct.unpack_from("<I", data, at)[0] * P1 & M64, 23) * P2 + P3) & M64
        at += 4
    for byte in data[at:]:
        h = rotate(h ^ byte * P5 & M64, 11) * P1 & M64
    h = (h ^ h >> 33) * P2 & M64
    h = (h ^ h >> 29) * P3 & M64
    return h ^ h >> 32


def canonical(lower, lower_port, higher, higher_port):
    """The 36 bytes: IPv4 mapped, ports big-endian."""
    octets = b""
    for text, port in ((lower, lower_port), (higher, higher_port)):
        address = ipaddress.ip_address(text)
        octets += (b"\0" * 10 + b"\xff\xff" if address.version == 4 else b"") + address.packed + struct.pack(">H", port)
    return octets


def by_kernel(octets):
    lower, lower_port, higher, higher_port = octets[:16], octets[16:18], octets[18:34], octets[34:]
    words = (*struct.unpack(">2Q", lower), *struct.unpack(">H", lower_port))
    words += (*struct.unpack(">2Q", higher), *struct.unpack(">H", higher_port))
    return int(tuple_hash(*(np.uint64(word) for word in words)))


@pytest.mark.parametrize(
    ("data", "expected"),
    [  # of the reference implementation
        (b"", 0xEF46DB3751D8E999),
        (b"abc", 0x44BC2CF5AD770999),
        (b"Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1),
    ],
)
def test_the_implementation_here_is_xxh64(data, expected):
    assert xxh64(data) == expected


VECTORS = [  # written once with the package xxhash: where a connection's state lies must never change
    ("0.0.0.0", 0, "0.0.0.0", 0, 0xF6EB5A9F1E133505, 261),
    ("10.0.0.1", 80, "192.168.1.7", 51234, 0x966F9F3CA50A274B, 331),
    ("47.95.216.170", 443, "203.119.160.6", 40000, 0xEC5E7EB380B8CC6D, 237),
    ("127.0.0.1", 22, "127.0.0.1", 65535, 0xFC501E98E42BD123, 291),
    ("255.255.255.255", 65535, "255.255.255.255", 65535, 0xF166836E35F7E7D3, 339),
    ("::1", 8080, "::1", 8081, 0xE53A6AF14ECAB85E, 94),
    ("2001:db8::1", 443, "2001:db8::2", 50000, 0x940EE4A9343EDEC9, 73),
    ("10.0.0.1", 443, "2001:db8:ffff::1", 1, 0x6DA924EBC61DBEEA, 234),
    ("fe80::1", 1, "ff02::fb", 5353, 0x8B21966B867FEAD3, 211),
]


@pytest.mark.parametrize(("lower", "lower_port", "higher", "higher_port", "expected", "number"), VECTORS)
def test_the_hash_of_a_tuple_is_fixed(lower, lower_port, higher, higher_port, expected, number):
    octets = canonical(lower, lower_port, higher, higher_port)
    assert len(octets) == 36
    assert by_kernel(octets) == expected
    assert int(slice_of(np.uint64(expected))) == number


def test_any_tuple_is_hashed_as_its_bytes_are():
    rng = np.random.default_rng(3)
    for _ in range(500):
        octets = rng.bytes(36)
        assert by_kernel(octets) == xxh64(octets)


def test_slices_are_even():
    rng = np.random.default_rng(4)
    found = [by_kernel(rng.bytes(36)) % SLICES for _ in range(20_000)]
    counts = np.bincount(found, minlength=SLICES)
    assert len(counts) == SLICES
    assert 20 < counts.min() <= counts.max() < 95  # 52 each, give or take 6 standard deviations
