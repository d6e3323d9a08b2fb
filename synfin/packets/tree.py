"""A packet as a tree of what it says, and the forms in which a person sees it: lines, and bytes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from synfin.view.style import Style, safe

_INDENT: Final = "    "
_ROW: Final = 16  # bytes of a line of hexadecimal


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the tree. Without a text it is in JSON alone; without a name only what is below it is there."""

    text: str
    name: str = ""
    value: str = ""
    below: "tuple[Item, ...]" = ()
    layer: bool = False  # its name has no value of its own, as that of a layer


def text_lines(items: Iterable[Item], style: Style, depth: int = 0) -> Iterator[str]:
    """The lines of a tree, each a step further in than what it belongs to."""
    for item in items:
        if item.text:
            shown = safe(item.text)
            yield _INDENT * depth + (style.paint(shown, "strong") if not depth else shown)
        yield from text_lines(item.below, style, depth + bool(item.text))


def hex_lines(octets: bytes) -> Iterator[str]:
    """Bytes as tshark's -x: their place, sixteen of them, and the same as ASCII."""
    for at in range(0, len(octets), _ROW):
        row = octets[at : at + _ROW]
        letters = "".join(chr(octet) if 0x20 <= octet < 0x7F else "." for octet in row)
        yield f"{at:04x}  {row.hex(' '):<{3 * _ROW}}  {letters}"
