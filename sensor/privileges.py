"""Root is given up when sockets, ring and outputs are open, and before the first packet is parsed."""

import ctypes
import errno
import grp
import os
import pwd
import struct
import sys
from dataclasses import dataclass
from typing import Any, Final

from synfin.errors import UsageError

DEFAULT_USERS: Final = ("synfin", "nobody")
_PR_SET_NO_NEW_PRIVS: Final = 38  # linux/prctl.h
_CAPABILITY_VERSION_3: Final = 0x20080522  # linux/capability.h
_ROOMS: Final = ("synfin.", "sensor.")


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the sensor becomes."""

    name: str
    uid: int
    gid: int


def account(chosen: str | None) -> Account | None:
    """The user to become: the one that -Z names, else synfin, else nobody; None when there is nothing to drop.

    Raises UsageError for a user that does not exist.
    """
    if os.geteuid() != 0:
        return None
    for name in DEFAULT_USERS if chosen is None else (chosen,):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    if chosen is None:
        raise UsageError(
            f"no user to become instead of root: there is neither {' nor '.join(DEFAULT_USERS)}; name one: -Z"
        )
    raise UsageError(f"-Z {chosen}: there is no such user")


def drop(who: Account) -> str:
    """Become that user for good, without any capability; a sentence that says what became of it.

    Raises UsageError when the process stays as mighty as before. In a user namespace only root may exist, and in a
    container root may lack the right to become another; there the capabilities go and the number stays.
    """
    _forbid_kernel_caches()
    if who.uid != 0:
        try:
            _become(who)
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.EPERM}:
                raise UsageError(f"-Z {who.name}: {error.strerror}") from None
            _give_up_capabilities()
            return f"cannot become {who.name} in this namespace: stays its root, without any capability"
    _give_up_capabilities()
    return f"runs as {who.name}"


def _become(who: Account) -> None:
    groups = [entry.gr_gid for entry in grp.getgrall() if who.name in entry.gr_mem]
    try:
        os.setgroups([who.gid, *groups])
    except PermissionError:
        os.setgroups([])  # a namespace that may hold no foreign group
    os.setresgid(who.gid, who.gid, who.gid)
    os.setresuid(who.uid, who.uid, who.uid)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _give_up_capabilities() -> None:
    """Empty all sets of this thread, and let no exec fill them; threads that come later inherit it."""
    if not sys.platform.startswith("linux"):
        return
    libc = _libc()
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    failed = libc.capset(header, bytes(24)) or libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if failed:
        number = ctypes.get_errno()
        raise UsageError(f"the capabilities cannot be given up: {os.strerror(number)}")


def _forbid_kernel_caches() -> None:
    """Let kernels that are compiled from now on stay in memory: the folder of the cache is root's."""
    for name, module in list(sys.modules.items()):
        if name.startswith(_ROOMS):
            for value in vars(module).values():
                cache: Any = getattr(value, "_cache", None)
                if cache is not None and hasattr(value, "py_func"):
                    cache.disable()
