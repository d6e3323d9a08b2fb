"""Packets one a line for a person: what each says, and the states of both ends behind it.

The states are those of the connection's record, placed as in a ladder, so a capture is read three times: for records,
for the packets of the connections that are shown, and for the lines.
"""

import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import orjson

from sensor.pcapfile import CaptureFile
from synfin.filter.fields import FIELDS
from synfin.filter.kinds import NS
from synfin.filter.masks import mask
from synfin.filter.records import wanted
from synfin.filter.show import shown
from synfin.filter.tree import Filter
from synfin.filter.values import Index, objects
from synfin.packets.selection import Tables
from synfin.packets.table import PacketTable
from synfin.packets.tree import hex_lines
from synfin.view.ladder import Change, Packet, build
from synfin.view.ladder_words import short_flags
from synfin.view.style import Style
from synfin.view.words import Record
from synfin.wire.batch import Batch
from synfin.wire.event import Records
from synfin.wire.jsonl import flow_lines
from synfin.wire.segment import LOWER, TCP

TUPLE_BYTES: Final = 48  # with which FLOW and FLOW_RECORD begin alike: hash, addresses, ports, domain
_ENDS: Final = ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport")
_OTHERS: Final = ("icmp", "icmpv6", "udp", "ip", "ipv6", "eth")  # what a packet is, if no TCP, the first that fits
_SHOWN: Final = (*_ENDS, *_OTHERS, "frame.number", "frame.time", "frame.len")

Rows = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Said:
    """What a packet says and what came of it."""

    packet: Packet
    states: tuple[str, str]  # of originator and responder, behind it
    before: tuple[str, str]
    changes: tuple[Change, ...]
    record: Record  # of its connection


@dataclass(slots=True)
class _Connection:
    record: Record
    orig_is_lower: bool
    parts: list[Rows]


def said_by(records: Iterable[Records], batches: Iterable[Batch], *, some: bool) -> dict[int, Said]:
    """By frame number from 0, what the segments of a capture say; of the wanted connections alone, if only some are."""
    found = _connections(records, some)
    for batch in batches:
        _collect(found, batch.segments[batch.segments["kind"] == TCP], batch.flows)
    said: dict[int, Said] = {}
    for connection in (one for several in found.values() for one in several.connections if one.parts):
        record = connection.record
        ladder = build(record, np.concatenate(connection.parts), connection.orig_is_lower)
        before = ladder.before[0].to, ladder.before[1].to
        for rung in ladder.rungs:
            if rung.packet:
                said[rung.packet.frame] = Said(rung.packet, rung.states, before, rung.changes, record)
            before = rung.states
    return said


@dataclass(frozen=True, slots=True)
class _Tuple:
    """The connections of a tuple by their starts; `ends[i]` is the latest end of those up to i."""

    connections: list[_Connection]
    starts: list[int]
    ends: list[int]

    @classmethod
    def of(cls, connections: list[_Connection]) -> Self:
        """Put them in order."""
        by_start = sorted(connections, key=lambda one: int(one.record["start_ns"]))
        ends = accumulate((int(one.record["end_ns"]) for one in by_start), max)
        return cls(by_start, [int(one.record["start_ns"]) for one in by_start], list(ends))

    def between(self, first_ns: int, last_ns: int) -> list[_Connection]:
        """Those that may have a packet within this time: a tuple may have any number of others."""
        return self.connections[bisect_left(self.ends, first_ns) : bisect_right(self.starts, last_ns)]


def _connections(records: Iterable[Records], some: bool) -> dict[bytes, _Tuple]:
    """The connections, or those that have what was wanted, by their tuple."""
    found: dict[bytes, list[_Connection]] = {}
    for piece in records:
        chosen = wanted(piece) if some else piece
        for row, line in zip(chosen.flows, flow_lines(chosen).values(), strict=True):
            connection = _Connection(orjson.loads(line), int(row["orig"]) == LOWER, [])
            found.setdefault(row.tobytes()[:TUPLE_BYTES], []).append(connection)
    return {key: _Tuple.of(several) for key, several in found.items()}


