"""Functions that only kernels call: kept as LLVM's text of them, and made machine code once, within the kernel.

For every function numba makes machine code, a wrapper for Python and a wrapper for C, and each holds all that the
function calls: with the core's hundred functions that is most of the time of a cold start. An inner function has none
of these. A kernel links the inner functions that it reaches and takes them for its own, and LLVM chooses what to
inline. From Python an inner function can be called too: there it runs as it stands.
"""

import functools
import importlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final

# What of numba's passes an inner function needs; the others look for what it has not: closures, `with`, array
# expressions, calls to be inlined by numba.
PASSES: Final = frozenset(
    {
        "TranslateByteCode",
        "FixupArgs",
        "IRProcessing",
        "GenericRewrites",
        "ReconstructSSA",
        "NopythonTypeInference",
        "PreLowerStripPhis",
        "IRLegalization",
        "NativeLowering",
        "NoPythonBackend",
    }
)


def _module(name: str) -> Any:
    """A module of numba's, imported only where a kernel is compiled; it has few types to check."""
    return importlib.import_module(name)


class Inner:
    """A function that numba compiles into its callers, and that Python runs as it stands."""

    def __init__(self, function: Callable[..., Any], dispatcher: Any) -> None:
        """`dispatcher` is numba's, for callers that are compiled."""
        functools.update_wrapper(self, function)
        self.dispatcher = dispatcher
        self._function = function

    def __call__(self, *args: Any) -> Any:
        """Run it as plain Python."""
        return self._function(*args)


@cache
def libraries() -> tuple[type[Any], type[Any]]:
    """The library of an inner function, and that of a kernel: subclasses of numba's."""
    internal = _module("llvmlite.binding").Linkage.internal
    library_class = _module("numba.core.codegen").JITCodeLibrary

    class InnerLibrary(library_class):  # type: ignore[misc, valid-type]
        """Holds one function, not optimised, and knows the libraries of those that it calls."""

        def add_linking_library(self, library: Any) -> None:
            self._linking_libraries.append(library)

        def _optimize_functions(self, ll_module: Any) -> None:
            ll_module.data_layout = self._codegen._data_layout  # noqa: SLF001

        def finalize(self) -> None:
            self._raise_if_finalized()
            self._finalized = True

        def defined(self) -> list[str]:
            """Names of the functions in it."""
            return [f.name for f in self._final_module.functions if not f.is_declaration]

    class KernelLibrary(library_class):  # type: ignore[misc, valid-type]
        """Takes in all inner functions that its kernel reaches."""

        def add_linking_library(self, library: Any) -> None:
            if library not in self._linking_libraries:
                super().add_linking_library(library)
                if isinstance(library, InnerLibrary):
                    for further in library._linking_libraries:  # noqa: SLF001
                        self.add_linking_library(further)

        def _optimize_final_module(self) -> None:
            for library in self._linking_libraries:
                for name in library.defined() if isinstance(library, InnerLibrary) else ():
                    # Nobody else calls it: LLVM may inline it where it is called once, and drop what it never returns.
                    self._final_module.get_function(name).linkage = internal
            super()._optimize_final_module()

    return InnerLibrary, KernelLibrary


@cache
def pipelines() -> tuple[type[Any], type[Any]]:
    """Compilers of numba's kind: one for inner functions, one for kernels."""
    base = _module("numba.core.compiler")
    compiler_base = base.CompilerBase
    register_pass = _module("numba.core.compiler_machinery").register_pass
    native_lowering = _module("numba.core.typed_passes").NativeLowering
    inner_library, kernel_library = libraries()

    @register_pass(mutates_CFG=True, analysis_only=False)
    class InnerLowering(native_lowering):  # type: ignore[misc, valid-type]
        _name = "synfin_inner_lowering"

        def run_pass(self, state: Any) -> bool:
            state.library = inner_library(state.targetctx.codegen(), state.func_id.func_qualname)
            state.flags.no_compile = True
            super().run_pass(state)
            lowered = state["cr"]
            key: Any = [].append  # callers find it by this: numba asks for a builtin, and none is like this one
            state["cr"] = lowered._replace(cfunc=key)
            state.targetctx.insert_user_function(key, lowered.fndesc, [state.library])
            return True

    @register_pass(mutates_CFG=True, analysis_only=False)
    class KernelLowering(native_lowering):  # type: ignore[misc, valid-type]
        _name = "synfin_kernel_lowering"

        def run_pass(self, state: Any) -> bool:
            state.library = kernel_library(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
            return bool(super().run_pass(state))

    def compiler(lowering: type[Any], wanted: frozenset[str] | None) -> type[Any]:
        class Compiler(compiler_base):  # type: ignore[misc, valid-type]
            def define_pipelines(self) -> list[Any]:
                manager = base.DefaultPassBuilder.define_nopython_pipeline(self.state)
                manager.passes = [
                    (lowering if step is native_lowering else step, text)
                    for step, text in manager.passes
                    if wanted is None or step.__name__ in wanted
                ]
                manager.finalize()
                return [manager]

        return Compiler

    return compiler(InnerLowering, PASSES), compiler(KernelLowering, None)


@cache
def _teach() -> None:
    @_module("numba.extending").typeof_impl.register(Inner)  # type: ignore[untyped-decorator]
    def _type_of(value: Inner, _context: Any) -> Any:
        return value.dispatcher._numba_type_


def _one_of_a_kind(dispatcher: Any) -> None:
    """Have one version of the function for all integers that int64 holds, and for constants as for variables."""
    types = _module("numba.core.types")
    fold = dispatcher._compiler.fold_argument_types  # noqa: SLF001

    def folded(args: Any, kws: Any) -> Any:
        signature, kinds = fold(args, kws)
        kinds = [types.unliteral(kind) for kind in kinds]
        return signature, tuple(
            types.int64 if isinstance(kind, types.Integer) and kind.bitwidth < 64 else kind for kind in kinds
        )

    dispatcher._compiler.fold_argument_types = folded  # noqa: SLF001


def inner(numba: Any, function: Callable[..., Any], **more: Any) -> Any:
    """Wrap a function for kernels to call."""
    _teach()
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False, **more}
    dispatcher = numba.njit(pipeline_class=pipelines()[0], **options)(function)
    _one_of_a_kind(dispatcher)
    return Inner(function, dispatcher)
