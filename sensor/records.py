"""Kernels that walk the record headers of pcap and pcapng bytes and note where each frame lies.

They copy no packet and read no length that they have not bounded: a record is used only when it lies wholly inside the
bytes at hand. Sources: the IETF drafts opsawg-pcap and opsawg-pcapng, whose block and option numbers stand below.
"""

from typing import Any, Final

import numpy as np

from sensor.frames import CAPLEN_MAX, NO_INTERFACE
from sensor.octets import load16 as big16
from sensor.octets import load32 as big32
from synfin.compiled import compiled, leaf

CURSOR: Final = np.dtype(
    [
        ("at", "<u8"),  # in: where to begin, out: first byte not used up
        ("end", "<u8"),  # bytes at hand
        ("n", "<u8"),  # frames written, added to
        ("skip", "<u8"),  # out: bytes after `end` that belong to a block nobody needs
        ("status", "<u8"),  # out: WALK_*
        ("value", "<u8"),  # out: the number that a corrupt record was found by
        ("swapped", "<u8"),  # 1 when the bytes are big-endian
        ("fraction_ns", "<u8"),  # pcap: nanoseconds in a unit of the fraction, 1 or 1000
        ("header", "<u8"),  # pcap: bytes of a record's header, PCAP_RECORD or PCAP_RECORD_MODIFIED
        ("link", "<u8"),  # pcap: LINKTYPE_ of all frames
        ("interfaces", "<u8"),  # pcapng: how many are known in this section
        ("interfaces_before", "<u8"),  # pcapng: how many were known in the sections before
        ("t_ns", "<i8"),  # time of the last frame: for blocks that carry none
    ]
)
INTERFACE: Final = np.dtype(
    [
        ("kind", "<u8"),  # SCALE_*
        ("scale", "<u8"),  # factor, divisor or shift (at most 63)
        ("ticks_max", "<u8"),  # more than this many ticks are past the year 2262
        ("offset_ns", "<u8"),  # if_tsoffset in two's complement
        ("snaplen", "<u4"),  # 0 for none
        ("link", "<u4"),
    ]
)
BLOCK_MAX: Final = 2 * CAPLEN_MAX  # of a block that must be at hand as a whole: the frame and its options
PCAP_RECORD: Final = 16
PCAP_RECORD_MODIFIED: Final = 24  # Kuznetsov's patch of 1998, still written by old devices

WALK_MORE: Final = 0  # the next record is not wholly there
WALK_FULL: Final = 1  # no room for another frame
WALK_SECTION: Final = 2  # a section header or interface block at `at`: rare, so Python reads it
WALK_BAD_LENGTH: Final = 3
WALK_BAD_TRAILER: Final = 4
WALK_BAD_INTERFACE: Final = 5

SCALE_MULTIPLY: Final = 0
SCALE_DIVIDE: Final = 1
SCALE_SHIFT: Final = 2  # if_tsresol as a power of two

_U0, _U1, _U2, _U3, _U4, _U8 = (np.uint64(n) for n in (0, 1, 2, 3, 4, 8))
_U12, _U16, _U20, _U24, _U28, _U32 = (np.uint64(n) for n in (12, 16, 20, 24, 28, 32))
_CAPLEN_MAX = np.uint64(CAPLEN_MAX)
_BLOCK_MAX = np.uint64(BLOCK_MAX)
_NO_INTERFACE = np.uint64(NO_INTERFACE)
_BYTE, _WORD, _ODD_BYTES = np.uint64(0xFF), np.uint64(0xFFFF), np.uint64(0x00FF00FF)
_SECOND = np.uint64(1_000_000_000)
_SIGN = np.uint64(1 << 63)
_SECTION_HEADER = np.uint64(0x0A0D0D0A)
_INTERFACE_BLOCK, _PACKET_BLOCK, _SIMPLE_BLOCK, _ENHANCED_BLOCK = _U1, _U2, _U3, np.uint64(6)
_OPTION_FLAGS = _U2  # epb_flags and pack_flags alike
_ALIGN = np.uint64(0xFFFFFFFC)


