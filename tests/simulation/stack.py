"""How a host's TCP is set up, and what its history consists of."""

from dataclasses import dataclass
from typing import NamedTuple

MS = 1_000_000
SECOND = 1000 * MS


class Moment(NamedTuple):
    """A state is entered."""

    state: str
    t_ns: int
    silent: bool  # no packet shows it
    packet: int  # how many the host had sent and received by then


@dataclass(frozen=True)
class Stack:
    """How a host's TCP is set up."""

    mss: int
    wscale: int | None
    timestamps: bool
    sack: bool
    buffer: int  # bytes that it takes before the program reads
    reads: bool  # the program reads at once
    delayed_ack_ns: int
    rto_ns: int
    retries: int
    clock_ms: int  # timestamps count from here
