"""Frames to segments: each TCP header of a block, and each ICMP error about one, as a row, with the flow dictionary."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sensor.addresses import LOOPBACK, LocalAddresses, capture_says, mark_local
from sensor.checksum import verify_checksums
from sensor.duplicates import NO_PLACE, mark_copy, note_segment, recent_segments
from sensor.flowindex import GROUP, FlowIndex, fetch_slot, find_flow, flow_index, hash_flows, want, warm
from sensor.frames import (
    CHECKSUM_VALID,
    DIRECTION_RECEIVED,
    DIRECTION_SENT,
    FrameBlock,
)
from sensor.headers import (
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    FRAGMENT,
    GOOD,
    LINKS,
    MALFORMED,
    NO_LINK,
    NOT_IP,
    NOT_TCP,
    OUTCOMES,
    PACKET,
    PROTOCOL_ICMP,
    PROTOCOL_TCP,
    TRUNCATED,
    ip_packet,
)
from sensor.octets import load16, load32
from sensor.options import no_options, read_options
from sensor.plain import plain_segment
from sensor.tunnels import innermost
from synfin.compiled import compiled, inner, leaf
from synfin.pools import fetch_ahead
from synfin.wire.segment import (
    ACK,
    BOTH,
    CSUM_OK,
    FLOW,
    ICMP,
    MARK_OPTIONS_CUT,
    SEGMENT,
    TCP,
)

_U0, _U1, _U2, _U4, _U8 = (np.uint64(n) for n in (0, 1, 2, 4, 8))
_U12, _U14, _U16, _U20, _U28, _U32 = (np.uint64(n) for n in (12, 14, 16, 20, 28, 32))
_GOOD, _NOT_TCP, _TRUNCATED, _MALFORMED = (np.uint64(n) for n in (GOOD, NOT_TCP, TRUNCATED, MALFORMED))
_TCP = np.uint64(TCP)
_PROTOCOL_TCP, _PROTOCOL_ICMP = np.uint64(PROTOCOL_TCP), np.uint64(PROTOCOL_ICMP)
_SENT, _RECEIVED = np.uint64(DIRECTION_SENT), np.uint64(DIRECTION_RECEIVED)
_BOTH = np.uint64(BOTH)
_FLAGS = np.uint64(0x0FFF)
_LOW_HALF = np.uint64(0xFFFFFFFF)
# Places behind the outcomes, of which GOOD counts all rows: ICMP rows, flows, the number of the block's first frame.
_ICMP_ROW, _FLOWS, _FIRST = (np.uint64(OUTCOMES + k) for k in range(3))
_COUNTS: Final = OUTCOMES + 3
_GROUP = np.uint64(GROUP)
_LAST_FETCHED = np.uint64(65)  # byte of the headers of most segments, from Ethernet to timestamps
_AHEAD: Final = np.uint64(8)  # frames


@leaf
def _tcp_row(buffer: Any, packet: Any, row: Any) -> Any:
    """Write the row of a TCP segment, all but its flow. An outcome."""
    at, end, carried = packet["at"], packet["end"], packet["carried"]
    if at + _U20 > end:
        return _MALFORMED if carried < _U20 else _TRUNCATED
    word = load16(buffer, at + _U12)
    header = (word >> _U12) << _U2
    if header < _U20 or header > carried:
        return _MALFORMED
    marks = packet["marks"]
    if header > _U20:
        options_end = at + header
        if options_end > end:
            options_end = end
            marks |= np.uint64(MARK_OPTIONS_CUT)
        read_options(buffer, at + _U20, options_end, row)
    packet["source_port"] = load16(buffer, at)
    packet["target_port"] = load16(buffer, at + _U2)
    flags = word & _FLAGS
    row["seq"] = load32(buffer, at + _U4)
    row["ack"] = load32(buffer, at + _U8) if flags & np.uint64(ACK) != _U0 else _U0
    row["len"] = carried - header
    row["window"] = load16(buffer, at + _U14)
    row["flags"] = flags
    row["kind"] = _TCP
    row["marks"] = marks
    return _GOOD


@leaf
def _quotes_segment(packet: Any, kind: Any) -> Any:
    """Tell an ICMP error about a packet: unreachable, time exceeded and, in IPv6, packet too big."""
    if packet["protocol"] == _PROTOCOL_ICMP:
        return kind in (np.uint64(3), np.uint64(11))
    return _U1 <= kind <= np.uint64(3)


@leaf
def _icmp_columns(buffer: Any, packet: Any, row: Any) -> None:
    """Write type, code, and who sent the error: as four numbers in the order of the 16 bytes."""
    row["icmp_type"] = buffer[packet["at"]]
    row["icmp_code"] = buffer[packet["at"] + _U1]
    sack = row["sack"]
    sack[_U0] = packet["source_0"] >> _U32
    sack[_U1] = packet["source_0"] & _LOW_HALF
    sack[_U2] = packet["source_1"] >> _U32
    sack[np.uint64(3)] = packet["source_1"] & _LOW_HALF


@leaf
def _icmp_row(buffer: Any, packet: Any, quoted: Any, row: Any) -> Any:
    """Write the row of an ICMP error about a TCP segment, all but its flow, which is that of `quoted`. An outcome."""
    at, end = packet["at"], packet["end"]
    if at + _U8 > end or not _quotes_segment(packet, np.uint64(buffer[at])):
        return _NOT_TCP
    quoted["at"] = at + _U8
    ethertype = ETHERTYPE_IPV4 if packet["protocol"] == _PROTOCOL_ICMP else ETHERTYPE_IPV6
    if ip_packet(buffer, np.uint64(ethertype), end, end, quoted) != _GOOD or quoted["protocol"] != _PROTOCOL_TCP:
        return _NOT_TCP
    inner = quoted["at"]
    if inner + _U8 > quoted["end"]:
        return _TRUNCATED
    quoted["source_port"] = load16(buffer, inner)
    quoted["target_port"] = load16(buffer, inner + _U2)
    _icmp_columns(buffer, packet, row)
    row["seq"] = load32(buffer, inner + _U4)
    row["ack"] = _U0
    row["len"] = _U0
    row["window"] = _U0
    row["flags"] = _U0
    row["kind"] = np.uint64(ICMP)
    row["marks"] = _U0
    return _GOOD


@leaf
def _packet_columns(packet: Any, row: Any) -> None:
    row["ip_len"] = packet["ip_len"]
    row["ip_id"] = packet["ip_id"]
    row["ttl"] = packet["ttl"]
    row["tos"] = packet["tos"]
    row["checksum"] = _U0


@leaf
def _end_at(address_0: Any, address_1: Any, sender: Any, quoted: Any) -> Any:
    """Which end of the flow has this address: LOWER, HIGHER, BOTH, or NONE for a router's."""
    end = _U0
    if address_0 == quoted["source_0"] and address_1 == quoted["source_1"]:
        end |= sender if sender != _U0 else _BOTH
    if address_0 == quoted["target_0"] and address_1 == quoted["target_1"]:
        end |= sender ^ _BOTH
    return end


