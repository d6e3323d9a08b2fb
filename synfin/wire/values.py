"""How each value of a row is written: `put_` for the encoder, and beside it `take_`, which undoes it.

`put_` returns a mode, which becomes part of the row's shape, and writes a number to a column only where the mode says
so. A number is near or far: a folded distance from what was expected, in a narrow column or in a wide one.

All columns lie in one array, uint32[], the `sink` or `source`: its first VALUES numbers say where the next number of
each column stands.
"""

from typing import Any, Final

import numpy as np

from synfin.compiled import leaf
from synfin.wire.columns import (
    ACK_FAR,
    ACK_NEAR,
    HEADERS,
    IP_ID_FAR,
    IP_ID_NEAR,
    LEN,
    SACK,
    SACK_WORDS_MAX,
    SEQ_FAR,
    SEQ_NEAR,
    TSECR_FAR,
    TSECR_NEAR,
    TSVAL_FAR,
    TSVAL_NEAR,
    TTL,
    WINDOW_FAR,
    WINDOW_NEAR,
    WORD_SACK,
)
from synfin.wire.predict import expected_seq, folded, unfolded

# Where each mode stands in SHAPE_MODES, and what it may be. Modes that a field does not have are refused.
SEQ_AT, ACK_AT, LEN_AT, WINDOW_AT, IP_ID_AT, TTL_AT, TSVAL_AT, TSECR_AT, SACK_AT = (0, 2, 5, 7, 9, 11, 12, 14, 16)
MODE_BITS: Final = 17
HEADERS_AT: Final = 32
HEADERS_APART: Final = 0xFFFF  # in place of the bytes of the headers: they stand in the column HEADERS

_SEQ_EXPECTED, _SEQ_NEAR, _SEQ_FAR = (np.uint64(n) for n in range(3))
_ACK_ALL, _ACK_SAME, _ACK_STEP, _ACK_NEAR, _ACK_FAR = (np.uint64(n) for n in range(5))
_LEN_ZERO, _LEN_SAME, _LEN_GIVEN = (np.uint64(n) for n in range(3))
_WINDOW_SAME, _WINDOW_NEAR, _WINDOW_FAR = (np.uint64(n) for n in range(3))
_ID_NEXT, _ID_SAME, _ID_NEAR, _ID_FAR = (np.uint64(n) for n in range(4))
_TTL_SAME, _TTL_GIVEN = (np.uint64(n) for n in range(2))
_TSVAL_EXPECTED, _TSVAL_SAME, _TSVAL_NEAR, _TSVAL_FAR = (np.uint64(n) for n in range(4))
_TSECR_ECHO, _TSECR_SAME, _TSECR_NEAR, _TSECR_FAR = (np.uint64(n) for n in range(4))
_SACK: Final = np.uint64(WORD_SACK)
_SACK_COUNTED, _SACK_ALL = (np.uint64(n) for n in range(2))

_U0, _U1, _U32 = (np.uint64(n) for n in (0, 1, 32))
_M16, _M32 = np.uint64(0xFFFF), np.uint64(0xFFFFFFFF)
_NEAR_8, _NEAR_16 = np.uint64(1 << 8), np.uint64(1 << 16)
_ACK_FLAG: Final = np.uint64(0x10)
_HALF_16: Final = np.uint64(0x8000)
_SACK_MAX: Final = np.uint64(SACK_WORDS_MAX)


@leaf
def _write(sink: Any, column: Any, number: Any) -> None:
    at = np.uint64(sink[column])
    sink[at] = number
    sink[column] = at + _U1


@leaf
def _read(source: Any, column: Any) -> Any:
    at = np.uint64(source[column])
    source[column] = at + _U1
    return np.uint64(source[at])


@leaf
def put_seq(seq: Any, slot: Any, peer: Any, sink: Any) -> Any:
    """Sequence number."""
    distance = folded(seq - expected_seq(slot, peer))
    if distance == _U0:
        return _SEQ_EXPECTED
    if distance < _NEAR_16:
        _write(sink, SEQ_NEAR, distance)
        return _SEQ_NEAR
    _write(sink, SEQ_FAR, distance)
    return _SEQ_FAR


@leaf
def take_seq(how: Any, slot: Any, peer: Any, source: Any) -> Any:
    """Undo put_seq."""
    expected = expected_seq(slot, peer)
    if how == _SEQ_EXPECTED:
        return expected
    column = SEQ_NEAR if how == _SEQ_NEAR else SEQ_FAR
    return (expected + unfolded(_read(source, column))) & _M32


