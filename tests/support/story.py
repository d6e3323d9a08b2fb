"""Stories of connections as text files, told to the core packet by packet; tests/stories/README.md has the notation.

`check` asserts, at each tap that the story names, the state of every endpoint of which it is the host after every line,
both whole trails at the end, how the connection opened and closed, and every event. It tells each story a second time
with the addresses swapped and all sequence numbers moved, so that they wrap around.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from processor.tcp.layout import VIEW_LIVE
from processor.tcp.machine import Limits, Machine
from synfin.wire.batch import END_OF_FILE, GOES_ON, Batch, Lane
from synfin.wire.event import CERTAINTIES, EVENT_KINDS, SEVERITIES, STATES, TAMPER_TESTS
from synfin.wire.jsonl import flow_lines
from synfin.wire.key import SLICES, slice_of
from synfin.wire.kinds import KINDS
from synfin.wire.segment import (
    ACK,
    CSUM_BAD,
    ICMP,
    OPT_MSS,
    OPT_SACK_PERMITTED,
    OPT_TFO,
    OPT_TS,
    OPT_WSCALE,
    SEGMENT,
)
from tests.support.batches import flow_row

STORIES = Path(__file__).parents[1] / "stories"
ENDS = "AB"
LOCAL = {"A": "A", "B": "B", "both": "AB", "middle": ""}
T = 1_790_000_000_000_000_000
KEY = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
LETTERS = "FSRP.UEWe"
BLANK = np.zeros(1, SEGMENT)

_LINE = re.compile(r"(?P<t>\d+\.\d+) +(?P<what>\S.*?) *\|(?P<states>.*)")
_PACKET = re.compile(r"(?P<one>A|B|\.\.\.) (?P<arrow>~?>) (?P<two>A|B|\.\.\.) +\[(?P<flags>[FSRP.UEWe]*)\](?P<rest>.*)")
_ICMP = re.compile(r"router > (?P<to>[AB]) icmp (?P<type>\d+)/(?P<code>\d+) about seq (?P<seq>-?\d+)")
_TOLD = re.compile(
    r"(?:at (?P<tap>A|B|both|middle) )?(?P<key>opened|closed|cause|ended|events|tests|zeek|tampering|A|B):"
    r"(?: (?P<value>.*))?"
)


@dataclass
class Line:
    """A packet, or time that passes, and what the endpoints are after it."""

    text: str
    t_ns: int
    states: dict[str, list[str]]  # by end, empty where nothing changes
    sender: str = ""  # "" for no packet
    seen_at: str = ""  # which hosts' taps see it, "" when nobody does
    between: bool = False  # whether a tap between the hosts sees it
    words: list[str] = field(default_factory=list)  # flags, then the items after them
    icmp: tuple[int, int] | None = None


@dataclass
class Connection:
    """One incarnation: its lines, and what is to be told of it, by (tap or "", key)."""

    lines: list[Line] = field(default_factory=list)
    told: dict[tuple[str, str], str] = field(default_factory=dict)
    after: dict[str, list[str]] = field(default_factory=dict)  # what the next connection's first line does to it

    def tell(self, tap, key):
        return self.told.get((tap, key), self.told.get(("", key), ""))


@dataclass
class Story:
    """What a file says."""

    path: Path
    words: tuple[str, str]
    taps: list[str]
    observed: bool  # the states are those that the one tap has, of both ends, not the true ones
    connections: list[Connection]

    @property
    def name(self):
        return f"{self.path.parent.name}/{self.path.stem}"


def _states(text):
    columns = text.split()
    assert len(columns) in (0, 2), text
    found = dict(zip(ENDS, ([] if c == "." else c.split("/") for c in columns or ".."), strict=True))
    assert all(state.removeprefix("<") in STATES for states in found.values() for state in states), text
    return found


def _line(text):
    match = _LINE.fullmatch(text)
    assert match, f"no line of a story: {text}"
    line = Line(text, round(float(match["t"]) * 1e9), _states(match["states"]))
    what = match["what"]
    if what.startswith("("):
        return line
    if icmp := _ICMP.fullmatch(what):
        line.sender, line.seen_at, line.between = icmp["to"], icmp["to"], True
        line.words, line.icmp = ["", f"seq {icmp['seq']}"], (int(icmp["type"]), int(icmp["code"]))
        return line
    packet = _PACKET.fullmatch(what)
    assert packet, f"no packet: {text}"
    one, two = packet["one"], packet["two"]
    line.sender = one if one != "..." else ENDS[two == "A"]
    line.seen_at = "" if packet["arrow"] == "~>" else (one + two).replace(".", "")
    line.between = one != "..." and packet["arrow"] == ">"
    line.words = [packet["flags"], *(item.strip() for item in packet["rest"].split(",") if item.strip())]
    return line


@cache
def read(path: Path) -> Story:
    """Parse a file."""
    rows = [row.rstrip() for row in path.read_text().splitlines()]
    first, second, gap, head, *rest = rows
    assert (bool(first), bool(second), gap) == (True, True, ""), f"{path}: two lines of words, then an empty one"
    how, _, taps = head.partition(": ")
    assert how in ("taps", "seen from"), head
    story = Story(path, (first, second), taps.split(", "), how == "seen from", [Connection()])
    assert set(story.taps) <= set(LOCAL), head
    assert not story.observed or len(story.taps) == 1, head
    for row in rest:
        connection = story.connections[-1]
        if row.startswith("---- next connection"):
            connection.after = _states(row.partition("|")[2])
            story.connections.append(Connection())
        elif told := _TOLD.fullmatch(row):
            connection.told[told["tap"] or "", told["key"]] = told["value"] or ""
        elif row and not row.startswith("#"):
            connection.lines.append(_line(row))
    return story


def trail(connection, end):
    """The states of an end, one after the other; `<` takes back what came after the last time it was so."""
    found: list[str] = []
    for states in [*(line.states[end] for line in connection.lines), connection.after.get(end, [])]:
        for state in states:
            if state.startswith("<"):
                back = state.removeprefix("<")
                while found and found[-1] != back:
                    found.pop()
            else:
                found.append(state)
    return found


class Telling:
    """One story, at one tap."""

    def __init__(self, story: Story, tap: str, swapped: bool) -> None:
        self.story, self.tap, self.swapped = story, tap, swapped
        self.side = {"A": int(swapped), "B": int(not swapped)}
        self.address = {"A": "10.0.0.1", "B": "10.0.0.2"} if not swapped else {"A": "10.0.0.9", "B": "10.0.0.2"}
        ends = {end: int.from_bytes(bytes(map(int, ip.split(".")))) for end, ip in self.address.items()}
        self.flows = np.array([flow_row((ends["A"], 40_000), (ends["B"], 80))])
        self.isn = {"A": 1000, "B": 700_000} if not swapped else {"A": 2**32 - 3, "B": 2**31 - 20}
        own = int(slice_of(np.uint64(self.flows["hash"][0])))
        self.machine = Machine(Limits(), KEY, own, SLICES)
        self.records: list[Any] = []

    def tests(self):
        """Names of the tests that RSTs failed."""
        bits = [int(event["tests"]) for records in self.records for event in records.events]
        return [name for i, name in enumerate(TAMPER_TESTS) if any(n >> i & 1 for n in bits)]

    def number(self, end, text):
        return int(text[1:]) if text.startswith("=") else (self.isn[end] + int(text)) % 2**32

    def segment(self, line):
        row = BLANK.copy()
        me, peer = line.sender, ENDS[line.sender == "A"]
        flags, *items = line.words
        row["t_ns"], row["sender"], row["window"] = T + line.t_ns, 1 + self.side[me], 65_535
        row["local"] = sum(1 << self.side[end] for end in LOCAL[self.tap])
        row["local_how"] = 1 if LOCAL[self.tap] else 0
        row["ttl"] = 64
        row["flags"] = sum(1 << LETTERS.index(letter) for letter in flags)
        if line.icmp:
            row["kind"], row["icmp_type"], row["icmp_code"] = ICMP, *line.icmp
        for item in items:
            name, *rest = item.split(" ", 1)
            self._item(row, me, peer, name, *rest)
        assert bool(row["flags"][0] & ACK) == any(item.startswith("ack") for item in items) or line.icmp, line.text
        row["ip_len"] = row["len"] + 40
        return row

    def _item(self, row, me, peer, name, value=""):
        if name == "seq":
            begin, _, end = value.partition(":")
            row["seq"], row["len"] = self.number(me, begin), int(end) - int(begin) if end else 0
        elif name == "ack":
            row["ack"] = self.number(peer, value)
        elif name in ("win", "ttl", "id"):
            row[{"win": "window", "id": "ip_id"}.get(name, name)] = int(value)
        elif name == "TS":
            row["tsval"], row["tsecr"] = map(int, value.split("/"))
            row["options"] |= OPT_TS
        elif name == "damaged":
            row["checksum"] = CSUM_BAD
        elif name == "sack":
            row["sack"][0, :2], row["sack_n"] = [self.number(peer, edge) for edge in value.split(":")], 1
        else:
            option = {"mss": OPT_MSS, "wscale": OPT_WSCALE, "sackOK": OPT_SACK_PERMITTED, "cookie": OPT_TFO}[name]
            row["options"] |= option
            column = {"mss": "mss", "wscale": "wscale", "cookie": "tfo_len"}.get(name)
            if column:
                row[column] = int(value)

    def apply(self, t_ns, rows=BLANK[:0], end=GOES_ON):
        batch = Batch(Lane("tap", 1, 0), rows, self.flows, T + t_ns, T + t_ns, number=len(self.records), end=end)
        self.records.append(self.machine.apply(batch))

    def states(self):
        """What the core holds the ends for now."""
        views = self.machine.core.views
        live = views[(views["marks"] & VIEW_LIVE) != 0]
        assert len(live) <= 1
        if len(live):
            return {end: STATES[live[0]["ends"]["state"][self.side[end]]] for end in ENDS}
        flows = [flow for flow, _ in self.flows_found()]
        return {end: flows[-1][self.role(flows[-1], end)]["state"] if flows else "UNKNOWN" for end in ENDS}

    def role(self, flow, end):
        return "orig" if flow["orig"]["ip"] == self.address[end] else "resp"

    def end_of(self, flow, role):
        return None if role is None else role if role == "both" else ENDS[flow[role]["ip"] != self.address["A"]]

    def flows_found(self):
        """(flow record as JSON, names of its view's events) in the order of their starts."""
        events: dict[Any, list[str]] = {}
        for records in self.records:
            for event in records.events:
                kind = EVENT_KINDS[event["kind"]]
                severity = SEVERITIES[event["severity"]]
                as_told = kind if severity == KINDS[kind].severity else f"{kind} as {severity}"
                events.setdefault((event["start_ns"], event["gen"]), []).append(as_told)
        found = []
        for records in self.records:
            for row, line in zip(records.flows, flow_lines(records).values(), strict=True):
                found.append((orjson.loads(line), events.get((row["start_ns"], row["gen"]), [])))
        return sorted(found, key=lambda one: (one[0]["start_ns"], one[0]["gen"]))

    def told(self):
        """Go through the story and assert all that it says; the flow records."""
        story = self.story
        followed = ENDS if story.observed else LOCAL[self.tap]
        for connection in story.connections:
            now = dict.fromkeys(ENDS, "UNKNOWN")
            for line in connection.lines:
                seen = line.between if self.tap in ("both", "middle") else self.tap in line.seen_at
                self.apply(line.t_ns, self.segment(line) if seen else BLANK[:0])
                now |= {end: states[-1].removeprefix("<") for end, states in line.states.items() if states}
                is_so = self.states()
                assert {e: is_so[e] for e in followed} == {e: now[e] for e in followed}, f"after {line.text}"
        self.apply(story.connections[-1].lines[-1].t_ns, end=END_OF_FILE)
        found = self.flows_found()
        assert len(found) == len(story.connections)
        for connection, (flow, events) in zip(story.connections, found, strict=True):
            self._trails(connection, flow)
            self._outcome(connection, flow, events)
        assert ", ".join(self.tests()) == story.connections[-1].tell(self.tap, "tests"), f"tests at {self.tap}"
        return [flow for flow, _ in found]

    def _trails(self, connection, flow):
        for end in ENDS:
            steps = [step for step in flow["transitions"] if step["endpoint"] == self.role(flow, end)]
            words = connection.tell(self.tap, end)
            wanted = [part.split() for part in words.split(" > ")] if words else [[s] for s in trail(connection, end)]
            wanted = [] if words == "nothing" else wanted
            assert [step["to"] for step in steps] == [state for state, *_ in wanted], f"trail of {end} at {self.tap}"
            for step, (state, *certainty) in zip(steps, wanted, strict=True):
                assert set(certainty) <= set(CERTAINTIES), words
                if certainty:
                    assert [step.get("certainty", "observed")] == certainty, f"{end} {state} at {self.tap}"

    def _outcome(self, connection, flow, events):
        tap = self.tap
        closing = flow["teardown"]
        parts = [closing["kind"]]
        if closing["segments"]:
            parts.append(f"{closing['segments']} segments".replace("half_close segments", "half close"))
        if closing["active_closer"]:
            parts.append(f"{self.end_of(flow, closing['active_closer'])} first")
        if closing["by"]:
            parts.append(f"{self.end_of(flow, closing['by'])} resets by {closing['rst_form']}")
        assert flow["handshake"]["kind"] == connection.tell(tap, "opened"), f"opened at {tap}"
        assert ", ".join(parts) == connection.tell(tap, "closed"), f"closed at {tap}"
        assert ", ".join(events) == connection.tell(tap, "events"), f"events at {tap}"
        assert f"{flow['conn_state']} {flow['history']}" == connection.tell(tap, "zeek"), f"zeek at {tap}"
        assert (flow["tampering"] or "") == connection.tell(tap, "tampering"), f"tampering at {tap}"
        cause = connection.tell(tap, "cause")
        assert not cause or ", ".join(closing["cause"]) == cause, f"cause at {tap}"
        ended = connection.tell(tap, "ended")
        assert not ended or flow["end_reason"] == ended, f"ended at {tap}"


@cache
def check(path: Path, tap: str) -> list[Any]:
    """Tell a story at a tap, twice; the flow records."""
    story = read(path)
    found = Telling(story, tap, swapped=False).told()
    return found + Telling(story, tap, swapped=True).told()


def stories() -> list[Path]:
    """All files."""
    return sorted(STORIES.glob("*/*.story"))


def moves(path: Path) -> set[tuple[str, str, str, str]]:
    """(state, event, next state, passive or active) of all transitions at all taps of a story.

    A presumed LISTEN that a RST shows to be none is taken back, so it counts here as the state before that RST.
    """
    found = set()
    for tap in read(path).taps:
        for flow in check(path, tap):
            for role in ("orig", "resp"):
                state, opened = "UNKNOWN", "passive"
                for step in flow["transitions"]:
                    if step["endpoint"] == role:
                        opened = "active" if step["event"] == "TX_SYN" else opened
                        before = "LISTEN" if (state, step["event"]) == ("UNKNOWN", "TX_RST") else state
                        found.add((before, step["event"], step["to"], opened))
                        state = step["to"]
    return found
