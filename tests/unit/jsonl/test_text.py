"""Numbers, addresses and digests as text, against Python's own."""

import base64
import ipaddress
import random

import numpy as np
import pytest

from synfin.wire.address import ADDRESS_MAX, address
from synfin.wire.text import (
    PIECE_MAX,
    SLACK,
    base64_160,
    hex_128,
    hex_group,
    nullable,
    number,
    pieces,
    put,
    signed,
    windows,
)
from tests.support.json_records import address as address_by_ipaddress

EDGES = sorted({0, 1, 9, 2**63, 2**64 - 1, *(10**k + d for k in range(1, 20) for d in (-1, 0, 1))})


def written(kernel, *arguments):
    """What a kernel writes at byte 3 of a buffer whose first bytes are not its own."""
    buffer = np.full(3 + SLACK, ord("#"), np.uint8)
    n = int(kernel(windows(buffer)[np.uint64(3)], *arguments))
    assert buffer[:3].tobytes() == b"###"
    return buffer[3 : 3 + n].tobytes().decode()


@pytest.mark.parametrize("value", EDGES)
def test_unsigned_numbers(value):
    assert written(number, np.uint64(value)) == str(value)


def test_random_numbers_of_every_length():
    chance = random.Random(1)
    for _ in range(2000):
        value = chance.getrandbits(64) >> chance.randrange(64)
        assert written(number, np.uint64(value)) == str(value)
        number_with_sign = chance.choice([-1, 1]) * (value >> 1)
        assert written(signed, np.int64(number_with_sign)) == str(number_with_sign)


def test_the_least_number_and_the_missing_one():
    assert written(signed, np.int64(-(2**63))) == "-9223372036854775808"
    assert written(signed, np.int64(-1)) == "-1"
    assert written(nullable, np.int64(-1)) == "null"
    assert written(nullable, np.int64(-2)) == "-2"
    assert written(nullable, np.int64(1460)) == "1460"


@pytest.mark.parametrize("length", [0, 1, 8, 31, 32, 33, 40, PIECE_MAX])
def test_pieces_of_every_length(length):
    text = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ+/"[:length]
    assert written(put, pieces(["x", text])[1]) == text


def test_a_piece_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match="longer than a piece"):
        pieces(["a" * (PIECE_MAX + 1)])


def test_digests():
    chance = random.Random(2)
    for _ in range(300):
        raw = chance.randbytes(20)
        digest = np.frombuffer(raw, ">u4").astype(np.uint32)
        assert written(hex_128, digest[:4]) == raw[:16].hex()
        assert written(base64_160, digest) == base64.b64encode(raw).decode()


def test_every_group_of_an_ipv6_address():
    for value in (0, 1, 9, 10, 15, 16, 255, 256, 4095, 4096, 0xABCD, 65535):
        assert written(hex_group, np.uint64(value)) == f"{value:x}"


def ip(raw, family):
    halves = np.frombuffer(raw, ">u8").astype(np.uint64)
    buffer = np.zeros(ADDRESS_MAX + SLACK, np.uint8)
    end = int(address(windows(buffer), np.uint64(0), halves, family))
    assert end <= ADDRESS_MAX
    return buffer[:end].tobytes().decode(), address_by_ipaddress(halves, family)


@pytest.mark.parametrize(
    "text",
    [
        "::",
        "::1",
        "1::",
        "1::1",
        "2001:db8::1",
        "2001:db8:0:1:1:1:1:1",  # one zero group alone stays
        "2001:0:0:1:0:0:0:1",  # the longer run
        "2001:db8:0:0:1:0:0:1",  # of equal runs the first
        "0:0:1::",
        "0:1:0:1:0:1:0:1",
        "1:2:3:4:5:6:0:0",
        "0:0:3:4:5:6:7:8",
        "fe80::ffff:ffff:ffff:ffff",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "::ffff:192.0.2.1",
        "::192.0.2.1",
        "64:ff9b::c000:201",
        "a:bc:def:1234::",
    ],
)
def test_ipv6_edges(text):
    made, wanted = ip(ipaddress.IPv6Address(text).packed, 6)
    assert made == wanted


def test_random_addresses():
    chance = random.Random(5)
    for _ in range(1500):
        groups = [chance.choice([0, 0, chance.getrandbits(16) >> chance.randrange(16)]) for _ in range(8)]
        made, wanted = ip(b"".join(group.to_bytes(2, "big") for group in groups), 6)
        assert made == wanted
        made, wanted = ip(bytes(10) + b"\xff\xff" + chance.randbytes(4), 4)
        assert made == wanted
