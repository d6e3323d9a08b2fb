"""Kernels that write IP addresses: IPv4 dotted, IPv6 as RFC 5952 says."""

from typing import Any, Final

import numpy as np

from synfin.compiled import compiled
from synfin.wire.text import hex_group, pieces, put, put_char

ADDRESS_MAX: Final = 45

_U0, _U1, _U2, _U3, _U6, _U7, _U8, _U16, _U48 = (np.uint64(n) for n in (0, 1, 2, 3, 6, 7, 8, 16, 48))
_BYTE: Final = np.uint64(0xFF)
_GROUP: Final = np.uint64(0xFFFF)
_MAPPED: Final = np.uint64(0xFFFF)  # upper half of the lower number of ::ffff:0:0/96
_DOT: Final = np.uint64(ord("."))
_COLON: Final = np.uint64(ord(":"))
_OCTETS: Final = pieces([str(n) for n in range(256)])
_PREFIX: Final = pieces(["::ffff:", "::"])


@compiled
def _ipv4(out: Any, at: Any, x: Any) -> Any:
    at += put(out[at], _OCTETS[(x >> np.uint64(24)) & _BYTE])
    at += put_char(out[at], _DOT)
    at += put(out[at], _OCTETS[(x >> _U16) & _BYTE])
    at += put_char(out[at], _DOT)
    at += put(out[at], _OCTETS[(x >> _U8) & _BYTE])
    at += put_char(out[at], _DOT)
    return at + put(out[at], _OCTETS[x & _BYTE])


@compiled
def _group(high: Any, low: Any, i: Any) -> Any:
    """Sixteen bits of an IPv6 address, i from 0 for the leftmost."""
    half = high if i < np.uint64(4) else low
    return (half >> (_U48 - ((i & _U3) << np.uint64(4)))) & _GROUP


@compiled
def _longest_zeros(high: Any, low: Any) -> Any:
    """First group and end of the longest run of zero groups, the first of equal ones; a run of one is none: (8, 8)."""
    first, end = _U8, _U8
    run = _U0
    for i in range(_U8):
        run = run + _U1 if _group(high, low, i) == _U0 else _U0
        if run > _U1 and run > end - first:
            first, end = i + _U1 - run, i + _U1
    return first, end


@compiled
def _ipv6(out: Any, at: Any, high: Any, low: Any) -> Any:
    if high == _U0 and low >> np.uint64(32) == _MAPPED:
        # RFC 5952 section 5: a known prefix before an IPv4 address.
        return _ipv4(out, at + put(out[at], _PREFIX[_U0]), low)
    first, end = _longest_zeros(high, low)
    i = _U0
    while i < _U8:
        if i == first:
            at += put(out[at], _PREFIX[_U1])
            i = end
        else:
            if i not in (_U0, end):
                at += put_char(out[at], _COLON)
            at += hex_group(out[at], _group(high, low, i))
            i = i + _U1
    return at


@compiled
def address(out: Any, at: Any, ip: Any, family: Any) -> Any:
    """Write an address of a FLOW, two uint64 in network order, high half first; returns the next place."""
    if family == 4:
        return _ipv4(out, at, ip[_U1])
    return _ipv6(out, at, ip[_U0], ip[_U1])