@leaf
def _load16(buffer: Any, at: Any, swapped: Any) -> Any:
    word = big16(buffer, at)
    return word if swapped else ((word & _BYTE) << _U8) | (word >> _U8)


@leaf
def load32(buffer: Any, at: Any, swapped: Any) -> Any:
    """Four bytes as uint64, little-endian unless swapped."""
    word = big32(buffer, at)
    if swapped:
        return word
    word = ((word & _ODD_BYTES) << _U8) | ((word >> _U8) & _ODD_BYTES)
    return ((word & _WORD) << _U16) | (word >> _U16)


@leaf
def _write_frame(frame: Any, at: Any, caplen: Any, wirelen: Any, link: Any) -> None:
    """Write all columns but time and direction: zeroing whole blocks of rows beforehand costs more."""
    frame["offset"] = at
    frame["caplen"] = caplen
    frame["wirelen"] = max(wirelen, caplen)
    frame["link"] = link
    frame["vlan_tci"] = _U0
    frame["vlan_tpid"] = _U0
    frame["checksum"] = _U0
    frame["flags"] = _U0
    frame["pad"] = _U0
    frame["interface"] = _U0


@compiled
def walk_pcap(buffer: Any, cursor: Any, frames: Any) -> None:
    """Write one FRAME for each whole pcap record; `cursor` is CURSOR[1] and is moved on."""
    c = cursor[0]
    at, end, n = c["at"], c["end"], c["n"]
    swapped, fraction, link = c["swapped"] != _U0, c["fraction_ns"], c["link"]
    header = c["header"]
    room = np.uint64(len(frames))
    status = np.uint64(WALK_MORE)
    while at + header <= end:
        if n == room:
            status = np.uint64(WALK_FULL)
            break
        caplen = load32(buffer, at + _U8, swapped)
        if caplen > _CAPLEN_MAX:
            status = np.uint64(WALK_BAD_LENGTH)
            c["value"] = caplen
            break
        if at + header + caplen > end:
            break
        wirelen = load32(buffer, at + _U12, swapped)
        frame = frames[n]
        frame["t_ns"] = load32(buffer, at, swapped) * _SECOND + load32(buffer, at + _U4, swapped) * fraction
        frame["direction"] = _U0
        _write_frame(frame, at + header, caplen, wirelen, link)
        n += _U1
        at += header + caplen
    c["at"], c["n"], c["status"] = at, n, status


@leaf
def _time_ns(ticks: Any, interface: Any) -> Any:
    """A 64-bit count of an interface's ticks as ns since the epoch; 0 for what no such number can hold."""
    scale = interface["scale"]
    if ticks > interface["ticks_max"]:
        return _U0
    if interface["kind"] == np.uint64(SCALE_MULTIPLY):
        t = ticks * scale
    elif interface["kind"] == np.uint64(SCALE_DIVIDE):
        t = ticks // scale
    else:
        fraction = ticks & ((_U1 << scale) - _U1)
        if scale > _U32:  # keeps the product below inside 64 bits; what is lost is far below a nanosecond
            fraction = fraction >> (scale - _U32)
            t = (ticks >> scale) * _SECOND + ((fraction * _SECOND) >> _U32)
        else:
            t = (ticks >> scale) * _SECOND + ((fraction * _SECOND) >> scale)
    t += interface["offset_ns"]
    return _U0 if t & _SIGN else t


@leaf
def _direction(buffer: Any, at: Any, end: Any, swapped: Any) -> Any:
    """Bits 0 and 1 of epb_flags among the options in [at, end), 0 when they are not there."""
    while at + _U4 <= end:
        code = _load16(buffer, at, swapped)
        length = _load16(buffer, at + _U2, swapped)
        at += _U4
        if code == _U0 or at + length > end:
            break
        if code == _OPTION_FLAGS and length == _U4:
            return load32(buffer, at, swapped) & _U3
        at += (length + _U3) & _ALIGN
    return _U0


