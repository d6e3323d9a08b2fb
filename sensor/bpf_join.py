"""Filter programs that judge a connection alike in every form in which its frames come.

A VLAN tag is inside the frame when the frame was sent, and beside it, in the kernel's metadata, when it was received.
A program compiled for one form sees half of each connection. `E or (vlan and E)` does not help: the word `vlan` shifts
the offsets of all that stands behind it, and `port not 22` is true of any bytes that are no TCP header. So E,
`vlan and (E)` and `vlan and vlan and (E)` are compiled apart, and a jump on the EtherType takes a frame to the one made
for it. A frame whose outer tag was taken out looks like one with a tag less, so the same jump is right for it.

An expression that speaks of VLANs itself means the tags, and is not joined: where the kernel took one out, its offsets
are rewritten to read it from the metadata.
"""

import re
from dataclasses import dataclass
from typing import Final

from sensor.bpf import (
    ABS,
    IND,
    INSTRUCTIONS_MAX,
    JA,
    JEQ,
    JMP,
    LD,
    LDX,
    MSH,
    RET,
    SIZE_B,
    SIZE_H,
    SIZE_W,
    Instruction,
    Program,
    compile_expression,
)
from sensor.frames import CAPLEN_MAX, LINK_ETHERNET, LINK_SLL2
from synfin.errors import UsageError

SLL2_HEADER: Final = 20  # bytes; the socket's filter begins behind it
PACKET_OUTGOING: Final = 4  # values of sll_pkttype, linux/if_packet.h
ARPHRD_LOOPBACK: Final = 772

_TPIDS: Final = (0x8100, 0x88A8, 0x9100)
_VLAN_WORD: Final = re.compile(r"(?<![\w.:-])vlan(?![\w.:-])")
# Loads from the kernel's metadata: offsets from SKF_AD_OFF, linux/filter.h.
_AD: Final = 0xFFFFF000
_LL: Final = 0xFFE00000  # SKF_LL_OFF: from here on, bytes of the link header
_AD_PROTOCOL, _AD_PKTTYPE, _AD_IFINDEX, _AD_HATYPE = _AD, _AD + 4, _AD + 8, _AD + 28
_AD_VLAN_TAG, _AD_VLAN_TAG_PRESENT, _AD_VLAN_TPID = _AD + 44, _AD + 48, _AD + 60
_WIDTH: Final = {SIZE_W: 4, SIZE_H: 2, SIZE_B: 1}
_ADDRESSES: Final = 12  # bytes of an Ethernet frame before the first EtherType
_TAG: Final = 4


@dataclass(frozen=True, slots=True)
class SocketView:
    """What a packet socket shows of its frames, as far as a filter has to know."""

    link: int  # LINK_ETHERNET, LINK_RAW, or LINK_SLL2 for a cooked socket
    snaplen: int
    direction: str = "inout"  # or "in", "out"


def _load(size: int, k: int) -> Instruction:
    return Instruction(LD | ABS | size, 0, 0, k)


def _jump(k: int) -> Instruction:
    return Instruction(JMP | JA, 0, 0, k)


def _switch_on_tag(ethertype: Instruction, tagged: Program, plain: Program) -> Program:
    """`tagged` for frames whose EtherType, as that instruction loads it, is a VLAN tag's; `plain` for all others."""
    tests = tuple(Instruction(JMP | JEQ, len(_TPIDS) - i, 0, tpid) for i, tpid in enumerate(_TPIDS))
    return (ethertype, *tests, _jump(len(tagged)), *tagged, *plain)


def _joined(text: str) -> Program:
    """Program over Ethernet frames as they stand in a file, whatever tags they carry."""
    plain = compile_expression(text, LINK_ETHERNET)
    if _VLAN_WORD.search(text) or len(plain) == 1:  # one RET: all frames, whatever their EtherType
        return plain
    once = compile_expression(f"vlan and ({text})", LINK_ETHERNET, text)
    twice = compile_expression(f"vlan and vlan and ({text})", LINK_ETHERNET, text)
    inner = _switch_on_tag(_load(SIZE_H, _ADDRESSES + _TAG), twice, once)
    return _switch_on_tag(_load(SIZE_H, _ADDRESSES), inner, plain)


def _reads_frame(row: Instruction) -> bool:
    kind = row.code & 7
    return kind in (LD, LDX) and row.code & 0xE0 in (ABS, IND, MSH) and row.k < _LL


def _refuse(text: str, row: Instruction, why: str) -> UsageError:
    width = _WIDTH[row.code & 0x18]
    return UsageError(f"filter '{text}': bytes {row.k} to {row.k + width - 1} of the frame cannot be tested {why}")


def _without_tag(program: Program, text: str) -> Program:
    """The program for frames whose outermost tag the kernel took out: offsets behind it fall, the tag is metadata."""
    rows = []
    for row in program:
        new = row
        if _reads_frame(row):
            fixed = row.code & 0xE0 == ABS and row.code & 0x18 == SIZE_H
            if row.k >= _ADDRESSES + _TAG:
                new = row._replace(k=row.k - _TAG)
            elif fixed and row.k == _ADDRESSES:
                new = _load(SIZE_W, _AD_VLAN_TPID)
            elif fixed and row.k == _ADDRESSES + 2:
                new = _load(SIZE_W, _AD_VLAN_TAG)
            elif row.k + _WIDTH[row.code & 0x18] > _ADDRESSES:
                raise _refuse(text, row, "where the kernel takes VLAN tags out")
        rows.append(new)
    return tuple(rows)


