"""The kernels that walk the rows of a batch: `encode_rows`, and `decode_rows`, its mirror.

Each row is a flow, a gap in time, and a shape: what rows of its kind have in common, together with how its values are
written. A batch holds each shape once, in a table.
"""

from typing import Any, Final

import numpy as np

from synfin.compiled import leaf
from synfin.wire.columns import (
    WORD_FLOW,
    WORD_HEADER,
    WORD_LENGTHS,
    WORD_NUMBERS,
    WORD_OPTIONS,
    WORD_SACK,
    WORD_STAMPS,
    WORD_TIME,
    WORD_WINDOW,
)
from synfin.wire.predict import OPENINGS, expected_tsval, first_row, note_header, note_numbers, note_tsval, open_flow
from synfin.wire.segment import HIGHER, OPT_TS
from synfin.wire.values import (
    ACK_AT,
    HEADERS_AT,
    IP_ID_AT,
    LEN_AT,
    SACK_AT,
    SEQ_AT,
    TSECR_AT,
    TSVAL_AT,
    TTL_AT,
    WINDOW_AT,
    put_ack,
    put_headers,
    put_ip_id,
    put_len,
    put_sack,
    put_seq,
    put_tsecr,
    put_tsval,
    put_ttl,
    put_window,
    take_ack,
    take_headers,
    take_ip_id,
    take_len,
    take_sack,
    take_seq,
    take_tsecr,
    take_tsval,
    take_ttl,
    take_window,
)

PROBES: Final = 32  # a shape that is not found after so many is put into the table again: nobody can make this slow

_U0, _U1, _U2, _U3, _U8, _U16, _U24, _U32 = (np.uint64(n) for n in (0, 1, 2, 3, 8, 16, 24, 32))
_U48, _U56, _U63 = (np.uint64(n) for n in (48, 56, 63))
_M8, _M16, _M32 = (np.uint64(n) for n in (0xFF, 0xFFFF, 0xFFFFFFFF))
_SEQ_AT, _ACK_AT, _LEN_AT, _WINDOW_AT, _IP_ID_AT = (np.uint64(n) for n in (SEQ_AT, ACK_AT, LEN_AT, WINDOW_AT, IP_ID_AT))
_TTL_AT, _TSVAL_AT, _TSECR_AT, _SACK_AT = (np.uint64(n) for n in (TTL_AT, TSVAL_AT, TSECR_AT, SACK_AT))
_HEADERS_AT: Final = np.uint64(HEADERS_AT)
_HIGHER: Final = np.uint64(HIGHER)
_SACK_4, _SACK_8 = np.uint64(4), np.uint64(8)
# The byte `options` is the highest of WORD_HEADER.
_OPT_TS: Final = np.uint64(OPT_TS << 56)
_OPENING_MASK: Final = np.uint64(OPENINGS - 1)
_K1, _K2, _K3, _K4 = (
    np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93)
)


@leaf
def _new_shape(a: Any, b: Any, c: Any, d: Any, shapes: Any) -> Any:
    token = shapes[_U0, _U0] + _U1
    shapes[_U0, _U0] = token
    shapes[token, _U0], shapes[token, _U1], shapes[token, _U2], shapes[token, _U3] = a, b, c, d
    return token


@leaf
def _is_shape(a: Any, b: Any, c: Any, d: Any, shapes: Any, token: Any) -> Any:
    return shapes[token, _U3] == d and shapes[token, _U0] == a and shapes[token, _U1] == b and shapes[token, _U2] == c


