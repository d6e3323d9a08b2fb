"""What the words of a filter mean: fields are looked up, values read as the other side wants them, kinds compared."""

import difflib
import re
from collections.abc import Callable
from typing import Final, NoReturn

from synfin.filter.errors import FilterError
from synfin.filter.fields import BEYOND, FIELDS, Field, Flow
from synfin.filter.grammar import parse
from synfin.filter.kinds import NUMBERS, OCTETS, SLICED, SUMMED, Kind, NoValueError, from_quoted, from_word
from synfin.filter.pattern import compiled_pattern
from synfin.filter.tree import (
    Arithmetic,
    Both,
    Call,
    Compare,
    Condition,
    Constant,
    Filter,
    Member,
    Name,
    Negative,
    Not,
    Quoted,
    Slice,
    Stretch,
    Test,
    Value,
    Word,
)

MEANT: Final = {  # what people write for a field, and difflib would not find
    "host": "ip.addr",
    "port": "tcp.port",
    "src": "ip.src",
    "dst": "ip.dst",
    "ip.port": "tcp.port",
    "tcp.flags.psh": "tcp.flags.push",
    "tcp.flags.rst": "tcp.flags.reset",
    "tcp.length": "tcp.len",
    "tcp.window": "tcp.window_size",
    "tcp.sequence": "tcp.seq",
    "mac.addr": "eth.addr",
    "vlan.vid": "vlan.id",
}
_FAMILIES: Final = ({*NUMBERS, Kind.BOOL}, {*OCTETS}, {Kind.DURATION})
_WIDE: Final = Field("", Kind.INT, Flow(""), 64)  # reads the constants that stand beside a sum


def understand(text: str, *, commas: bool = False) -> Filter:
    """Read and check a filter; `commas` as in `parse`. FilterError."""
    check = _Check(text)
    try:
        condition = check.condition(parse(text, commas=commas))
    except RecursionError:
        raise FilterError(text, (0, len(text)), "it is nested too deep") from None
    check.one_world()
    hints = list(check.hints)
    return Filter(text, condition, tuple(hints), tuple(name.field for name in check.names), check.bytewise)


def of_flows(made: Filter) -> bool:
    """Whether the filter asks for what only the record of a connection has, so that it goes over records."""
    return any(isinstance(field.source, Flow) for field in made.fields)


