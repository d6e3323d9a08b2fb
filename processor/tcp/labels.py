"""What other tools would call a connection: labels beside the states, which rest on nothing that the states rest on."""

from typing import Any, Final

import numpy as np

from processor.tcp.signature import PACKETS, sign
from processor.tcp.story import originator
from processor.tcp.zeek import watch
from synfin.compiled import inner
from synfin.wire.segment import ACK, FIN, RST, SYN

COMPLETE_SYN: Final = 1  # bits of tshark's tcp.completeness
COMPLETE_SYNACK: Final = 2
COMPLETE_ACK: Final = 4
COMPLETE_DATA: Final = 8
COMPLETE_FIN: Final = 16
COMPLETE_RST: Final = 32


@inner
def label(view: Any, me: Any, peer: Any, x: Any) -> None:
    """Take in a segment of the end `me`, before the core does."""
    watch(view, me, peer, x)
    if me["packets"] < PACKETS and np.uint64(me["side"]) == originator(view):
        sign(view, x)
    view["completeness"] |= np.uint8(_completeness(x))


@inner
def _completeness(x: Any) -> Any:
    """Bits of one segment: an ACK counts where it comes alone, and a FIN where it acknowledges."""
    flags = np.int64(x["flags"])
    complete = COMPLETE_DATA if x["len"] else 0
    if flags & SYN:
        complete |= COMPLETE_SYNACK if flags & ACK else COMPLETE_SYN
    elif flags & ACK and not x["len"]:
        complete |= COMPLETE_ACK
    if flags & FIN and flags & ACK:
        complete |= COMPLETE_FIN
    if flags & RST:
        complete |= COMPLETE_RST
    return complete
