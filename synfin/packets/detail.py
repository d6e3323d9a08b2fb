"""The layers of a packet in words, with the labels that Wireshark has.

Every value comes from the table of fields, so a tree cannot say anything else than a filter or a column does. What
TCP carries is not taken apart, but for the first line of HTTP.
"""

from collections.abc import Callable, Mapping
from typing import Final

from synfin.packets.cells import Layer
from synfin.packets.detail_tcp import tcp_item
from synfin.packets.names import (
    DSCPS,
    ECNS,
    FAMILIES,
    HARDWARE,
    ICMP_TYPES,
    ICMPV6_TYPES,
    LINKS,
    PACKET_TYPES,
    PRIORITIES,
    PROTOCOLS,
    UNREACHABLE,
    UNREACHABLE_V6,
    named,
    named_type,
)
from synfin.packets.tree import Item


def _set(value: int) -> str:
    return ("Not set", "Set")[value]


def frame_item(layer: Layer, link: int) -> Item:
    """What the capture says of a frame."""
    octets = {name: layer.number(f"frame.{name}") for name in ("len", "cap_len")}
    wire, caught = (f"{n} bytes" if n != 1 else "1 byte" for n in octets.values())
    number = layer.text("frame.number")
    lines = [
        Item(f"Encapsulation type: {LINKS.get(link, (f'Unknown ({link})', ''))[0]}"),
        *layer.line("frame.time", "Arrival Time: {}"),
        *layer.line("frame.time_epoch", "Epoch Time: {} seconds"),
        *layer.line("frame.time_delta", "[Time delta from previous captured frame: {} seconds]"),
        *layer.line("frame.time_relative", "[Time since reference or first frame: {} seconds]"),
        *layer.line("frame.number", "Frame Number: {}"),
        *layer.line("frame.len", f"Frame Length: {wire} ({8 * octets['len']} bits)"),
        *layer.line("frame.cap_len", f"Capture Length: {caught} ({8 * octets['cap_len']} bits)"),
        *layer.line("frame.protocols", "[Protocols in frame: {}]"),
    ]
    head = (
        f"Frame {number}: {wire} on wire ({8 * octets['len']} bits), {caught} captured ({8 * octets['cap_len']} bits)"
    )
    return Item(head, "frame", "", tuple(lines), layer=True)


def _eth(layer: Layer) -> Item:
    lines = []
    for name, label in (("dst", "Destination"), ("src", "Source")):
        lines += layer.line(f"eth.{name}", f"{label}: {{}}", tuple(layer.hidden("eth.addr", layer.text(f"eth.{name}"))))
    lines += layer.line("eth.type", "Type: {}", words=named_type)
    ends = f", Src: {layer.text('eth.src')}, Dst: {layer.text('eth.dst')}" if layer.text("eth.src") else ""
    return Item(f"Ethernet II{ends}", "eth", "", tuple(lines), layer=True)


def _vlan(layer: Layer) -> Item:
    lines = [
        *layer.bits("vlan.priority", (0xE000, 16), "Priority: {}", lambda n: f"{PRIORITIES[n]} ({n})"),
        *layer.bits("vlan.dei", (0x1000, 16), "DEI: {}", lambda n: ("Ineligible", "Eligible")[n]),
        *layer.bits("vlan.id", (0x0FFF, 16), "ID: {}"),
        *layer.line("vlan.etype", "Type: {}", words=named_type),
    ]
    parts = (layer.text(f"vlan.{name}") for name in ("priority", "dei", "id"))
    head = "802.1Q Virtual LAN, PRI: {}, DEI: {}, ID: {}".format(*parts)
    return Item(head, "vlan", "", tuple(lines), layer=True)


def _cooked(layer: Layer, version: int) -> Item:
    protocol = layer.line("sll.etype", "Protocol: {}", words=named_type)
    kind = layer.line("sll.pkttype", "Packet type: {}", words=lambda n: named(PACKET_TYPES, n))
    hardware = layer.line("sll.hatype", "Link-layer address type: {}", words=lambda n: named(HARDWARE, n))
    address = layer.line("sll.halen", "Link-layer address length: {}") + layer.line("sll.src.eth", "Source: {}")
    if version == 1:
        lines = kind + hardware + address + protocol
    else:
        lines = protocol + layer.line("sll.ifindex", "Interface index: {}") + hardware + kind + address
    return Item(f"Linux cooked capture v{version}", "sll", "", tuple(lines), layer=True)


def _null(layer: Layer) -> Item:
    family = layer.line("null.family", "Family: {}", words=lambda n: named(FAMILIES, n))
    return Item("Null/Loopback", "null", "", tuple(family), layer=True)


def _ends(layer: Layer, of: str) -> list[Item]:
    lines = []
    for name, label in (("src", "Source"), ("dst", "Destination")):
        text = layer.text(f"{of}.{name}")
        lines += layer.line(f"{of}.{name}", f"{label} Address: {{}}")
        for also, value in (("addr", text), (f"{name}_host", text), ("host", text)):
            lines += layer.hidden(f"{of}.{also}", value)
    return lines


def _services(layer: Layer, of: str, first: int, width: int) -> tuple[Item, ...]:
    """The lines of the traffic class: its eight bits begin at the bit `first` of `width`."""
    low = width - first - 8
    return (
        *layer.bits(
            f"{of}.dscp",
            (0xFC << low, width),
            "Differentiated Services Codepoint: {}",
            lambda n: f"{DSCPS.get(n, ('', 'Unknown'))[1]} ({n})",
        ),
        *layer.bits(
            f"{of}.ecn", (0x03 << low, width), "Explicit Congestion Notification: {}", lambda n: f"{ECNS[n][1]} ({n})"
        ),
    )


