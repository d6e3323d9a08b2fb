"""A ladder as text, for any width: time, the originator's state, the packet as an arrow, the responder's state.

        ms  ORIGINATOR                                               RESPONDER
            CLOSED        │                                        │ LISTEN?
     0.000  SYN-SENT      │── SYN seq 0 ──────────────────────────▶│
     0.031  ESTABLISHED   │◀────────────── SYN,ACK seq 0 ack 1 ────│ SYN-RECEIVED

A state stands where it was entered and holds until the next. With room to spare, words explain each packet.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from textwrap import wrap
from typing import Final

from synfin.view.ladder import ENDS, Change, Ladder, Packet, Rung
from synfin.view.ladder_words import Narrator, label, long_flags, short_flags
from synfin.view.sentences import cautions, ending, opening, vantage
from synfin.view.style import Style, safe
from synfin.view.words import duration, size, socket_text

WIDTH_MIN: Final = 48
_WIDE: Final = 72  # from here on states have their whole names
_WITH_WORDS: Final = 108  # from here on there is a column that explains
_ARROW_MAX: Final = 46
_RUN_MAX: Final = 8  # packets in a row that change nothing, before the middle ones are left out
_SILENCE_NS: Final = 1_000_000_000
_MILLISECONDS_NS: Final = 10_000_000_000  # below this span times are in milliseconds
_MARKS: Final = {"inferred": "~", "assumed": "?", "presumed": "?", "timer": "*"}
_LEGEND: Final = {
    "~": "inferred: proved by this packet, entered before it",
    "?": "assumed: nothing proves it, nothing contradicts it",
    "*": "by a timer, without a packet",
}
_SHORT_STATES: Final = {
    "UNKNOWN": "?",
    "SYN-RECEIVED": "SYN-RCVD",
    "ESTABLISHED": "ESTAB",
    "FIN-WAIT-1": "FINWAIT1",
    "FIN-WAIT-2": "FINWAIT2",
    "CLOSE-WAIT": "CLOSEWT",
    "TIME-WAIT": "TIMEWAIT",
}
_BY_ITSELF: Final = {
    "ICMP_HARD": "ICMP says: unreachable",
    "T_STATE": "its timer ran out",
    "NEW_ISN": "it had begun anew",
    "REVOKE": "it was gone already",
}


@dataclass(frozen=True, slots=True)
class _Columns:
    """Widths of the columns, and how labels are worded so that the longest fits."""

    time: int
    state: int
    arrow: int
    words: int
    label: Callable[[Packet], str]
    short_states: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """What the reader wants."""

    width: int = 80
    all_packets: bool = False  # leave none out
    zone: tzinfo | None = None  # local time without one


def render(ladder: Ladder, style: Style, layout: Layout) -> Iterator[str]:
    """The lines of the diagram, with a head that says whose it is and a foot that says what happened."""
    rungs = ladder.rungs if layout.all_packets else _shortened(ladder.rungs)
    columns = _columns([rung.packet for rung in rungs if isinstance(rung, Rung) and rung.packet], layout.width)
    yield from _head(ladder, style, columns, layout)
    yield from _body(ladder, rungs, style, columns)
    yield from _foot(ladder, style, layout.width)


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """Packets in a row that are not drawn."""

    rungs: Sequence[Rung]


def _shortened(rungs: Sequence[Rung]) -> list[Rung | _LeftOut]:
    """Leave out the middle of each long run of packets that change nothing and are nothing special."""
    short: list[Rung | _LeftOut] = []
    run: list[Rung] = []
    for rung in [*rungs, None]:
        plain = rung is not None and rung.packet and not rung.changes and not rung.packet.marks
        if plain and rung is not None:
            run.append(rung)
            continue
        keep = _RUN_MAX // 2 - 1
        short += [*run[:keep], _LeftOut(run[keep:-keep]), *run[-keep:]] if len(run) > _RUN_MAX else run
        run = []
        if rung is not None:
            short.append(rung)
    return short


def _columns(packets: Sequence[Packet], width: int) -> _Columns:
    width = max(width, WIDTH_MIN)
    wide = width >= _WIDE
    time, state = (9, 13) if wide else (8, 9)
    fixed = time + 2 + state + 2 + 2 + state  # time, state, lifelines with a space, state
    arrow = min(width - fixed, _ARROW_MAX) if width >= _WITH_WORDS else width - fixed
    words = width - fixed - arrow - 2 if width >= _WITH_WORDS else 0
    wordings: list[Callable[[Packet], str]] = [
        lambda packet: label(packet, long_flags),
        lambda packet: label(packet, short_flags),
        lambda packet: label(packet, short_flags, bare=True),
    ]
    longest = [max((len(wording(packet)) for packet in packets), default=0) for wording in wordings]
    fits = next((i for i, n in enumerate(longest) if n + 5 <= arrow), len(wordings) - 1)
    return _Columns(time, state, max(arrow, 1), words, wordings[fits], not wide)


def _head(ladder: Ladder, style: Style, columns: _Columns, layout: Layout) -> Iterator[str]:
    record = ladder.record
    seconds, rest = divmod(record["start_ns"], 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).astimezone(layout.zone)
    orig, resp = socket_text(record["orig"]), socket_text(record["resp"])
    title = f"{orig} {style.sign('→', '->')} {resp}"
    for line in wrap(title, max(layout.width, WIDTH_MIN), break_on_hyphens=False):
        yield style.paint(line, "strong")
    span = duration(record["end_ns"] - record["start_ns"])
    facts = (
        f"{moment:%Y-%m-%d %H:%M:%S}.{rest // 1000:06d}, {span}, {vantage(record)} (sensor {safe(record['sensor'])})"
    )
    for line in wrap(facts, max(layout.width, WIDTH_MIN)):
        yield style.paint(line, "faint")
    yield ""
    unit = "ms" if _in_milliseconds(ladder) else "s"
    names = ("ORIGINATOR", "RESPONDER") if not columns.short_states else ("ORIG", "RESP")
    line = f"{unit:>{columns.time}}  {names[0]:{columns.state + columns.arrow + 3}} {names[1]}"
    yield style.paint(line.rstrip(), "faint")


def _in_milliseconds(ladder: Ladder) -> bool:
    return bool(ladder.record["end_ns"] - ladder.record["start_ns"] < _MILLISECONDS_NS)


def _body(ladder: Ladder, rungs: Sequence[Rung | _LeftOut], style: Style, columns: _Columns) -> Iterator[str]:
    pen = _Pen(style, columns)
    narrator = Narrator()
    start, unit = ladder.record["start_ns"], 1_000_000 if _in_milliseconds(ladder) else 1_000_000_000
    decimals = 3 if unit == 1_000_000 else 6 - 2 * columns.short_states
    yield from pen.lines("", pen.nothing(), ladder.before, "")
    last = start
    for rung in rungs:
        if isinstance(rung, _LeftOut):
            for hidden in rung.rungs:
                narrator.tell(hidden)
            last = rung.rungs[-1].t_ns
            yield from pen.lines("", pen.note(_left_out(rung, style)), (), "")
            continue
        if rung.t_ns - last >= _SILENCE_NS:
            yield from pen.lines("", pen.note(f"{duration(rung.t_ns - last)} of silence"), (), "")
        last = rung.t_ns
        time = f"{(rung.t_ns - start) / unit:.{decimals}f}"
        told = narrator.tell(rung)
        if rung.packet is not None:
            yield from pen.lines(time, pen.arrow(rung.packet), rung.changes, told)
        elif rung.missing is not None:
            sender, count = rung.missing
            text = f"{count} bytes not captured {_sign(sender, style)}"
            yield from pen.lines("", pen.note(text), (), "")
        elif rung.changes:
            text = _BY_ITSELF.get(rung.changes[0].event, "without a packet")
            yield from pen.lines(time, pen.note(text), rung.changes, told)


def _left_out(rung: _LeftOut, style: Style) -> str:
    packets = [hidden.packet for hidden in rung.rungs if hidden.packet]
    sent = {end: sum(packet.length for packet in packets if packet.sender == end) for end in ENDS}
    sizes = ", ".join(f"{size(sent[end])} {_sign(end, style)}" for end in ENDS if sent[end])
    return f"{len(packets)} packets" + (f", {sizes}" if sizes else "")


def _sign(sender: str, style: Style) -> str:
    """Which way a sender's packets go."""
    return style.sign("▶", ">") if sender == "orig" else style.sign("◀", "<")


