"""Filters made at random from the grammar, over every field that packets have, with values from a capture."""

import ipaddress
from collections.abc import Sequence
from random import Random

import numpy as np

from synfin.filter.fields import FIELDS, Field, Flow
from synfin.filter.kinds import NS, Kind
from synfin.filter.values import Octets

ORDER = ["==", "!=", ">", ">=", "<", "<=", "eq", "ne", "gt", "ge", "lt", "le", "===", "!==", "~=", "any_eq", "all_ne"]
OTHERWISE = "frame.protocols"  # of which Wireshark knows more: what TCP carries
FIELDS_OF_PACKETS = [f for f in FIELDS.values() if not isinstance(f.source, Flow) and f.name != OTHERWISE]
NUMBERS = (Kind.UINT, Kind.INT)
LENGTHS = [0, 1, 2, 4, 12, 20, 40]
WORDS = ["GET", "HTTP/1.0", "Content", "a", "\\x00", "\\r\\n", "E"]
PATTERNS = ["get", "^GET", "HTTP/1\\\\.[01]", "(?-i)get", "[[:digit:]]*", "content$", "^$", "\\\\x00\\\\x00", "T+P"]


class Maker:
    """Makes filters for one capture; `tables` are its blocks', or those of its records with the fields of these."""

    def __init__(self, chance: Random, tables: Sequence, known: Sequence[Field] = FIELDS_OF_PACKETS) -> None:
        self.chance, self._known = chance, known
        self._tables = tables
        self._seen: dict[str, list] = {}

    def seen(self, field: Field) -> list:
        """Values of a field in the capture."""
        if field.name not in self._seen:
            found = []
            for table in self._tables:
                data = table.values(field).data
                data = data.objects() if isinstance(data, Octets) else data
                found += [item.tolist() if isinstance(item, np.ndarray | np.generic) else item for item in data]
            self._seen[field.name] = found
        return self._seen[field.name]

    def literal(self, field: Field) -> str:
        """A value that a field has, or might have."""
        chance, seen, kind = self.chance, self.seen(field), field.kind
        value = chance.choice(seen) if seen and chance.random() < 0.8 else None
        if kind in NUMBERS:
            return self._number(field, value)
        if kind is Kind.BOOL:
            return chance.choice(["0", "1", "True", "FALSE", "2"])
        if kind is Kind.DURATION:
            value = chance.randrange(2 * NS) if value is None else value + chance.choice([0, 0, 1, -1])
            sign, value = ("-" if value < 0 else ""), abs(value)
            return f"{sign}{value // NS}.{value % NS:09d}"
        if kind is Kind.IPV4:
            address = ipaddress.IPv4Address(chance.getrandbits(32) if value is None else value)
            return f"{address}/{chance.randrange(33)}" if chance.random() < 0.3 else str(address)
        if kind is Kind.IPV6:
            number = chance.getrandbits(128) if value is None else value[0] << 64 | value[1]
            address = ipaddress.IPv6Address(number)
            return f"{address}/{chance.randrange(129)}" if chance.random() < 0.3 else str(address)
        if kind is Kind.ETHER:
            number = chance.getrandbits(48) if value is None else value
            return ":".join(f"{number:012x}"[i : i + 2] for i in range(0, 12, 2))
        if kind is Kind.STRING:
            return f'"{value or "x"}"'
        assert kind in (Kind.BYTES, Kind.PROTOCOL)
        return self._octets(value[: chance.randint(1, 8)] if value else chance.randbytes(2))

    def _number(self, field: Field, value: int | None) -> str:
        low, high = (0, 2**field.bits - 1) if field.kind is Kind.UINT else (-(2**15), 2**15)
        if value is None:
            value = self.chance.randint(low, high)
        value = min(max(value + self.chance.choice([0, 0, 0, 1, -1]), low), high)
        return f"0x{value:x}" if value >= 0 and self.chance.random() < 0.3 else str(value)

    def _octets(self, value: bytes) -> str:
        return value.hex(":") if len(value) > 1 else f"0x{value[0]:02x}"  # `fc` is a protocol of Wireshark's

    def field(self, *kinds: Kind) -> Field:
        """A field, of one of these kinds; more often one that the capture has."""
        fields = [field for field in self._known if not kinds or field.kind in kinds]
        there = [field for field in fields if self.seen(field)]
        return self.chance.choice(there if there and self.chance.random() < 0.85 else fields)

    def relation(self) -> str:
        """One relation, or a field alone."""
        return self.chance.choice(
            [
                *[self._compared] * 3,
                self._member,
                self._summed,
                self._sliced,
                self._searched,
                self._called,
                self._two_fields,
                lambda: self.field().name,
            ]
        )()

    def _how(self) -> str:
        return self.chance.choice(["", "", "", "any ", "all "])

    def _valued(self) -> Field:
        field = self.field()
        while field.kind in (Kind.NONE, Kind.TIME):
            field = self.field()
        return field

    def _compared(self) -> str:
        field = self._valued()
        return f"{self._how()}{field.name} {self.chance.choice(ORDER)} {self.literal(field)}"

    def _member(self) -> str:
        field = self.field(*NUMBERS, Kind.IPV4, Kind.IPV6, Kind.DURATION, Kind.ETHER, Kind.BYTES)
        items = []
        for _ in range(self.chance.randint(1, 3)):
            low, high = self.literal(field), self.literal(field)
            ranged = self.chance.random() < 0.5 and "/" not in low + high
            items.append(f"{low} .. {high}" if ranged else low)
        word = self.chance.choice(["in", "in", "not in"])
        how = self._how() if word == "in" else ""
        return f"{how}{field.name} {word} {{{', '.join(items)}}}"

    def _summed(self) -> str:
        field = self.field(Kind.UINT)
        form = self.chance.choice(
            ["{f} & {n}", "{f} % {n} == {k}", "{f} + {n} > {m}", "{f} * 2 == {m}", "{f} / 3 <= {k}"]
        )
        few, many = self.chance.randint(1, 255), self.chance.choice(self.seen(field) or [7])
        return form.format(f=field.name, n=few, k=few // 3, m=min(many, 2**30))

    def _cut(self) -> str:
        first, length = self.chance.randrange(24), self.chance.randint(1, 4)
        return self.chance.choice(
            [
                f"[{first}]",
                f"[{first}:{length}]",
                f"[{first}-{first + length}]",
                f"[:{length}]",
                f"[-{length}:]",
                f"[{first}:]",
                f"[-{first + 1}]",
                f"[{first}:{length},0]",
            ]
        )

    def _sliced(self) -> str:
        field, cut = self.field(Kind.BYTES, Kind.PROTOCOL, Kind.ETHER, Kind.IPV4, Kind.IPV6), self._cut()
        octets = self._octets(self.chance.randbytes(self.chance.randint(1, 4)))
        if self.chance.random() < 0.3:
            return f"{field.name}{cut}"
        return f"{field.name}{cut} {self.chance.choice(['==', '!=', '>', '<=', '~='])} {octets}"

    def _searched(self) -> str:
        field = self.field(Kind.BYTES, Kind.PROTOCOL, Kind.STRING)
        if self.chance.random() < 0.5:
            return f'{field.name} contains "{self.chance.choice(WORDS)}"'
        return f'{field.name} matches r"{self.chance.choice(PATTERNS).replace(chr(92) * 2, chr(92))}"'

    def _called(self) -> str:
        number = self.field(Kind.UINT)
        return self.chance.choice(
            [
                f"len({self.field().name}) {self.chance.choice(['==', '>'])} {self.chance.choice(LENGTHS)}",
                f"count({self.field().name}) {self.chance.choice(['==', '>', '<='])} {self.chance.randrange(3)}",
                f"max({number.name}, {self.chance.randrange(255)}) >= {self.chance.choice(self.seen(number) or [1])}",
                f"min({number.name}) < {self.chance.choice(self.seen(number) or [1])}",
                f'string({number.name}) matches "{self.chance.randrange(10)}$"',
                f'upper({self.field(Kind.STRING).name}) contains "{self.chance.choice("ASFP1:.")}"',
            ]
        )

    def _two_fields(self) -> str:
        kind = self.chance.choice([Kind.UINT, Kind.UINT, Kind.IPV4, Kind.IPV6, Kind.ETHER, Kind.DURATION])
        one, other = self.field(kind), self.field(kind)
        return f"{one.name} {self.chance.choice(ORDER[:6])} {other.name}"

    def condition(self, depth: int = 2) -> str:
        """A whole filter."""
        kind = self.chance.random()
        if depth == 0 or kind < 0.5:
            return self.relation()
        if kind < 0.6:
            return f"{self.chance.choice(['!', 'not '])}{self.relation()}"
        if kind < 0.7:
            return f"!({self.condition(depth - 1)})"
        parts = [self.condition(depth - 1) for _ in range(self.chance.randint(2, 3))]
        if self.chance.random() < 0.5:
            parts[0] = f"({parts[0]})"
        words = [self.chance.choice([" and ", " or ", " && ", " || "]) for _ in parts[1:]]
        return parts[0] + "".join(word + part for word, part in zip(words, parts[1:], strict=True))
