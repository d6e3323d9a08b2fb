"""SHA-1 (FIPS 180-4) of many messages side by side, as kernels.

A lane is one message. All lanes of a call take the same step together, and the words of the schedule and of the state
are rows of one flat scratch array, so that a compiler sees every distance and uses the machine's vectors: 40 ns a block
instead of 190. SHA-1 is here because Community ID is made of it; nothing rests on it being hard to forge.

For step t, with a[t] the first of the five working variables before it, FIPS 180-4's b, c, d and e are a[t-1], and
a[t-2], a[t-3], a[t-4] turned left by 30.
"""

from typing import Any, Final

import numpy as np

from synfin.compiled import compiled

LANES: Final = 32
ROWS: Final = 80 + 85 + 84 + 5  # schedule, a, a turned by 30, chained state
START: Final = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
DIGEST_ROW: Final = 249  # five rows: the digest of each lane after the last block

_L: Final = np.uint64(LANES)
_A4: Final = np.uint64((80 + 4) * LANES)  # a[t]; four rows before it hold the start
_A3: Final = np.uint64((80 + 3) * LANES)
_A5: Final = np.uint64((80 + 5) * LANES)
_R0: Final = np.uint64(165 * LANES)  # a[t-4] turned
_R1: Final = np.uint64(166 * LANES)
_R2: Final = np.uint64(167 * LANES)
_R4: Final = np.uint64(169 * LANES)
_H: Final = np.uint64(DIGEST_ROW * LANES)
_T0, _T16, _T20, _T40, _T60, _T80 = (np.uint64(n) for n in (0, 16, 20, 40, 60, 80))
_W3, _W8, _W14, _W16 = (np.uint64(n * LANES) for n in (3, 8, 14, 16))
_K0, _K1, _K2, _K3 = (np.uint32(k) for k in (0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6))
_START0, _START1, _START2, _START3, _START4 = (np.uint32(word) for word in START)
_U1, _U2, _U3, _U4 = (np.uint64(n) for n in (1, 2, 3, 4))


@compiled
def _turn(x: Any, bits: Any) -> Any:
    return np.uint32(np.uint32(x << np.uint32(bits)) | np.uint32(x >> np.uint32(32 - bits)))


@compiled
def _extend(s: Any, lanes: Any) -> None:
    """Words 16 to 79 of the schedule."""
    for t in range(_T16, _T80):
        for i in range(t * _L, t * _L + lanes):
            s[i] = _turn(np.uint32(s[i - _W3] ^ s[i - _W8] ^ s[i - _W14] ^ s[i - _W16]), 1)


@compiled
def _step(s: Any, i: Any, f_and_k: Any) -> None:
    a = s[_A4 + i]
    s[_A5 + i] = np.uint32(_turn(a, 5) + f_and_k + s[_R0 + i] + s[i])
    s[_R4 + i] = _turn(a, 30)


@compiled
def _rounds(s: Any, lanes: Any) -> None:
    for t in range(_T0, _T20):
        for i in range(t * _L, t * _L + lanes):
            b, c, d = s[_A3 + i], s[_R2 + i], s[_R1 + i]
            _step(s, i, ((b & c) | (~b & d)) + _K0)
    for t in range(_T20, _T40):
        for i in range(t * _L, t * _L + lanes):
            _step(s, i, (s[_A3 + i] ^ s[_R2 + i] ^ s[_R1 + i]) + _K1)
    for t in range(_T40, _T60):
        for i in range(t * _L, t * _L + lanes):
            b, c, d = s[_A3 + i], s[_R2 + i], s[_R1 + i]
            _step(s, i, ((b & c) | (b & d) | (c & d)) + _K2)
    for t in range(_T60, _T80):
        for i in range(t * _L, t * _L + lanes):
            _step(s, i, (s[_A3 + i] ^ s[_R2 + i] ^ s[_R1 + i]) + _K3)


@compiled
def sha1_start(s: Any) -> None:
    """Begin new messages in all lanes of the scratch `s`: uint32[ROWS * LANES]."""
    for i in range(_L):
        s[_H + i] = _START0
        s[_H + _L + i] = _START1
        s[_H + _U2 * _L + i] = _START2
        s[_H + _U3 * _L + i] = _START3
        s[_H + _U4 * _L + i] = _START4


@compiled
def sha1_block(s: Any, lanes: Any) -> None:
    """Absorb the block whose 16 big-endian words stand in rows 0 to 15, in the first `lanes` (uint64) lanes."""
    for i in range(lanes):
        s[_A4 + i] = s[_H + i]
        s[_A3 + i] = s[_H + _L + i]
        # One turn by 30 is due to b in the next step; c, d and e have had theirs.
        s[_R0 + _U3 * _L + i] = _turn(s[_H + _L + i], 30)
        s[_R2 + i] = s[_H + _U2 * _L + i]
        s[_R1 + i] = s[_H + _U3 * _L + i]
        s[_R0 + i] = s[_H + _U4 * _L + i]
    _extend(s, lanes)
    _rounds(s, lanes)
    last = _T80 * _L
    for i in range(lanes):
        s[_H + i] = np.uint32(s[_H + i] + s[_A4 + last + i])
        s[_H + _L + i] = np.uint32(s[_H + _L + i] + s[_A3 + last + i])
        s[_H + _U2 * _L + i] = np.uint32(s[_H + _U2 * _L + i] + s[_R2 + last + i])
        s[_H + _U3 * _L + i] = np.uint32(s[_H + _U3 * _L + i] + s[_R1 + last + i])
        s[_H + _U4 * _L + i] = np.uint32(s[_H + _U4 * _L + i] + s[_R0 + last + i])
