"""Two hosts of our own: network namespaces that this process makes, enters and leaves.

A socket belongs to the namespace that its thread was in when it was made. So one process, in one thread, holds the
sockets of both ends, and what happens on them happens in the order in which a scenario writes it down.
"""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
from pathlib import Path
from typing import Self

CLONE_NEWNS = 0x00020000  # linux/sched.h
CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """Raise OSError for a system call that failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


class Host:
    """A namespace with one interface, `eth0`, and an address of either family."""

    def __init__(self, name: str, ipv4: str, ipv6: str) -> None:
        self.name = name
        self.address = {4: ipv4, 6: ipv6}
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        check(libc.unshare(CLONE_NEWNET), "a network namespace")
        self._inside = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        check(libc.setns(self._home, CLONE_NEWNET), "back to our own namespace")
        self.run("ip", "link", "set", "lo", "up")

    def __enter__(self) -> Self:
        check(libc.setns(self._inside, CLONE_NEWNET), self.name)
        return self

    def __exit__(self, *_: object) -> None:
        check(libc.setns(self._home, CLONE_NEWNET), "back to our own namespace")

    @property
    def path(self) -> str:
        """Where `ip` finds the namespace."""
        return f"/proc/{os.getpid()}/fd/{self._inside}"

    def run(self, *command: str) -> None:
        """Run a program inside; its error ends us."""
        with self:
            subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a program inside that talks on stderr."""
        with self:
            return subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)

    def sysctl(self, name: str, value: object) -> None:
        """Set one of the namespace's own, named with slashes."""
        with self:
            Path("/proc/sys/net", name).write_text(f"{value}\n")

    def socket(self, family: int, kind: int = socket.SOCK_STREAM, protocol: int = 0) -> socket.socket:
        """Make a socket of IPv4 or IPv6 that belongs to this host."""
        with self:
            return socket.socket({4: socket.AF_INET, 6: socket.AF_INET6}[family], kind, protocol)

    def addresses(self) -> list[str]:
        """Both addresses."""
        return [self.address[4], self.address[6]]

    @property
    def link_address(self) -> str:
        """Of eth0, on Ethernet."""
        return f"02:00:00:00:00:0{self.name}"

    def up(self) -> None:
        """Give eth0 its addresses and raise it."""
        self.run("ip", "address", "add", f"{self.address[4]}/24", "dev", "eth0")
        self.run("ip", "-6", "address", "add", f"{self.address[6]}/64", "dev", "eth0", "nodad")
        self.run("ip", "link", "set", "eth0", "up")

    def close(self) -> None:
        """Let go: the kernel removes the namespace with its last socket."""
        os.close(self._inside)
        os.close(self._home)


def pair() -> tuple[Host, Host]:
    """Make hosts a and b, without a cable."""
    return Host("a", "10.77.0.1", "fd77::1"), Host("b", "10.77.0.2", "fd77::2")


def join_by_veth(a: Host, b: Host) -> None:
    """Lay a cable as fast as the kernel: segmentation and checksums are left to it, as on a real card.

    Both know each other's link address, since a first question for it is lost on a link that has just come up.
    """
    a.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", b.path)
    for host, peer in ((a, b), (b, a)):
        host.run("ip", "link", "set", "eth0", "address", host.link_address)
        host.up()
        for address in peer.addresses():
            host.run("ip", "neighbour", "add", address, "lladdr", peer.link_address, "dev", "eth0")


def tun(host: Host) -> int:
    """Make the host's eth0 as a TUN device: a file that gives what the host sends and takes what it shall receive."""
    with host:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH14x", b"eth0", IFF_TUN | IFF_NO_PI))
    host.up()
    return device
