"""Kernels that write text into a byte buffer: fixed pieces, numbers, hexadecimal, base64.

The buffer comes as `words`, a view on it in which item i is the eight bytes that begin at byte i, so that one store
writes up to eight characters; what is written too much is written over by the next piece. Every kernel takes `at`, the
next byte to write, and returns the one behind what it wrote. Whoever makes the buffer leaves SLACK bytes at the end.
"""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synfin.compiled import compiled

# A record of one packed field: numba then takes no alignment for granted.
WORD: Final = np.dtype([("w", "<u8")])
PIECE: Final = np.dtype([("w", "<u8", (8,)), ("n", "<u8")])  # up to 64 bytes of text, and how many
PIECE_MAX: Final = 64
SLACK: Final = 64

_U0, _U1, _U2, _U3, _U4, _U6, _U7, _U8 = (np.uint64(n) for n in (0, 1, 2, 3, 4, 6, 7, 8))
_U10, _U12, _U16, _U20, _U32, _U56 = (np.uint64(n) for n in (10, 12, 16, 20, 32, 56))
_HUNDRED: Final = np.uint64(100)
_TEN_4: Final = np.uint64(10_000)
_TEN_8: Final = np.uint64(100_000_000)
_TEN_16: Final = np.uint64(10_000_000_000_000_000)
_ZEROS: Final = np.uint64(0x3030303030303030)  # "00000000"
_HIGH_BITS: Final = np.uint64(0x8080808080808080)
_BYTES: Final = np.uint64(0x0101010101010101)
_LAST_BYTE: Final = np.uint64(1 << 56)
_MINUS: Final = np.uint64(ord("-"))
_NULL: Final = np.uint64(int.from_bytes(b"null", "little"))
_NIBBLES: Final = np.uint64(0x0F0F0F0F0F0F0F0F)
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_PAIRS: Final = np.array([a | b << 8 for a in _BASE64 for b in _BASE64], np.uint64)  # two characters from 12 bits


def words_of(buffer: npt.NDArray[np.uint8]) -> npt.NDArray[np.void]:
    """The view through which the kernels write; the last seven bytes have no word of their own."""
    return np.ndarray((max(len(buffer) - 7, 0),), WORD, buffer.data, strides=(1,))


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
def put(words: Any, at: Any, table: Any, index: Any) -> Any:
    """Write a piece; index is uint64."""
    piece = table[index]
    w = piece["w"]
    a, b, c, d = w[_U0], w[_U1], w[_U2], w[_U3]  # all loads first: only then are they one wide load
    words[at]["w"] = a
    words[at + _U8]["w"] = b
    words[at + _U8 + _U8]["w"] = c
    words[at + _U8 + _U16]["w"] = d
    if piece["n"] > _U32:
        a, b, c, d = w[_U4], w[_U4 + _U1], w[_U6], w[_U7]
        words[at + _U32]["w"] = a
        words[at + _U32 + _U8]["w"] = b
        words[at + _U32 + _U16]["w"] = c
        words[at + _U56]["w"] = d
    return at + piece["n"]


@compiled
def put_char(words: Any, at: Any, char: Any) -> Any:
    """Write one ASCII character, given as uint64."""
    words[at]["w"] = char
    return at + _U1


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
def _leading(words: Any, at: Any, x: Any) -> Any:
    """Write x < 10^8 without leading zeros."""
    digits = eight_digits(x)
    v = digits | _LAST_BYTE  # 0 has one digit
    below = (v - _U1) & ~v & _HIGH_BITS  # the top bit of every byte that is all zero before the first that is not
    zeros = ((below >> _U7) * _BYTES) >> _U56
    words[at]["w"] = (digits | _ZEROS) >> (zeros << _U3)
    return at + _U8 - zeros


@compiled
def number(words: Any, at: Any, x: Any) -> Any:
    """Write a uint64 in decimal."""
    if x < _TEN_8:
        return _leading(words, at, x)
    if x < _TEN_16:
        high = x // _TEN_8
        at = _leading(words, at, high)
    else:
        top = x // _TEN_16
        at = _leading(words, at, top)
        x = x - top * _TEN_16
        high = x // _TEN_8
        words[at]["w"] = eight_digits(high) | _ZEROS
        at = at + _U8
    words[at]["w"] = eight_digits(x - high * _TEN_8) | _ZEROS
    return at + _U8


@compiled
def signed(words: Any, at: Any, x: Any) -> Any:
    """Write an int64 in decimal."""
    value = np.uint64(x)
    if x < 0:
        at = put_char(words, at, _MINUS)
        value = _U0 - value
    return number(words, at, value)


@compiled
def nullable(words: Any, at: Any, x: Any) -> Any:
    """Write an integer that is missing when it is -1: as `null` then."""
    if x == -1:
        words[at]["w"] = _NULL
        return at + _U4
    return signed(words, at, x)


@compiled
def _hex_8(x: Any) -> Any:
    """Eight hexadecimal digits of a 32-bit number as a word."""
    x = ((x & np.uint64(0xFFFF)) << _U32) | (x >> _U16)
    x = ((x & np.uint64(0x000000FF000000FF)) << _U16) | ((x >> _U8) & np.uint64(0x000000FF000000FF))
    x = ((x & np.uint64(0x000F000F000F000F)) << _U8) | ((x >> _U4) & np.uint64(0x000F000F000F000F))
    letters = ((x + np.uint64(0x0606060606060606)) >> _U4) & _BYTES  # 1 in each byte that is 10 or more
    return (x & _NIBBLES) + _ZEROS + letters * np.uint64(ord("a") - ord("9") - 1)


@compiled
def hex_128(words: Any, at: Any, digest: Any) -> Any:
    """Write four 32-bit words as 32 hexadecimal digits."""
    for i in range(_U4):
        words[at + (i << _U3)]["w"] = _hex_8(np.uint64(digest[i]))
    return at + _U32


@compiled
def hex_group(words: Any, at: Any, x: Any) -> Any:
    """Write x < 2^16 in hexadecimal without leading zeros."""
    zeros = np.uint64(x < np.uint64(0x1000)) + np.uint64(x < np.uint64(0x100)) + np.uint64(x < np.uint64(0x10))
    words[at]["w"] = _hex_8(x) >> ((_U4 + zeros) << _U3)
    return at + _U4 - zeros


@compiled
def base64_160(words: Any, at: Any, digest: Any) -> Any:
    """Write five 32-bit words as 28 characters of base64."""
    held, bits, i = _U0, _U0, _U0
    for _ in range(13):
        if bits < _U12:
            held = ((held << _U32) | np.uint64(digest[i])) & np.uint64(0xFFFFFFFFFFF)  # at most 11 bits are left over
            bits, i = bits + _U32, i + _U1
        bits = bits - _U12
        words[at]["w"] = _PAIRS[(held >> bits) & np.uint64(0xFFF)]
        at = at + _U2
    words[at]["w"] = (_PAIRS[(held & np.uint64(0xF)) << np.uint64(8)] & np.uint64(0xFF)) | np.uint64(ord("=") << 8)
    return at + _U2
