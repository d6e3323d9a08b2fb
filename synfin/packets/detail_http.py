"""The first line of HTTP in words, where a segment begins with one; nothing is put together from several segments."""

from typing import Final

from synfin.packets.tree import Item

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_FIRST_LINE_MAX: Final = 8192
_REQUEST: Final = (("Request Method", "method"), ("Request URI", "uri"), ("Request Version", "version"))
_RESPONSE: Final = (("Response Version", "version"), ("Status Code", "code"), ("Response Phrase", "phrase"))


def http_item(payload: bytes) -> Item | None:
    """A request or an answer by its first line, None for anything else."""
    line, end, _ = payload[:_FIRST_LINE_MAX].partition(b"\r\n")
    words = line.decode("latin-1").split(" ", 2)
    if end and words[0] in _METHODS and words[-1].startswith("HTTP/"):
        kind, labels = "request", _REQUEST
    elif end and words[0].startswith("HTTP/1.") and len(words) > 1 and words[1].isdecimal():
        kind, labels = "response", _RESPONSE
    else:
        return None
    below = (
        Item(f"{label}: {word}", f"http.{kind}.{name}", word)
        for (label, name), word in zip(labels, words, strict=False)
    )
    first = Item(f"{line.decode('latin-1')}\\r\\n", below=tuple(below))
    return Item("Hypertext Transfer Protocol", "http", "", (first,), layer=True)
