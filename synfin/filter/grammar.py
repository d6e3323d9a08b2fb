"""The grammar, and the tree that a text makes. lark does the work, and is imported when there is a filter to read.

`and` binds tighter than `xor`, and that than `or`; `not` takes a whole relation. `a < b < c` is `a < b and b < c`.
"""

import re
from typing import Any, Final

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken, VisitError

from synfin.filter.errors import FilterError
from synfin.filter.tree import (
    ARITHMETIC,
    OPERATORS,
    Arithmetic,
    Both,
    Call,
    Compare,
    Condition,
    Member,
    Negative,
    Node,
    Not,
    Quoted,
    Range,
    Slice,
    Stretch,
    Test,
    Value,
    Word,
)

LENGTH_MAX: Final = 65_536  # characters of a filter

GRAMMAR: Final = r"""
?start: or_
?or_: xor (OR xor)* -> both
?xor: and_ (XOR and_)* -> both
?and_: not_ (AND not_)* -> both
?not_: NOT not_ -> not_ | "(" or_ ")" | relation
?relation: comparison | membership | bits -> test
comparison: [HOW] bits (COMPARE bits)+
membership: [HOW] bits (IN | NOT_IN) "{" set_ "}"
set_: element (COMMA? element)*
element: signed (DOTS signed)?

?bits: sum_ | bits AND_BITS sum_ -> arithmetic
?sum_: product | sum_ (PLUS | MINUS) product -> arithmetic
?product: signed | product (STAR | SLASH | PERCENT) signed -> arithmetic
?signed: primary | MINUS signed -> negative | PLUS signed -> positive
?primary: leaf | leaf SLICE+ -> slice
?leaf: WORD -> word
     | WORD LAYER -> layered
     | STRING -> string
     | CHARACTER -> character
     | WORD "(" [bits ("," bits)*] ")" -> call
     | "{" bits "}"

OR.3: /\|\||or(?![\w.:(-])|OR(?![\w.:(-])/
XOR.3: /\^\^|xor(?![\w.:-])|XOR(?![\w.:-])/
AND.3: /&&|and(?![\w.:-])|AND(?![\w.:-])/
NOT_IN.4: /not\s+in(?![\w.:-])|NOT\s+IN(?![\w.:-])/
NOT.3: /!(?!=)|not(?![\w.:-])|NOT(?![\w.:-])/
IN.3: /in(?![\w.:-])/
HOW.3: /(any|all)(?=\s)/
COMPARE.3: /===|==|!==|!=|~=|~|>=|>|<=|<|(any_eq|all_eq|any_ne|all_ne|eq|ne|gt|ge|lt|le|contains|matches)(?![\w.:-])/
AND_BITS.2: /&(?!&)|bitwise_and(?![\w.:-])/
PLUS: "+"
MINUS: "-"
STAR: "*"
SLASH: "/"
PERCENT: "%"
COMMA: ","
DOTS.3: ".."
STRING.2: /[rR]?"(?:[^"\\]|\\.)*"/s
CHARACTER: /'(?:[^'\\]|\\[^x0-7]|\\x[0-9A-Fa-f]{1,2}|\\[0-7]{1,3})'/
SLICE: /\[[^\[\]]*\]/
LAYER: /#(?:\d+|\[[^\[\]]*\])/
WORD: /@WORD@/
%ignore /\s+/
"""
_WORDS: Final = (  # the first that fits
    r"[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}(?![\w-])",  # an Ethernet address
    r"\d+(?:\.\d+){3}\/\d+",  # an IPv4 network
    r"[0-9A-Fa-f]*:[0-9A-Fa-f:]*(?:\d+(?:\.\d+){3})?(?:\/\d+)?",  # IPv6, Ethernet, bytes
    r"\w(?:\w|[.:](?=[\w:]))*",  # all else
)

_PLACE_MAX: Final = 1 << 31  # of a byte, or a layer
_HOWS: Final = {"any": False, "all": True}
_SIMPLE_ESCAPES: Final = dict(zip("abfnrtv\\\"'", b"\a\b\f\n\r\t\v\\\"'", strict=True))
_ESCAPE: Final = re.compile(
    r"\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL
)
_PARSER: list[Lark] = []  # made once a process, when it is needed


