"""Numbers in network order out of captured bytes: a load and a swap each, where LLVM would join single bytes or not.

Whoever asks has checked that the bytes were captured: nobody checks bounds here.
"""

import importlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from synfin.compiled import ENABLED

_Load = Callable[[Any, Any], Any]


def _module(name: str) -> Any:
    """A module of numba's, imported only where a kernel is compiled; its types say nothing to mypy."""
    return importlib.import_module(name)


def _loader(bits: int) -> _Load:
    ir, types, intrinsic = _module("llvmlite.ir"), _module("numba.core.types"), _module("numba.extending").intrinsic

    @intrinsic  # type: ignore[untyped-decorator]
    def load(_context: Any, octets: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            index = context.cast(builder, args[1], signature.args[1], types.uint64)
            place = builder.bitcast(builder.gep(array.data, [index]), ir.IntType(bits).as_pointer())
            return builder.zext(builder.bswap(builder.load(place, align=1)), ir.IntType(64))

        fitting = isinstance(octets, types.Array) and octets.dtype == types.uint8 and octets.layout == "C"
        return (types.uint64(octets, at), generate) if fitting and isinstance(at, types.Integer) else None

    result: _Load = load
    return result


def _joiner(bits: int) -> _Load:
    def load(octets: Any, at: Any) -> Any:
        start = int(at)
        return np.uint64(int.from_bytes(octets[start : start + bits // 8].tobytes(), "big"))

    return load


_of_bits = _loader if ENABLED else _joiner

# loadN(octets, at): N bits in network order as uint64, at any address.
load16: Final = _of_bits(16)
load32: Final = _of_bits(32)
load64: Final = _of_bits(64)
