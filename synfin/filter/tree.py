"""The syntax tree of a filter. Every node knows the stretch of the text that it stands for.

The parser makes it with `Word` and `Quoted` at its leaves; `check.py` knows from the other side of a relation what they
mean, and puts `Name` and `Constant` in their place.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from synfin.filter.fields import Field
from synfin.filter.kinds import Kind

Stretch: TypeAlias = tuple[int, int]  # [first, last) character

# How a comparison treats the values of a packet, when nobody says any or all: the operators of Wireshark 4.
EQUAL: Final = "=="
OPERATORS: Final = {  # spelling: operator of one pair of values, whether all pairs must fit
    "==": (EQUAL, False),
    "eq": (EQUAL, False),
    "any_eq": (EQUAL, False),
    "===": (EQUAL, True),
    "all_eq": (EQUAL, True),
    "!=": ("!=", True),
    "ne": ("!=", True),
    "all_ne": ("!=", True),
    "~=": ("!=", False),
    "!==": ("!=", False),
    "any_ne": ("!=", False),
    ">": (">", False),
    "gt": (">", False),
    ">=": (">=", False),
    "ge": (">=", False),
    "<": ("<", False),
    "lt": ("<", False),
    "<=": ("<=", False),
    "le": ("<=", False),
    "contains": ("contains", False),
    "matches": ("matches", False),
    "~": ("matches", False),
}
ARITHMETIC: Final = {"+": "+", "-": "-", "*": "*", "/": "/", "%": "%", "&": "&", "bitwise_and": "&"}


@dataclass(frozen=True, slots=True)
class Node:
    """Anything in the tree."""

    at: Stretch


@dataclass(frozen=True, slots=True)
class Word(Node):
    """A field's name or a value without quotes; `layers` stand behind a #."""

    text: str
    layers: "tuple[Range, ...]" = ()


@dataclass(frozen=True, slots=True)
class Quoted(Node):
    """A text in double quotes, or a character in single ones; as it stands and with its escapes resolved."""

    raw: str
    value: bytes
    character: bool = False


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A field; `layers` are those of its occurrences that count, by the layer's number from 1 (`#`)."""

    field: Field
    layers: "tuple[Range, ...]" = ()


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """A value of a kind: int, bytes, str, (number, mask) of an address; a pattern where `matches` is before."""

    kind: Kind
    value: Any


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes from `first` on, `length` of them; None is to the end, below 0 counts from the end."""

    first: int
    length: int | None
    last: int | None = None  # inclusive, of the form i-j


@dataclass(frozen=True, slots=True)
class Slice(Node):
    """Some bytes of a value, joined."""

    of: "Value"
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function of values."""

    name: str
    arguments: "tuple[Value, ...]"


@dataclass(frozen=True, slots=True)
class Negative(Node):
    """Minus."""

    of: "Value"


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """An operation on two numbers."""

    operator: str
    left: "Value"
    right: "Value"


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """A relation between the values of two sides; `every`: all pairs of values must fit, else one."""

    operator: str
    left: "Value"
    right: "Value"
    every: bool


@dataclass(frozen=True, slots=True)
class Member(Node):
    """Whether values lie in a set of (lowest, highest) or (value, None)."""

    left: "Value"
    items: "tuple[tuple[Value, Value | None], ...]"
    every: bool


@dataclass(frozen=True, slots=True)
class Test(Node):
    """A value alone: it is there; of arithmetic, it is not 0."""

    of: "Value"


@dataclass(frozen=True, slots=True)
class Not(Node):
    """The opposite."""

    of: "Condition"


@dataclass(frozen=True, slots=True)
class Both(Node):
    """Conditions joined by `and`, `or` or `xor`."""

    operator: str
    parts: "tuple[Condition, ...]"


Value: TypeAlias = Word | Quoted | Name | Constant | Slice | Call | Negative | Arithmetic
Condition: TypeAlias = Compare | Member | Test | Not | Both


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was checked, its text, and what to tell who wrote it."""

    text: str
    condition: Condition
    hints: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()  # that it names, in their order
    bytewise: bool = False  # asks for bytes, or for layers by number: only packets have them
