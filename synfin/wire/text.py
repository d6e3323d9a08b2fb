"""Kernels that write text into a byte buffer: fixed pieces, numbers, hexadecimal, base64.

The buffer comes as `out`, a view in which item i is the window of 64 bytes that begin at byte i. A kernel that writes
one thing takes the window where it shall stand and returns how many bytes it took; it may write rubbish behind them,
which the next one overwrites. Stores are of eight bytes, and a window is one pointer: an array would be seven arguments
and, for numba, a count of references.
"""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synfin.compiled import compiled

WINDOW: Final = np.dtype([("w", "<u8", (8,))])  # not aligned, so numba takes no alignment for granted
PIECE: Final = np.dtype([("w", "<u8", (8,)), ("n", "<u8")])  # up to 64 bytes of text, and how many
PIECE_MAX: Final = 64
SLACK: Final = 64  # bytes that a buffer must have behind its text

_U0, _U1, _U2, _U3, _U4, _U5, _U6, _U7, _U8, _U10, _U12 = (np.uint64(n) for n in (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12))
_U16, _U20, _U24, _U28, _U32, _U36, _U48, _U56, _U64 = (np.uint64(n) for n in (16, 20, 24, 28, 32, 36, 48, 56, 64))
_LOW_16: Final = np.uint64(0xFFFF)
_PAIR: Final = np.uint64(0xFFF)
_HUNDRED: Final = np.uint64(100)
_TEN_4: Final = np.uint64(10_000)
_TEN_8: Final = np.uint64(100_000_000)
_TEN_16: Final = np.uint64(10_000_000_000_000_000)
_ZEROS: Final = np.uint64(0x3030303030303030)  # "00000000"
_HIGH_BITS: Final = np.uint64(0x8080808080808080)
_BYTES: Final = np.uint64(0x0101010101010101)
_ZERO_DIGIT: Final = np.uint64(ord("0"))
_MINUS: Final = np.uint64(ord("-"))
_NULL: Final = np.uint64(int.from_bytes(b"null", "little"))
_NIBBLES: Final = np.uint64(0x0F0F0F0F0F0F0F0F)
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_PAIRS: Final = np.array([a | b << 8 for a in _BASE64 for b in _BASE64], np.uint64)  # two characters from 12 bits


def windows(buffer: npt.NDArray[np.uint8]) -> npt.NDArray[np.void]:
    """The view through which the kernels write: a window for each byte that has 63 behind it."""
    return np.ndarray((max(len(buffer) - 63, 0),), WINDOW, buffer.data, strides=(1,))


def pieces(texts: Iterable[str], rows: int = 0) -> npt.NDArray[np.void]:
    """Table of fixed texts as PIECE[]; filled up with empty ones to `rows`, so that any index of a column is safe."""
    encoded = [text.encode() for text in texts]
    table = np.zeros(max(len(encoded), rows), PIECE)
    for row, text in zip(table, encoded, strict=False):
        if len(text) > PIECE_MAX:
            message = f"{text!r} is longer than a piece"
            raise ValueError(message)
        row["w"] = np.frombuffer(text.ljust(PIECE_MAX, b"\0"), "<u8")
        row["n"] = len(text)
    return table


@compiled
def put(here: Any, piece: Any) -> Any:
    """Write a piece."""
    to, w = here["w"], piece["w"]
    a, b, c, d = w[_U0], w[_U1], w[_U2], w[_U3]  # all loads first: only then are they one wide load
    to[_U0], to[_U1], to[_U2], to[_U3] = a, b, c, d
    if piece["n"] > _U32:
        a, b, c, d = w[_U4], w[_U5], w[_U6], w[_U7]
        to[_U4], to[_U5], to[_U6], to[_U7] = a, b, c, d
    return piece["n"]


@compiled
def put_char(here: Any, char: Any) -> Any:
    """Write one ASCII character, given as uint64."""
    here["w"][_U0] = char
    return _U1


@compiled
def eight_digits(x: Any) -> Any:
    """Digits of x < 10^8 as the values 0 to 9 of eight bytes, the highest digit in the lowest byte.

    Halves, quarters and eighths of the number side by side in one word; the quotients by 100 and 10 are multiplications
    by 10486 / 2^20 and 103 / 2^10, exact for numbers of four and of two digits.
    """
    high = x // _TEN_4
    y = high | ((x - high * _TEN_4) << _U32)
    q = ((y * np.uint64(10486)) >> _U20) & np.uint64(0x0000007F0000007F)
    y = q | ((y - q * _HUNDRED) << _U16)
    q = ((y * np.uint64(103)) >> _U10) & np.uint64(0x000F000F000F000F)
    return q | ((y - q * _U10) << _U8)


@compiled
def _zeros(digits: Any) -> Any:
    """How many of eight digits, not all zero, are zeros before the first other one."""
    below = (digits - _U1) & ~digits & _HIGH_BITS  # the top bit of every byte that is wholly below the lowest bit set
    return ((below >> _U7) * _BYTES) >> _U56


