"""Packets one a line for a person: what each says, and the states of both ends behind it.

The states are those of the connection's record, placed as in a ladder, so a capture is read three times: for records,
for the packets of the connections that are shown, and for the lines.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sensor.pcapfile import CaptureFile
from synfin.filter.fields import FIELDS
from synfin.filter.kinds import NS
from synfin.filter.masks import mask
from synfin.filter.records import wanted
from synfin.filter.show import shown
from synfin.filter.tree import Filter
from synfin.filter.values import Index, objects
from synfin.packets.connections import collect, connections_of
from synfin.packets.selection import Tables
from synfin.packets.table import PacketTable
from synfin.packets.tree import hex_lines
from synfin.view.ladder import Change, Packet, build
from synfin.view.ladder_words import short_flags
from synfin.view.style import Style
from synfin.view.words import Record
from synfin.wire.batch import Batch
from synfin.wire.event import Records
from synfin.wire.segment import TCP

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


def said_by(records: Iterable[Records], batches: Iterable[Batch], *, some: bool) -> dict[int, Said]:
    """By frame number from 0, what the segments of a capture say; of the wanted connections alone, if only some are."""
    found = connections_of(records, wanted if some else None)
    for batch in batches:
        collect(found, batch.segments[batch.segments["kind"] == TCP], batch.flows)
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
