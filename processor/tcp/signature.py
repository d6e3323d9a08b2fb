"""The tampering signature of a connection: what its client's first packets look like at the server's side.

After "Global, Passive Detection of Connection Tampering" (SIGCOMM 2023). It is a label and no verdict: scanners,
clients that try two addresses at once, and closed browser tabs make the same patterns.
"""

from typing import Any, Final

import numpy as np

from processor.tcp.layout import EVER_LOCAL
from processor.tcp.story import END, IDLE, originator
from synfin.compiled import inner
from synfin.wire.event import SIGNATURES
from synfin.wire.segment import ACK, FIN, PSH, RST, SYN

PACKETS: Final = 10  # of the client, that count
SILENCE_NS: Final = 3_000_000_000

# VIEW.signature: the stage, and above it which resets came.
NOTHING: Final = 0
POST_SYN: Final = 1  # one SYN
POST_ACK: Final = 2  # SYN, ACK
POST_PSH: Final = 3  # SYN, ACK, one segment of data
POST_DATA: Final = 4  # more data
NO_STAGE: Final = 5
_STAGE: Final = 0x07
RST_ONE: Final = 0x08
RST_MORE: Final = 0x10
RST_ACK_ONE: Final = 0x20
RST_ACK_MORE: Final = 0x40
_RESETS: Final = 0x78


def _table() -> Any:
    """Index of SIGNATURES by VIEW.signature."""
    bare, acked = RST_ONE | RST_MORE, RST_ACK_ONE | RST_ACK_MORE
    both = {one | other for one in (RST_ONE, bare) for other in (RST_ACK_ONE, acked)}
    resets = {
        POST_SYN: {"syn": {0}, "syn_rst": {RST_ONE, bare}, "syn_rstack": {RST_ACK_ONE, acked}, "syn_rst_rstack": both},
        POST_ACK: {
            "ack": {0},
            "ack_rst": {RST_ONE},
            "ack_rst_rst": {bare},
            "ack_rstack": {RST_ACK_ONE},
            "ack_rstack_rstack": {acked},
        },
        POST_PSH: {
            "psh": {0},
            "psh_rst": {RST_ONE},
            "psh_rst_rst": {bare},
            "psh_rstack": {RST_ACK_ONE},
            "psh_rstack_rstack": {acked},
            "psh_rst_rstack": both,
        },
        POST_DATA: {"data_rst": {RST_ONE, bare}, "data_rstack": {RST_ACK_ONE, acked}},
    }
    table = np.zeros(256, np.uint8)
    for stage, signatures in resets.items():
        for name, patterns in signatures.items():
            for pattern in patterns:
                table[stage | pattern] = SIGNATURES.index(name)
    return table


_TABLE: Final = _table()


@inner
def sign(view: Any, x: Any) -> None:
    """Take in one of the client's first packets."""
    flags = np.int64(x["flags"])
    before = np.int64(view["signature"])
    stage: Any = before & _STAGE
    if flags & RST:
        one, more = (RST_ACK_ONE, RST_ACK_MORE) if flags & ACK else (RST_ONE, RST_MORE)
        view["signature"] = before | one | (more if before & one else 0)
        return
    if before & _RESETS:
        return  # for the server it is over; the client may not know
    if stage == NOTHING and flags & (SYN | FIN | ACK) == SYN and not x["len"]:
        stage = POST_SYN
    elif stage == POST_SYN and flags & (SYN | FIN | ACK) == ACK and not x["len"]:
        stage = POST_ACK
    elif stage == POST_ACK and flags & (SYN | FIN | ACK | PSH) == ACK | PSH and x["len"]:
        stage = POST_PSH
    elif stage in (POST_PSH, POST_DATA) and flags & (SYN | FIN | ACK) == ACK and (x["len"] or stage == POST_DATA):
        stage = POST_DATA
    else:
        stage = NO_STAGE
    view["signature"] = stage


@inner
def signature(view: Any, reason: Any) -> Any:
    """Index of SIGNATURES for a view that ends for a reason, 0 for none."""
    orig = originator(view)
    client, server = view["ends"][orig], view["ends"][np.uint64(1) - orig]
    if client["bits"] & EVER_LOCAL:
        return 0  # what it sent is no forgery
    if not np.int64(view["signature"]) & _RESETS:
        silent = reason in (END, IDLE) or view["last_ns"] - client["last_ns"] >= SILENCE_NS
        if not silent or np.int64(client["flags"]) & FIN or np.int64(server["flags"]) & (FIN | RST):
            return 0
    return _TABLE[np.uint64(view["signature"])]