@compiled
def number(here: Any, x: Any) -> Any:
    """Write a uint64 in decimal."""
    to = here["w"]
    if x < _U10:  # most counts
        to[_U0] = x | _ZERO_DIGIT
        return _U1
    if x < _TEN_8:
        low = eight_digits(x)
        zeros = _zeros(low)
        to[_U0] = (low | _ZEROS) >> (zeros << _U3)
        return _U8 - zeros
    high = x // _TEN_8
    low = eight_digits(x - high * _TEN_8) | _ZEROS
    if x < _TEN_16:
        top = eight_digits(high)
        zeros = _zeros(top)
        top = (top | _ZEROS) >> (zeros << _U3)
        half = (_U8 - zeros) << _U2  # half the bits that are taken: a shift by all 64 at once is not defined
        to[_U0] = top | ((low << half) << half)
        to[_U1] = (low >> (_U32 - half)) >> (_U32 - half)
        return _U16 - zeros
    first = high // _TEN_8
    middle = eight_digits(high - first * _TEN_8) | _ZEROS
    top = eight_digits(first)
    zeros = _zeros(top)
    taken = (_U8 - zeros) << _U3  # at most four digits: 2^64 has twenty
    to[_U0] = ((top | _ZEROS) >> (zeros << _U3)) | (middle << taken)
    to[_U1] = (middle >> (_U64 - taken)) | (low << taken)
    to[_U2] = low >> (_U64 - taken)
    return _U24 - zeros


@compiled
def signed(here: Any, x: Any) -> Any:
    """Write an int64 in decimal."""
    if x >= 0:
        return number(here, np.uint64(x))
    n = number(here, _U0 - np.uint64(x))
    to = here["w"]
    a, b, c = to[_U0], to[_U1], to[_U2]
    to[_U0], to[_U1], to[_U2] = (a << _U8) | _MINUS, (b << _U8) | (a >> _U56), (c << _U8) | (b >> _U56)
    return n + _U1


@compiled
def nullable(here: Any, x: Any) -> Any:
    """Write an int64 that is missing when it is -1: as `null` then."""
    if x == -1:
        here["w"][_U0] = _NULL
        return _U4
    return signed(here, x)


@compiled
def _hex_8(x: Any) -> Any:
    """Eight hexadecimal digits of a 32-bit number as a word."""
    x = ((x & np.uint64(0xFFFF)) << _U32) | (x >> _U16)
    x = ((x & np.uint64(0x000000FF000000FF)) << _U16) | ((x >> _U8) & np.uint64(0x000000FF000000FF))
    x = ((x & np.uint64(0x000F000F000F000F)) << _U8) | ((x >> _U4) & np.uint64(0x000F000F000F000F))
    letters = ((x + np.uint64(0x0606060606060606)) >> _U4) & _BYTES  # 1 in each byte that is 10 or more
    return (x & _NIBBLES) + _ZEROS + letters * np.uint64(ord("a") - ord("9") - 1)


@compiled
def hex_128(here: Any, digest: Any) -> Any:
    """Write four 32-bit words as 32 hexadecimal digits."""
    for i in range(_U4):
        here["w"][i] = _hex_8(np.uint64(digest[i]))
    return _U32


@compiled
def hex_group(here: Any, x: Any) -> Any:
    """Write x < 2^16 in hexadecimal without leading zeros."""
    zeros = np.uint64(x < np.uint64(0x1000)) + np.uint64(x < np.uint64(0x100)) + np.uint64(x < np.uint64(0x10))
    here["w"][_U0] = _hex_8(x) >> ((_U4 + zeros) << _U3)
    return _U4 - zeros


@compiled
def _base64_8(x: Any) -> Any:
    """Eight characters from 48 bits."""
    low = _PAIRS[(x >> _U36) & _PAIR] | (_PAIRS[(x >> _U24) & _PAIR] << _U16)
    return low | (_PAIRS[(x >> _U12) & _PAIR] << _U32) | (_PAIRS[x & _PAIR] << _U48)


@compiled
def base64_160(here: Any, digest: Any) -> Any:
    """Write five 32-bit words as 28 characters of base64."""
    d1, d4 = np.uint64(digest[_U1]), np.uint64(digest[_U4])
    to = here["w"]
    to[_U0] = _base64_8((np.uint64(digest[_U0]) << _U16) | (d1 >> _U16))
    to[_U1] = _base64_8(((d1 & _LOW_16) << _U32) | np.uint64(digest[_U2]))
    to[_U2] = _base64_8((np.uint64(digest[_U3]) << _U16) | (d4 >> _U16))
    to[_U3] = (_base64_8((d4 & _LOW_16) << _U32) & np.uint64(0xFFFFFF)) | np.uint64(ord("=") << 24)
    return _U28
