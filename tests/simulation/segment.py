"""A segment on the simulated wire, and arithmetic modulo 2^32 written a second time, apart from the core's."""

from dataclasses import dataclass

from synfin.wire.segment import ACK, FIN, RST, SYN

FLAG_LETTERS = "FSRP."


def ahead(a, b):
    """How far sequence number a is ahead of b."""
    return (a - b + 2**31) % 2**32 - 2**31


@dataclass(frozen=True)
class Segment:
    """What TCP's header says, and who is named as its sender: 0 for host A, 1 for B."""

    sender: int
    seq: int
    ack: int
    flags: int
    length: int = 0
    window: int = 0  # as sent, not scaled
    tsval: int | None = None
    tsecr: int = 0
    sack: tuple[tuple[int, int], ...] = ()
    mss: int | None = None  # on a SYN, as the next two
    wscale: int | None = None
    sack_permitted: bool = False

    @property
    def size(self):
        """In sequence space."""
        return self.length + bool(self.flags & SYN) + bool(self.flags & FIN)

    @property
    def end(self):
        return (self.seq + self.size) % 2**32

    @property
    def letters(self):
        return "".join(letter for i, letter in enumerate(FLAG_LETTERS) if self.flags >> i & 1)


def reply_to_stranger(x):
    """RFC 9293 section 3.10.7.1: what a host without the connection answers, None to a RST."""
    if x.flags & RST:
        return None
    if x.flags & ACK:
        return Segment(1 - x.sender, x.ack, 0, RST)
    return Segment(1 - x.sender, 0, x.end, RST | ACK)
