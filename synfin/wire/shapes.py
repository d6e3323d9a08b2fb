"""What the table of shapes must keep to, and how many values its shapes ask for."""

from typing import Any, Final

import numpy as np

from synfin.compiled import leaf
from synfin.wire.columns import (
    ACK_NEAR,
    HEADERS,
    IP_ID_NEAR,
    LEN,
    SACK,
    SACK_WORDS_MAX,
    SEQ_NEAR,
    TSECR_NEAR,
    TSVAL_NEAR,
    TTL,
    WINDOW_NEAR,
)
from synfin.wire.segment import BOTH, CSUM_BAD, HIGHER, HOW_OPTION, ICMP
from synfin.wire.values import (
    ACK_AT,
    HEADERS_APART,
    HEADERS_AT,
    IP_ID_AT,
    LEN_AT,
    MODE_BITS,
    SACK_AT,
    SEQ_AT,
    TSECR_AT,
    TSVAL_AT,
    TTL_AT,
    WINDOW_AT,
)

# Word, lowest bit, bits, and the most that may stand there: the core's tables have no entry for more. Bits that have no
# meaning may hold nothing.
LIMITS: Final = (
    (0, 0, 16, 0xFFF, "flags"),
    (0, 32, 32, 0, "bits beyond flags and mss"),
    (1, 8, 8, HIGHER, "sender"),
    (1, 16, 8, BOTH, "local"),
    (1, 24, 8, ICMP, "kind"),
    (1, 32, 8, CSUM_BAD, "checksum"),
    (1, 56, 8, 0, "bits beyond options"),
    (2, 8, 8, 4, "sack_n"),
    (2, 56, 8, HOW_OPTION, "local_how"),
    (3, SEQ_AT, 2, 2, "mode of seq"),
    (3, ACK_AT, 3, 4, "mode of ack"),
    (3, LEN_AT, 2, 2, "mode of len"),
    (3, WINDOW_AT, 2, 2, "mode of window"),
    (3, MODE_BITS, HEADERS_AT - MODE_BITS, 0, "bits beyond the modes"),
    (3, HEADERS_AT + 16, 16, 0, "bits beyond the headers"),
)
_LIMITS: Final = np.array([(word, at, (1 << bits) - 1, most) for word, at, bits, most, _ in LIMITS], np.uint64)
_U0, _U1, _U2, _U3 = (np.uint64(n) for n in range(4))
_M8: Final = np.uint64(0xFF)


@leaf
def shape_fault(shapes: Any, limits: Any) -> Any:
    """Index of the first limit that a shape of uint64[s, 4] breaks, or the number of limits."""
    for k in range(len(limits)):
        word, at, mask, most = limits[k, 0], limits[k, 1], limits[k, 2], limits[k, 3]
        for i in range(len(shapes)):
            if (shapes[np.uint64(i), word] >> at) & mask > most:
                return k
    return len(limits)


def fault_of(shapes: Any) -> str | None:
    """What is wrong with a table of shapes, in words."""
    found = int(shape_fault(shapes, _LIMITS))
    return None if found == len(LIMITS) else f"{LIMITS[found][4]} above {LIMITS[found][3]}"


@leaf
def _add_pair(word: Any, place: Any, rows: Any, due: Any) -> None:
    """Count a near and a far column: `place` is (lowest bit, mask, near column, mode of near)."""
    how = (word >> np.uint64(place[0])) & np.uint64(place[1])
    if how == np.uint64(place[3]):
        due[place[2]] += rows
    elif how == np.uint64(place[3] + 1):
        due[place[2] + 1] += rows


@leaf
def _add_due(shapes: Any, uses: Any, due: Any) -> None:
    """Add to uint64 due[VALUES] how many numbers each column must have, for uses[s] rows of each of the shapes."""
    for i in range(len(shapes)):
        s = np.uint64(i)
        rows, word = uses[s], shapes[s, _U3]
        _add_pair(word, (SEQ_AT, 3, SEQ_NEAR, 1), rows, due)
        _add_pair(word, (ACK_AT, 7, ACK_NEAR, 3), rows, due)
        _add_pair(word, (WINDOW_AT, 3, WINDOW_NEAR, 1), rows, due)
        _add_pair(word, (IP_ID_AT, 3, IP_ID_NEAR, 2), rows, due)
        _add_pair(word, (TSVAL_AT, 3, TSVAL_NEAR, 2), rows, due)
        _add_pair(word, (TSECR_AT, 3, TSECR_NEAR, 2), rows, due)
        due[LEN] += rows * ((word >> np.uint64(LEN_AT + 1)) & _U1)  # mode 2
        due[TTL] += rows * ((word >> np.uint64(TTL_AT)) & _U1)
        if word >> np.uint64(HEADERS_AT) == np.uint64(HEADERS_APART):
            due[HEADERS] += rows
        if (word >> np.uint64(SACK_AT)) & _U1:
            due[SACK] += rows * np.uint64(SACK_WORDS_MAX)
        elif (shapes[s, _U1] >> np.uint64(24)) & _M8:
            due[SACK] += rows * np.uint64(4)
        else:
            due[SACK] += rows * _U2 * ((shapes[s, _U2] >> np.uint64(8)) & _M8)


@leaf
def find_spans(shapes: Any, shape: Any, uses: Any, spans: Any) -> Any:
    """Write uint64 spans[VALUES, 2]: where each value column of rows of these shapes lies in a source (values.py).

    `shapes` is uint64[s, 4], `shape` uint32[n] below s, `uses` uint64[s] of 0. Returns the length of the source.
    """
    for i in range(len(shape)):
        uses[np.uint64(shape[np.uint64(i)])] += _U1
    for k in range(len(spans)):
        spans[k, 1] = 0
    _add_due(shapes, uses, spans[:, 1])
    at = np.uint64(len(spans))
    for k in range(len(spans)):
        spans[k, 0] = at
        at += spans[k, 1]
        spans[k, 1] = at
    return at
