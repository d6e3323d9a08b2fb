"""A block of captured frames as a table of Wireshark's fields, each read when it is asked for."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sensor.frames import FrameBlock
from sensor.layers import LAYERS
from synfin.filter.fields import FIELDS, Analysis, Derived, Field, Frame, Head, Layer, OneOf, Option, Stream
from synfin.filter.kinds import NUMBERS, SLICED, Kind
from synfin.filter.show import shown
from synfin.filter.values import Index, Octets, Values, merged, merged_octets, objects
from synfin.packets.analysis import ANALYSED, LABELS, SUSPECTED
from synfin.packets.checksums import CHECKSUM_BYTES, statuses
from synfin.packets.link import LINK_FIELDS
from synfin.packets.protocols import protocols_of
from synfin.packets.stacks import TCP_HEAD, Stack, Stacks
from synfin.packets.streams import SEEN, TOLD, Streams
from synfin.wire.segment import ACK as ACK_FLAG
from synfin.wire.segment import FIN, RST, SYN

_IPV6: Final = LAYERS.index("ipv6")
_FLAG_LETTERS: Final = "RRRACEUAPRSF"  # of the 12 bits from the top
_NO_FLAG: Final = "·"
_OWN: Final = {
    "eth": 14,
    "vlan": 4,
    "ip": 20,
    "ipv6": 40,
    "udp": 8,
    "null": 4,
}  # bytes of a header; of the others it is all
_CONNECTION: Final = {  # bits of the flags, and what they must be
    "syn": (SYN | ACK_FLAG, SYN),
    "synack": (SYN | ACK_FLAG, SYN | ACK_FLAG),
    "rst": (RST, RST),
    "fin": (FIN, FIN),
}
_TFO: Final = 34  # options: RFC 7413, and before it had that number
_EXPERIMENT: Final = 254
_EXPERIMENT_TFO: Final = 0xF989
_REPEATED: Final = sum(1 << LABELS.index(f"{kind}retransmission") for kind in ("", "fast_", "spurious_"))
Rows = npt.NDArray[np.void]


class Context:
    """What a capture's earlier packets say about its later ones. `finals`: see PacketTable."""

    def __init__(self, finals: Streams | None = None) -> None:
        self.first_ns: int | None = None
        self.last_ns = 0
        self.streams = Streams()
        self.finals = finals

    def table(self, block: FrameBlock, *, streams: bool) -> "PacketTable":
        """The table of the next block; every block must be asked for. `streams`: fields of connections are wanted."""
        times = block.frames["t_ns"].astype(np.int64)
        if self.first_ns is None:
            self.first_ns = self.last_ns = int(times[0])
        table = PacketTable(block, (self.first_ns, self.last_ns), self.finals)
        if streams:
            table.follow(self.streams)
        self.last_ns = int(times[-1])
        return table


