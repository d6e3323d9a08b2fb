"""A filter as a condition in SQL over records: the same as `synfin.filter.records` says of the same records.

A field of a record has at most two values, one for each end. So a value becomes a few expressions side by side, NULL
where the record has none, and no lists are made. Whatever the filter's text holds becomes a parameter.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final, NoReturn, TypeAlias

from synfin.filter.askable import PATHS, check_of_events, check_of_flows
from synfin.filter.errors import FilterError
from synfin.filter.fields import Field
from synfin.filter.kinds import Kind
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
    Stretch,
    Value,
)

Parts: TypeAlias = list[str]  # expressions, one a value

# Addresses are texts in records, and numbers in comparisons. What is no address becomes NULL, which is no value.
MACROS: Final = """
CREATE MACRO v4_number(ip) AS CASE WHEN regexp_full_match(ip, '(\\d{1,3}\\.){3}\\d{1,3}') THEN
    list_reduce(list_transform(string_split(ip, '.'), lambda part: TRY_CAST(part AS BIGINT)),
                lambda high, low: high * 256 + low) END;
CREATE MACRO v6_words(part) AS CASE WHEN part = '' THEN []::VARCHAR[] ELSE string_split(part, ':') END;
CREATE MACRO v6_filled(head, tail) AS list_concat(
    head, list_transform(range(8 - len(head) - len(tail)), lambda _: '0'), tail);
CREATE MACRO v6_all(ip) AS CASE WHEN contains(ip, '::')
    THEN v6_filled(v6_words(split_part(ip, '::', 1)), v6_words(split_part(ip, '::', 2))) ELSE v6_words(ip) END;
CREATE MACRO v6_number(ip) AS CASE WHEN contains(ip, '.')  -- ::ffff:1.2.3.4, and nothing else of records has dots
    THEN (65535::UHUGEINT << 32) + v4_number(split_part(ip, ':', -1))::UHUGEINT
    WHEN len(v6_all(ip)) = 8 AND list_bool_and(list_transform(v6_all(ip), lambda word: length(word) <= 4))
    THEN list_reduce(list_transform(v6_all(ip), lambda word: TRY_CAST('0x' || word AS UHUGEINT)),
                     lambda high, low: high * 65536::UHUGEINT + low) END;
