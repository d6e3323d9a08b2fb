"""The one decorator for compilation, and where compiled kernels are cached.

A kernel is a plain function over structured arrays. With SYNFIN_COMPILED=0 it runs as it stands, without numba,
and must give the same result bit for bit.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

ENABLED: Final = os.environ.get("SYNFIN_COMPILED", "1") != "0"
ROOMS: Final = ("synfin", "sensor", "processor")  # packages that hold kernels


def _source_digest() -> str:
    """Hash of all sources that may reach a kernel.

    numba notices an edit of the file that holds a cached kernel, not of a helper or a constant that it imports, and
    then gives old results without a word. So every state of the sources has its own cache folder.
    """
    digest = hashlib.blake2b(digest_size=8)
    top = Path(__file__).resolve().parent.parent
    for room in ROOMS:
        for path in sorted((top / room).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return False
    # A cached kernel is code: a folder that somebody else owns could hold theirs.
    return os.access(folder, os.W_OK) and folder.stat().st_uid == os.geteuid()


def cache_folder() -> Path:
    """The first of SYNFIN_CACHE_DIR, XDG_CACHE_HOME/synfin, ~/.cache/synfin and a fresh temporary folder that works."""
    places = [os.environ.get("SYNFIN_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME"), os.environ.get("HOME")]
    tails = ["", "synfin", ".cache/synfin"]
    for place, tail in zip(places, tails, strict=True):
        if place and _writable(Path(place) / tail / "kernels"):
            return Path(place) / tail / "kernels"
    return Path(tempfile.mkdtemp(prefix="synfin-kernels-"))


def _numba_decorator() -> Callable[[F], F]:
    if "NUMBA_CACHE_DIR" not in os.environ:  # numba raises at import when it finds no writable cache
        os.environ["NUMBA_CACHE_DIR"] = str(cache_folder() / _source_digest())
    import numba  # noqa: PLC0415  1.6 s of CPU, and only where a kernel is needed

    decorator: Callable[[F], F] = numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
    return decorator


def _plain_decorator() -> Callable[[F], F]:
    import numpy as np  # noqa: PLC0415

    np.seterr(over="ignore")  # hashes wrap around, as they do when compiled
    return lambda function: function


_decorate: Callable[[Any], Any] = _numba_decorator() if ENABLED else _plain_decorator()


def compiled(function: F) -> F:
    """Compile at first call, cached on disk; as it stands when compilation is off."""
    result: F = _decorate(function)
    return result
