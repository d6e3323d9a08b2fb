"""Values as `-T fields` shows them: in tshark's forms."""

import ipaddress
import time
from collections.abc import Iterable
from typing import Any

from synfin.filter.fields import Field
from synfin.filter.kinds import NS, Kind


def shown(field: Field, values: Iterable[Any]) -> list[str]:
    """Each value of a field as a text."""
    kind = field.kind
    if kind in (Kind.UINT, Kind.INT, Kind.BOOL):
        numbers = (int(value) for value in values)
        return [f"0x{n:0{field.digits}x}" for n in numbers] if field.digits else [str(n) for n in numbers]
    if kind is Kind.NONE:
        return ["1" for _ in values]
    if kind is Kind.IPV4:
        return [str(ipaddress.IPv4Address(int(value))) for value in values]
    if kind is Kind.IPV6:
        return [_ipv6(int(high) << 64 | int(low)) for high, low in values]
    if kind is Kind.ETHER:
        return [":".join(f"{int(value):012x}"[i : i + 2] for i in range(0, 12, 2)) for value in values]
    if kind is Kind.DURATION:
        return [_seconds(int(value)) for value in values]
    if kind is Kind.TIME:
        return [_clock(int(value)) for value in values]
    if kind is Kind.STRING:
        return [str(value) for value in values]
    return [value.hex() for value in values]


def _ipv6(number: int) -> str:
    return str(ipaddress.IPv6Address(number))


def _seconds(ns: int) -> str:
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    return f"{sign}{ns // NS}.{ns % NS:09d}"


def _clock(ns: int) -> str:
    """As tshark shows an absolute time, in the local zone."""
    seconds, fraction = divmod(ns, NS)
    local = time.localtime(seconds)
    day, clock = time.strftime("%b", local), time.strftime("%Y %H:%M:%S", local)
    return f"{day} {local.tm_mday:2d}, {clock}.{fraction:09d} {local.tm_zone}"