class _Check:
    """One pass over the tree; collects hints and the fields that are named."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.hints: list[str] = []
        self.names: list[Name] = []
        self.bytewise = False

    def fail(self, at: Stretch, what: str) -> NoReturn:
        raise FilterError(self.text, at, what)

    def one_world(self) -> None:
        """Fields of records alone and fields of packets alone cannot meet in one filter."""
        flows = [name for name in self.names if isinstance(name.field.source, Flow)]
        packets = [name for name in self.names if not name.field.flow]
        if flows and packets:
            one, other = flows[0].field.name, packets[0].field.name
            self.fail(packets[0].at, f"{other} is of packets and {one} of whole connections: they cannot meet")
        if flows and self.bytewise:
            self.fail(flows[0].at, f"{flows[0].field.name} is of whole connections, which have no bytes to ask for")

    # Conditions

    def condition(self, node: Condition) -> Condition:
        if isinstance(node, Not):
            return Not(node.at, self.condition(node.of))
        if isinstance(node, Both):
            return Both(node.at, node.operator, tuple(self.condition(part) for part in node.parts))
        if isinstance(node, Compare):
            return self.compare(node)
        if isinstance(node, Member):
            return self.member(node)
        return self.test(node)

    def test(self, node: Test) -> Test:
        of = self.value(node.of)
        if isinstance(of, Word):
            self.unknown(of)
        if isinstance(of, Call):
            self.fail(of.at, f"{of.name}(…) is always there: compare it with something")
        if isinstance(of, Name) and of.field.kind is Kind.BOOL:
            name = of.field.name
            self.hints.append(f"{name} alone asks whether the field is there; to ask whether it is set: {name} == 1")
        if self.constant(of):
            self.fail(of.at, "a value alone is no condition: compare it with a field")
        return Test(node.at, of)

    def compare(self, node: Compare) -> Compare:
        left, right = self.value(node.left), self.value(node.right)
        if node.operator in ("contains", "matches"):
            return self.search(node, left, right)
        if self.constant(left) and self.constant(right):
            self.fail_words(node, left, right)
        if self.constant(left):
            left = self.fit(left, right)
        else:
            right = self.fit(right, left)
        self.alike(node.at, left, right, node.operator)
        return Compare(node.at, node.operator, left, right, node.every)

    def fail_words(self, node: Compare | Member, left: Value, right: Value | None) -> NoReturn:
        for side in (left, right):
            if isinstance(side, Word) and re.match(r"[A-Za-z]", side.text):
                self.unknown(side)
        self.fail(node.at, "two values without a field are compared here")

    def search(self, node: Compare, left: Value, right: Value) -> Compare:
        """`contains` and `matches`."""
        if isinstance(left, Word):
            self.unknown(left)
        kind = self.kind(left)
        self.bytewise |= kind in OCTETS
        if kind not in (*OCTETS, Kind.STRING):
            self.fail(
                left.at, f"{node.operator} works on bytes and texts, and this is {kind.value}; string(…) makes a text"
            )
        if node.operator == "matches":
            right = self.pattern(kind, right)
        elif not self.constant(right):
            self.fail(right.at, "contains wants a value here, not a field")
        else:
            right = self.fit(right, left)
        return Compare(node.at, node.operator, left, right, node.every)

    def pattern(self, kind: Kind, right: Value) -> Constant:
        if not isinstance(right, Quoted) or right.character:
            self.fail(right.at, "matches wants a pattern in double quotes here")
        try:
            return Constant(right.at, kind, compiled_pattern(right.raw.replace('\\"', '"'), kind is Kind.STRING))
        except ValueError as error:
            self.fail(right.at, f"the pattern cannot be read: {error}")

    def member(self, node: Member) -> Member:
        left = self.value(node.left)
        if self.constant(left):
            self.fail_words(node, left, None)
        items = []
        for low, high in node.items:
            ends = [self.fit(self.value(end), left) for end in (low, high) if end is not None]
            for end in ends:
                self.alike(end.at, left, end, "in")
            items.append((ends[0], ends[1] if high is not None else None))
        text = self.text[node.items[0][0].at[0] : node.at[1] - 1]
        beside = len(node.items) > 1 + text.count(",")
        if beside:
            said = ", ".join(self.text[low.at[0] : (high or low).at[1]] for low, high in node.items)
            self.hints.append(f"Wireshark 4 wants commas between the values of a set: {{{said}}}")
        return Member(node.at, left, tuple(items), node.every)

    # Values

    def value(self, node: Value) -> Value:
        """The node with its fields looked up; words that are no fields stay, for `fit`."""
        if isinstance(node, Word):
            return self.word(node)
        if isinstance(node, Slice):
            return self.slice(node)
        if isinstance(node, Call):
            return self.call(node)
        if isinstance(node, Negative):
            made = Negative(node.at, self.value(node.of))
            if not self.constant(made):
                self.countable(made, self.kind(made))
            return made
        if isinstance(node, Arithmetic):
            return self.arithmetic(node)
        return node

    def word(self, node: Word) -> Word | Name:
        field = FIELDS.get(node.text)
        if field is None:
            if node.layers or re.fullmatch(r"[A-Za-z]\w*(?:\.[A-Za-z]\w*)+", node.text):
                self.unknown(node)
            return node
        name = Name(node.at, field, node.layers)
        self.bytewise |= bool(node.layers)
        self.names.append(name)
        return name

    def unknown(self, node: Word) -> NoReturn:
        """There is no such field."""
        text = node.text
        near = MEANT.get(text) or next(iter(difflib.get_close_matches(text.lower(), FIELDS, 1, 0.75)), None)
        if re.match(r"\d", text):
            self.fail(node.at, f"{text} is a value, and a field is wanted here")
        if near is None and any(text == name or text.startswith(f"{name}.") for name in BEYOND):
            self.fail(node.at, f"{text} is Wireshark's, but not among the fields that are known here (docs/filters.md)")
        self.fail(node.at, f"there is no field {text}" + (f"; did you mean {near}?" if near else ""))

    def slice(self, node: Slice) -> Slice:
        of = self.value(node.of)
        if isinstance(of, Word):
            self.unknown(of)
        if self.constant(of):
            self.fail(of.at, "only a field can be sliced")
        if self.kind(of) not in SLICED:
            self.fail(
                of.at, f"this is {self.kind(of).value} and has no bytes to slice; tcp[13] are bytes of the header"
            )
        self.bytewise = True
        return Slice(node.at, of, node.ranges)

    def call(self, node: Call) -> Call:
        made = tuple(self.value(argument) for argument in node.arguments)
        rule = _FUNCTIONS.get(node.name)
        if rule is None:
            near = difflib.get_close_matches(node.name.lower(), _FUNCTIONS, 1)
            self.fail(node.at, f"there is no function {node.name}" + (f"; did you mean {near[0]}?" if near else ""))
        for argument in made:
            if isinstance(argument, Word) and re.match(r"[A-Za-z]", argument.text):
                self.unknown(argument)
        lowest, highest, takes, wants = rule
        fields = [argument for argument in made if not self.constant(argument)]
        if not lowest <= len(made) <= highest or not fields or not all(takes(self, argument) for argument in fields):
            self.fail(node.at, f"{node.name}() takes {wants}")
        self.bytewise |= node.name in ("len", "string")
        made = tuple(self.fit(argument, fields[0]) for argument in made)
        for argument in made[1:]:
            self.alike(argument.at, fields[0], argument, node.name)
        return Call(node.at, node.name, made)

    def constant(self, node: Value) -> bool:
        """Whether no field is in it."""
        if isinstance(node, Negative):
            return self.constant(node.of)
        if isinstance(node, Arithmetic):
            return self.constant(node.left) and self.constant(node.right)
        return isinstance(node, Word | Quoted | Constant)

    def reads(self, node: Value) -> Field:
        """The field by whose kind a constant beside the node is read."""
        if isinstance(node, Name):
            return node.field
        if isinstance(node, Arithmetic):
            side = node.right if self.constant(node.left) else node.left
            return self.summand(side)
        if isinstance(node, Negative):
            return self.summand(node.of)
        return Field("", self.kind(node), Flow(""), 64)

    def kind(self, node: Value) -> Kind:
        if isinstance(node, Constant):
            return node.kind
        if isinstance(node, Slice):
            return Kind.BYTES
        if isinstance(node, Call):
            if node.name in ("len", "count"):
                return Kind.UINT
            return Kind.STRING if node.name in ("string", "upper", "lower") else self.kind(node.arguments[0])
        return self.reads(node).kind

    def fit(self, node: Value, beside: Value) -> Value:
        """The node, read as what stands beside it wants when it is a constant."""
        return self.read(node, self.reads(beside)) if self.constant(node) else node

    def read(self, node: Value, field: Field) -> Value:
        """A constant as a value of a field."""
        if field.kind is Kind.NONE:
            self.alone(node.at)
        if isinstance(node, Negative) and isinstance(node.of, Word) and field.kind in SUMMED:
            return self.read(Word(node.at, f"-{node.of.text}"), field)
        if isinstance(node, Negative):
            return Negative(node.at, self.read(node.of, field))
        if isinstance(node, Arithmetic):
            made = Arithmetic(node.at, node.operator, self.read(node.left, field), self.read(node.right, field))
            self.countable(made, field.kind)
            return made
        try:
            if isinstance(node, Word):
                value = from_word(field.kind, field.bits, field.names, node.text)
                return Constant(node.at, field.kind, value)
            if isinstance(node, Quoted):
                value = from_quoted(field.kind, field.bits, field.names, node.value, node.character)
                return Constant(node.at, field.kind, value)
        except NoValueError as problem:
            if isinstance(node, Word) and re.match(r"[A-Za-z]\w*[._]", node.text):
                self.unknown(node)
            self.fail(node.at, f"{field.name}: {problem}" if field.name else str(problem))
        return node

    def arithmetic(self, node: Arithmetic) -> Arithmetic:
        left, right = self.value(node.left), self.value(node.right)
        if self.constant(left) and not self.constant(right):
            left = self.read(left, self.summand(right))
        elif self.constant(right) and not self.constant(left):
            right = self.read(right, self.summand(left))
        made = Arithmetic(node.at, node.operator, left, right)
        if not self.constant(made):
            self.countable(made, self.kind(made))
            self.alike(node.at, left, right, node.operator)
        return made

    def summand(self, node: Value) -> Field:
        """As `reads`, but a number may be of any size: the field's own limits do not hold for a sum."""
        field = self.reads(node)
        return _WIDE if field.kind in NUMBERS else field

    def countable(self, node: Arithmetic | Negative, kind: Kind) -> None:
        """Refuse arithmetic on what is no number; addresses and bytes have bits."""
        bits = kind in (Kind.IPV4, *OCTETS) and isinstance(node, Arithmetic) and node.operator == "&"
        if kind not in SUMMED and not bits:
            self.fail(node.at, f"there is no such arithmetic with {kind.value}")

    def alone(self, at: Stretch) -> NoReturn:
        self.fail(at, "a field without a value can only stand alone: it is there or not")

    def alike(self, at: Stretch, left: Value, right: Value, operator: str) -> None:
        """Refuse to compare what is not of one family."""
        one, other = self.kind(left), self.kind(right)
        self.bytewise |= one in OCTETS
        if Kind.NONE in (one, other):
            self.alone(at)
        if one is not other and not any(one in family and other in family for family in _FAMILIES):
            self.fail(at, f"{one.value} and {other.value} cannot meet in {operator}")


def _sum(check: _Check, node: Value) -> bool:
    return check.kind(node) in SUMMED


def _text(check: _Check, node: Value) -> bool:
    return check.kind(node) is Kind.STRING


def _field(_check: _Check, node: Value) -> bool:
    return isinstance(node, Name)


def _shown(check: _Check, node: Value) -> bool:
    return isinstance(node, Name) and check.kind(node) in (*NUMBERS, Kind.IPV4, Kind.IPV6, Kind.ETHER)


_FUNCTIONS: Final[dict[str, tuple[int, int, Callable[[_Check, Value], bool], str]]] = {
    "len": (1, 1, _field, "one field, whose bytes it counts"),
    "count": (1, 1, _field, "one field, whose values it counts"),
    "upper": (1, 1, _text, "one text"),
    "lower": (1, 1, _text, "one text"),
    "string": (1, 1, _shown, "one field, of numbers or addresses"),
    "abs": (1, 1, _sum, "one number"),
    "max": (1, 64, _sum, "numbers, one of them a field"),
    "min": (1, 64, _sum, "numbers, one of them a field"),
}