@leaf
def _who_was_told(packet: Any, quoted: Any, sender: Any, row: Any) -> None:
    """Correct which end of an ICMP error's flow is local: it is the error that was sent or received here."""
    if packet["direction"] == _SENT:
        row["local"] = _end_at(packet["source_0"], packet["source_1"], sender, quoted)
    elif packet["direction"] == _RECEIVED:
        row["local"] = _end_at(packet["target_0"], packet["target_1"], sender, quoted)


@leaf
def _fetch_headers(buffer: Any, frame: Any) -> None:
    """Bring the headers of a frame into the caches, those of most segments with their timestamps."""
    start = np.uint64(frame["offset"])
    fetch_ahead(buffer, start)
    fetch_ahead(buffer, start + _LAST_FETCHED)


@inner
def _any_frame(buffer: Any, frame: Any, row: Any, work: Any, wanted: Any) -> Any:
    """Write the row of a frame, all but its flow, and its tuple into `wanted`. An outcome."""
    packets, keys, recent = work
    packet, quoted = packets[_U0], packets[_U1]
    outcome = innermost(buffer, frame, packet)
    if outcome != _GOOD:
        return outcome
    row["t_ns"] = frame["t_ns"]
    _packet_columns(packet, row)
    no_options(row)
    key = packet
    if packet["protocol"] == _PROTOCOL_TCP:
        outcome = _tcp_row(buffer, packet, row)
        if frame["checksum"] == np.uint64(CHECKSUM_VALID) and packet["tunnels"] == _U0:
            row["checksum"] = np.uint64(CSUM_OK)
    else:
        outcome = _icmp_row(buffer, packet, quoted, row)
        quoted["domain"] = packet["domain"]
        key = quoted
    if outcome != _GOOD:
        return outcome
    sender = want(key, keys, wanted)
    wanted["place"] = NO_PLACE
    one_host = key["source_0"] == key["target_0"] and key["source_1"] == key["target_1"]
    capture_says(packet["direction"], sender, one_host, row)
    if packet["protocol"] != _PROTOCOL_TCP:
        _who_was_told(packet, quoted, sender, row)
    elif np.uint64(row["marks"]) & np.uint64(MARK_OPTIONS_CUT) == _U0:
        header = packet["carried"] - np.uint64(row["len"])
        note_segment(buffer, (packet["at"], header), np.uint64(frame["direction"]), row, wanted, (keys, recent))
    return outcome


