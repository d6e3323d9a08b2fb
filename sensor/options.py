"""The kernel that reads TCP options into a row of segments.

Sources: IANA tcp-parameters; RFC 9293 3.1 (MSS), 7323 (window scale, timestamps), 2018 (SACK), 7413 (fast open),
8684 (MPTCP). A malformed option ends the list and keeps what came before, as Linux does.
"""

from typing import Any

import numpy as np

from sensor.octets import load16, load32
from synfin.compiled import leaf
from synfin.wire.segment import OPT_MPTCP, OPT_MSS, OPT_SACK_PERMITTED, OPT_TFO, OPT_TS, OPT_WSCALE

_U0, _U1, _U2, _U3, _U4, _U5, _U6, _U8 = (np.uint64(n) for n in (0, 1, 2, 3, 4, 5, 6, 8))
_U10, _U12, _U16, _U19, _U20 = (np.uint64(n) for n in (10, 12, 16, 19, 20))
_END, _NOP, _MSS, _WSCALE, _SACK_PERMITTED, _SACK, _TIMESTAMPS = (np.uint64(n) for n in (0, 1, 2, 3, 4, 5, 8))
_MPTCP, _FAST_OPEN, _EXPERIMENT_1, _EXPERIMENT_2 = (np.uint64(n) for n in (30, 34, 253, 254))
_FAST_OPEN_MAGIC = np.uint64(0xF989)  # ExID of fast open before it had a kind of its own
_MP_TCPRST = np.uint64(8)
_OPT_MSS, _OPT_WSCALE, _OPT_SACK_PERMITTED = np.uint64(OPT_MSS), np.uint64(OPT_WSCALE), np.uint64(OPT_SACK_PERMITTED)
_OPT_TS, _OPT_TFO, _OPT_MPTCP = np.uint64(OPT_TS), np.uint64(OPT_TFO), np.uint64(OPT_MPTCP)
_SACK_BLOCKS_MAX = np.uint64(4)
# How the options of nearly all segments and of most SYNs look, as words: a branch an option is costly on SYNs.
_TIMESTAMPS_ALONE = np.uint64(0x0101080A)  # two NOPs and timestamps
_LINUX_SYN = (np.uint64(0x0204), np.uint64(0x0402080A), np.uint64(0x010303))  # MSS, SACK permitted, timestamps, scale


@leaf
def no_options(row: Any) -> None:
    """Zero what only some rows have; the array comes as the allocator left it."""
    row["tsval"] = _U0
    row["tsecr"] = _U0
    sack = row["sack"]
    for i in range(8):
        sack[np.uint64(i)] = _U0
    row["mss"] = _U0
    row["options"] = _U0
    row["wscale"] = _U0
    row["sack_n"] = _U0
    row["tfo_len"] = _U0
    row["mptcp"] = _U0
    row["mptcp_reason"] = _U0
    row["icmp_type"] = _U0
    row["icmp_code"] = _U0


@leaf
def _sack(buffer: Any, at: Any, length: Any, row: Any) -> None:
    n = min((length - _U2) >> np.uint64(3), _SACK_BLOCKS_MAX)
    edges = row["sack"]
    for i in range(n << _U1):
        k = np.uint64(i)
        edges[k] = load32(buffer, at + _U2 + (k << _U2))
    row["sack_n"] = n


@leaf
def _mptcp(buffer: Any, at: Any, length: Any, row: Any, known: Any) -> None:
    """Keep the highest subtype of a segment: the higher ones say more about its end."""
    subtype = np.uint64(buffer[at + _U2]) >> _U4
    if known & _OPT_MPTCP == _U0 or subtype > np.uint64(row["mptcp"]):
        row["mptcp"] = subtype
        if subtype == _MP_TCPRST and length >= _U4:
            row["mptcp_reason"] = buffer[at + _U3]


@leaf
def _read_option(buffer: Any, at: Any, length: Any, row: Any, known: Any) -> Any:
    """Read the option at `at`, which is wholly there; what is known then, as OPT_ bits."""
    kind = np.uint64(buffer[at])
    if kind == _TIMESTAMPS and length == _U10:
        row["tsval"] = load32(buffer, at + _U2)
        row["tsecr"] = load32(buffer, at + _U6)
        return known | _OPT_TS
    if kind == _SACK:
        if length >= _U10 and (length - _U2) & np.uint64(7) == _U0:
            _sack(buffer, at, length, row)
        return known
    if kind == _MSS and length == _U4:
        row["mss"] = load16(buffer, at + _U2)
        return known | _OPT_MSS
    if kind == _WSCALE and length == _U3:
        row["wscale"] = buffer[at + _U2]
        return known | _OPT_WSCALE
    if kind == _SACK_PERMITTED and length == _U2:
        return known | _OPT_SACK_PERMITTED
    if kind == _MPTCP and length >= _U3:
        _mptcp(buffer, at, length, row, known)
        return known | _OPT_MPTCP
    if kind == _FAST_OPEN:
        row["tfo_len"] = length - _U2
        return known | _OPT_TFO
    if (kind in (_EXPERIMENT_1, _EXPERIMENT_2)) and length >= _U4 and load16(buffer, at + _U2) == _FAST_OPEN_MAGIC:
        row["tfo_len"] = length - _U4
        return known | _OPT_TFO
    return known


@leaf
def _like_linux_syn(buffer: Any, at: Any) -> Any:
    """Tell the 20 bytes that Linux and Android put into a SYN in this order."""
    first, second, third = _LINUX_SYN
    return (
        load16(buffer, at) == first and load32(buffer, at + _U4) == second and load32(buffer, at + _U16) >> _U8 == third
    )


@leaf
def read_options(buffer: Any, at: Any, end: Any, row: Any) -> None:
    """Read the options in [at, end), which were captured, into the row's option columns, which hold zeros."""
    if at + _U4 + _U8 == end and load32(buffer, at) == _TIMESTAMPS_ALONE:
        row["tsval"] = load32(buffer, at + _U4)
        row["tsecr"] = load32(buffer, at + _U8)
        row["options"] = _OPT_TS
        return
    if at + _U20 == end and _like_linux_syn(buffer, at):
        row["mss"] = load16(buffer, at + _U2)
        row["tsval"] = load32(buffer, at + _U8)
        row["tsecr"] = load32(buffer, at + _U12)
        row["wscale"] = buffer[at + _U19]
        row["options"] = _OPT_MSS | _OPT_WSCALE | _OPT_SACK_PERMITTED | _OPT_TS
        return
    known = _U0
    while at < end:
        kind = np.uint64(buffer[at])
        if kind == _END:
            break
        if kind == _NOP:
            at += _U1
            continue
        if at + _U2 > end:
            break
        length = np.uint64(buffer[at + _U1])
        if length < _U2 or at + length > end:
            break
        known = _read_option(buffer, at, length, row, known)
        at += length
    row["options"] = known
