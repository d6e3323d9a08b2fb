"""Kinds of values, and how a value is read from a filter's text."""

import enum
import ipaddress
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, DecimalException
from typing import Any, Final


class Kind(enum.Enum):
    """What a field holds; the value is its name in messages."""

    UINT = "a number"
    INT = "a number with a sign"
    BOOL = "a flag"
    TIME = "a time"
    DURATION = "seconds"
    IPV4 = "an IPv4 address"
    IPV6 = "an IPv6 address"
    ETHER = "an Ethernet address"
    BYTES = "bytes"
    STRING = "a text"
    PROTOCOL = "a protocol"
    NONE = "nothing but its presence"


NUMBERS: Final = (Kind.UINT, Kind.INT)
OCTETS: Final = (Kind.BYTES, Kind.PROTOCOL)
SLICED: Final = (*OCTETS, Kind.ETHER, Kind.IPV4, Kind.IPV6)
SUMMED: Final = (*NUMBERS, Kind.DURATION)

NS: Final = 1_000_000_000
_TRUE: Final = {"True": 1, "TRUE": 1, "False": 0, "FALSE": 0}
_SET: Final = {"Set": 1, "Not set": 0}
_HEX: Final = re.compile(r"[0-9A-Fa-f]{1,2}(?:([:.-])[0-9A-Fa-f]{1,2}(?:\1[0-9A-Fa-f]{1,2})*)?$")
_MAC: Final = re.compile(r"[0-9A-Fa-f]{2}([:.-]?)(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}$")
_MAC_CISCO: Final = re.compile(r"(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}$")


class NoValueError(ValueError):
    """Why a text is no value of a kind; without the text."""


def number(text: str) -> int:
    """A number in the forms of C: decimal, 0x, 0 for octal, 0b. ValueError."""
    if re.fullmatch(r"0[0-7]+", text):
        return int(text, 8)
    return int(text, 0)


def from_word(kind: Kind, bits: int, names: Mapping[str, int], text: str) -> Any:
    """Read a value without quotes. NoValueError."""
    if kind in NUMBERS or kind is Kind.BOOL:
        return _whole(kind, bits, {**names, **(_TRUE if kind is Kind.BOOL else {})}, text)
    if kind is Kind.DURATION:
        return _duration(text)
    if kind in (Kind.IPV4, Kind.IPV6):
        return _address(kind, text)
    if kind is Kind.ETHER:
        return _ether(text)
    if kind in OCTETS:
        return _octets(text)
    wanted = 'in double quotes, as "2026-11-25 10:24:28.284"' if kind is Kind.TIME else "in double quotes"
    raise NoValueError(f"{kind.value} is written {wanted}")


def from_quoted(kind: Kind, bits: int, names: Mapping[str, int], value: bytes, character: bool) -> Any:
    """Read a value in quotes. NoValueError."""
    text = value.decode("latin-1") if kind is not Kind.STRING else value.decode("utf-8", "replace")
    if character and kind in NUMBERS:
        return _whole(kind, bits, names, str(value[0]))
    known = {**names, **(_SET if kind is Kind.BOOL else {})}
    if text in known:
        return known[text]
    if kind in OCTETS:
        return value
    if kind is Kind.STRING:
        return text
    if kind is Kind.TIME:
        return _time(text)
    if kind in (Kind.IPV4, Kind.IPV6, Kind.ETHER):
        raise NoValueError(f"{kind.value} is written without quotes")
    raise NoValueError(f"{kind.value} is wanted, not a text")


def _whole(kind: Kind, bits: int, names: Mapping[str, int], text: str) -> int:
    if text in names:
        return names[text]
    try:
        value = number(text)
    except ValueError:
        said = "True, False, 1 or 0 is wanted" if kind is Kind.BOOL else f"{kind.value} is wanted"
        raise NoValueError(said) from None
    if kind is Kind.BOOL:
        return int(value != 0)
    lowest, highest = (0, (1 << bits) - 1) if kind is Kind.UINT else (-(1 << bits - 1), (1 << bits - 1) - 1)
    if value > highest:
        raise NoValueError(f"too big for this field, whose highest value is {highest}")
    if value < lowest:
        raise NoValueError(f"too small for this field, whose lowest value is {lowest}")
    return value


def _duration(text: str) -> int:
    try:
        return int(Decimal(text) * NS)
    except (DecimalException, ValueError, OverflowError):
        raise NoValueError("seconds are wanted, as 0.25") from None


def _address(kind: Kind, text: str) -> tuple[int, int]:
    """Address and mask."""
    width = 32 if kind is Kind.IPV4 else 128
    address, slash, prefix = text.partition("/")
    try:
        value = int(ipaddress.IPv4Address(address) if kind is Kind.IPV4 else ipaddress.IPv6Address(address))
    except ValueError:
        raise NoValueError(f"{kind.value} is wanted; names are not looked up") from None
    length = width
    if slash:
        if not prefix.isdecimal() or len(prefix) > 3 or int(prefix) > width:
            raise NoValueError(f"behind the slash stand at most {width} bits")
        length = int(prefix)
    mask = ((1 << length) - 1) << width - length
    return value & mask, mask


def _ether(text: str) -> int:
    if not _MAC.match(text) and not _MAC_CISCO.match(text):
        raise NoValueError("an Ethernet address is wanted, as 02:00:00:00:00:01")
    return int(re.sub(r"[:.-]", "", text), 16)


def _octets(text: str) -> bytes:
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    if _HEX.match(digits):
        return bytes(int(part, 16) for part in re.split(r"[:.-]", digits))
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise NoValueError("bytes are wanted, in hexadecimal as 47:45:54 or as a text in quotes") from None


def _time(text: str) -> int:
    """Nanoseconds since the epoch; a time without a zone is local."""
    clock, dot, fraction = text.partition(".")
    zone = re.search(r"(Z|[+-]\d\d:?\d\d)$", fraction or clock)
    if dot and zone:
        fraction, clock = fraction[: zone.start()], clock + zone.group()
    try:
        seconds = int(datetime.fromisoformat(clock).astimezone().timestamp())
        return seconds * NS + int(fraction.ljust(9, "0")[:9] or 0)
    except (ValueError, OverflowError):
        raise NoValueError('a time is wanted, as "2026-11-25 10:24:28.284"') from None
