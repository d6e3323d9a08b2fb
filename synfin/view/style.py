"""How text looks on the stream that it goes to: colours, signs that the encoding has, nothing that moves a cursor."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TextIO

_CODES: Final = {  # ECMA-48 SGR parameters
    "strong": "1",
    "faint": "2",
    "bad": "1;31",
    "good": "32",
    "warn": "33",
    "opening": "36",
    "closing": "33",
}
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_STATE_COLOURS: Final = {
    "SYN-SENT": "opening",
    "SYN-RECEIVED": "opening",
    "ESTABLISHED": "good",
    "FIN-WAIT-1": "closing",
    "FIN-WAIT-2": "closing",
    "CLOSE-WAIT": "closing",
    "CLOSING": "closing",
    "LAST-ACK": "closing",
}


def safe(text: str) -> str:
    """Text from strangers with what would move a cursor, ring a bell or turn the writing around made visible."""
    return _UNSAFE.sub(
        lambda found: f"\\u{ord(found[0]):04x}" if ord(found[0]) > 0xFF else f"\\x{ord(found[0]):02x}", text
    )


@dataclass(frozen=True, slots=True)
class Style:
    """Whether there are colours, and which signs there are."""

    colours: bool = False
    unicode: bool = True

    def paint(self, text: str, how: str) -> str:
        """Text in a colour by its meaning; an unknown meaning or an empty text stays as it is."""
        code = _CODES.get(how) if self.colours and text else None
        return f"\x1b[{code}m{text}\x1b[0m" if code else text

    def state(self, text: str, name: str) -> str:
        """Text, which holds a state's name, in the colour of the state."""
        return self.paint(text, _STATE_COLOURS.get(name, "faint"))

    def sign(self, sign: str, plain: str) -> str:
        """A sign, or what stands for it where the encoding has none."""
        return sign if self.unicode else plain


def style_for(stream: TextIO, environment: Mapping[str, str] = os.environ) -> Style:
    """Colours on a terminal alone and not with NO_COLOR (https://no-color.org); signs where the encoding has them."""
    colours = stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    return Style(colours, encoding.startswith("utf"))
