"""Classic BPF over blocks of frames: for capture files, and for sockets that have no filter in the kernel.

Source: McCanne and Jacobson, "The BSD Packet Filter" (1993), section 3.3, and libpcap's bpf_filter.c where it is
silent: a load outside of the captured bytes and a division by zero reject the frame.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sensor.bpf import Program
from sensor.bpf_join import file_filter
from sensor.frames import FrameBlock
from synfin.compiled import compiled

INSTRUCTION: Final = np.dtype([("code", "<u8"), ("jt", "<u8"), ("jf", "<u8"), ("k", "<u8")])

_U0, _U1, _U2, _U3, _U4, _U8, _U16, _U24 = (np.uint64(n) for n in (0, 1, 2, 3, 4, 8, 16, 24))
_U31, _U32, _CLASS, _SIZE, _MODE, _OP = (np.uint64(n) for n in (31, 32, 7, 0x18, 0xE0, 0xF0))
_LD, _LDX, _ST, _STX, _ALU, _JMP, _RET = (np.uint64(n) for n in range(7))
_SIZE_W, _SIZE_H = np.uint64(0), np.uint64(0x08)
_IMM, _ABS, _IND, _MEM, _LEN, _MSH = (np.uint64(n) for n in (0, 0x20, 0x40, 0x60, 0x80, 0xA0))
_SUB, _MUL, _DIV, _OR, _AND, _LSH, _RSH, _NEG, _MOD, _XOR = (np.uint64(n << 4) for n in range(1, 11))
_JEQ, _JGT, _JGE = (np.uint64(n << 4) for n in range(1, 4))
_SOURCE_X, _RETURN_A, _TXA = np.uint64(0x08), np.uint64(0x10), np.uint64(0x80)
_M32 = np.uint64(0xFFFFFFFF)
_CELLS = np.uint64(16)
_FAIL = np.uint64(1 << 32)  # no 32-bit value: the frame is rejected


@compiled
def _fetch(buffer: Any, start: Any, caplen: Any, at: Any, size: Any) -> Any:
    """Big-endian load of 4, 2 or 1 bytes at `at` of the frame, _FAIL when they are not all captured."""
    width = _U4
    if size == _SIZE_H:
        width = _U2
    elif size != _SIZE_W:
        width = _U1
    if at + width > caplen:
        return _FAIL
    value = _U0
    for i in range(width):
        value = (value << _U8) | np.uint64(buffer[start + at + np.uint64(i)])
    return value


@compiled
def _arithmetic(op: Any, a: Any, b: Any) -> Any:
    if op == _U0:
        return (a + b) & _M32
    if op == _SUB:
        return (a - b) & _M32
    if op == _MUL:
        return (a * b) & _M32
    if op == _DIV:
        return a // b if b != _U0 else _FAIL
    if op == _MOD:
        return a % b if b != _U0 else _FAIL
    if op == _OR:
        return a | b
    if op == _AND:
        return a & b
    if op == _XOR:
        return a ^ b
    if op == _LSH:
        return (a << b) & _M32 if b < _U32 else _U0
    if op == _RSH:
        return a >> b if b < _U32 else _U0
    return (~a + _U1) & _M32  # NEG


@compiled
def _jumps(op: Any, a: Any, b: Any) -> Any:
    if op == _JEQ:
        return a == b
    if op == _JGT:
        return a > b
    if op == _JGE:
        return a >= b
    return (a & b) != _U0


@compiled
def _loaded(row: Any, buffer: Any, frame: Any, x: Any, memory: Any) -> Any:
    """Value of an LD or LDX instruction, _FAIL when the frame does not hold it."""
    mode, size, k = row["code"] & _MODE, row["code"] & _SIZE, row["k"]
    start, caplen = np.uint64(frame["offset"]), np.uint64(frame["caplen"])
    if mode == _IMM:
        return k
    if mode == _LEN:
        return np.uint64(frame["wirelen"])
    if mode == _MEM:
        return memory[k] if k < _CELLS else _FAIL
    if mode == _MSH:
        value = _fetch(buffer, start, caplen, k, _U16)
        return (value & np.uint64(0x0F)) << _U2 if value != _FAIL else _FAIL
    return _fetch(buffer, start, caplen, k if mode == _ABS else (k + x) & _M32, size)


@compiled
def _accepts(program: Any, buffer: Any, frame: Any, memory: Any) -> Any:
    a, x, pc, n = _U0, _U0, _U0, np.uint64(len(program))
    memory[:] = _U0
    while pc < n:
        row = program[pc]
        code, k = row["code"], row["k"]
        kind = code & _CLASS
        pc += _U1
        if kind in (_LD, _LDX):
            value = _loaded(row, buffer, frame, x, memory)
            if value == _FAIL:
                return False
            if kind == _LD:
                a = value
            else:
                x = value
        elif kind == _JMP:
            op = code & _OP
            if op == _U0:
                pc += k
            else:
                pc += row["jt"] if _jumps(op, a, x if code & _SOURCE_X else k) else row["jf"]
        elif kind == _ALU:
            a = _arithmetic(code & _OP, a, x if code & _SOURCE_X else k)
            if a == _FAIL:
                return False
        elif kind == _RET:
            return (a if code & _SIZE == _RETURN_A else k) != _U0
        elif kind in (_ST, _STX):
            if k >= _CELLS:
                return False
            memory[k] = a if kind == _ST else x
        elif code & _TXA:
            a = x
        else:
            x = a
    return False


@compiled
def _judge(program: Any, buffer: Any, frames: Any, link: Any, keep: Any) -> None:
    """Set keep[i] for each frame of that link type that the program accepts."""
    memory = np.zeros(16, np.uint64)
    for i in range(np.uint64(len(frames))):
        frame = frames[i]
        if np.uint64(frame["link"]) == link:
            keep[i] = _accepts(program, buffer, frame, memory)


def as_array(program: Program) -> npt.NDArray[np.void]:
    """INSTRUCTION[n] of a program."""
    return np.array([tuple(row) for row in program], INSTRUCTION)


class BlockFilter:
    """Keeps of each block the frames that an expression accepts; compiles it once for each link type that occurs."""

    def __init__(self, text: str) -> None:
        """Take the expression; it is compiled when a link type is known."""
        self._text = text
        self._programs: dict[int, npt.NDArray[np.void]] = {}

    def program(self, link: int) -> npt.NDArray[np.void]:
        """INSTRUCTION[n] for a LINKTYPE_. Raises UsageError."""
        if link not in self._programs:
            self._programs[link] = as_array(file_filter(self._text, link))
        return self._programs[link]

    def mask(self, block: FrameBlock) -> npt.NDArray[np.bool_]:
        """bool[n]: which frames the expression accepts."""
        keep = np.zeros(len(block.frames), np.bool_)
        for link in np.unique(block.frames["link"]):
            _judge(self.program(int(link)), block.buffer, block.frames, np.uint64(link), keep)
        return keep