@leaf
def _shape_token(a: Any, b: Any, c: Any, d: Any, shapes: Any, index: Any) -> Any:
    """Token of the shape with these four words, which is added when it is not found.

    `shapes` is uint64[n + 1, 4]: row 0 counts the shapes, which follow; `index` uint32[power of two] of tokens or 0.
    """
    mask = np.uint64(len(index)) - _U1
    at = ((a + d * _K1) * _K2 + (b ^ (c * _K3)) * _K4) >> _U32
    for _ in range(PROBES):
        at &= mask
        token = np.uint64(index[at])
        if token == _U0:
            token = _new_shape(a, b, c, d, shapes)
            index[at] = token
            return token
        if _is_shape(a, b, c, d, shapes, token):
            return token
        at += _U1
    return _new_shape(a, b, c, d, shapes)


@leaf
def _sack_counted(b: Any, c: Any) -> Any:
    """Numbers in `sack` of a row with these shape words: two a block, and the router's address of an ICMP row."""
    return np.uint64(4) if (b >> _U24) & _M8 else ((c >> _U8) & _M8) << _U1


@leaf
def _put_row(words: Any, i: Any, slot: Any, peer: Any, opening: Any, sink: Any) -> Any:
    """Write the values of row i, and keep them in mind; the row's word SHAPE_MODES."""
    if slot["seen"] == 0:
        first_row(slot, opening)
    t, numbers, lengths = words[i, WORD_TIME], words[i, WORD_NUMBERS], words[i, WORD_LENGTHS]
    w, header, options = words[i, WORD_WINDOW], words[i, WORD_HEADER], words[i, WORD_OPTIONS]
    seq, ack, size = numbers & _M32, numbers >> _U32, lengths & _M32
    flags, window, ip_id, ttl = (w >> _U16) & _M16, w & _M16, w >> _U48, header & _M8

    modes = put_seq(seq, slot, peer, sink) << _SEQ_AT
    modes |= put_ack(ack, flags, slot, peer, sink) << _ACK_AT
    modes |= put_len(size, slot, sink) << _LEN_AT
    modes |= put_window(window, slot, sink) << _WINDOW_AT
    modes |= put_ip_id(ip_id, slot, sink) << _IP_ID_AT
    modes |= put_ttl(ttl, slot, sink) << _TTL_AT
    stamps = words[i, WORD_STAMPS]
    if header & _OPT_TS:
        expected = expected_tsval(slot, t)
        modes |= put_tsval(stamps & _M32, expected, slot, sink) << _TSVAL_AT
        modes |= put_tsecr(stamps >> _U32, np.uint64(peer["tsval"]), slot, sink) << _TSECR_AT
        note_tsval(slot, t, stamps & _M32, expected)
        slot["tsecr"] = stamps >> _U32
    elif stamps != _U0:
        modes |= put_tsval(stamps & _M32, _U0, slot, sink) << _TSVAL_AT
        modes |= put_tsecr(stamps >> _U32, _U0, slot, sink) << _TSECR_AT
    modes |= put_headers(size, lengths >> _U32, sink) << _HEADERS_AT
    counted = min(_sack_counted(header >> _U8, options), _U8)
    if counted | words[i, WORD_SACK] | words[i, WORD_SACK + 1] | words[i, WORD_SACK + 2] | words[i, WORD_SACK + 3]:
        modes |= put_sack(words, i, counted, (header >> _U32) & _M8, ack, sink) << _SACK_AT

    note_numbers(slot, seq, ack, size, flags)
    note_header(slot, opening, window, ip_id, ttl)
    return modes


