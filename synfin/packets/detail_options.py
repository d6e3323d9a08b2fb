"""The options of a TCP header in words, one after the other as they stand there."""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from synfin.packets.cells import Layer
from synfin.packets.names import MULTIPATH, OPTIONS
from synfin.packets.tree import Item

_Blocks: TypeAlias = list[tuple[str, str]]  # SACK blocks that are not yet shown, relative
_Told: TypeAlias = tuple[str, list[Item]]  # what an option says, in its head and below
_SHIFT_MAX: Final = 14  # RFC 7323 section 2.3
_SINGLE_MAX: Final = 1  # kinds up to this one have no length


def option_items(layer: Layer) -> list[Item]:
    """The options of a header, with their fields; up to the first whose length is wrong."""
    octets = layer.raw("tcp.options")
    if octets is None:
        return []
    blocks = list(zip(layer.values("tcp.options.sack_le"), layer.values("tcp.options.sack_re"), strict=True))
    names, items, at = [], [], 0
    while at < len(octets):
        kind = octets[at]
        size = 1 if kind <= _SINGLE_MAX else octets[at + 1] if at + 1 < len(octets) else 0
        if at + size > len(octets) or size < 1 + (kind > _SINGLE_MAX):
            items.append(Item(f"TCP Option - {_name(kind)}: its length is wrong"))
            break
        names.append(_name(kind))
        items.append(_option(octets[at : at + size], blocks))
        at += size
    words = f"Options: ({len(octets)} bytes)" + "".join(f", {name}" for name in names)
    return [Item(words, "tcp.options", octets.hex(":"), tuple(items))]


def _name(kind: int) -> str:
    return OPTIONS[kind][0] if kind in OPTIONS else f"Unknown (0x{kind:02x})"


def _option(octets: bytes, blocks: _Blocks) -> Item:
    """One option; takes the SACK blocks that are its own off the list."""
    kind, size = octets[0], len(octets)
    name, full = OPTIONS.get(kind, ("Unknown", "Unknown"))
    field = _FIELDS.get(kind, "")
    says, wanted = _SAYS.get(kind, (None, size))
    if says and size == (wanted or size):
        said, below = says(octets, blocks)
    else:
        said, below = f"TCP Option - {name}", [Item(f"Value: {octets[2:].hex()}")] if size > 2 else []
    head = [Item(f"Kind: {full} ({kind})", "tcp.option_kind", str(kind))]
    head += [Item(f"Length: {size}", "tcp.option_len", str(size))] if kind > _SINGLE_MAX else []
    return Item(said, field, octets.hex(":"), (*head, *below))


def _segment_size(octets: bytes, _blocks: _Blocks) -> _Told:
    size = int.from_bytes(octets[2:])
    return f"TCP Option - Maximum segment size: {size} bytes", [
        Item(f"MSS Value: {size}", "tcp.options.mss_val", str(size))
    ]


def _window_scale(octets: bytes, _blocks: _Blocks) -> _Told:
    shift, factor = octets[2], 1 << min(octets[2], _SHIFT_MAX)
    return f"TCP Option - Window scale: {shift} (multiply by {factor})", [
        Item(f"Shift count: {shift}", "tcp.options.wscale.shift", str(shift)),
        Item(f"[Multiplier: {factor}]", "tcp.options.wscale.multiplier", str(factor)),
    ]


def _sack(octets: bytes, blocks: _Blocks) -> _Told:
    n = (len(octets) - 2) // 8
    mine, blocks[:] = blocks[:n], blocks[n:]
    below = []
    for left, right in mine:
        below.append(Item(f"left edge = {left} (relative)", "tcp.options.sack_le", left))
        below.append(Item(f"right edge = {right} (relative)", "tcp.options.sack_re", right))
    below.append(Item(f"[TCP SACK Count: {n}]", "tcp.options.sack.count", str(n)))
    return "TCP Option - SACK" + "".join(f" {left}-{right}" for left, right in mine), below


def _timestamps(octets: bytes, _blocks: _Blocks) -> _Told:
    sent, echoed = int.from_bytes(octets[2:6]), int.from_bytes(octets[6:])
    return f"TCP Option - Timestamps: TSval {sent}, TSecr {echoed}", [
        Item(f"Timestamp value: {sent}", "tcp.options.timestamp.tsval", str(sent)),
        Item(f"Timestamp echo reply: {echoed}", "tcp.options.timestamp.tsecr", str(echoed)),
    ]


def _fast_open(octets: bytes, _blocks: _Blocks) -> _Told:
    cookie = octets[2:]
    if not cookie:
        return "TCP Option - TCP Fast Open", [Item("Fast Open Cookie Request", "tcp.options.tfo.request", "")]
    return "TCP Option - TCP Fast Open", [
        Item(f"Fast Open Cookie: {cookie.hex()}", "tcp.options.tfo.cookie", cookie.hex(":"))
    ]


def _multipath(octets: bytes, _blocks: _Blocks) -> _Told:
    if len(octets) < 3:  # kind and length alone
        return "TCP Option - Multipath TCP", []
    subtype = octets[2] >> 4
    name = MULTIPATH.get(subtype, "Unknown")
    words = f"{subtype:04b} .... = Multipath TCP subtype: {name} ({subtype})"
    below = [Item(words, "tcp.options.mptcp.subtype", str(subtype))]
    return f"Multipath Transmission Control Protocol: {name}", below


_SAYS: Final[Mapping[int, tuple[Callable[[bytes, _Blocks], _Told], int]]] = {  # by kind; the length that it must have
    2: (_segment_size, 4),
    3: (_window_scale, 3),
    5: (_sack, 0),
    8: (_timestamps, 10),
    30: (_multipath, 0),
    34: (_fast_open, 0),
}
_FIELDS: Final = {
    0: "tcp.options.eol",
    1: "tcp.options.nop",
    2: "tcp.options.mss",
    3: "tcp.options.wscale",
    4: "tcp.options.sack_perm",
    5: "tcp.options.sack",
    8: "tcp.options.timestamp",
    30: "tcp.options.mptcp",
    34: "tcp.options.tfo",
}