class PacketTable:
    """Gives the values of fields for the frames of a block.

    `finals` are the streams at the end of the capture, from a reading before this one.
    """

    def __init__(self, block: FrameBlock, times: tuple[int, int], finals: Streams | None) -> None:
        self._block = block
        self._buffer = block.buffer
        self._first_ns, self._before_ns = times
        self._finals = finals
        self._stacks = Stacks(block)
        self._known: dict[str, Values] = {}
        self._told: Rows = np.zeros(0, TOLD)
        self._analysed: Rows = np.zeros(0, ANALYSED)
        self._streamed = self._stacks.stack("tcp").take(slice(0, 0))

    @property
    def size(self) -> int:
        """How many frames."""
        return len(self._block)

    @property
    def layers(self) -> Rows:
        """LAYER[] of all frames, by frame and from the outside in."""
        return self._stacks.layers

    def values(self, field: Field) -> Values:
        """The values of a field."""
        found = self._known.get(field.name)
        if found is None:
            found = self._known[field.name] = self._read(field)
        return found

    def texts(self, field: Field) -> Values:
        """The values of a field as texts, numbers in decimal."""
        found = self.values(field)
        texts = np.empty(len(found.rows), object)
        texts[:] = shown(replace(field, digits=0), objects(found.data))
        return Values(found.rows, texts, found.layers)

    def octets(self, field: Field) -> Values:
        """The bytes of a field's values; those of its own header for a layer, when only their number is asked."""
        source = field.source
        if isinstance(source, OneOf):
            parts = [self.octets(FIELDS[name]) for name in source.names]
            return merged_octets(parts)
        if isinstance(source, Head) and field.kind in SLICED:
            stack = self._stacks.having(source.layer, source.offset + source.size)
            first = stack.at + source.offset
            return Values(stack.rows, Octets(self._buffer, first, first + source.size), stack.numbers)
        if isinstance(source, Layer) and source.layer in _OWN:
            stack = self._stacks.stack(source.layer)
            own = np.full(len(stack.rows), _OWN[source.layer])
            if source.layer == "ip":
                own = (self._buffer[stack.at] & 0x0F).astype(np.int64) * 4
            return Values(
                stack.rows, Octets(self._buffer, stack.at, np.minimum(stack.at + own, stack.end)), stack.numbers
            )
        found = self.values(field)
        if isinstance(found.data, Octets):
            return found
        size = (field.bits + 7) // 8 if field.kind in NUMBERS else 0  # as Wireshark has it
        lengths = np.full(len(found.rows), size)
        if field.kind is Kind.STRING:
            lengths = np.fromiter(
                (len(str(text).encode()) for text in np.asarray(found.data)), np.int64, len(found.rows)
            )
        nowhere = np.zeros(len(found.rows), np.int64)
        return Values(found.rows, Octets(self._buffer, nowhere, lengths), found.layers)

    # Reading

    def _read(self, field: Field) -> Values:
        source = field.source
        if isinstance(source, Head):
            return self.head(source)
        if isinstance(source, OneOf):
            return merged([self.values(FIELDS[name]) for name in source.names])
        if isinstance(source, Layer):
            return self.layer(source.layer)
        if isinstance(source, Frame):
            return self._of_frames(getattr(self, f"_frame_{source.column}")())
        if isinstance(source, Option):
            return self._option(source, field)
        if isinstance(source, Stream):
            return self._stream(source.column)
        if isinstance(source, Analysis):
            return self._analysis(source.name)
        assert isinstance(source, Derived), field.name
        return self._derived(source.name)

    def head(self, source: Head) -> Values:
        """Numbers or addresses in the headers of a kind."""
        stack = self._stacks.having(source.layer, source.offset + source.size)
        if source.layer == "tcp" and source.offset == 4:  # Wireshark has no tcp.seq_raw of a quoted segment
            stack = stack.take(~self._stacks.quoted(stack))
        at = stack.at + source.offset
        if source.size == 16:
            data = np.stack(
                [self._stacks.number(at, 8).view(np.uint64), self._stacks.number(at + 8, 8).view(np.uint64)], 1
            )
            return Values(stack.rows, data, stack.numbers)
        value = self._stacks.number(at, source.size)
        if source.mask:
            shift = (source.mask & -source.mask).bit_length() - 1
            value = (value & source.mask) >> shift
        return Values(stack.rows, value * source.factor if source.factor != 1 else value, stack.numbers)

    def layer(self, layer: str) -> Values:
        """The layers of a kind with all that they carry, or the frames."""
        if layer == "frame":
            frames = self._block.frames
            first = frames["offset"].astype(np.int64)
            return self._of_frames(Octets(self._buffer, first, first + frames["caplen"]))
        stack = self._stacks.stack(layer)
        return Values(stack.rows, Octets(self._buffer, stack.at, stack.end), stack.numbers)

    # Of frames

    def _of_frames(self, data: Any) -> Values:
        rows = np.arange(self.size)
        return Values(rows, data, np.ones(self.size, np.int64))

    def _frame_number(self) -> Index:
        return np.arange(self.size) + self._block.first_frame + 1

    def _frame_len(self) -> Index:
        return self._block.frames["wirelen"].astype(np.int64)

    def _frame_cap_len(self) -> Index:
        return self._block.frames["caplen"].astype(np.int64)

    def _frame_time(self) -> Index:
        return self._block.frames["t_ns"].astype(np.int64)

    _frame_time_epoch = _frame_time

    def _frame_time_relative(self) -> Index:
        return self._frame_time() - self._first_ns

    def _frame_time_delta(self) -> Index:
        times = self._frame_time()
        return np.diff(times, prepend=self._before_ns)

    def _frame_protocols(self) -> npt.NDArray[np.object_]:
        return protocols_of(self._block, self._stacks)

    # Of TCP

    def _derived(self, name: str) -> Values:
        if name.startswith("text of "):
            return self.texts(FIELDS[name.removeprefix("text of ")])
        if name in LINK_FIELDS:
            return LINK_FIELDS[name](self)
        found: Values = getattr(self, "_" + name.replace(".", "_"))()
        return found

    def _ip_version(self) -> Values:
        return merged([self.head(Head("ip", 0, 1, 0xF0)), self.head(Head("ipv6", 0, 1, 0xF0))])

    def _tcp_len(self) -> Values:
        stack, lengths = self._stacks.tcp()
        return Values(stack.rows, stack.size - lengths, stack.numbers)

    def _tcp_checksum_status(self) -> Values:
        stack = self._stacks.having("tcp", CHECKSUM_BYTES)
        return Values(stack.rows, statuses(self._stacks, stack), stack.numbers)

    def _tcp_payload(self) -> Values:
        stack, lengths = self._stacks.tcp()
        first = stack.at + lengths
        some = first < stack.end
        return Values(stack.rows[some], Octets(self._buffer, first[some], stack.end[some]), stack.numbers[some])

    def _tcp_options(self) -> Values:
        stack, lengths = self._stacks.tcp(quoted=True)
        some = (lengths > TCP_HEAD) & (stack.at + lengths <= stack.end)
        stack, lengths = stack.take(some), lengths[some]
        return Values(stack.rows, Octets(self._buffer, stack.at + TCP_HEAD, stack.at + lengths), stack.numbers)

    def _tcp_flags_str(self) -> Values:
        found = self.values(FIELDS["tcp.flags"])
        numbers, places = np.unique(np.asarray(found.data), return_inverse=True)
        texts = np.array([_flag_text(int(flags)) for flags in numbers], object)
        return Values(found.rows, texts[places] if len(texts) else np.empty(0, object), found.layers)

    def _places_of(self, source: Option) -> tuple[Index, Index, Index]:
        """Where an option's values are, how long the options that have them, and whose they are."""
        kinds, at, lengths, owners = self._stacks.options()
        mine = (kinds == source.kind) & (lengths >= source.at_least)
        at, lengths, owners = at[mine], lengths[mine], owners[mine]
        if source.step:
            times = np.maximum((lengths - 2) // source.step, 0)
            nth = np.arange(int(times.sum())) - np.repeat(np.cumsum(times) - times, times)
            at = np.repeat(at, times) + nth * source.step
            lengths, owners = np.repeat(lengths, times), np.repeat(owners, times)
        return at + source.offset, lengths, owners

    def _option(self, source: Option, field: Field) -> Values:
        stack, _ = self._stacks.tcp(quoted=True)
        at, lengths, owners = self._places_of(source)
        if field.kind is Kind.BYTES:
            return Values(stack.rows[owners], Octets(self._buffer, at, at + lengths), stack.numbers[owners])
        value = self._stacks.number(at, source.size)
        if source.mask:
            value = (value & source.mask) >> ((source.mask & -source.mask).bit_length() - 1)
        if source.relative:
            value = (value - self._told["sack_base"][owners]) & 0xFFFFFFFF
        return Values(stack.rows[owners], value, stack.numbers[owners])

    # Of streams

    def follow(self, streams: Streams) -> None:
        """Let the block's TCP headers be followed."""
        stack, lengths = self._stacks.tcp(quoted=True)
        quoted = self._stacks.quoted(stack)
        seen = np.zeros(len(stack.rows), SEEN)
        seen["t_ns"] = self._block.frames["t_ns"][stack.rows]
        for name, offset, size in (("seq", 4, 4), ("ack", 8, 4), ("window", 14, 2)):
            seen[name] = self._stacks.number(stack.at + offset, size)
        seen["flags"] = self._stacks.number(stack.at + 12, 2) & 0x0FFF
        seen["len"] = np.where(quoted, 0, stack.size - lengths)
        seen["quoted"] = quoted
        seen["shift"] = self._shifts(stack)
        keys, seen["side"] = self._keys(stack)
        seen["frame"] = self._frame_number()[stack.rows]
        seen["cookie"][self._cookies()] = 1
        seen["sacked"] = self._sacked(len(seen))
        self._streamed = stack
        self._told, self._analysed = streams.follow(keys, seen)

    def _shifts(self, stack: Stack) -> Index:
        result = np.full(len(stack.rows), -1)
        found = self.values(FIELDS["tcp.options.wscale.shift"])
        if len(found.rows):
            by_place = np.searchsorted(stack.rows * 256 + stack.numbers, found.rows * 256 + found.layers)
            result[by_place] = np.asarray(found.data)
        return result

    def _keys(self, stack: Stack) -> tuple[npt.NDArray[np.uint8], Index]:
        """Both ends of each header, the lower first, and which of them sent it."""
        outer = stack.places - 1  # IP is noted right before what it carries
        v6 = self._stacks.layers["kind"][outer] == _IPV6
        at = self._stacks.layers["at"][outer].astype(np.int64)
        ends = np.zeros((len(stack.rows), 2, 18), np.uint8)
        ends[~v6, :, 10:12] = 0xFF  # an IPv4 address is mapped
        for mine, first, size in ((v6, 8, 16), (~v6, 12, 4)):
            ends[mine, :, 16 - size : 16] = self._stacks.octets(at[mine] + first, 2 * size).reshape(-1, 2, size)
        ends[:, :, 16:] = self._stacks.octets(stack.at, 4).reshape(-1, 2, 2)
        whole = np.ascontiguousarray(ends).view("S18")[:, :, 0]
        swapped = whole[:, 0] > whole[:, 1]
        ends[swapped] = ends[swapped][:, ::-1]
        return ends.reshape(len(stack.rows), 36), swapped.astype(np.int64)

    def _stream(self, column: str) -> Values:
        stack, told = self._streamed, self._told
        flags = self._stacks.number(stack.at + 12, 2) & 0x0FFF
        own = ~self._stacks.quoted(stack)
        if column in _CONNECTION:
            mask, wanted = _CONNECTION[column]
            return _there(stack.take(flags & mask == wanted))
        if column in ("fin_active", "fin_passive"):
            return _there(stack.take(told["fin_order"] == (1 if column == "fin_active" else 2)))
        chosen = np.ones(len(stack.rows), bool)
        if column == "nxtseq":
            chosen = own
        if column == "scale_factor":
            chosen = own & (flags & SYN == 0)
        data = told[column]
        if column == "completeness" and self._finals is not None:
            data = self._finals.completeness[told["stream"]]
        return Values(stack.rows[chosen], data[chosen], stack.numbers[chosen])

    def _sacked(self, n: int) -> Index:
        """Bytes in the SACK blocks of each TCP header."""
        at, _, owners = self._places_of(Option(5, 2, 8, 8))
        blocks = (self._stacks.number(at + 4, 4) - self._stacks.number(at, 4)) & 0xFFFFFFFF
        result = np.zeros(n, np.int64)
        np.add.at(result, owners, blocks)
        return result

    def _cookies(self) -> Index:
        """TCP headers with a cookie for fast open, by the option's number or by that which it had as an experiment."""
        kinds, at, lengths, owners = self._stacks.options()
        experiment = (kinds == _EXPERIMENT) & (lengths > 4)
        experiment[experiment] = self._stacks.number(at[experiment] + 2, 2) == _EXPERIMENT_TFO
        with_cookie: Index = owners[((kinds == _TFO) & (lengths > 2)) | experiment]
        return with_cookie

    def _analysis(self, name: str) -> Values:
        stack, found = self._streamed, self._analysed
        some = found["acks_frame"] != 0
        some |= (found["flags"] & SUSPECTED != 0) | (found["bytes_in_flight"] != 0) | (found["push_bytes_sent"] != 0)
        if name == "initial_rtt":
            times = self._told["round_trip"]
            if self._finals is not None:
                times = self._finals.round_trips[self._told["stream"]]
            some &= times != 0
            return Values(stack.rows[some], times[some], stack.numbers[some])
        if name in LABELS or name == "flags":
            mask = {"flags": SUSPECTED, "retransmission": _REPEATED}.get(name) or 1 << LABELS.index(name)
            there = _there(stack.take(found["flags"] & mask != 0))
            return merged([there, there]) if name == "duplicate_ack" else there  # Wireshark shows it in two places
        if not name:
            return _there(stack.take(some))
        some = (found[name] != 0) & (found["rto"] != 0 if name == "rto_frame" else True)
        return Values(stack.rows[some], found[name][some].astype(np.int64), stack.numbers[some])


def _there(stack: Stack) -> Values:
    """A field that is there, without a value."""
    return Values(stack.rows, np.ones(len(stack.rows), np.int64), stack.numbers)


def _flag_text(flags: int) -> str:
    return "".join(letter if flags >> 11 - i & 1 else _NO_FLAG for i, letter in enumerate(_FLAG_LETTERS))