@leaf
def encode_rows(words: Any, first_ns: Any, kin: Any, memory: Any, table: Any, out: Any) -> Any:
    """Write the columns of the rows uint64 words[n, 12]; the number of rows, or the first that falls or has no flow.

    `memory` is (SLOT[2m], uint8 seen[m] of 0, uint32 last[m] of 0, uint32 successor[n + 1] of 0, OPENING[32] of 0),
    `table` as in _shape_token, `out` is (uint64 gap[n], uint32 flow[n], uint32 shape[n], uint32 sink[]).
    """
    slots, seen, last, successor, openings = memory
    shapes, index = table
    gaps, flow_tokens, shape_tokens, sink = out
    n, flows = np.uint64(len(words)), np.uint64(len(kin))
    before, known, previous = first_ns, _U0, _M32
    i = _U0
    while i < n:
        f = words[i, WORD_FLOW] & _M32
        gap = words[i, WORD_TIME] - before
        if f >= flows or gap >> _U63:
            return i
        before = words[i, WORD_TIME]
        gaps[i] = gap
        flow_tokens[i] = _flow_token(f, previous, known, flows)
        previous, known = f, max(known, f + _U1)

        if seen[f] == 0:
            open_flow(slots, seen, kin, f)
        w, header = words[i, WORD_WINDOW], words[i, WORD_HEADER]
        end = _U1 if (header >> _U16) & _M8 == _HIGHER else _U0
        slot, peer = slots[(f << _U1) + end], slots[(f << _U1) + (_U1 - end)]
        d = _put_row(words, i, slot, peer, openings[(w >> _U16) & _OPENING_MASK], sink)

        context = np.uint64(last[f])
        guess = np.uint64(successor[context])
        a, b, c = (w >> _U16) & _M32, header >> _U8, words[i, WORD_OPTIONS]
        if guess != _U0 and _is_shape(a, b, c, d, shapes, guess):
            token = guess
        else:
            token = _shape_token(a, b, c, d, shapes, index)
        shape_tokens[i] = _U0 if token == guess else token
        successor[context], last[f] = token, token
        i += _U1
    return n


@leaf
def whole_units(gaps: Any, unit: Any) -> Any:
    """Whether all gaps are whole numbers of the unit."""
    for i in range(len(gaps)):  # noqa: SIM110  numba has no all() of a generator
        if gaps[np.uint64(i)] % unit != _U0:
            return False
    return True


@leaf
def _flow_token(flow: Any, previous: Any, known: Any, flows: Any) -> Any:
    """ROW_FLOW of a row, when `known` - 1 is the newest flow so far."""
    if flow == previous:
        return _U0
    if flow == known:
        return _U1
    back = known - _U1 - flow if flow < known else known + flows - _U1 - flow
    return back + _U2


@leaf
def read_tokens(tokens: Any, flows: Any, shapes: Any, memory: Any) -> Any:
    """Turn the columns ROW_FLOW and ROW_SHAPE into rows of the dictionary and of the table of shapes.

    `tokens` is uint32[2, n], flow and shape, and is written over; `flows` and `shapes` are the lengths of the tables,
    `memory` is (uint32 last[flows] of 0, uint32 successor[shapes + 1] of 0). Returns the number of rows, or the first
    that points outside.
    """
    last, successor = memory
    n = np.uint64(tokens.shape[1])
    known, f = _U0, _M32
    i = _U0
    while i < n:
        token = np.uint64(tokens[_U0, i])
        if token == _U1:
            f = known
        elif token != _U0:
            back = token - _U2
            if back >= flows:
                return i
            f = known - _U1 - back if back < known else known + flows - _U1 - back
        if f >= flows:
            return i
        known = max(known, f + _U1)
        context = np.uint64(last[f])
        shape = np.uint64(tokens[_U1, i])
        if shape == _U0:
            shape = np.uint64(successor[context])
        if shape == _U0 or shape > shapes:
            return i
        successor[context], last[f] = shape, shape
        tokens[_U0, i], tokens[_U1, i] = f, shape - _U1
        i += _U1
    return n


