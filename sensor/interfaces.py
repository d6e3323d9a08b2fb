"""The network interfaces of this host: which there are, what their frames begin with, which holds the default route."""

import fcntl
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sensor.frames import LINK_ETHERNET, LINK_RAW, LINK_SLL2
from synfin.errors import CaptureError

ANY: Final = "any"  # all interfaces at once, in cooked form, as libpcap names it
ARPHRD_LOOPBACK: Final = 772

# linux/if_arp.h: what a raw socket shows as Ethernet, and what it shows as bare IP. All else is taken cooked.
_ETHERNET_TYPES: Final = frozenset({1, ARPHRD_LOOPBACK})
_RAW_TYPES: Final = frozenset({519, 768, 769, 776, 0xFFFE})  # RAWIP, TUNNEL, TUNNEL6, SIT, NONE (tun)
_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFHWADDR: Final = 0x8927
_IFF_UP: Final = 0x1
_NAME_MAX: Final = 15
_ROUTE_UP: Final = 0x1
_ROUTE_REJECT: Final = 0x200


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface, or all of them: `index` 0."""

    name: str
    index: int
    link: int  # LINKTYPE_ that its frames are captured as
    hatype: int  # ARPHRD_
    up: bool = True


def names() -> list[str]:
    """Interfaces of this host (of the process's network namespace), in the kernel's order."""
    return [name for _, name in socket.if_nameindex()]


def link_of(hatype: int) -> int:
    """LINKTYPE_ by which frames of an ARPHRD_ are captured."""
    if hatype in _ETHERNET_TYPES:
        return LINK_ETHERNET
    return LINK_RAW if hatype in _RAW_TYPES else LINK_SLL2


def find(name: str) -> Interface:
    """Look an interface up. Raises CaptureError that names those that exist."""
    if name == ANY:
        return Interface(ANY, 0, LINK_SLL2, 0)
    there = {known: index for index, known in socket.if_nameindex()}
    if name not in there or len(name) > _NAME_MAX:
        raise CaptureError(f"no interface '{name}' on this host: there are {', '.join([*there, ANY])}")
    request = struct.pack("16s16x", name.encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            hatype = struct.unpack_from("=H", fcntl.ioctl(sock, _SIOCGIFHWADDR, request), 16)[0]
            flags = struct.unpack_from("=H", fcntl.ioctl(sock, _SIOCGIFFLAGS, request), 16)[0]
        except OSError as error:
            raise CaptureError(f"interface '{name}': {error.strerror}") from None
    return Interface(name, there[name], link_of(hatype), hatype, bool(flags & _IFF_UP))


def _default_ipv4(table: str) -> tuple[int, str] | None:
    """Least metric and interface of the default routes in /proc/net/route."""
    routes = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == fields[7] == "00000000" and int(fields[3], 16) & _ROUTE_UP:
            routes.append((int(fields[6]), fields[0]))
    return min(routes, default=None)


def _default_ipv6(table: str) -> tuple[int, str] | None:
    """The same of /proc/net/ipv6_route, without the reject route that every host has on lo."""
    routes = []
    for line in table.splitlines():
        fields = line.split()
        if len(fields) == 10 and not int(fields[0], 16) and fields[1] == "00":
            flags = int(fields[8], 16)
            if flags & _ROUTE_UP and not flags & _ROUTE_REJECT:
                routes.append((int(fields[5], 16), fields[9]))
    return min(routes, default=None)


def default_route(proc: Path = Path("/proc/net")) -> str:
    """Interface of the default route, IPv4 before IPv6. Raises CaptureError."""
    for file, parse in (("route", _default_ipv4), ("ipv6_route", _default_ipv6)):
        try:
            route = parse((proc / file).read_text())
        except OSError:
            continue
        if route is not None:
            return route[1]
    raise CaptureError(f"no default route to choose an interface by: name one with -i, of {', '.join([*names(), ANY])}")
