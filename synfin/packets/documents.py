"""Packets as JSON: tshark's `-T json`."""

import re
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from synfin.filter.kinds import NS
from synfin.packets.tree import Item

_BRACKETS: Final = re.compile(r"^\[|\]$")
_INDENT: Final = "  "
_UNSAFE: Final = re.compile("[\x7f-\x9f\u2028\u2029]")  # moves cursors, ends lines for some; JSON may have it raw


def as_json(items: Iterable[Item]) -> dict[str, Any]:
    """An object as tshark's: values are texts, what belongs to a field is in `NAME_tree`, what repeats is an array."""
    made: dict[str, Any] = {}
    for item in items:
        key = item.name or _BRACKETS.sub("", item.text)
        if item.layer or not item.name:
            if item.below:
                _put(made, key, as_json(item.below))
            continue
        _put(made, key, item.value)
        if item.below:
            _put(made, f"{key}_tree", as_json(item.below))
    return made


def _put(made: dict[str, Any], key: str, value: Any) -> None:
    """Add a value; a second one of the same name makes an array."""
    if key not in made:
        made[key] = value
    elif isinstance(made[key], list):
        made[key].append(value)
    else:
        made[key] = [made[key], value]


def document(t_ns: int, layers: dict[str, Any]) -> str:
    """A packet in the envelope that tshark gives it, which is Elasticsearch's."""
    day = time.strftime("%Y-%m-%d", time.localtime(t_ns // NS))
    whole = {"_index": f"packets-{day}", "_type": "doc", "_score": None, "_source": {"layers": layers}}
    text = orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode()
    text = _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return "\n".join(_INDENT + line for line in text.split("\n"))


def array(documents: Iterable[str]) -> Iterator[str]:
    """The lines of an array of documents."""
    before = "["
    for text in documents:
        yield before
        before = f"{text},"
    yield before.removesuffix(",")
    yield "]"