"""
_ENDS: Final = ("orig", "resp")
_OPERATORS: Final = {"==": "=", "!=": "<>", ">": ">", ">=": ">=", "<": "<", "<=": "<="}


@dataclass(slots=True)
class Where:
    """A condition, and the parameters that it names; `patterns` are those that RE2 must take, and where they stand."""

    sql: str
    parameters: dict[str, Any] = field(default_factory=dict)
    patterns: list[tuple[Stretch, str]] = field(default_factory=list)


def where(made: Filter, events: bool = False) -> Where:
    """The condition under which a flow record, or an event, passes. FilterError where records cannot tell."""
    (check_of_events if events else check_of_flows)(made)
    making = _Making(made.text)
    return Where(making.condition(made.condition), making.parameters, making.patterns)


class _Making:
    def __init__(self, text: str) -> None:
        self._text = text
        self.parameters: dict[str, Any] = {}
        self.patterns: list[tuple[Stretch, str]] = []

    def fail(self, at: Stretch, why: str) -> NoReturn:
        raise FilterError(self._text, at, why)

    def given(self, value: Any) -> str:
        """A parameter."""
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"${name}"

    # Conditions: never NULL

    def condition(self, node: Condition) -> str:
        if isinstance(node, Not):
            return f"(NOT {self.condition(node.of)})"
        if isinstance(node, Both):
            joined = {"and": " AND ", "or": " OR ", "xor": " <> "}[node.operator]
            parts = [self.condition(part) for part in node.parts]
            whole = parts[0]
            for part in parts[1:]:
                whole = f"({whole}{joined}{part})"
            return whole
        if isinstance(node, Compare):
            return self._compare(node)
        if isinstance(node, Member):
            return self._member(node)
        some = self.value(node.of)
        return _any([f"{part} <> 0" if isinstance(node.of, Arithmetic) else f"{part} IS NOT NULL" for part in some])

    def _compare(self, node: Compare) -> str:
        left, right, operator = node.left, node.right, node.operator
        if operator == "contains":
            assert isinstance(right, Constant)
            wanted = self.given(right.value)
            return _joined([f"contains({part}, {wanted})" for part in self.value(left)], node.every)
        if operator == "matches":
            assert isinstance(right, Constant)
            return self._matches(node, left, right)
        mask = self._mask(left) or self._mask(right)
        sides = product(self.value(left), self.value(right))
        return _joined([_relation(one, operator, other, mask) for one, other in sides], node.every)

    def _mask(self, node: Value) -> str | None:
        """That of an address with a prefix length."""
        if not isinstance(node, Constant) or node.kind not in (Kind.IPV4, Kind.IPV6):
            return None
        return f"{self.given(str(node.value[1]))}::UHUGEINT"

    def _matches(self, node: Compare, left: Value, right: Constant) -> str:
        flags = right.value.flags
        letters = "".join(
            letter for letter, flag in (("i", re.IGNORECASE), ("m", re.MULTILINE), ("s", re.DOTALL)) if flags & flag
        )
        if flags & re.VERBOSE:
            self.fail(right.at, "records are searched by RE2, which has no (?x)")
        pattern = f"(?{letters}){right.value.pattern}" if letters else right.value.pattern
        self.patterns.append((right.at, pattern))
        given = self.given(pattern)
        return _joined([f"regexp_matches({part}, {given})" for part in self.value(left)], node.every)

    def _member(self, node: Member) -> str:
        """Each value of the left is asked of all items at once, so that `every` asks for each value one of them."""
        fits = []
        for part in self.value(node.left):
            inside = []
            for low, high in node.items:
                if high is None:
                    inside.append(self._stands(part, "==", low))
                else:
                    inside.append(f"({self._stands(part, '>=', low)} AND {self._stands(part, '<=', high)})")
            fits.append(f"CASE WHEN {part} IS NOT NULL THEN {' OR '.join(inside)} END")
        return _joined(fits, node.every)

    def _stands(self, part: str, operator: str, end: Value) -> str:
        mask = self._mask(end)
        return _any([_relation(part, operator, other, mask) for other in self.value(end)])

    # Values

    def value(self, node: Value) -> Parts:
        if isinstance(node, Name):
            return self._field(node.field)
        if isinstance(node, Constant):
            return [self._constant(node)]
        if isinstance(node, Negative):
            return [f"(-{part})" for part in self.value(node.of)]
        if isinstance(node, Arithmetic):
            making = _ARITHMETIC[node.operator]
            return [making(one, other) for one, other in product(self.value(node.left), self.value(node.right))]
        assert isinstance(node, Call), node
        return self._call(node)

    def _constant(self, node: Constant) -> str:
        if node.kind in (Kind.IPV4, Kind.IPV6):
            return f"{self.given(str(node.value[0]))}::UHUGEINT"
        if node.kind is Kind.STRING:
            return self.given(node.value)
        return f"{self.given(node.value)}::HUGEINT"

    def _call(self, node: Call) -> Parts:
        parts = [part for argument in node.arguments for part in self.value(argument)]
        if node.name in ("max", "min"):
            return [f"{'greatest' if node.name == 'max' else 'least'}({', '.join(parts)})"]
        if node.name == "count":
            counted = " + ".join(f"({part} IS NOT NULL)::HUGEINT" for part in parts)
            return [f"nullif({counted}, 0)"]
        assert node.name in ("abs", "upper", "lower"), node  # the others ask for bytes
        return [f"{node.name}({part})" for part in parts]

    def _field(self, its: Field) -> Parts:
        column = its.flow
        if column == "all":
            return ["TRUE"]
        if column in ("v4", "v6"):
            return [f"CASE WHEN {_of_family('orig.ip', column)} THEN TRUE END"]
        if column in ("v4_ends", "v6_ends"):
            family = column[:2]
            return [
                f"CASE WHEN {_of_family(f'{end}.ip', family)} THEN {family}_number({end}.ip)::UHUGEINT END"
                for end in _ENDS
            ]
        if column == "ports":
            return [f"{end}.port::HUGEINT" for end in _ENDS]
        if column == "completeness":
            return ["completeness::HUGEINT"]
        return [".".join(PATHS[column])]


def _of_family(column: str, family: str) -> str:
    return f"{'NOT ' if family == 'v4' else ''}contains({column}, ':')"


def _relation(one: str, operator: str, other: str, mask: str | None) -> str:
    if mask is None:
        return f"{one} {_OPERATORS[operator]} {other}"
    return f"({one} & {mask}) {_OPERATORS[operator]} ({other} & {mask})"


def _any(parts: Parts) -> str:
    return "(" + " OR ".join(f"coalesce({part}, FALSE)" for part in parts) + ")"


def _joined(parts: Parts, every: bool) -> str:
    """One result from those of all pairs of values; NULL is a pair that is not there."""
    if not every:
        return _any(parts)
    some = " OR ".join(f"({part}) IS NOT NULL" for part in parts)
    return f"(({some}) AND " + " AND ".join(f"coalesce({part}, TRUE)" for part in parts) + ")"


def _floor_divided(one: str, other: str) -> str:
    rest = f"(({one} % {other}) <> 0 AND ({one} < 0) <> ({other} < 0))"
    return f"({one} // nullif({other}, 0) - {rest}::HUGEINT)"


_ARITHMETIC: Final[dict[str, Callable[[str, str], str]]] = {
    "+": lambda one, other: f"({one} + {other})",
    "-": lambda one, other: f"({one} - {other})",
    "*": lambda one, other: f"({one} * {other})",
    "/": _floor_divided,
    "%": lambda one, other: f"((({one} % nullif({other}, 0)) + {other}) % nullif({other}, 0))",
    "&": lambda one, other: f"({one} & {other})",
}