@inner
def _dissect_group(buffer: Any, frames: Any, group: Any, rows: Any, work: Any, counts: Any) -> Any:
    """Write the rows of frames [group[0], group[1]) into `rows`, from its first on, all but their flows; how many."""
    first, last = group
    packets, keys, recent, wanted, heads = work
    n, end = _U0, np.uint64(len(frames)) - _U1
    while first < last:
        _fetch_headers(buffer, frames[min(first + _AHEAD, end)])
        frame, row = frames[first], rows[n]
        if plain_segment(buffer, frame, row, (keys, recent), wanted[n]):
            outcome = _GOOD
        else:
            outcome = _any_frame(buffer, frame, row, (packets, keys, recent), wanted[n])
        if outcome == _GOOD:
            fetch_slot(heads, wanted[n])
            row["frame"] = (counts[_FIRST] + first) & _LOW_HALF
            n += _U1
        else:
            counts[outcome] += _U1
        first += _U1
    return n


@compiled
def dissect_frames(buffer: Any, frames: Any, segments: Any, index: Any, memory: Any, counts: Any) -> None:
    """Write a SEGMENT for each frame that holds one; `memory` is PACKET[2] and RECENT[], `counts` uint64[_COUNTS].

    Frames go in groups, in three steps a group, each of which makes the memory fetch what the next one needs.
    `frame` of the rows counts from counts[_FIRST].
    """
    heads, chain, flows, keys, wanted = index
    packets, recent = memory
    n, flows_n, frames_n = _U0, _U0, np.uint64(len(frames))
    for group in range(_U0, frames_n, _GROUP):
        first = np.uint64(group)
        last = min(first + _GROUP, frames_n)
        rows = segments[n:]
        good = _dissect_group(buffer, frames, (first, last), rows, (packets, keys, recent, wanted, heads), counts)
        for i in range(good):
            warm(heads, flows, wanted[np.uint64(i)])
        for i in range(good):
            k = np.uint64(i)
            row = rows[k]
            flow = find_flow(heads, chain, flows, flows_n, wanted[k])
            flows_n += np.uint64(flow == flows_n)
            row["flow"] = flow
            if wanted[k]["place"] != NO_PLACE:
                mark_copy(row, wanted[k], recent)
            counts[_ICMP_ROW] += np.uint64(row["kind"])  # TCP is 0 and ICMP is 1
        n += good
    counts[_GOOD] = n
    counts[_FLOWS] = flows_n
    hash_flows(flows, flows_n)


