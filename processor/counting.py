"""The first stage of rules over several connections: adds up what one slice sees, into the records of counts.

Pure as the slices are, and nothing of it is on the way of a data packet: it reads what the core emits when a connection
opens, fails or is reset. A window of a sensor is closed when the sensor's clock is past it. Records are additive, so
what must make room is simply emitted early, and no count is ever lost or guessed.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synfin.errors import ContractError
from synfin.wire.counts import (
    MEMBERS_MAX,
    SUMS,
    TARGETS_MAX,
    TYPE,
    WINDOW_NS,
    Count,
    Key,
    empty,
    encode,
    group_of,
    hash_of,
    ip_text,
)
from synfin.wire.event import EVENT_KINDS, RST_FORMS, SIDES, TALLIES, Records
from synfin.wire.segment import HIGHER

ENTRIES_MAX: Final = 1024  # open records of a slice
BOTH_WAYS_WINDOWS: Final = 60  # after which a handshake no longer shows that both directions are seen
FOREVER_NS: Final = 1 << 62

OPENED: Final = {f"handshake.{kind}" for kind in ("three_way", "simultaneous", "split", "tfo")}
FAILED: Final = {
    "handshake.rejected": "refused",
    "handshake.rejected_icmp": "refused",
    "handshake.unanswered": "unanswered",
    "handshake.aborted": None,
    "teardown.abort": None,
}
STUCK: Final = "stuck.close_wait"
_COUNTED: Final = np.array([kind in OPENED or kind in FAILED or kind == STUCK for kind in EVENT_KINDS])
_ORIG, _RESP = SIDES.index("orig"), SIDES.index("resp")
_ABORT_FORM: Final = RST_FORMS.index("abort")
_SYN, _ANSWERED = TALLIES.index("syn"), TALLIES.index("answered")

Row = tuple[str, bytes, bytes, str, str, str]
Rows = npt.NDArray[np.void]
End = tuple[int, int, int, int, int]  # domain, family, address as in FLOW, port
About = tuple[str, int, int, int, int, int]  # kind of record, and an end


class Cell:
    """What is open about one thing in one window."""

    __slots__ = ("killed_ns", "members", "sums")

    def __init__(self, of: str) -> None:
        self.sums = dict.fromkeys(SUMS[of], 0)
        self.members: set[Any] = set()
        self.killed_ns: tuple[int, int] | None = None

    def count(self, sensor: str, window: int, about: About) -> Count:
        """The record."""
        of, domain, family, high, low, port = about
        key = Key(of, sensor, domain, ip_text(family, high, low), port)
        return Count(key, window * WINDOW_NS, self.sums, self.members, killed_ns=self.killed_ns)


class _Slice:
    """What is open of one slice."""

    def __init__(self, partitions: int) -> None:
        self.open: dict[tuple[int, int], dict[About, Cell]] = {}  # by sensor and window
        self.size = 0
        self.numbers = [0] * partitions  # of the records sent to each partition of the counts topic
        self.lossy: dict[int, tuple[int, int]] = {}  # sensor to the last stretch of time in which it lost packets
        self.opened: dict[int, set[int]] = {}  # sensor to the windows of its last handshakes


class Counting:
    """The open records of some slices."""

    def __init__(self, slices: Iterable[int], partitions: int) -> None:
        """`partitions` of the counts topic."""
        self._partitions = partitions
        self._slices = {number: _Slice(partitions) for number in slices}
        self._sensors: tuple[str, ...] = ()
        self._closed: list[tuple[int, Count]] = []  # slice and record, until `take`

    def add(self, records: Records) -> None:
        """Count what the core emitted."""
        self._sensors = records.sensors
        self._add_tallies(records.tallies)
        if len(records.events):
            first = records.events["k"] == 0  # what was taken back and is told again has been counted
            self._add_events(records.events[first & _COUNTED[records.events["kind"]]])

    def _add_tallies(self, rows: Rows) -> None:
        sent_higher = rows["sender"] == HIGHER
        for t_ns, sensor, number, kind, sender, receiver, member in zip(
            *_listed(rows, "t_ns", "sensor", "slice", "kind"),
            _ends(rows, sent_higher),
            _ends(rows, ~sent_higher),
            _hashes(rows, sent_higher),
            strict=True,
        ):
            if kind == _SYN:
                cell = self._cell(number, sensor, t_ns, ("service", *receiver))
                cell.sums["syns"] += 1
                _add_member(cell.members, member)
            elif kind == _ANSWERED:
                self._cell(number, sensor, t_ns, ("service", *sender)).sums["answered"] += 1
            else:
                cell = self._cell(number, sensor, t_ns, ("stray", *sender))
                cell.sums["strays"] += 1
                _add_member(cell.members, member)

    def _add_events(self, rows: Rows) -> None:
        opened_higher = rows["orig"] == HIGHER
        for t_ns, sensor, number, kind, by, form, orig, resp in zip(
            *_listed(rows, "ts_ns", "sensor", "slice", "kind", "by", "rst_form"),
            _ends(rows, opened_higher),
            _ends(rows, ~opened_higher),
            strict=True,
        ):
            cell = self._cell(number, sensor, t_ns, ("service", *resp))
            name = EVENT_KINDS[kind]
            if name in OPENED:
                cell.sums["opened"] += 1
                self._note_opened(number, sensor, t_ns // WINDOW_NS)
                self._cell(number, sensor, t_ns, ("source", *orig[:-1], 0)).sums["opened"] += 1
            elif name == "teardown.abort":
                _add_abort(cell, t_ns, by, form)
            elif name == STUCK:
                cell.sums["stuck"] += by == _RESP
            else:
                outcome = FAILED[name]
                if outcome:
                    cell.sums[outcome] += 1
                self._fail(number, sensor, t_ns, orig, resp)

    def _note_opened(self, number: int, sensor: int, window: int) -> None:
        windows = self._slices[number].opened.setdefault(sensor, set())
        windows.add(window)
        if len(windows) > 2 * BOTH_WAYS_WINDOWS:
            windows -= {at for at in windows if at < window - BOTH_WAYS_WINDOWS - 1}

    def _fail(self, number: int, sensor: int, t_ns: int, orig: End, resp: End) -> None:
        about = ("source", *orig[:-1], 0)
        cell = self._cell(number, sensor, t_ns, about)
        cell.sums["failed"] += 1
        cell.members.add((ip_text(*resp[1:4]), resp[4]))
        if len(cell.members) >= TARGETS_MAX:
            held, window = self._slices[number], t_ns // WINDOW_NS
            del held.open[sensor, window][about]
            held.size -= 1
            self._emit(number, sensor, window, about, cell)

    def _cell(self, number: int, sensor: int, t_ns: int, about: About) -> Cell:
        """What is open about something, made when there is nothing."""
        held, place = self._slices[number], (sensor, t_ns // WINDOW_NS)
        found = held.open.get(place)
        cell = None if found is None else found.get(about)
        if cell is None:
            if held.size >= ENTRIES_MAX:
                for other in sorted(held.open, key=lambda place: (self._sensors[place[0]], place[1])):
                    self._close(number, other)
            cell = held.open.setdefault(place, {})[about] = Cell(about[0])
            held.size += 1
        return cell

    def lost(self, slices: Iterable[int], sensor: int, first_ns: int, last_ns: int) -> None:
        """Note that the sensor lost packets in a stretch of time."""
        for number in slices:
            lossy = self._slices[number].lossy
            before = lossy.get(sensor, (FOREVER_NS, -FOREVER_NS))
            joins = before[1] >= first_ns - WINDOW_NS
            lossy[sensor] = (min(before[0], first_ns) if joins else first_ns, max(before[1], last_ns))

    def begun_anew(self, slices: Iterable[int], sensor: int) -> None:
        """The sensor's connections were forgotten: what is seen of them from now on says nothing."""
        for number in slices:
            self._slices[number].opened.pop(sensor, None)

    def close(self, slices: Iterable[int], sensor: int, until_ns: int) -> None:
        """Close the sensor's windows but that of its clock; after a step back the later ones are over too."""
        for number in slices:
            for place in sorted(self._slices[number].open):
                if place[0] == sensor and place[1] != until_ns // WINDOW_NS:
                    self._close(number, place)

    def end(self, slices: Iterable[int], sensor: int, name: str, last_ns: int) -> None:
        """The sensor's capture ended: close all, and say so to every partition, by the first slice alone."""
        numbers, first = list(slices), min(self._slices)
        self.close(numbers, sensor, FOREVER_NS)
        self.begun_anew(numbers, sensor)
        if first in numbers:
            self._closed.append((first, empty(Key("end", name, 0, "", 0), last_ns // WINDOW_NS * WINDOW_NS)))

    def _close(self, number: int, place: tuple[int, int]) -> None:
        held = self._slices[number]
        found = held.open.pop(place)
        held.size -= len(found)
        for about, cell in found.items():
            self._emit(number, *place, about, cell)

    def _emit(self, number: int, sensor: int, window: int, about: About, cell: Cell) -> None:
        held, count = self._slices[number], cell.count(self._sensors[sensor], window, about)
        if about[0] == "stray":
            seen = held.opened[sensor] = {at for at in held.opened.get(sensor, ()) if at >= window - BOTH_WAYS_WINDOWS}
            count.both_ways = any(at < window for at in seen)  # at first answers to what came before us are no strays
        if sensor in held.lossy:
            first_ns, last_ns = held.lossy[sensor]
            count.loss = first_ns < count.window_ns + WINDOW_NS and count.window_ns <= last_ns
        self._closed.append((number, count))

    def take(self) -> list[Count]:
        """Records that were closed since the last call."""
        closed, self._closed = self._closed, []
        return [count for _, count in closed]

    def rows(self, epochs: npt.NDArray[np.int64]) -> Iterator[Row]:
        """The same as a producer takes them; the topic names the partition too."""
        closed, self._closed = self._closed, []
        for number, count in closed:
            text, value = count.key.text(), encode(count)
            ending = count.key.of == "end"
            for target in range(self._partitions) if ending else (group_of(text) % self._partitions,):
                numbers = self._slices[number].numbers
                numbers[target] += 1
                seq = f"{number}:{epochs[number]}:{numbers[target]}"
                yield f"counts/{target}", text.encode(), value, f"counts/{target}/{seq}", TYPE, seq

    def snapshot(self, number: int) -> dict[str, Any]:
        """What is open of a slice, fit for JSON."""
        held, names = self._slices[number], self._sensors
        return {
            "numbers": held.numbers,
            "open": [
                [names[sensor], window, about, cell.sums, sorted(cell.members), cell.killed_ns]
                for (sensor, window), found in held.open.items()
                for about, cell in found.items()
            ],
            "lossy": {names[sensor]: stretch for sensor, stretch in held.lossy.items()},
            "opened": {names[sensor]: sorted(windows) for sensor, windows in held.opened.items()},
        }

    def put_back(self, number: int, told: dict[str, Any], sensors: tuple[str, ...]) -> None:
        """Take a slice's snapshot; ContractError when it is none. `sensors` are the names by their numbers."""
        self._sensors = sensors
        where = {name: sensor for sensor, name in enumerate(sensors)}
        held = self._slices[number]
        try:
            held.numbers = [int(n) for n in told["numbers"]]
            held.lossy = {where[name]: (int(first), int(last)) for name, (first, last) in told["lossy"].items()}
            held.opened = {where[name]: {int(at) for at in windows} for name, windows in told["opened"].items()}
            for name, window, about, sums, members, killed_ns in told["open"]:
                cell = Cell(about[0])
                cell.sums |= {name: int(sums[name]) for name in cell.sums}
                cell.members = {tuple(member) if about[0] == "source" else int(member) for member in members}
                cell.killed_ns = None if killed_ns is None else (int(killed_ns[0]), int(killed_ns[1]))
                place = where[name], int(window)
                held.open.setdefault(place, {})[about[0], *(int(part) for part in about[1:])] = cell
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(f"the counts of slice {number} are damaged: {error!r}") from error
        if len(held.numbers) != self._partitions:
            raise ContractError(f"the counts of slice {number} were numbered for {len(held.numbers)} partitions")
        held.size = sum(len(found) for found in held.open.values())


def _add_member(members: set[Any], digest: int) -> None:
    if digest not in members:
        members.add(digest)
        if len(members) > MEMBERS_MAX:
            members.remove(max(members))


def _add_abort(service: Cell, t_ns: int, by: int, form: int) -> None:
    if by == _ORIG:
        service.sums["aborted_orig"] += 1
    elif by == _RESP:
        service.sums["aborted_resp"] += 1
        if form == _ABORT_FORM:
            service.sums["killed"] += 1
            first, last = service.killed_ns or (t_ns, t_ns)
            service.killed_ns = min(first, t_ns), max(last, t_ns)


def _listed(rows: Rows, *names: str) -> list[list[Any]]:
    return [rows[name].tolist() for name in names]


def _ends(rows: Rows, higher: npt.NDArray[np.bool_]) -> Iterator[End]:
    """One end of each row: the higher where asked for, else the lower."""
    ip = np.where(higher[:, None], rows["higher_ip"], rows["lower_ip"])
    port = np.where(higher, rows["higher_port"], rows["lower_port"])
    domain, family = _listed(rows, "domain", "family")
    return zip(domain, family, ip[:, 0].tolist(), ip[:, 1].tolist(), port.tolist(), strict=True)


def _hashes(rows: Rows, sent_higher: npt.NDArray[np.bool_]) -> list[int]:
    """Hash of each row's member: the address that sent a SYN, and the address and port that a stray was sent to."""
    syn = rows["kind"] == _SYN
    ends = np.where((sent_higher == syn)[:, None], rows["higher_ip"], rows["lower_ip"])
    ports = np.where(syn, 0, np.where(sent_higher, rows["lower_port"], rows["higher_port"]))
    hashes: list[int] = hash_of(ends[:, 0], ends[:, 1], ports.astype(np.uint64)).tolist()
    return hashes
