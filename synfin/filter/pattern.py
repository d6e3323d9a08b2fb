"""Patterns of `matches`: PCRE's as Wireshark compiles them, without regard to case, in the terms of Python's `re`."""

import re
import warnings
from typing import Any, Final

# Inside brackets; Wireshark's are ASCII too.
_CLASSES: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\s",
    "upper": "A-Z",
    "word": r"\w",
    "xdigit": "0-9A-Fa-f",
}
_SETTINGS: Final = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}


def compiled_pattern(text: str, of_text: bool) -> Any:
    """The pattern, for texts or for bytes. ValueError says why it is none."""
    flags = re.IGNORECASE
    while head := re.match(r"\(\?([imsx]*)(?:-([imsx]+))?\)", text):
        for letter in head[1]:
            flags |= _SETTINGS[letter]
        for letter in head[2] or "":
            flags &= ~_SETTINGS[letter]
        text = text[head.end() :]
    text = re.sub(r"\[:([a-z]+):\]", lambda name: _CLASSES.get(name[1], name[0]), text)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        try:
            return re.compile(text if of_text else text.encode(), flags)
        except (re.error, OverflowError, RecursionError, FutureWarning) as error:
            raise ValueError(str(error)) from error
