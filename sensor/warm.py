"""Compiles the kernels, or loads them from their cache, before the first packet: later it would wait in the ring."""

from typing import Final

import numpy as np

from sensor.bpf_run import BlockFilter
from sensor.capfile_blocks import Scratch
from sensor.capture import has_packet_sockets
from sensor.frames import FRAME, LINK_ETHERNET, FrameBlock
from sensor.plan import Plan
from sensor.ring import walk_block

# One SYN from 192.0.2.1 to 192.0.2.2, with MSS, SACK permitted, timestamps and window scale.
_FRAME: Final = bytes.fromhex(
    "0200000000020200000000010800 4500003c000040004006 0000c0000201c0000202"
    "c350005000000001000000 00a002faf000000000 020405b40402080a0000000100000000 01030307"
)


def made_up_block() -> FrameBlock:
    """One frame in a buffer as the ring has it: not read-only, since a kernel is compiled for that."""
    octets = np.zeros(4096, np.uint8)
    octets[: len(_FRAME)] = np.frombuffer(_FRAME, np.uint8)
    frames = np.zeros(1, FRAME)
    frames["caplen"] = frames["wirelen"] = len(_FRAME)
    frames["link"] = LINK_ETHERNET
    return FrameBlock(octets, frames)


def warm(plan: Plan) -> None:
    """Run the kernels of capture and capture file that this plan needs."""
    if plan.file is None:
        empty = np.zeros(4096, np.uint8)
        walk_block(empty, empty.view(np.uint16), empty.view(np.uint32), np.uint64(LINK_ETHERNET), np.zeros(1, FRAME))
        if plan.filter and not has_packet_sockets():
            BlockFilter(plan.filter).mask(made_up_block())
    if plan.write is not None and plan.classic:
        Scratch().pcap_records(made_up_block())
    elif plan.write is not None:
        Scratch().pcapng_records(made_up_block(), np.zeros(1, np.uint64))