def _collect(found: dict[bytes, _Tuple], segments: Rows, flows: Rows) -> None:
    """Give each connection its segments."""
    if not len(segments):
        return
    order = np.argsort(segments["flow"], kind="stable")
    numbers, first = np.unique(segments["flow"][order], return_index=True)
    for number, places in zip(numbers.tolist(), np.split(order, first[1:]), strict=True):
        several = found.get(flows[number].tobytes()[:TUPLE_BYTES])
        if several is None:
            continue
        rows = segments[places]
        times = rows["t_ns"].copy()  # which never fall within a batch
        for connection in several.between(int(times[0]), int(times[-1])):
            low = int(np.searchsorted(times, connection.record["start_ns"], "left"))
            high = int(np.searchsorted(times, connection.record["end_ns"], "right"))
            if high > low:
                connection.parts.append(rows[low:high])


def lines(
    capture: CaptureFile, made: Filter | None, said: dict[int, Said], style: Style, *, octets: bool
) -> Iterator[str]:
    """A line for each packet that passes; with its bytes behind it if asked for."""
    tables = Tables(made.fields if made else ())
    for block in capture.blocks():
        table = tables.of(capture.path, block)
        keep = np.flatnonzero(mask(made, table)) if made else np.arange(table.size)
        if not len(keep):
            continue
        inner, outer = ({name: _column(table, name, keep, last) for name in _SHOWN} for last in (True, False))
        for row in keep.tolist():
            packet = said.get(row + block.first_frame)
            columns = inner if packet else outer  # an ICMP error is not what it quotes
            yield _line({name: column.get(row) for name, column in columns.items()}, packet, style)
            if octets:
                yield from hex_lines(block.octets(row))
                yield ""


def _column(table: PacketTable, name: str, keep: Index, last: bool) -> dict[int, Any]:
    """The value of a field in each of some packets, of the innermost layer that has one, or the outermost."""
    field = FIELDS[name]
    found = table.values(field)
    found = found.take(np.isin(found.rows, keep))
    if name in _OTHERS:
        return dict.fromkeys(found.rows.tolist(), True)
    data = objects(found.data)
    cells = list(zip(found.rows.tolist(), shown(field, data) if name.startswith("ip") else data, strict=True))
    return dict(cells if last else cells[::-1])


HEADER: Final = f"{'FRAME':>6}  {'TIME':<15}  {'PACKET':<47}  {'FLAGS':<5}  {'NUMBERS':<40}  ORIGINATOR / RESPONDER"


def _line(values: dict[str, Any], packet: Said | None, style: Style) -> str:
    arrow = f" {style.sign('→', '->')} "
    ends = arrow.join(_end(values, which, packet is not None) for which in ("src", "dst"))
    head = f"{values['frame.number']:>6}  {_clock(int(values['frame.time']))}  {ends:<47}"
    if packet is None:
        kind = next((name for name in _OTHERS if values[name]), "frame")
        return f"{head}  {kind}, {values['frame.len']} bytes"
    states = " / ".join(style.state(state, state) for state in packet.states)
    return f"{head}  {short_flags(packet.packet.flags):<5}  {_numbers(packet.packet):<40}  {states}"


def _end(values: dict[str, Any], which: str, tcp: bool) -> str:
    address = values[f"ip.{which}"] or values[f"ipv6.{which}"] or "?"
    port = values[f"tcp.{which}port"] if tcp else values[f"udp.{which}port"]
    if port is None:
        return str(address)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _numbers(packet: Packet) -> str:
    """As tcpdump, the number behind the last byte where there is data; relative, and the window scaled."""
    parts = [f"seq {packet.seq}:{packet.seq + packet.length}" if packet.length else f"seq {packet.seq}"]
    parts += [] if packet.ack is None else [f"ack {packet.ack}"]
    parts += [f"win {packet.window}", f"len {packet.length}", *packet.marks]
    return " ".join(parts)


def _clock(ns: int) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(ns // NS))}.{ns % NS // 1000:06d}"
