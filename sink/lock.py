"""One sink for a folder: two would write the same records, each by its own journal."""

import fcntl
import os
import socket
import time
from pathlib import Path
from typing import Final, Self

from sink.files import make_folder, storing
from synfin.errors import StorageError

NAME: Final = "sink.lock"


class FolderLock:
    """Held from entry to exit, or to the end of the process however it ends. The file stays; only the lock counts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / NAME
        self._descriptor = -1

    def __enter__(self) -> Self:
        make_folder(self._folder)
        with storing("open", self._path):
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 200, 0).decode(errors="replace").strip() or "another sink"
            self._release()
            raise StorageError(
                f"{self._folder} is in use by {holder}; end that one, or name another folder with --out"
            ) from None
        except OSError as error:
            self._release()
            raise StorageError(f"cannot lock {self._path}: {error.strerror}; name a folder on another disk") from error
        with storing("write", self._path):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, self._holder().encode(), 0)
        return self

    def __exit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1

    @staticmethod
    def _holder() -> str:
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return f"the sink with pid {os.getpid()} on {socket.gethostname()}, since {since}\n"