@leaf
def _ack_all(flags: Any, peer: Any) -> Any:
    """What acknowledges all that the peer has sent; 0 as without the flag."""
    return np.uint64(peer["next"]) if flags & _ACK_FLAG else _U0


@leaf
def put_ack(ack: Any, flags: Any, slot: Any, peer: Any, sink: Any) -> Any:
    """Acknowledgment number: all, none more, a step as the last one, or a distance from this end's last."""
    if ack == _ack_all(flags, peer):
        return _ACK_ALL
    last = np.uint64(slot["ack"]) if slot["seen"] else np.uint64(peer["next"])
    distance = folded(ack - last)
    if distance == _U0:
        return _ACK_SAME
    if ack == (last + np.uint64(slot["step"])) & _M32:
        return _ACK_STEP
    if distance < _NEAR_16:
        _write(sink, ACK_NEAR, distance)
        return _ACK_NEAR
    _write(sink, ACK_FAR, distance)
    return _ACK_FAR


@leaf
def take_ack(how: Any, flags: Any, slot: Any, peer: Any, source: Any) -> Any:
    """Undo put_ack."""
    if how == _ACK_ALL:
        return _ack_all(flags, peer)
    last = np.uint64(slot["ack"]) if slot["seen"] else np.uint64(peer["next"])
    if how == _ACK_SAME:
        return last
    if how == _ACK_STEP:
        return (last + np.uint64(slot["step"])) & _M32
    column = ACK_NEAR if how == _ACK_NEAR else ACK_FAR
    return (last + unfolded(_read(source, column))) & _M32


@leaf
def put_len(size: Any, slot: Any, sink: Any) -> Any:
    """Payload bytes: none, as the last that were some, or given."""
    if size == _U0:
        return _LEN_ZERO
    if size == np.uint64(slot["size"]):
        return _LEN_SAME
    _write(sink, LEN, size)
    return _LEN_GIVEN


@leaf
def take_len(how: Any, slot: Any, source: Any) -> Any:
    """Undo put_len."""
    if how == _LEN_ZERO:
        return _U0
    return np.uint64(slot["size"]) if how == _LEN_SAME else _read(source, LEN)


@leaf
def _widened(number: Any) -> Any:
    """A difference modulo 2^16 as one modulo 2^32, with its sign."""
    return (((number & _M16) ^ _HALF_16) - _HALF_16) & _M32


@leaf
def put_window(window: Any, slot: Any, sink: Any) -> Any:
    """Window as sent."""
    distance = folded(_widened(window - np.uint64(slot["window"])))
    if distance == _U0:
        return _WINDOW_SAME
    if distance < _NEAR_8:
        _write(sink, WINDOW_NEAR, distance)
        return _WINDOW_NEAR
    _write(sink, WINDOW_FAR, distance)
    return _WINDOW_FAR


@leaf
def take_window(how: Any, slot: Any, source: Any) -> Any:
    """Undo put_window."""
    last = np.uint64(slot["window"])
    if how == _WINDOW_SAME:
        return last
    column = WINDOW_NEAR if how == _WINDOW_NEAR else WINDOW_FAR
    return (last + unfolded(_read(source, column))) & _M16


@leaf
def put_ip_id(number: Any, slot: Any, sink: Any) -> Any:
    """Identification of the IP header: one more than the last, the same, or a distance from one more."""
    last = np.uint64(slot["ip_id"])
    distance = folded(_widened(number - last - _U1))
    if distance == _U0:
        return _ID_NEXT
    if number == last:
        return _ID_SAME
    if distance < _NEAR_8:
        _write(sink, IP_ID_NEAR, distance)
        return _ID_NEAR
    _write(sink, IP_ID_FAR, distance)
    return _ID_FAR


@leaf
def take_ip_id(how: Any, slot: Any, source: Any) -> Any:
    """Undo put_ip_id."""
    last = np.uint64(slot["ip_id"])
    if how == _ID_NEXT:
        return (last + _U1) & _M16
    if how == _ID_SAME:
        return last
    column = IP_ID_NEAR if how == _ID_NEAR else IP_ID_FAR
    return (last + _U1 + unfolded(_read(source, column))) & _M16


@leaf
def put_ttl(ttl: Any, slot: Any, sink: Any) -> Any:
    """Hops left, as this end's last row had them or given."""
    if ttl == np.uint64(slot["ttl"]):
        return _TTL_SAME
    _write(sink, TTL, ttl)
    return _TTL_GIVEN


