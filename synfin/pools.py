"""Many arrays as one pointer, for kernels that hand them on.

numba passes an array as seven words and a tuple of arrays as seven times as many, with a count of references for
each, at every call that is not inlined: ten times what the core does with a packet. So compiled code sees a `Pools`
tuple as the address of its arrays' addresses: `core.views[i]` is one load and one addition, a record is the pointer
to it, and nothing is counted. Nobody checks bounds, and the caller of the kernel keeps the arrays alive. Plain Python
sees the tuple itself.
"""

import hashlib
import importlib
import operator
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from synfin.compiled import ENABLED

CACHE_LINE: Final = 64  # bytes


def _module(name: str) -> Any:
    """A module of numba's, imported only where a kernel is compiled; its types say nothing to mypy."""
    return importlib.import_module(name)


def as_is(pools: Any) -> Any:
    """Give plain Python the tuple."""
    return pools


def addresses_of(pools: Any) -> Any:
    """What a kernel is given for a tuple of arrays; valid until one of them is replaced."""
    if not ENABLED:
        return pools
    return np.array([array.ctypes.data for array in pools], np.int64)


def _opener(fields: tuple[tuple[str, np.dtype[Any]], ...]) -> Callable[[Any], Any]:
    ir, types, intrinsic = _module("llvmlite.ir"), _module("numba.core.types"), _module("numba.extending").intrinsic
    pools_type = _types()["pools"](fields)

    @intrinsic
    def opened(_context: Any, _addresses: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            return builder.bitcast(array.data, ir.IntType(8).as_pointer())

        return pools_type(types.Array(types.int64, 1, "C")), generate

    result: Callable[[Any], Any] = opened
    return result


def _fetcher() -> Callable[[Any, Any], None]:
    ir, types, cgutils = _module("llvmlite.ir"), _module("numba.core.types"), _module("numba.core.cgutils")
    intrinsic = _module("numba.extending").intrinsic
    pool_class = _types()["pool"]
    byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    prefetch_type = ir.FunctionType(ir.VoidType(), [byte, word, word, word])

    def is_array(kind: Any) -> bool:
        return isinstance(kind, types.Array) and kind.layout == "C"

    @intrinsic
    def fetch(_context: Any, pool: Any, row: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = signature.args[0]
            data = context.get_data_type(kind.dtype)
            first = context.make_array(kind)(context, builder, args[0]).data if is_array(kind) else args[0]
            index = context.cast(builder, args[1], signature.args[1], types.uint64)
            start = builder.bitcast(builder.gep(builder.bitcast(first, data.as_pointer()), [index]), byte)
            prefetch = cgutils.get_or_insert_function(builder.module, prefetch_type, "llvm.prefetch.p0")
            size = context.get_abi_sizeof(data)
            for at in sorted({*range(0, size, CACHE_LINE), size - 1}):
                place = cgutils.pointer_add(builder, start, ir.Constant(ir.IntType(64), at))
                builder.call(prefetch, [place, *(ir.Constant(word, number) for number in (0, 3, 1))])
            return context.get_dummy_value()

        fitting = (isinstance(pool, pool_class) or is_array(pool)) and isinstance(row, types.Integer)
        return (types.none(pool, row), generate) if fitting else None

    result: Callable[[Any, Any], None] = fetch
    return result


def _need_not_fetch(_pool: Any, _row: Any) -> None:
    """Let plain Python wait for its memory."""


_TYPES: Final[dict[str, Any]] = {}


def _types() -> dict[str, Any]:
    """Make numba's types for a tuple of pools and for one pool, once."""
    if not _TYPES:
        _TYPES.update(_make_types())
    return _TYPES


def _make_types() -> dict[str, Any]:
    types, extending = _module("numba.core.types"), _module("numba.extending")
    from_dtype = _module("numba.np.numpy_support").from_dtype

    class PoolType(types.Type):
        """One pool: the address of its first row."""

        def __init__(self, dtype: Any) -> None:
            self.dtype = dtype
            super().__init__(name=f"Pool({hashlib.sha1(repr(dtype).encode()).hexdigest()})")  # noqa: S324  a name

        def __reduce__(self) -> Any:
            return _pool_type, (self.dtype,)

    class PoolsType(types.Type):
        """The tuple: the address of the addresses of its pools, in the order of its fields."""

        def __init__(self, fields: tuple[tuple[str, np.dtype[Any]], ...]) -> None:
            self.fields = fields
            self.order = [name for name, _ in fields]
            self.pools = {name: PoolType(from_dtype(dtype)) for name, dtype in fields}
            super().__init__(name=f"Pools({hashlib.sha1(repr(fields).encode()).hexdigest()})")  # noqa: S324

        def __reduce__(self) -> Any:
            return _pools_type, (self.fields,)

    extending.register_model(PoolType)(extending.models.OpaqueModel)
    extending.register_model(PoolsType)(extending.models.OpaqueModel)
    _teach_access(PoolsType, PoolType)
    return {"pools": PoolsType, "pool": PoolType}


def _pool_type(dtype: Any) -> Any:
    return _types()["pool"](dtype)


def _pools_type(fields: Any) -> Any:
    return _types()["pools"](fields)


def _teach_access(pools_class: Any, pool_class: Any) -> None:
    """Teach numba `pools.name`, `pool[i]` and `pool[i] = number`."""
    ir, types = _module("llvmlite.ir"), _module("numba.core.types")
    templates, imputils = _module("numba.core.typing.templates"), _module("numba.core.imputils")
    signature, lower_builtin = templates.signature, imputils.lower_builtin
    int64 = ir.IntType(64)

    @templates.infer_getattr
    class _Attribute(templates.AttributeTemplate):
        key = pools_class

        def generic_resolve(self, typ: Any, attr: str) -> Any:
            return typ.pools.get(attr)

    @imputils.lower_getattr_generic(pools_class)
    def _load_pool(_context: Any, builder: Any, typ: Any, value: Any, attr: str) -> Any:
        place = ir.Constant(int64, typ.order.index(attr))
        address = builder.load(builder.gep(builder.bitcast(value, int64.as_pointer()), [place]))
        return builder.inttoptr(address, ir.IntType(8).as_pointer())

    @templates.infer_global(operator.getitem)
    class _GetItem(templates.AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 2 and not kws and isinstance(args[0], pool_class) and isinstance(args[1], types.Integer):
                return signature(args[0].dtype, *args)
            return None

    @templates.infer_global(operator.setitem)
    class _SetItem(templates.AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 3 and not kws and isinstance(args[0], pool_class) and isinstance(args[1], types.Integer):
                return signature(types.none, args[0], args[1], args[0].dtype)
            return None

    def place(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        row = context.get_data_type(sig.args[0].dtype).as_pointer()
        index = context.cast(builder, args[1], sig.args[1], types.uint64)
        return builder.gep(builder.bitcast(args[0], row), [index])

    @lower_builtin(operator.getitem, pool_class, types.Integer)
    def _get(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.unpack_value(builder, sig.args[0].dtype, place(context, builder, sig, args))

    @lower_builtin(operator.setitem, pool_class, types.Integer, types.Any)
    def _set(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        context.pack_value(builder, sig.args[0].dtype, args[2], place(context, builder, sig, args))
        return context.get_dummy_value()


def opener(fields: tuple[tuple[str, np.dtype[Any]], ...]) -> Callable[[Any], Any]:
    """The function by which a kernel gets its pools from what `addresses_of` gave; names and dtypes in the order."""
    return _opener(fields) if ENABLED else as_is


# fetch_ahead(pool, row): bring a row of a pool or of an array into the caches, for use soon; there need be none. Rows
# that are asked for together come together, where to read one after the other is to wait for each: some 0.1 us a line
# that is not in a cache.
fetch_ahead: Final = _fetcher() if ENABLED else _need_not_fetch
