"""Numbers to byte planes and back: all lowest bytes, then all second bytes. Equal bytes then stand side by side.

The planes of all columns lie in one body, whose directory says which they are. A plane of zeros is left out, so small
numbers cost no more for a wide column. The kernels take columns by groups: a call costs as much as a thousand numbers.
"""

from typing import Any, Final

import numpy as np

from synfin.compiled import leaf

COLUMNS_MAX: Final = 256  # ids are of one byte
ENTRY_BYTES: Final = 6  # of the directory: id, mask, count of four bytes
MASK, COUNT, AT = range(3)  # what a reader's table holds for each id; COUNT is ABSENT for a column that is not there
ABSENT: Final = (1 << 64) - 1

GOOD, TWICE, BEYOND, LEFT_OVER, COUNT_WRONG, TOO_WIDE = range(6)

_U0, _U1, _U2, _U3, _U4, _U5, _U6 = (np.uint64(n) for n in range(7))
_U8, _U16, _U24 = np.uint64(8), np.uint64(16), np.uint64(24)
_M8: Final = np.uint64(0xFF)
_ABSENT: Final = np.uint64(ABSENT)


@leaf
def _put_column(numbers: Any, begin: Any, end: Any, number: Any, keep: Any, out: Any) -> None:
    """Write the planes of numbers[begin:end] and their entry; without `keep` no entry for zeros.

    `out` is (uint8 body[], uint64 entries[256, 3] of id, mask and count, uint64 used[2] of the one and of the other).
    """
    body, entries, used = out
    union = _U0
    for i in range(begin, end):
        union |= np.uint64(numbers[np.uint64(i)])
    if union == _U0 and not keep:
        return
    at, mask, bit, shift = used[0], _U0, _U1, _U0
    while union != _U0:
        if union & _M8:
            mask |= bit
            for i in range(begin, end):
                body[at] = (numbers[np.uint64(i)] >> shift) & _M8
                at += _U1
        union >>= _U8
        bit <<= _U1
        shift += _U8
    entry = used[1]
    entries[entry, 0], entries[entry, 1], entries[entry, 2] = number, mask, end - begin
    used[0], used[1] = at, entry + _U1


@leaf
def put_group(numbers: Any, length: Any, number: Any, keep: Any, out: Any) -> None:
    """Write columns `number` and up, each of the next `length` numbers, uint64 or uint32; `keep` is for the first."""
    begin = _U0
    while begin < np.uint64(len(numbers)):
        _put_column(numbers, begin, begin + length, number, keep, out)
        begin, number, keep = begin + length, number + _U1, False


@leaf
def put_spans(numbers: Any, spans: Any, number: Any, out: Any) -> None:
    """Write columns `number` and up, of numbers[spans[k, 0]:spans[k, 1]] each."""
    for k in range(len(spans)):
        _put_column(numbers, spans[k, 0], spans[k, 1], number + np.uint64(k), False, out)


@leaf
def put_directory(out: Any) -> None:
    """Write the directory behind the planes."""
    body, entries, used = out
    at = used[0]
    for k in range(used[1]):
        entry = np.uint64(k)
        body[at], body[at + _U1] = entries[entry, 0], entries[entry, 1]
        count = entries[entry, 2]
        body[at + _U2], body[at + _U3] = count & _M8, (count >> _U8) & _M8
        body[at + _U4], body[at + _U5] = (count >> _U16) & _M8, (count >> _U24) & _M8
        at += _U6
    used[0] = at


@leaf
def read_directory(body: Any, end: Any, table: Any) -> Any:
    """Fill uint64 table[256, 3] (MASK, COUNT, AT), which holds ABSENT, from the directory that begins at `end`.

    Returns GOOD, TWICE, BEYOND or LEFT_OVER, and the column or the number of bytes that it is about.
    """
    at, entry = _U0, end
    while entry < np.uint64(len(body)):
        number, mask = np.uint64(body[entry]), np.uint64(body[entry + _U1])
        count = np.uint64(body[entry + _U2]) | (np.uint64(body[entry + _U3]) << _U8)
        count |= (np.uint64(body[entry + _U4]) << _U16) | (np.uint64(body[entry + _U5]) << _U24)
        if table[number, COUNT] != _ABSENT:
            return TWICE, number
        table[number, MASK], table[number, COUNT], table[number, AT] = mask, count, at
        while mask != _U0:
            at += (mask & _U1) * count
            mask >>= _U1
        if at > end:
            return BEYOND, number
        entry += _U6
    return (GOOD, _U0) if at == end else (LEFT_OVER, end - at)


@leaf
def _take_column(where: Any, begin: Any, end: Any, bits: Any, body: Any, numbers: Any) -> Any:
    """Set numbers[begin:end], which hold 0, from the planes of a column. `where` is its row of the reader's table."""
    if where[COUNT] == _ABSENT:
        return GOOD
    if where[COUNT] != end - begin:
        return COUNT_WRONG
    mask, at, shift = where[MASK], where[AT], _U0
    while mask != _U0:
        if mask & _U1:
            if shift >= bits:
                return TOO_WIDE
            for i in range(begin, end):
                numbers[np.uint64(i)] |= np.uint64(body[at]) << shift
                at += _U1
        mask >>= _U1
        shift += _U8
    return GOOD


@leaf
def take_group(source: Any, length: Any, number: Any, bits: Any, numbers: Any) -> Any:
    """Undo put_group into numbers that hold 0. `source` is (body, table), `bits` what numbers of each column may have.

    Returns GOOD, COUNT_WRONG or TOO_WIDE, and the column.
    """
    body, table = source
    begin = _U0
    for k in range(len(bits)):
        fault = _take_column(table[number], begin, begin + length, bits[k], body, numbers)
        if fault != GOOD:
            return fault, number
        begin, number = begin + length, number + _U1
    return GOOD, _U0


@leaf
def take_spans(source: Any, spans: Any, number: Any, bits: Any, numbers: Any) -> Any:
    """Undo put_spans, as take_group does."""
    body, table = source
    for k in range(len(spans)):
        fault = _take_column(table[number], spans[k, 0], spans[k, 1], bits[k], body, numbers)
        if fault != GOOD:
            return fault, number
        number += _U1
    return GOOD, _U0
