"""Where the demonstration may capture: on this host's loopback, else on that of a namespace of its own, else nowhere.

To be asked before numpy is imported: a process with threads may not enter a user namespace.
"""

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import Final

CLONE_NEWUSER: Final = 0x10000000  # linux/sched.h
CLONE_NEWNET: Final = 0x40000000
SIOCGIFFLAGS: Final = 0x8913  # linux/sockios.h
SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 0x1


def may_capture() -> bool:
    """Whether this process may open a packet socket."""
    try:
        family = socket.AF_PACKET
    except AttributeError:  # no Linux
        return False
    try:
        socket.socket(family, socket.SOCK_RAW, 0).close()
    except OSError:
        return False
    return True


def enter_namespace() -> bool:
    """Become root of a user namespace with a network of its own, and raise its loopback.

    False where that is not allowed. Not undone: the process stays inside.
    """
    user, group = os.geteuid(), os.getegid()
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            return False
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        _raise_loopback()
    except (OSError, AttributeError):  # no Linux, or a policy such as AppArmor's forbids it
        return False
    return may_capture()


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        name, flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", name, flags | IFF_UP))


def choose() -> str | None:
    """Climb down the ladder: words for the place in which we can capture now, None where there is none."""
    if may_capture():
        return "captured on lo of this host"
    if enter_namespace():
        return "captured on lo of a user and network namespace of its own, which needs no root"
    return None
