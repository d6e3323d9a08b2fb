"""TCP of a packet in words: numbers, flags, and what the connection's earlier packets say of it."""

from collections.abc import Sequence
from typing import Final

from synfin.packets.cells import Layer
from synfin.packets.detail_options import option_items
from synfin.packets.names import (
    CHECKSUM_STATUS,
    CHECKSUM_WORDS,
    FLAGS,
    SUSPICIONS,
    completeness_words,
    flags_list,
)
from synfin.packets.tree import Item

_TIMES: Final = (
    ("tcp.time_relative", "[Time since first frame in this TCP stream: {} seconds]"),
    ("tcp.time_delta", "[Time since previous frame in this TCP stream: {} seconds]"),
)
_NUMBERS: Final = (
    ("acks_frame", "[This is an ACK to the segment in frame: {}]"),
    ("ack_rtt", "[The RTT to ACK the segment was: {} seconds]"),
    ("initial_rtt", "[iRTT: {} seconds]"),
    ("bytes_in_flight", "[Bytes in flight: {}]"),
    ("push_bytes_sent", "[Bytes sent since last PSH flag: {}]"),
)
_TIMEOUT: Final = (
    ("rto", "[The RTO for this segment was: {} seconds]"),
    ("rto_frame", "[RTO based on delta from frame: {}]"),
)
_DUPLICATE: Final = (
    ("duplicate_ack_num", "[Duplicate ACK #: {}]"),
    ("duplicate_ack_frame", "[Duplicate to the ACK in frame: {}]"),
)


def tcp_item(layer: Layer) -> Item:
    """A TCP header, and what is known of its segment."""
    head = (
        f"Transmission Control Protocol, Src Port: {layer.text('tcp.srcport')}, Dst Port: {layer.text('tcp.dstport')}"
    )
    for name, label in (("seq", "Seq"), ("ack", "Ack"), ("len", "Len")):
        text = layer.text(f"tcp.{name}")
        head += f", {label}: {text}" if text and (name != "ack" or layer.raw("tcp.flags.ack")) else ""
    lines = layer.line("tcp.srcport", "Source Port: {}") + layer.line("tcp.dstport", "Destination Port: {}")
    lines += [item for text in layer.values("tcp.port") for item in layer.hidden("tcp.port", text)]
    if layer.raw("tcp.seq_raw") is None:  # quoted: there is nothing to be relative to
        lines += layer.line("tcp.seq", "Sequence Number: {}")
    lines += layer.line("tcp.stream", "[Stream index: {}]")
    lines += layer.line("tcp.completeness", "[Conversation completeness: {}]", words=completeness_words)
    lines += layer.line("tcp.len", "[TCP Segment Len: {}]") + _numbers(layer) + _flags(layer)
    lines += layer.line("tcp.window_size_value", "Window: {}")
    lines += layer.line("tcp.window_size", "[Calculated window size: {}]")
    lines += layer.line("tcp.window_size_scalefactor", "[Window size scaling factor: {}]", words=_scale)
    lines += _checksum(layer) + layer.line("tcp.urgent_pointer", "Urgent Pointer: {}") + option_items(layer)
    times = tuple(item for name, form in _TIMES for item in layer.line(name, form))
    lines += [Item("[Timestamps]", below=times)] if times else []
    lines += _analysis(layer)
    payload = layer.raw("tcp.payload")
    if payload is not None:
        lines += layer.line("tcp.payload", f"TCP payload ({len(payload)} byte{'s' if len(payload) != 1 else ''})")
    return Item(head, "tcp", "", tuple(lines), layer=True)


def _numbers(layer: Layer) -> list[Item]:
    relative = "    (relative sequence number)"
    lines = []
    if layer.raw("tcp.seq_raw") is not None:
        lines += layer.line("tcp.seq", f"Sequence Number: {{}}{relative}")
        lines += layer.line("tcp.seq_raw", "Sequence Number (raw): {}")
        lines += layer.line("tcp.nxtseq", f"[Next Sequence Number: {{}}{relative}]")
    acknowledges = "    (relative ack number)" if layer.raw("tcp.flags.ack") else ""
    lines += layer.line("tcp.ack", f"Acknowledgment Number: {{}}{acknowledges}")
    return lines + layer.line("tcp.ack_raw", "Acknowledgment number (raw): {}") + _header_length(layer)


def _header_length(layer: Layer) -> list[Item]:
    length = layer.raw("tcp.hdr_len")
    if length is None:
        return []
    words = f"{length // 4:04b} .... = Header Length: {length} bytes ({length // 4})"
    return [Item(words, "tcp.hdr_len", str(length))]


def _flags(layer: Layer) -> list[Item]:
    flags = layer.raw("tcp.flags")
    if flags is None:
        return []
    below = layer.bits("tcp.flags.res", (0xE00, 12), "Reserved: {}", lambda n: "Set" if n else "Not set")
    for bit, (name, _, word) in reversed(list(enumerate(FLAGS))):
        below += layer.bits(f"tcp.flags.{name}", (1 << bit, 12), f"{word}: {{}}", lambda n: "Set" if n else "Not set")
    below += layer.line("tcp.flags.str", "[TCP Flags: {}]")
    words = f"Flags: 0x{flags:03x} ({flags_list(int(flags))})"
    return [Item(words, "tcp.flags", layer.text("tcp.flags"), tuple(below))]


def _scale(factor: int) -> str:
    return f"{factor} ({'unknown' if factor == -1 else 'no window scaling used'})" if factor < 0 else str(factor)


def _checksum(layer: Layer) -> list[Item]:
    status = layer.raw("tcp.checksum.status")
    if status is None:
        return []
    return [
        *layer.line("tcp.checksum", f"Checksum: {{}} {CHECKSUM_WORDS[status]}"),
        *layer.line("tcp.checksum.status", f"[Checksum Status: {CHECKSUM_STATUS[status]}]"),
    ]


def _analysis(layer: Layer) -> list[Item]:
    if layer.raw("tcp.analysis") is None:
        return []

    def all_of(lines: Sequence[tuple[str, str]]) -> list[Item]:
        return [item for name, form in lines for item in layer.line(f"tcp.analysis.{name}", form)]

    suspicions = []
    for name, (severity, words) in SUSPICIONS.items():
        if layer.raw(f"tcp.analysis.{name}") is None:
            continue
        if name == "retransmission" and _is_special(layer):
            continue
        said = f"[Expert Info ({severity}/Sequence): {words}]" if severity else f"[{words}]"
        suspicions.append(Item(said, f"tcp.analysis.{name}", ""))
    suspicions += all_of(_TIMEOUT)
    below = all_of(_NUMBERS)
    below += (
        [Item("[TCP Analysis Flags]", "tcp.analysis.flags", "", tuple(suspicions), layer=True)] if suspicions else []
    )
    return [Item("[SEQ/ACK analysis]", "tcp.analysis", "", (*below, *all_of(_DUPLICATE)), layer=True)]


def _is_special(layer: Layer) -> bool:
    """Whether the retransmission has a name of its own, for which the field stands too."""
    return any(layer.raw(f"tcp.analysis.{kind}_retransmission") is not None for kind in ("fast", "spurious"))