@leaf
def take_ttl(how: Any, slot: Any, source: Any) -> Any:
    """Undo put_ttl."""
    return np.uint64(slot["ttl"]) if how == _TTL_SAME else _read(source, TTL)


@leaf
def put_tsval(tsval: Any, expected: Any, slot: Any, sink: Any) -> Any:
    """TSval: as the clock has it, as the last one, or a distance from the clock."""
    distance = folded(tsval - expected)
    if distance == _U0:
        return _TSVAL_EXPECTED
    if tsval == np.uint64(slot["tsval"]):
        return _TSVAL_SAME
    if distance < _NEAR_8:
        _write(sink, TSVAL_NEAR, distance)
        return _TSVAL_NEAR
    _write(sink, TSVAL_FAR, distance)
    return _TSVAL_FAR


@leaf
def take_tsval(how: Any, expected: Any, slot: Any, source: Any) -> Any:
    """Undo put_tsval."""
    if how == _TSVAL_EXPECTED:
        return expected
    if how == _TSVAL_SAME:
        return np.uint64(slot["tsval"])
    column = TSVAL_NEAR if how == _TSVAL_NEAR else TSVAL_FAR
    return (expected + unfolded(_read(source, column))) & _M32


@leaf
def put_tsecr(tsecr: Any, echo: Any, slot: Any, sink: Any) -> Any:
    """TSecr: the peer's last TSval, as this end's last one, or a distance from the former."""
    distance = folded(tsecr - echo)
    if distance == _U0:
        return _TSECR_ECHO
    if tsecr == np.uint64(slot["tsecr"]):
        return _TSECR_SAME
    if distance < _NEAR_16:
        _write(sink, TSECR_NEAR, distance)
        return _TSECR_NEAR
    _write(sink, TSECR_FAR, distance)
    return _TSECR_FAR


@leaf
def take_tsecr(how: Any, echo: Any, slot: Any, source: Any) -> Any:
    """Undo put_tsecr."""
    if how == _TSECR_ECHO:
        return echo
    if how == _TSECR_SAME:
        return np.uint64(slot["tsecr"])
    column = TSECR_NEAR if how == _TSECR_NEAR else TSECR_FAR
    return (echo + unfolded(_read(source, column))) & _M32


@leaf
def put_headers(size: Any, ip_len: Any, sink: Any) -> Any:
    """Bytes of the headers, which are those of the IP packet without the payload."""
    headers = (ip_len - size) & _M32
    if headers < np.uint64(HEADERS_APART):
        return headers
    _write(sink, HEADERS, headers)
    return np.uint64(HEADERS_APART)


@leaf
def take_headers(how: Any, size: Any, source: Any) -> Any:
    """Undo put_headers: ip_len."""
    headers = how if how != np.uint64(HEADERS_APART) else _read(source, HEADERS)
    return (headers + size) & _M32


@leaf
def _sack_number(words: Any, i: Any, k: Any) -> Any:
    return (words[i, _SACK + (k >> _U1)] >> (_U32 * (k & _U1))) & _M32


@leaf
def _sack_base(words: Any, i: Any, k: Any, kind: Any, ack: Any) -> Any:
    """What the k-th of a row's SACK numbers is a distance from: ACK for a left edge, and that for its right one."""
    if kind != _U0:
        return _U0
    return ack if k & _U1 == _U0 else _sack_number(words, i, k - _U1)


@leaf
def put_sack(words: Any, i: Any, counted: Any, kind: Any, ack: Any, sink: Any) -> Any:
    """SACK edges of row i of uint64 words[n, 12], two a word, of which the first `counted` are due by its shape."""
    beyond, k = _U0, counted
    while k < _SACK_MAX:
        beyond |= _sack_number(words, i, k)
        k += _U1
    last = counted if beyond == _U0 else _SACK_MAX
    k = _U0
    while k < last:
        _write(sink, SACK, (_sack_number(words, i, k) - _sack_base(words, i, k, kind, ack)) & _M32)
        k += _U1
    return _SACK_COUNTED if beyond == _U0 else _SACK_ALL


@leaf
def take_sack(words: Any, i: Any, due: Any, kind: Any, ack: Any, source: Any) -> None:
    """Undo put_sack, into a row that holds 0; `due` is the number of numbers."""
    k = _U0
    while k < due:
        number = (_read(source, SACK) + _sack_base(words, i, k, kind, ack)) & _M32
        words[i, _SACK + (k >> _U1)] |= number << (_U32 * (k & _U1))
        k += _U1