def _sll2(program: Program, deeper: int, protocol: Instruction) -> Program:
    """The SLL2 program for a frame whose payload lies `deeper` and whose EtherType is loaded by `protocol`."""
    rows = []
    for row in program:
        new = row
        if _reads_frame(row):
            if row.k >= SLL2_HEADER:
                new = row._replace(k=row.k + deeper)
            elif row.code == LD | ABS | SIZE_H and row.k == 0:
                new = protocol
        rows.append(new)
    return tuple(rows)


def _sll2_joined(program: Program) -> Program:
    """The SLL2 program for frames as a file holds them, with up to two tags at the head of the payload."""
    once = _sll2(program, _TAG, _load(SIZE_H, SLL2_HEADER + 2))
    twice = _sll2(program, 2 * _TAG, _load(SIZE_H, SLL2_HEADER + _TAG + 2))
    return _switch_on_tag(_load(SIZE_H, 0), _switch_on_tag(_load(SIZE_H, SLL2_HEADER + 2), twice, once), program)


def _cooked(program: Program, text: str) -> Program:
    """The program for a cooked socket, whose filter sees no SLL2 header: fields of it are metadata."""
    fields = {
        (SIZE_H, 0): _AD_PROTOCOL,
        (SIZE_W, 4): _AD_IFINDEX,
        (SIZE_H, 8): _AD_HATYPE,
        (SIZE_B, 10): _AD_PKTTYPE,
    }
    rows = []
    for row in program:
        new = row
        if _reads_frame(row):
            field = fields.get((row.code & 0x18, row.k)) if row.code & 0xE0 == ABS else None
            if row.k >= SLL2_HEADER:
                new = row._replace(k=row.k - SLL2_HEADER)
            elif field is not None:
                new = _load(SIZE_W, field)
            else:
                raise _refuse(text, row, "on this kind of interface")
        rows.append(new)
    return tuple(rows)


def _cooked_joined(program: Program, text: str) -> Program:
    """The program for a cooked socket in all forms of a tag.

    One tag of a received frame is metadata, a second one stands at the head of the payload. The payload of a sent frame
    begins behind all its tags, and its EtherType is found by counting from the link header.
    """
    sent_once = _cooked(_sll2(program, 0, _load(SIZE_H, _LL + _ADDRESSES + _TAG)), text)
    sent_twice = _cooked(_sll2(program, 0, _load(SIZE_H, _LL + _ADDRESSES + 2 * _TAG)), text)
    sent = _switch_on_tag(_load(SIZE_H, _LL + _ADDRESSES + _TAG), sent_twice, sent_once)
    received = _cooked(_sll2(program, _TAG, _load(SIZE_H, SLL2_HEADER + 2)), text)
    is_sent = (_load(SIZE_W, _AD_PKTTYPE), Instruction(JMP | JEQ, 1, 0, PACKET_OUTGOING), _jump(len(sent)))
    return _switch_on_tag(_load(SIZE_W, _AD_PROTOCOL), (*is_sent, *sent, *received), _cooked(program, text))


def file_filter(text: str, link: int) -> Program:
    """Program for frames of a LINKTYPE_ as a capture file holds them: tags inside."""
    if link == LINK_ETHERNET:
        return _joined(text)
    plain = compile_expression(text, link)
    return _sll2_joined(plain) if link == LINK_SLL2 and len(plain) > 1 else plain


def _prologue(direction: str) -> Program:
    """Let go of loopback's outgoing copy (it comes again as a received one) and of what -Q does not want."""
    drop = Instruction(RET, 0, 0, 0)
    rows = [
        _load(SIZE_W, _AD_HATYPE),
        Instruction(JMP | JEQ, 0, 3, ARPHRD_LOOPBACK),
        _load(SIZE_W, _AD_PKTTYPE),
        Instruction(JMP | JEQ, 0, 1, PACKET_OUTGOING),
        drop,
    ]
    if direction != "inout":
        jt, jf = (0, 1) if direction == "in" else (1, 0)
        rows += [_load(SIZE_W, _AD_PKTTYPE), Instruction(JMP | JEQ, jt, jf, PACKET_OUTGOING), drop]
    return tuple(rows)


def _cut(program: Program, snaplen: int) -> Program:
    """Let what accepts a frame keep `snaplen` bytes of it."""
    return tuple(row._replace(k=snaplen) if row.code == RET and row.k else row for row in program)


def socket_filter(text: str | None, view: SocketView) -> Program:
    """Program for the kernel, to be attached before the socket is bound."""
    snaplen = view.snaplen - (SLL2_HEADER if view.link == LINK_SLL2 else 0)
    program: Program = (Instruction(RET, 0, 0, CAPLEN_MAX),)
    if text and view.link == LINK_SLL2:
        program = _cooked_joined(compile_expression(text, view.link), text)
    elif text:
        program = file_filter(text, view.link)
        if view.link == LINK_ETHERNET and _VLAN_WORD.search(text):
            stripped = _without_tag(program, text)
            present = (_load(SIZE_W, _AD_VLAN_TAG_PRESENT), Instruction(JMP | JEQ, 0, 1, 0), _jump(len(stripped)))
            program = (*present, *stripped, *program)
    program = (*_prologue(view.direction), *_cut(program, max(snaplen, 1)))
    if len(program) > INSTRUCTIONS_MAX:
        raise UsageError(
            f"filter '{text}': makes {len(program)} instructions, and the kernel takes {INSTRUCTIONS_MAX}: shorten it"
        )
    return program