def _service_words(layer: Layer, of: str) -> str:
    dscp, ecn = layer.number(f"{of}.dscp"), layer.number(f"{of}.ecn")
    return f"(DSCP: {DSCPS.get(dscp, ('Unknown', ''))[0]}, ECN: {ECNS[ecn][0]})"


def _ip_flags(layer: Layer) -> list[Item]:
    flags = (("rb", 0x80, "Reserved bit"), ("df", 0x40, "Don't fragment"), ("mf", 0x20, "More fragments"))
    below = tuple(
        item for name, mask, word in flags for item in layer.bits(f"ip.flags.{name}", (mask, 8), f"{word}: {{}}", _set)
    )
    there = "".join(f", {word}" for name, _, word in flags if layer.raw(f"ip.flags.{name}"))
    lines = layer.bits("ip.flags", (0xE0, 8), f"Flags: {{}}{there}", lambda n: f"0x{n:x}")
    return [Item(line.text, line.name, line.value, below) for line in lines]


def _ip(layer: Layer) -> Item:
    lines = layer.bits("ip.version", (0xF0, 8), "Version: {}")
    length = layer.number("ip.hdr_len")
    words = f".... {length // 4:04b} = Header Length: {length} bytes ({length // 4})"
    lines.append(Item(words, "ip.hdr_len", str(length)))
    if layer.raw("ip.dsfield") is not None:
        words = _service_words(layer, "ip.dsfield")
        lines += layer.line(
            "ip.dsfield", f"Differentiated Services Field: {{}} {words}", _services(layer, "ip.dsfield", 0, 8)
        )
    lines += layer.line("ip.len", "Total Length: {}")
    lines += layer.line("ip.id", "Identification: {}", words=lambda n: f"0x{n:04x} ({n})")
    lines += _ip_flags(layer)
    lines += layer.bits("ip.frag_offset", (0x1FFF, 16), "Fragment Offset: {}", lambda n: str(8 * n))
    lines += layer.line("ip.ttl", "Time to Live: {}")
    lines += layer.line("ip.proto", "Protocol: {}", words=lambda n: named(PROTOCOLS, n))
    lines += layer.line("ip.checksum", "Header Checksum: {} [validation disabled]") + _ends(layer, "ip")
    head = f"Internet Protocol Version 4, Src: {layer.text('ip.src')}, Dst: {layer.text('ip.dst')}"
    return Item(head, "ip", "", tuple(lines), layer=True)


def _ipv6(layer: Layer) -> Item:
    lines = layer.bits("ipv6.version", (0xF0, 8), "Version: {}")
    if layer.raw("ipv6.tclass") is not None:
        below = _services(layer, "ipv6.tclass", 4, 32)
        form = f"Traffic Class: {{}} {_service_words(layer, 'ipv6.tclass')}"
        (line,) = layer.bits("ipv6.tclass", (0x0FF00000, 32), form, lambda n: f"0x{n:02x}")
        lines.append(Item(line.text, line.name, line.value, below))
    lines += layer.bits("ipv6.flow", (0x0FFFFF, 24), "Flow Label: {}", lambda n: f"0x{n:05x}")
    lines += layer.line("ipv6.plen", "Payload Length: {}")
    lines += layer.line("ipv6.nxt", "Next Header: {}", words=lambda n: named(PROTOCOLS, n))
    lines += layer.line("ipv6.hlim", "Hop Limit: {}") + _ends(layer, "ipv6")
    head = f"Internet Protocol Version 6, Src: {layer.text('ipv6.src')}, Dst: {layer.text('ipv6.dst')}"
    return Item(head, "ipv6", "", tuple(lines), layer=True)


def _icmp(layer: Layer) -> Item:
    code = UNREACHABLE if layer.raw("icmp.type") == 3 else {}
    lines = layer.line("icmp.type", "Type: {}", words=lambda n: f"{n} ({ICMP_TYPES.get(n, 'Unknown')})")
    lines += layer.line("icmp.code", "Code: {}", words=lambda n: f"{n} ({code[n]})" if n in code else str(n))
    return Item("Internet Control Message Protocol", "icmp", "", tuple(lines), layer=True)


def _icmpv6(layer: Layer) -> Item:
    code = UNREACHABLE_V6 if layer.raw("icmpv6.type") == 1 else {}
    lines = layer.line("icmpv6.type", "Type: {}", words=lambda n: named(ICMPV6_TYPES, n))
    lines += layer.line("icmpv6.code", "Code: {}", words=lambda n: f"{n} ({code[n]})" if n in code else str(n))
    return Item("Internet Control Message Protocol v6", "icmpv6", "", tuple(lines), layer=True)


def _udp(layer: Layer) -> Item:
    lines = layer.line("udp.srcport", "Source Port: {}") + layer.line("udp.dstport", "Destination Port: {}")
    lines += [item for text in layer.values("udp.port") for item in layer.hidden("udp.port", text)]
    lines += layer.line("udp.length", "Length: {}")
    lines += layer.line("udp.checksum", "Checksum: {} [unverified]")
    head = f"User Datagram Protocol, Src Port: {layer.text('udp.srcport')}, Dst Port: {layer.text('udp.dstport')}"
    return Item(head, "udp", "", tuple(lines), layer=True)


LAYER_ITEMS: Final[Mapping[str, Callable[[Layer], Item]]] = {
    "eth": _eth,
    "vlan": _vlan,
    "sll": lambda layer: _cooked(layer, 1),
    "sll2": lambda layer: _cooked(layer, 2),
    "null": _null,
    "ip": _ip,
    "ipv6": _ipv6,
    "icmp": _icmp,
    "icmpv6": _icmpv6,
    "tcp": tcp_item,
    "udp": _udp,
}
