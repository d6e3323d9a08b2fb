"""What is counted of a connection: the segments of each end, and the round trips of the handshake."""

from typing import Any

import numpy as np

from processor.tcp.layout import ACTIVE, VIEW_VALID
from processor.tcp.seqnum import distance
from processor.tcp.tamper import sample
from synfin.compiled import inner
from synfin.wire.segment import ACK, RST, SYN


@inner
def measure(view: Any, me: Any, peer: Any, x: Any) -> None:
    """Round trips of the handshake, and whether its numbers fit."""
    flags = np.int64(x["flags"])
    if flags & SYN:
        if flags & ACK and view["syn_rtt_ns"] < 0 and peer["syn_count"]:
            view["syn_rtt_ns"] = x["t_ns"] - peer["last_ns"]
        return
    if view["ack_rtt_ns"] >= 0 or view["syn_rtt_ns"] < 0 or not me["bits"] & ACTIVE or flags & RST:
        return
    if flags & ACK and peer["syn_count"]:
        view["ack_rtt_ns"] = x["t_ns"] - peer["last_ns"]
        if distance(x["ack"], peer["iss"]) >= 1 and distance(x["seq"], me["iss"]) >= 1:
            view["marks"] |= VIEW_VALID


@inner
def count(me: Any, x: Any) -> None:
    """Count a segment of the end that sent it."""
    sent = np.int64(me["packets"])
    if not sent & (sent - 1):  # none, or a power of two
        if not sent:
            me["first_ns"] = x["t_ns"]
        sample(me, x)
    me["last_ns"] = x["t_ns"]
    me["packets"] += 1
    me["ip_bytes"] += np.uint64(x["ip_len"])
    me["flags"] |= x["flags"]
    if np.int64(x["flags"]) & SYN:
        me["syn_count"] += 1