def parse(text: str, *, commas: bool = False) -> Condition:
    """Read a filter, names not looked up yet. FilterError.

    Values of a set may stand beside each other without a comma, as in Wireshark before 4.0, unless `commas` is set.
    """
    if not text.strip():
        raise FilterError(text, (0, 1), "it is empty")
    if len(text) > LENGTH_MAX:
        raise FilterError(text, (LENGTH_MAX, LENGTH_MAX + 1), f"it is longer than {LENGTH_MAX} characters")
    if not _PARSER:
        _PARSER.append(
            Lark(
                GRAMMAR.replace("@WORD@", "|".join(_WORDS)),
                parser="lalr",
                propagate_positions=True,
                maybe_placeholders=True,
            )
        )
    try:
        tree = _PARSER[0].parse(text)
        result = _condition(_Builder(text, commas).transform(tree))
    except UnexpectedInput as error:
        raise _unexpected(text, error) from None
    except VisitError as error:
        if isinstance(error.orig_exc, FilterError):
            raise error.orig_exc from None
        if isinstance(error.orig_exc, RecursionError):
            raise error.orig_exc from None  # as where it comes from the parser itself
        raise
    return result


def _unexpected(text: str, error: UnexpectedInput) -> FilterError:
    """What stands where it must not, in words."""
    if isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END"):
        return FilterError(text, (len(text.rstrip()), len(text.rstrip()) + 1), "something is missing at its end")
    first = error.pos_in_stream or 0
    found = str(error.token) if isinstance(error, UnexpectedToken) else text[first : first + 1]
    at = (first, first + len(found))
    if isinstance(error, UnexpectedCharacters):
        what = {
            '"': "the text in quotes does not end",
            "'": "one character is wanted between single quotes",
            "$": "references to other fields (${…}) are not supported",
            "@": "raw values (@field) are not supported",
            "=": "for a comparison it takes two: ==",
            "[": "the bracket does not end",
        }.get(found, f"{found!r} is not understood here")
        return FilterError(text, at, what)
    if re.fullmatch(r"host|port|net|portrange|src|dst|proto|tcp|udp|ip6?", found):
        return FilterError(
            text, at, "this reads like a capture filter; a display filter says tcp.port == 80, ip.addr == 10.0.0.1"
        )
    if found == "}" and re.search(r"\.\.\s*$", text[:first]):
        return FilterError(text, at, "a range needs both ends, as 50000..65535")
    if found == "}" and re.search(r"\{\s*$", text[:first]):
        return FilterError(text, at, "a set needs at least one value")
    return FilterError(text, at, f"{found!r} is not expected here")


def unescape(text: str) -> bytes:
    """The bytes of a text between quotes; what is beyond Latin-1 as UTF-8."""
    out, last = bytearray(), 0
    for match in _ESCAPE.finditer(text):
        out += text[last : match.start()].encode()
        last = match.end()
        digits, octal, short, long, plain = match.groups()
        if digits or octal:
            out.append((int(digits, 16) if digits else int(octal, 8)) & 0xFF)
        elif short or long:
            out += chr(min(int(short or long, 16), 0x10FFFF)).encode("utf-8", "replace")
        elif plain in _SIMPLE_ESCAPES:
            out.append(_SIMPLE_ESCAPES[plain])
        else:
            out += b"\\" + plain.encode()  # kept as it is: it may be a pattern's
    return bytes(out + text[last:].encode())


def ranges(text: str, whole: str, at: Stretch, inside: str) -> tuple[Range, ...]:
    """The parts of a slice: i:j offset and length, i-j first and last, i, :j, i:; counted from the end below 0."""
    found = []
    for part in inside.split(","):
        match = re.fullmatch(r"\s*(-?\w*)\s*(?:([:-])\s*(-?\w*))?\s*", part)
        if not match or not any(match.groups()):
            raise FilterError(
                whole, at, f"{text!r} is no slice; [2:4] are 4 bytes from the third on, [2-4] the third to fifth"
            )
        try:
            found.append(_range(*match.groups()))
        except ValueError as error:
            raise FilterError(whole, at, f"{part.strip()!r} is no part of a slice: {error}") from None
    return tuple(found)


def _place(text: str) -> int:
    number = int(text, 0)
    if abs(number) > _PLACE_MAX:
        raise ValueError(f"no packet has a place {number}")
    return number


def _range(first: str, sign: str | None, second: str | None) -> Range:
    start = _place(first) if first else 0
    if sign is None:
        return Range(start, 1)
    if sign == ":":
        length = _place(second) if second else None
        if length is not None and length <= 0:
            raise ValueError("a length is above 0")
        return Range(start, length)
    if not first or not second:
        raise ValueError("i-j needs both numbers")
    last = _place(second)
    if (start < 0) == (last < 0) and last <= start:
        raise ValueError(f"{start} is not below {last}")
    return Range(start, None, last)


