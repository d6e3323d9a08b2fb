"""The one decorator for compilation, and where compiled kernels are cached.

A kernel is a plain function over structured arrays. With SYNFIN_COMPILED=0 it runs as it stands, without numba,
and must give the same result bit for bit.

numba notices an edit of the file that holds a cached kernel, not of a helper or a constant that the file imports, and
then gives old results without a word. So the kernels of a module are cached in a folder named by a hash of the module
and of all that it imports from our own rooms.
"""

import gc
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from synfin.inner import inner as wrap
from synfin.inner import pipelines

F = TypeVar("F", bound=Callable[..., Any])

ENABLED: Final = os.environ.get("SYNFIN_COMPILED", "1") != "0"
_TOP: Final = Path(__file__).resolve().parent.parent
_IMPORT: Final = re.compile(rb"^from ((?:synfin|sensor|processor)[\w.]*) import \(?([\w, ]*)", re.MULTILINE)


def _source(module: str) -> Path | None:
    """File of one of our modules, None for what is no module."""
    path = _TOP.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _imports(module: str) -> tuple[bytes, tuple[str, ...]]:
    """Text of a module, and which of our modules it may import."""
    path = _source(module)
    if path is None:
        return b"", ()
    text = path.read_bytes()
    found = []
    for package, names in _IMPORT.findall(text):
        parent = package.decode()
        found += [parent, *(f"{parent}.{name.strip()}" for name in names.decode().split(","))]
    return text, tuple(found)


@cache
def source_digest(module: str) -> str:
    """Hash of the sources that may reach a kernel of `module`: its own and, closed over, what it imports of ours."""
    waiting, seen = [module], set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += _imports(name)[1]
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(seen):
        digest.update(_imports(name)[0])
    return digest.hexdigest()


def _usable(folder: Path) -> bool:
    """Whether kernels can be kept there: they are code, so in no folder that somebody else may write to."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = folder.lstat()
    except OSError:
        return False
    own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & stat.S_IWOTH
    return own and os.access(folder, os.W_OK)


@cache
def cache_folder() -> Path:
    """The first usable of SYNFIN_CACHE_DIR, XDG_CACHE_HOME/synfin, ~/.cache/synfin and one in /tmp for the user.

    So an installation that nobody may write to compiles once all the same, even for who has no home.
    """
    mine = Path(tempfile.gettempdir()) / f"synfin-{os.geteuid()}"
    places = [os.environ.get("SYNFIN_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME"), os.environ.get("HOME")]
    tails = ["", "synfin", ".cache/synfin"]
    for place, tail in zip(places, tails, strict=True):
        if place and _usable(Path(place) / tail / "kernels"):
            return Path(place) / tail / "kernels"
    if _usable(mine) and _usable(mine / "kernels"):
        return mine / "kernels"
    return Path(tempfile.mkdtemp(prefix="synfin-kernels-"))


@cache
def _numba() -> Any:
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder()))  # numba raises at import when it finds no such folder
    collects = gc.isenabled()
    gc.disable()  # what an import makes is no garbage, and to look for some takes a tenth of its time
    import numba  # noqa: PLC0415  0.6 s of CPU, and only where a kernel is needed

    gc.freeze()
    if collects:
        gc.enable()
    return numba


def _cached_in(function: Callable[..., Any]) -> Any:
    numba = _numba()
    numba.config.CACHE_DIR = str(cache_folder() / source_digest(function.__module__))
    return numba


def _plain(function: F) -> F:
    import numpy as np  # noqa: PLC0415

    np.seterr(over="ignore")  # hashes wrap around, as they do when compiled
    return function


_OPTIONS: Final = {"nogil": True, "boundscheck": False, "error_model": "numpy"}


def compiled(function: F) -> F:
    """Compile at first call, cached on disk; as it stands when compilation is off. What Python calls."""
    if not ENABLED:
        return _plain(function)
    result: F = _cached_in(function).njit(cache=True, pipeline_class=pipelines()[1], **_OPTIONS)(function)
    return result


def leaf(function: F) -> F:
    """Compile as `compiled` does, into each kernel that calls it, and count no references to its arrays.

    For what runs for every packet: it takes a third of the time. A leaf makes and returns no array.
    """
    if not ENABLED:
        return _plain(function)
    result: F = _cached_in(function).njit(cache=True, forceinline=True, _nrt=False, **_OPTIONS)(function)
    return result


def inner(function: F) -> F:
    """Compile into the kernels that call it, and only there; from Python it runs as it stands. It makes no array."""
    return wrap(_numba(), _plain(function), forceinline=False, **_OPTIONS) if ENABLED else _plain(function)
