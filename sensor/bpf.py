"""Capture filters: from tcpdump's language to a program for classic BPF, by libpcap.

The one door to libpcap: the cypcap wheel, which brings its own, or ctypes on the system's. What is made of the programs
(both forms of a VLAN tag, the socket's own view of a frame) is in `bpf_join.py`, and running them over blocks of frames
is in `bpf_run.py`.
"""

import ctypes
import ctypes.util
from collections.abc import Callable
from functools import cache
from typing import Any, Final, NamedTuple

from sensor.frames import CAPLEN_MAX, LINK_RAW, LINK_RAW_BSD, LINK_RAW_OPENBSD
from synfin.errors import CaptureError, UsageError

LD, LDX, ALU, JMP, RET = 0x00, 0x01, 0x04, 0x05, 0x06  # instruction classes, the low three bits of the code
SIZE_W, SIZE_H, SIZE_B = 0x00, 0x08, 0x10
IMM, ABS, IND, MEM, LEN, MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
JA, JEQ, JGT, JGE, JSET = 0x00, 0x10, 0x20, 0x30, 0x40
INSTRUCTIONS_MAX: Final = 4096  # BPF_MAXINSNS of the kernel

OPTIMIZED_MAX: Final = 1024  # characters; libpcap's optimizer takes 28 s for 300 hosts, and grows with their cube
_NETMASK_UNKNOWN: Final = 0xFFFFFFFF
_REJECTS_ALL: Final = "expression rejects all packets"


class Instruction(NamedTuple):
    """One instruction of classic BPF, as the kernel's struct sock_filter."""

    code: int
    jt: int
    jf: int
    k: int


Program = tuple[Instruction, ...]
REJECT: Final[Program] = (Instruction(RET, 0, 0, 0),)


class _LibpcapError(Exception):
    """What libpcap says about an expression."""


def _compile_cypcap(cypcap: Any, text: str, dlt: int) -> Program:
    try:
        program = cypcap.compile(dlt, CAPLEN_MAX, text, len(text) <= OPTIMIZED_MAX, _NETMASK_UNKNOWN)
    except cypcap.Error as error:
        raise _LibpcapError(str(error.args[-1])) from None
    return tuple(Instruction(*row) for row in program)


class _BpfInsn(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint32))


class _BpfProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.POINTER(_BpfInsn)))


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Give the functions of libpcap their types, without which ctypes cuts pointers to 32 bits."""
    library.pcap_open_dead.restype = ctypes.c_void_p
    library.pcap_open_dead.argtypes = (ctypes.c_int, ctypes.c_int)
    library.pcap_compile.restype = ctypes.c_int
    library.pcap_compile.argtypes = (
        ctypes.c_void_p,
        ctypes.POINTER(_BpfProgram),
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_uint32,
    )
    library.pcap_geterr.restype = ctypes.c_char_p
    library.pcap_geterr.argtypes = (ctypes.c_void_p,)
    library.pcap_freecode.restype = None
    library.pcap_freecode.argtypes = (ctypes.POINTER(_BpfProgram),)
    library.pcap_close.restype = None
    library.pcap_close.argtypes = (ctypes.c_void_p,)
    return library


def _compile_ctypes(library: ctypes.CDLL, text: str, dlt: int) -> Program:
    handle = library.pcap_open_dead(dlt, CAPLEN_MAX)
    if not handle:
        raise _LibpcapError(f"no handle for link type {dlt}")
    program = _BpfProgram()
    try:
        optimize = int(len(text) <= OPTIMIZED_MAX)
        if library.pcap_compile(handle, ctypes.byref(program), text.encode(), optimize, _NETMASK_UNKNOWN) != 0:
            raise _LibpcapError(library.pcap_geterr(handle).decode(errors="replace"))
        rows = [program.instructions[i] for i in range(program.length)]
        result = tuple(Instruction(row.code, row.jt, row.jf, row.k) for row in rows)
        library.pcap_freecode(ctypes.byref(program))
        return result
    finally:
        library.pcap_close(handle)


@cache
def _compiler() -> Callable[[str, int], Program]:
    """What compiles an expression for a DLT: cypcap, else the system's libpcap, else a CaptureError."""
    try:
        import cypcap  # noqa: PLC0415  where it has a wheel
    except ImportError:
        name = ctypes.util.find_library("pcap")
        if name is None:
            message = "no libpcap for the filter: pip install cypcap, or apt install libpcap0.8"
            raise CaptureError(message) from None
        library = _declare(ctypes.CDLL(name))
        return lambda text, dlt: _compile_ctypes(library, text, dlt)
    return lambda text, dlt: _compile_cypcap(cypcap, text, dlt)


def _dlt(link: int) -> int:
    """The number that libpcap's compiler knows a link type by: raw IP is the one that differs from LINKTYPE_."""
    return LINK_RAW_BSD if link in (LINK_RAW, LINK_RAW_OPENBSD) else link


def compile_expression(text: str, link: int, told: str | None = None) -> Program:
    """Compile one expression for frames of a LINKTYPE_, exactly as libpcap does it.

    `told` is what the user wrote, when `text` was made from it; then an expression that rejects all packets is the
    program that does so, and else an error, as it is in tcpdump. Raises UsageError with libpcap's words.
    """
    try:
        program = _compiler()(text, _dlt(link))
    except _LibpcapError as error:
        if told is not None and _REJECTS_ALL in str(error):
            return REJECT
        raise UsageError(f"filter '{told or text}': {error}") from None
    except UnicodeEncodeError:
        raise UsageError(f"filter {text!r}: is not UTF-8") from None
    if any(row.code == JMP | JA and row.k >> 31 for row in program):
        raise UsageError(f"filter '{told or text}': protochain makes a loop, which the kernel refuses")
    return program