class _Pen:
    """Draws the parts of a line."""

    def __init__(self, style: Style, columns: _Columns) -> None:
        self._style = style
        self._columns = columns
        self._line = style.sign("─", "-")
        self._life = style.paint(style.sign("│", "|"), "faint")

    def nothing(self) -> str:
        """Room for an arrow that is not there."""
        return " " * self._columns.arrow

    def note(self, text: str) -> str:
        """Words in the place of an arrow."""
        room = self._columns.arrow
        text = f"{self._style.sign('⋯', '...')} {text} {self._style.sign('⋯', '...')}"
        return self._style.paint(f"{text[:room]:^{room}}", "faint")

    def arrow(self, packet: Packet) -> str:
        """A packet on its way."""
        room = self._columns.arrow
        text = f" {self._columns.label(packet)} "[: max(room - 2, 0)]
        rest = room - len(text) - 1
        left = packet.sender == "resp"
        near, far = min(2, rest), rest - min(2, rest)
        colour = "bad" if "R" in short_flags(packet.flags) else "warn" if packet.marks else ""
        text = self._style.paint(text, colour)
        if left:
            return self._style.sign("◀", "<") + self._line * far + text + self._line * near
        return self._line * near + text + self._line * far + self._style.sign("▶", ">")

    def lines(self, time: str, middle: str, changes: Sequence[Change], words: str) -> Iterator[str]:
        """One line, and more where an endpoint passed through several states."""
        columns = self._columns
        sides = [[change for change in changes if change.endpoint == end] for end in ENDS]
        told = wrap(words, columns.words) if columns.words and words else []
        for i in range(max(1, len(sides[0]), len(sides[1]), len(told))):
            cells = [self._state(side[i] if i < len(side) else None) for side in sides]
            line = f"{time if i == 0 else '':>{columns.time}}  {cells[0]} {self._life}"
            line += f"{middle if i == 0 else self.nothing()}{self._life} {cells[1]}"
            if i < len(told):
                line += f"  {self._style.paint(told[i], 'faint')}"
            yield line.rstrip()

    def _state(self, change: Change | None) -> str:
        if change is None:
            return " " * self._columns.state
        name = _SHORT_STATES.get(change.to, change.to) if self._columns.short_states else change.to
        text = f"{name}{_MARKS.get(change.certainty, '')}"
        return self._style.state(text, change.to) + " " * (self._columns.state - len(text))


def _foot(ladder: Ladder, style: Style, width: int) -> Iterator[str]:
    record = ladder.record
    yield ""
    abrupt = record["teardown"]["kind"] in ("abort", "fin_then_rst", "silent") and record["alerts"]
    for text, how in (
        (opening(record), ""),
        (ending(record), "bad" if abrupt else ""),
        *((caution, "warn") for caution in cautions(record)),
    ):
        for line in wrap(text, max(width, WIDTH_MIN)):
            yield style.paint(line, how)
    drawn = {_MARKS.get(step.get("certainty", ""), "") for step in record["transitions"]}
    for mark, meaning in _LEGEND.items():
        if mark in drawn:
            for line in wrap(f"{mark} {meaning}", max(width, WIDTH_MIN)):
                yield style.paint(line, "faint")