@leaf
def _packet_block(buffer: Any, kind: Any, total: Any, cursor: Any, interfaces: Any, frame: Any) -> Any:
    """Fill FRAME from the packet block at the cursor, which is wholly there. A WALK_ status, WALK_MORE for good."""
    at, swapped = cursor["at"], cursor["swapped"] != _U0
    last = at + total - _U4  # where the trailing length stands
    number = _U0
    if kind == _ENHANCED_BLOCK:
        number = load32(buffer, at + _U8, swapped)
    elif kind == _PACKET_BLOCK:
        number = _load16(buffer, at + _U8, swapped)
    if number >= cursor["interfaces"]:
        cursor["value"] = number
        return np.uint64(WALK_BAD_INTERFACE)
    interface = interfaces[number]
    frame["direction"] = _U0
    if kind == _SIMPLE_BLOCK:
        data = at + _U12
        wirelen = load32(buffer, at + _U8, swapped)
        caplen = min(wirelen, last - data)
        if interface["snaplen"] != 0:
            caplen = min(caplen, np.uint64(interface["snaplen"]))
    else:
        data = at + _U28
        if total < _U32:
            cursor["value"] = total
            return np.uint64(WALK_BAD_LENGTH)
        caplen, wirelen = load32(buffer, at + _U20, swapped), load32(buffer, at + _U24, swapped)
        if caplen <= last - data:
            frame["direction"] = _direction(buffer, data + ((caplen + _U3) & _ALIGN), last, swapped)
            ticks = (load32(buffer, at + _U12, swapped) << _U32) | load32(buffer, at + _U16, swapped)
            cursor["t_ns"] = _time_ns(ticks, interface)
    if caplen > last - data or caplen > _CAPLEN_MAX:
        cursor["value"] = caplen
        return np.uint64(WALK_BAD_LENGTH)
    frame["t_ns"] = cursor["t_ns"]
    _write_frame(frame, data, caplen, wirelen, interface["link"])
    frame["interface"] = min(number + cursor["interfaces_before"], _NO_INTERFACE)
    return np.uint64(WALK_MORE)


@compiled
def walk_pcapng(buffer: Any, cursor: Any, interfaces: Any, frames: Any) -> None:
    """Write one FRAME for each whole packet block, as walk_pcap does, and pass over the blocks that nobody needs."""
    c = cursor[0]
    end, swapped = c["end"], c["swapped"] != _U0
    room = np.uint64(len(frames))
    c["status"] = np.uint64(WALK_MORE)
    while c["at"] + _U12 <= end:
        at = c["at"]
        kind = load32(buffer, at, swapped)
        if kind == _SECTION_HEADER:  # the same in both byte orders; those of its length are not known yet
            if at + _U28 <= end:
                c["status"] = np.uint64(WALK_SECTION)
            return
        total = load32(buffer, at + _U4, swapped)
        wanted = (_U0 < kind <= _SIMPLE_BLOCK) or kind == _ENHANCED_BLOCK
        least = _U16 if wanted else _U12
        if total < least or total & _U3 != _U0 or (wanted and total > _BLOCK_MAX):
            c["status"], c["value"] = np.uint64(WALK_BAD_LENGTH), total
            return
        if at + total > end:
            if not wanted:
                c["at"], c["skip"] = end, at + total - end
            return
        if load32(buffer, at + total - _U4, swapped) != total:
            c["status"], c["value"] = np.uint64(WALK_BAD_TRAILER), total
            return
        if kind == _INTERFACE_BLOCK:
            c["status"] = np.uint64(WALK_SECTION)
            return
        if wanted:
            if c["n"] == room:
                c["status"] = np.uint64(WALK_FULL)
                return
            status = _packet_block(buffer, kind, total, c, interfaces, frames[c["n"]])
            if status != np.uint64(WALK_MORE):
                c["status"] = status
                return
            c["n"] += _U1
        c["at"] = at + total
