"""Compiles the kernels, or loads them from their cache, before the first packet: later it would wait in the ring."""

from typing import Final

import numpy as np

from sensor.batcher import Batcher
from sensor.capfile_blocks import pcap_records, pcapng_records
from sensor.dissect import Dissector
from sensor.frames import FRAME, LINK_ETHERNET, FrameBlock
from sensor.plan import Plan
from sensor.ring import walk_block
from synfin.wire.batch import STOPPED, Lane
from synfin.wire.codec import encode

# One SYN from 192.0.2.1 to 192.0.2.2, with MSS, SACK permitted, timestamps and window scale.
_FRAME: Final = bytes.fromhex(
    "0200000000020200000000010800 4500003c000040004006 0000c0000201c0000202"
    "c350005000000001000000 00a002faf000000000 020405b40402080a0000000100000000 01030307"
)


def _block() -> FrameBlock:
    octets = np.zeros(4096, np.uint8)  # as a block of the ring: not read-only, since a kernel is compiled for that
    octets[: len(_FRAME)] = np.frombuffer(_FRAME, np.uint8)
    frames = np.zeros(1, FRAME)
    frames["caplen"] = frames["wirelen"] = len(_FRAME)
    frames["link"] = LINK_ETHERNET
    return FrameBlock(octets, frames)


def warm(plan: Plan) -> None:
    """Run everything that this plan needs over one made-up frame."""
    block = _block()
    if plan.file is None:
        empty = np.zeros(4096, np.uint8)
        walk_block(empty, empty.view(np.uint16), empty.view(np.uint32), np.uint64(LINK_ETHERNET), np.zeros(1, FRAME))
    if plan.write is not None and plan.classic:
        pcap_records(block)
    elif plan.write is not None:
        pcapng_records(block, np.zeros(1, np.uint64))
    if plan.makes_batches:
        batcher = Batcher(Lane("warm", 0, 0), 1)
        segments, flows = Dissector(None).dissect(block)
        for batch in [*batcher.add(segments, flows, 0), *batcher.finish(STOPPED)]:
            encode(batch)
