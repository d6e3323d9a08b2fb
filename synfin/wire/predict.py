"""What a row of a connection is expected to hold after the rows before it: the part that encoder and decoder share.

Both walk the rows in order and keep one SLOT for each end of each flow. A value that comes as expected costs nothing
but its share of the row's shape; another is written as its distance from what was expected. `docs/wire-format.md` says
the rules in words; a change here changes the contract.
"""

from typing import Any, Final

import numpy as np

from synfin.compiled import leaf
from synfin.wire.segment import FIN, SYN

SLOT: Final = np.dtype(
    [
        ("tick_ns", "<u8"),  # at this time the timestamp clock is thought to have turned to `tick`
        ("tick", "<u4"),
        ("next", "<u4"),  # sequence number behind all that this end sent
        ("ack", "<u4"),  # of its last row
        ("step", "<u4"),  # by which `ack` rose when it last rose
        ("size", "<u4"),  # its last payload that was not empty
        ("tsval", "<u4"),  # of its last row with the option
        ("tsecr", "<u4"),
        ("window", "<u2"),
        ("ip_id", "<u2"),
        ("ttl", "u1"),
        ("seen", "u1"),  # 1 when this end has sent a row
        ("ticking", "u1"),  # 1 when tick and tick_ns hold something
        ("known", "u1"),  # 1 when ttl holds something
        ("pad", "u1", (4,)),
    ]
)
assert SLOT.itemsize == 48

OPENING: Final = np.dtype([("window", "<u2"), ("ip_id", "<u2"), ("ttl", "u1"), ("pad", "u1", (3,))])
assert OPENING.itemsize == 8
OPENINGS: Final = 32  # one for each value of FIN SYN RST PSH ACK: what the last end that began with these flags sent

TICK_NS: Final = 1_000_000  # of the timestamp clock of most systems; others cost a byte or two more

_U0, _U1, _U31 = (np.uint64(n) for n in (0, 1, 31))
_M32: Final = np.uint64(0xFFFFFFFF)
_TICK: Final = np.uint64(TICK_NS)
assert (FIN, SYN) == (1, 2)  # as note_numbers has it


@leaf
def folded(difference: Any) -> Any:
    """A difference modulo 2^32 so that small ones of either sign become small numbers: 0 -1 1 -2 2 to 0 1 2 3 4."""
    d = difference & _M32
    return ((d << _U1) ^ (_U0 - (d >> _U31))) & _M32


@leaf
def unfolded(number: Any) -> Any:
    """The difference modulo 2^32 that `folded` was given."""
    return ((number >> _U1) ^ (_U0 - (number & _U1))) & _M32


@leaf
def open_flow(slots: Any, seen: Any, kin: Any, flow: Any) -> None:
    """Prepare both slots of a flow at its first row.

    `kin` holds, for each flow, 1 + the last flow before it in the dictionary between the same two addresses, or 0. Its
    ends' distance and timestamp clocks are thought to be this flow's too, if it had rows already.
    """
    seen[flow] = 1
    relative = np.uint64(kin[flow])
    for end in range(2):
        slot = slots[(flow << _U1) + np.uint64(end)]
        slot["next"], slot["ack"], slot["step"], slot["size"] = 0, 0, 0, 0
        slot["tsval"], slot["tsecr"], slot["window"], slot["ip_id"] = 0, 0, 0, 0
        slot["seen"], slot["ticking"], slot["known"] = 0, 0, 0
        slot["tick"], slot["tick_ns"], slot["ttl"] = 0, 0, 0
        if relative != _U0 and seen[relative - _U1]:
            other = slots[((relative - _U1) << _U1) + np.uint64(end)]
            slot["tick"], slot["tick_ns"], slot["ttl"] = other["tick"], other["tick_ns"], other["ttl"]
            slot["ticking"], slot["known"] = other["ticking"], other["known"]


@leaf
def first_row(slot: Any, opening: Any) -> None:
    """Before an end's first row: expect of it what the last end sent that began with the same flags."""
    slot["window"], slot["ip_id"] = opening["window"], opening["ip_id"]
    if slot["known"] == 0:
        slot["ttl"] = opening["ttl"]


@leaf
def expected_seq(slot: Any, peer: Any) -> Any:
    """Sequence number: where this end stopped, or where its peer waits for it."""
    return np.uint64(slot["next"]) if slot["seen"] else np.uint64(peer["ack"])


@leaf
def expected_tsval(slot: Any, t: Any) -> Any:
    """TSval at the time t, by a clock of 1 kHz."""
    if slot["ticking"] == 0:
        return _U0
    passed = t - np.uint64(slot["tick_ns"])
    return (np.uint64(slot["tick"]) + passed // _TICK) & _M32


@leaf
def note_tsval(slot: Any, t: Any, tsval: Any, expected: Any) -> None:
    """Keep TSval, and set the clock when it was not as expected."""
    if tsval != expected or slot["ticking"] == 0:
        slot["tick"] = tsval
        # One less: the clock turns just after t, and not a whole tick later.
        slot["tick_ns"] = t - (_TICK - _U1 if (expected - tsval) & _M32 == _U1 else _U0)
        slot["ticking"] = 1
    slot["tsval"] = tsval


@leaf
def note_numbers(slot: Any, seq: Any, ack: Any, size: Any, flags: Any) -> None:
    """Keep what the sequence numbers of a row tell for the next one."""
    behind = (seq + size + ((flags >> _U1) & _U1) + (flags & _U1)) & _M32  # SYN and FIN count for one each
    if slot["seen"] == 0 or (behind - np.uint64(slot["next"])) & _M32 < (_U1 << _U31):
        slot["next"] = behind
    if ack != np.uint64(slot["ack"]):
        slot["step"] = (ack - np.uint64(slot["ack"])) & _M32
        slot["ack"] = ack
    if size != _U0:
        slot["size"] = size


@leaf
def note_header(slot: Any, opening: Any, window: Any, ip_id: Any, ttl: Any) -> None:
    """Keep what the IP header and the window tell for the next row, and for the next end that begins like this one."""
    if slot["seen"] == 0:
        opening["window"], opening["ip_id"], opening["ttl"] = window, ip_id, ttl
    slot["window"], slot["ip_id"], slot["ttl"] = window, ip_id, ttl
    slot["seen"], slot["known"] = 1, 1