@leaf
def _take_row(words: Any, i: Any, slot: Any, peer: Any, opening: Any, source: Any) -> None:
    """Undo _put_row. The row holds its time, its flow and the words of its shape, SHAPE_MODES in place of `seq`."""
    if slot["seen"] == 0:
        first_row(slot, opening)
    t, modes = words[i, WORD_TIME], words[i, WORD_NUMBERS]
    w, header, options = words[i, WORD_WINDOW], words[i, WORD_HEADER], words[i, WORD_OPTIONS]
    flags = (w >> _U16) & _M16

    seq = take_seq((modes >> _SEQ_AT) & _U3, slot, peer, source)
    ack = take_ack((modes >> _ACK_AT) & np.uint64(7), flags, slot, peer, source)
    size = take_len((modes >> _LEN_AT) & _U3, slot, source)
    window = take_window((modes >> _WINDOW_AT) & _U3, slot, source)
    ip_id = take_ip_id((modes >> _IP_ID_AT) & _U3, slot, source)
    ttl = take_ttl((modes >> _TTL_AT) & _U1, slot, source)
    how_tsval, how_tsecr = (modes >> _TSVAL_AT) & _U3, (modes >> _TSECR_AT) & _U3
    if header & _OPT_TS:
        expected = expected_tsval(slot, t)
        tsval = take_tsval(how_tsval, expected, slot, source)
        tsecr = take_tsecr(how_tsecr, np.uint64(peer["tsval"]), slot, source)
        note_tsval(slot, t, tsval, expected)
        slot["tsecr"] = tsecr
    else:
        tsval = take_tsval(how_tsval, _U0, slot, source)
        tsecr = take_tsecr(how_tsecr, _U0, slot, source)
    ip_len = take_headers((modes >> _HEADERS_AT) & _M16, size, source)
    due = _SACK_8 if (modes >> _SACK_AT) & _U1 else _sack_counted(header >> _U8, options)
    if due:
        take_sack(words, i, due, (header >> _U32) & _M8, ack, source)

    words[i, WORD_NUMBERS] = seq | (ack << _U32)
    words[i, WORD_STAMPS] = tsval | (tsecr << _U32)
    words[i, WORD_LENGTHS] = size | (ip_len << _U32)
    words[i, WORD_WINDOW] = w | window | (ip_id << _U48)
    words[i, WORD_HEADER] = header | ttl
    note_numbers(slot, seq, ack, size, flags)
    note_header(slot, opening, window, ip_id, ttl)


@leaf
def decode_rows(words: Any, span: Any, kin: Any, memory: Any, shapes: Any, columns: Any) -> Any:
    """Write the rows uint64 words[n, 12]. The number of rows, or the first that is behind the last time.

    `span` is (uint64 first_ns, last_ns, unit_ns), `memory` (SLOT[2m], uint8 seen[m] of 0, OPENING[32] of 0), `shapes`
    uint64[s, 4], `columns` (uint64 gap[n], uint32 flow[n], uint32 shape[n], uint32 source[]): flow and shape point
    inside, and `source` holds as many values as the shapes ask for.
    """
    slots, seen, openings = memory
    gaps, flow, shape, source = columns
    n = np.uint64(len(words))
    t, last, unit = span
    left = (last - t) // unit
    i = _U0
    while i < n:
        if gaps[i] > left:
            return i
        left -= gaps[i]
        t += gaps[i] * unit
        f, s = np.uint64(flow[i]), np.uint64(shape[i])
        if seen[f] == 0:
            open_flow(slots, seen, kin, f)
        a, b = shapes[s, 0], shapes[s, 1]
        words[i, WORD_TIME], words[i, WORD_FLOW] = t, f
        words[i, WORD_WINDOW], words[i, WORD_HEADER] = a << _U16, b << _U8
        words[i, WORD_OPTIONS], words[i, WORD_NUMBERS] = shapes[s, 2], shapes[s, 3]
        words[i, WORD_SACK], words[i, WORD_SACK + 1], words[i, WORD_SACK + 2], words[i, WORD_SACK + 3] = (
            _U0,
            _U0,
            _U0,
            _U0,
        )
        end = _U1 if (b >> _U8) & _M8 == _HIGHER else _U0
        slot, peer = slots[(f << _U1) + end], slots[(f << _U1) + (_U1 - end)]
        _take_row(words, i, slot, peer, openings[a & _OPENING_MASK], source)
        i += _U1
    return n
