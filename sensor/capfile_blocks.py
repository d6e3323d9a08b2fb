"""Kernels that render frames as records of pcap and pcapng, whole blocks at a time.

A VLAN tag that the kernel took out is put back, so that a file holds frames as they were on the wire. Sources: the IETF
drafts opsawg-pcap and opsawg-pcapng. All numbers are written little-endian.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sensor.frames import DIRECTION_BOTH, DIRECTION_RECEIVED, FRAME_VLAN, LINK_ETHERNET, LINK_SLL2, FrameBlock
from synfin.compiled import compiled

OVERHEAD_MAX: Final = 56  # bytes of a record beside its frame: block header and trailer, tag, padding, flags option

_U0, _U1, _U2, _U3, _U4, _U8 = (np.uint64(n) for n in (0, 1, 2, 3, 4, 8))
_U12, _U16, _U20, _U24, _U28, _U32 = (np.uint64(n) for n in (12, 16, 20, 24, 28, 32))
_BYTE, _ALIGN, _LOW = np.uint64(0xFF), np.uint64(0xFFFFFFFC), np.uint64(0xFFFFFFFF)
_SECOND = np.uint64(1_000_000_000)
_VLAN = np.uint64(FRAME_VLAN)
_ETHERNET, _SLL2 = np.uint64(LINK_ETHERNET), np.uint64(LINK_SLL2)
_BOTH, _RECEIVED = np.uint64(DIRECTION_BOTH), np.uint64(DIRECTION_RECEIVED)
_ENHANCED_BLOCK = np.uint64(6)
_FLAGS_OPTION = np.uint64(4 << 16 | 2)  # epb_flags: code 2, length 4
_FLAGS_BYTES = _U12  # the option and the end of options


@compiled
def _store32(out: Any, at: Any, value: Any) -> None:
    out[at] = value & _BYTE
    out[at + _U1] = (value >> _U8) & _BYTE
    out[at + _U2] = (value >> _U16) & _BYTE
    out[at + _U3] = (value >> _U24) & _BYTE


@compiled
def _store_big16(out: Any, at: Any, value: Any) -> None:
    out[at] = (value >> _U8) & _BYTE
    out[at + _U1] = value & _BYTE


@compiled
def _copy(out: Any, to: Any, buffer: Any, start: Any, length: Any) -> None:
    for i in range(length):
        out[to + np.uint64(i)] = buffer[start + np.uint64(i)]


@compiled
def _tag_at(frame: Any) -> Any:
    """Bytes of the frame before a tag that is to be put back, 0 for none."""
    if np.uint64(frame["flags"]) & _VLAN:
        link, caplen = np.uint64(frame["link"]), np.uint64(frame["caplen"])
        if link == _ETHERNET and caplen >= _U12:
            return _U12
        if link == _SLL2 and caplen >= _U20:
            return _U20
    return _U0


@compiled
def _write_frame(out: Any, at: Any, buffer: Any, frame: Any, tag_at: Any) -> Any:
    """Copy a frame's bytes, its tag put back at `tag_at`; where they end."""
    start, caplen = np.uint64(frame["offset"]), np.uint64(frame["caplen"])
    if tag_at == _U0:
        _copy(out, at, buffer, start, caplen)
        return at + caplen
    tpid, tci = np.uint64(frame["vlan_tpid"]), np.uint64(frame["vlan_tci"])
    _copy(out, at, buffer, start, tag_at)
    _copy(out, at + tag_at + _U4, buffer, start + tag_at, caplen - tag_at)
    if np.uint64(frame["link"]) == _ETHERNET:
        _store_big16(out, at + tag_at, tpid)
        _store_big16(out, at + tag_at + _U2, tci)
    else:  # the cooked header names the tag, and the tag what the header named
        _store_big16(out, at, tpid)
        _store_big16(out, at + tag_at, tci)
        _copy(out, at + tag_at + _U2, buffer, start, _U2)
    return at + caplen + _U4


@compiled
def render_pcap(buffer: Any, frames: Any, out: Any) -> Any:
    """Write one record (nanoseconds) a frame and return the bytes written."""
    at = _U0
    for i in range(np.uint64(len(frames))):
        frame = frames[np.uint64(i)]
        t, tag_at = np.uint64(frame["t_ns"]), _tag_at(frame)
        tag = _U4 if tag_at != _U0 else _U0
        _store32(out, at, t // _SECOND)
        _store32(out, at + _U4, t % _SECOND)
        _store32(out, at + _U8, np.uint64(frame["caplen"]) + tag)
        _store32(out, at + _U12, np.uint64(frame["wirelen"]) + tag)
        at = _write_frame(out, at + _U16, buffer, frame, tag_at)
    return at


@compiled
def render_pcapng(buffer: Any, frames: Any, interfaces: Any, out: Any) -> Any:
    """Write one Enhanced Packet Block a frame and return the bytes written.

    `interfaces` is uint64[n], the number of each frame's interface.
    """
    at = _U0
    for i in range(np.uint64(len(frames))):
        frame = frames[np.uint64(i)]
        t, tag_at = np.uint64(frame["t_ns"]), _tag_at(frame)
        tag = _U4 if tag_at != _U0 else _U0
        caplen = np.uint64(frame["caplen"]) + tag
        direction = np.uint64(frame["direction"])
        if direction == _BOTH:  # the format knows one of them; the kernel calls loopback's copy received
            direction = _RECEIVED
        padded = (caplen + _U3) & _ALIGN
        total = _U32 + padded + (_FLAGS_BYTES if direction != _U0 else _U0)
        _store32(out, at, _ENHANCED_BLOCK)
        _store32(out, at + _U4, total)
        _store32(out, at + _U8, interfaces[i])
        _store32(out, at + _U12, t >> _U32)
        _store32(out, at + _U16, t & _LOW)
        _store32(out, at + _U20, caplen)
        _store32(out, at + _U24, np.uint64(frame["wirelen"]) + tag)
        end = _write_frame(out, at + _U28, buffer, frame, tag_at)
        after = at + _U28 + padded
        while end < after:
            out[end] = _U0
            end += _U1
        if direction != _U0:
            _store32(out, after, _FLAGS_OPTION)
            _store32(out, after + _U4, direction)
            _store32(out, after + _U8, _U0)
        at += total
        _store32(out, at - _U4, total)
    return at


class Scratch:
    """Memory that records are rendered into, kept: fresh memory costs a page fault for each 4 KiB of every block."""

    def __init__(self) -> None:
        self._octets = np.empty(0, np.uint8)

    def _room(self, block: FrameBlock) -> npt.NDArray[np.uint8]:
        """Bytes enough for the records of a block."""
        wanted = int(block.frames["caplen"].sum(dtype=np.int64)) + OVERHEAD_MAX * len(block)
        if len(self._octets) < wanted:
            self._octets = np.empty(wanted, np.uint8)
        return self._octets

    def pcap_records(self, block: FrameBlock) -> npt.NDArray[np.uint8]:
        """Records of a block for a classic file; valid until the next block."""
        out = self._room(block)
        return out[: int(render_pcap(block.buffer, block.frames, out))]

    def pcapng_records(self, block: FrameBlock, interfaces: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
        """Records of a block for a pcapng file, likewise; `interfaces` holds each frame's interface number."""
        out = self._room(block)
        return out[: int(render_pcapng(block.buffer, block.frames, interfaces, out))]
