"""What a packet says, as a label on its arrow and in a few words for a reader who is new to TCP."""

from collections.abc import Callable
from typing import Final

from synfin.view.ladder import Packet, Rung
from synfin.view.words import size
from synfin.wire.segment import ACK, FIN, PSH, RST, SYN

_LONG: Final = ((SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (PSH, "PSH"), (ACK, "ACK"), (0x20, "URG"))
_ECN: Final = ((0x40, "ECE"), (0x80, "CWR"))
_TCPDUMP: Final = "FSRP.UEWe"


def long_flags(flags: int) -> str:
    """Flags by their names, as RFC 9293 writes them: `SYN,ACK`; those of ECN on a SYN alone."""
    known = _LONG + (_ECN if flags & SYN else ())
    return ",".join(name for bit, name in known if flags & bit) or "none"


def short_flags(flags: int) -> str:
    """Flags as tcpdump prints them: `S.`."""
    return "".join(letter for bit, letter in enumerate(_TCPDUMP) if flags >> bit & 1) or "none"


def named_flags(short: str) -> str:
    """Flags as tcpdump prints them by their names."""
    bits = sum(1 << bit for bit, letter in enumerate(_TCPDUMP) if letter in short)
    return long_flags(bits)


def label(packet: Packet, flags: Callable[[int], str], bare: bool = False) -> str:
    """Flags and numbers of a packet: `PSH,ACK seq 1 ack 1 len 18`, or bare `P. 1 1 (18)`."""
    parts = [flags(packet.flags)]
    if bare:
        parts += [str(packet.seq), "-" if packet.ack is None else str(packet.ack)]
        parts += [f"({packet.length})"] if packet.length else []
    else:
        parts.append(f"seq {packet.seq}")
        parts += [] if packet.ack is None else [f"ack {packet.ack}"]
        parts += [f"len {packet.length}"] if packet.length else []
    return " ".join([*parts, *packet.marks])


class Narrator:
    """Says what each packet means, in the light of those before it."""

    def __init__(self) -> None:
        self._next = {"orig": 0, "resp": 0}  # behind the highest that each has sent
        self._acked = {"orig": 0, "resp": 0}  # of what each has sent, acknowledged
        self._fins: dict[str, int] = {}  # number behind each end's FIN
        self._synack = False
        self._open = False
        self._syns: set[str] = set()

    def tell(self, rung: Rung) -> str:
        """Words for a rung."""
        packet = rung.packet
        if packet is None:
            return ""
        told = self._meaning(packet, rung)
        self._note(packet)
        return told

    def _meaning(self, packet: Packet, rung: Rung) -> str:
        flags = packet.flags
        if flags & RST:
            return self._reset(packet)
        if flags & SYN:
            return self._syn(packet)
        if "keep-alive" in packet.marks:
            return "asks: still there?"
        if "again" in packet.marks:
            return "again: it was not confirmed"
        parts = self._acknowledged(packet)
        if packet.length:
            parts.append(f"{size(packet.length)} of data")
        if flags & FIN:
            parts.append("has no more to send" if not self._fins else "has no more to send either")
        if "window full" in packet.marks:
            parts.append("its buffer is full: wait")
        if not parts and any(change.to == "ESTABLISHED" for change in rung.changes):
            parts.append("is open")
        return ", ".join(parts)

    def _syn(self, packet: Packet) -> str:
        if "again" in packet.marks:
            return "accepts once more" if packet.flags & ACK else "asks once more"
        if packet.flags & ACK:
            return "accepts, and asks in turn"
        return "asks to open, too" if self._syns else "asks to open"

    def _reset(self, packet: Packet) -> str:
        if not self._open and self._syns and packet.sender not in self._syns:
            return "refuses: nothing listens here"
        if packet.sender in self._fins:
            return "refuses: it had closed"
        return "resets: all is over at once"

    def _acknowledged(self, packet: Packet) -> list[str]:
        """What this acknowledgment says for the first time."""
        peer = "resp" if packet.sender == "orig" else "orig"
        if packet.ack is None or packet.ack <= self._acked[peer]:
            return []
        if self._synack and not self._open:
            return ["confirms: it is open"]
        fin = self._fins.get(peer)
        if fin is not None and packet.ack >= fin:
            return ["confirms the FIN"]
        return [] if packet.length or packet.flags & FIN else [f"has received {size(packet.ack - self._acked[peer])}"]

    def _note(self, packet: Packet) -> None:
        """Remember the packet for those behind it."""
        flags, me = packet.flags, packet.sender
        peer = "resp" if me == "orig" else "orig"
        if flags & RST:
            return
        if flags & SYN:
            self._syns.add(me)
            self._synack |= bool(flags & ACK)
        elif flags & ACK and self._synack:
            self._open = True
        end = packet.seq + packet.length + bool(flags & SYN) + bool(flags & FIN)
        self._next[me] = max(self._next[me], end)
        if flags & FIN:
            self._fins[me] = end
        if packet.ack is not None:
            self._acked[peer] = max(self._acked[peer], packet.ack)