@v_args(meta=True, inline=False)
class _Builder(Transformer[Any, Any]):
    """Makes our nodes of lark's."""

    def __init__(self, text: str, commas: bool) -> None:
        super().__init__()
        self._text, self._commas = text, commas

    def word(self, meta: Any, items: list[Token]) -> Word:
        return Word(_at(meta), str(items[0]))

    def layered(self, meta: Any, items: list[Token]) -> Word:
        inside = str(items[1])[1:].strip("[]")
        return Word(_at(meta), str(items[0]), ranges(str(items[1]), self._text, _at(meta), inside))

    def string(self, meta: Any, items: list[Token]) -> Quoted:
        token = str(items[0])
        if token[0] in "rR":
            return Quoted(_at(meta), token[2:-1], token[2:-1].encode())
        return Quoted(_at(meta), token[1:-1], unescape(token[1:-1]))

    def character(self, meta: Any, items: list[Token]) -> Quoted:
        value = unescape(str(items[0])[1:-1])
        if len(value) != 1:
            raise FilterError(self._text, _at(meta), "one character of one byte is wanted between single quotes")
        return Quoted(_at(meta), str(items[0]), value, character=True)

    def slice(self, _meta: Any, items: list[Any]) -> Value:
        value: Value = items[0]
        for token in items[1:]:
            at = (token.start_pos, token.end_pos)
            value = Slice((value.at[0], token.end_pos), value, ranges(str(token), self._text, at, str(token)[1:-1]))
        return value

    def call(self, meta: Any, items: list[Any]) -> Call:
        return Call(_at(meta), str(items[0]), tuple(item for item in items[1:] if item is not None))

    def negative(self, meta: Any, items: list[Any]) -> Negative:
        return Negative(_at(meta), items[1])

    def positive(self, _meta: Any, items: list[Any]) -> Any:
        return items[1]

    def arithmetic(self, meta: Any, items: list[Any]) -> Arithmetic:
        return Arithmetic(_at(meta), ARITHMETIC[str(items[1])], items[0], items[2])

    def test(self, meta: Any, items: list[Any]) -> Test:
        return Test(_at(meta), items[0])

    def comparison(self, meta: Any, items: list[Any]) -> Condition:
        how, values, signs = items[0], items[1::2], items[2::2]
        parts: list[Condition] = []
        for left, sign, right in zip(values, signs, values[1:], strict=False):
            operator, every = OPERATORS[str(sign)]
            parts.append(Compare((left.at[0], right.at[1]), operator, left, right, _HOWS[how] if how else every))
        return parts[0] if len(parts) == 1 else Both(_at(meta), "and", tuple(parts))

    def membership(self, meta: Any, items: list[Any]) -> Condition:
        how, left, sign, members = items
        one = Member(_at(meta), left, members, bool(how and _HOWS[how]))
        return one if sign.type == "IN" else Not(_at(meta), one)

    def set_(self, _meta: Any, items: list[Any]) -> tuple[Any, ...]:
        before: Any = None
        for item in items:
            beside = before is not None and not isinstance(before, Token) and not isinstance(item, Token)
            if beside and self._commas:
                at = ((before[1] or before[0]).at[0], (item[1] or item[0]).at[1])
                fixed = re.sub(r"\s+", ", ", self._text[at[0] : at[1]])
                raise FilterError(self._text, at, f"Wireshark wants commas between the values of a set: {fixed}")
            before = item
        return tuple(item for item in items if not isinstance(item, Token) and item is not None)

    def element(self, _meta: Any, items: list[Any]) -> tuple[Any, Any]:
        return items[0], items[2] if len(items) > 1 else None

    def both(self, meta: Any, items: list[Any]) -> Condition:
        parts = tuple(_condition(item) for item in items[::2])
        if len(parts) == 1:
            return parts[0]
        return Both(_at(meta), {"OR": "or", "XOR": "xor", "AND": "and"}[items[1].type], parts)

    def not_(self, meta: Any, items: list[Any]) -> Not:
        return Not(_at(meta), _condition(items[1]))


def _condition(item: Any) -> Condition:
    assert isinstance(item, Node)
    return item  # type: ignore[return-value]  # the grammar has seen to it


def _at(meta: Any) -> Stretch:
    return meta.start_pos, meta.end_pos