@dataclass(slots=True)
class Counters:
    """What became of the frames: each is in exactly one of the numbers below `frames`, `links` apart."""

    frames: int = 0
    tcp: int = 0
    icmp: int = 0  # errors about a TCP segment
    not_tcp: int = 0
    fragments: int = 0  # not the first of their packet, of TCP
    truncated: int = 0  # the snap length cut a header that is needed
    malformed: int = 0
    not_ip: int = 0
    unsupported: int = 0  # of a link type that is not decoded
    links: dict[int, int] = field(default_factory=dict)  # those, by LINKTYPE_ number

    def __iter__(self) -> Iterator[str]:
        """Give the names of the numbers."""
        return (f.name for f in fields(self) if f.name != "links")

    def __getitem__(self, name: str) -> int:
        """Look up one number by its name."""
        value: int = getattr(self, name)
        return value


def _copy(rows: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Copy as bytes: numpy copies rows of structured arrays field by field, at a hundred times the cost."""
    return rows.view(np.uint8).copy().view(rows.dtype)


class Dissector:
    """Takes blocks of frames, gives rows; the counters run over all blocks.

    `local` speaks where the capture itself does not say what was sent and received here; without it, a loopback address
    is taken for local, because it leaves no host. With `verify`, checksums of frames without metadata are verified;
    without it they are CSUM_UNKNOWN.
    """

    def __init__(self, local: LocalAddresses | None = None, *, verify: bool = False) -> None:
        self.counters = Counters()
        self._local = LOOPBACK if local is None else local
        self._verify = verify
        self._packets = np.zeros(2, PACKET)  # the packet at hand, and what it quotes as an ICMP error
        self._recent = recent_segments()
        self._index: FlowIndex | None = None

    def dissect(self, block: FrameBlock) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void]]:
        """Give SEGMENT[n] and the FLOW[m] that it points into, which own nothing of the block's memory."""
        index = self._empty_index(len(block))
        segments = np.empty(len(block), SEGMENT)
        counts = np.zeros(_COUNTS, np.uint64)
        counts[_FIRST] = block.first_frame
        dissect_frames(block.buffer, block.frames, segments, index, (self._packets, self._recent), counts)
        self._count(block, [int(n) for n in counts])
        rows = int(counts[GOOD])
        segments = segments[:rows] if 2 * rows > len(block) else _copy(segments[:rows])
        flows = _copy(index.flows[: int(counts[_FLOWS])].view(FLOW))
        if self._verify:
            seen = np.zeros((len(flows), 2, 2), np.uint32)
            first = np.uint64(block.first_frame % 2**32)
            verify_checksums(block.buffer, block.frames, segments, self._packets, first, seen)
        local = np.zeros(len(flows), np.uint8)
        mark_local(segments, flows, self._local.networks, np.uint8(self._local.how), local)
        return segments, flows

    def _empty_index(self, room: int) -> FlowIndex:
        index = self._index
        if index is None or len(index.chain) < room:
            self._index = index = flow_index(max(room, 1))
        index.heads.fill(0)
        return index

    def _count(self, block: FrameBlock, counts: list[int]) -> None:
        counters = self.counters
        counters.frames += len(block)
        counters.tcp += counts[GOOD] - counts[int(_ICMP_ROW)]
        counters.icmp += counts[int(_ICMP_ROW)]
        counters.not_tcp += counts[NOT_TCP]
        counters.fragments += counts[FRAGMENT]
        counters.truncated += counts[TRUNCATED]
        counters.malformed += counts[MALFORMED]
        counters.not_ip += counts[NOT_IP]
        counters.unsupported += counts[NO_LINK]
        if counts[NO_LINK]:
            self._count_links(block)

    def _count_links(self, block: FrameBlock) -> None:
        links, numbers = np.unique(block.frames["link"], return_counts=True)
        for link, number in zip(links.tolist(), numbers.tolist(), strict=True):
            if link not in LINKS:
                self.counters.links[link] = self.counters.links.get(link, 0) + number
