"""TCP checksums, verified: what `tcp.checksum.status` says."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sensor.layers import LAYERS
from synfin.filter.values import Index
from synfin.packets.stacks import Stack, Stacks

BAD, GOOD, UNVERIFIED = 0, 1, 2  # Wireshark's numbers
CHECKSUM_BYTES: Final = 18  # of a header that has its checksum
_IPV6: Final = LAYERS.index("ipv6")
_TCP: Final = 6


def statuses(stacks: Stacks, stack: Stack) -> Index:
    """The status of some TCP headers; of a segment that is not here as a whole nobody can tell."""
    outer = stacks.layers[stack.places - 1]  # IP is noted right before what it carries
    whole = stack.end - stack.at == stack.size
    result = np.full(len(stack.rows), UNVERIFIED)
    for i in np.flatnonzero(whole).tolist():
        ip, segment = int(outer[i]["at"]), stacks.buffer[stack.at[i] : stack.end[i]]
        ends = stacks.buffer[ip + 8 : ip + 40] if outer[i]["kind"] == _IPV6 else stacks.buffer[ip + 12 : ip + 20]
        result[i] = GOOD if _folded(_words(ends) + _words(segment) + _TCP + len(segment)) == 0xFFFF else BAD
    return result


def _words(octets: npt.NDArray[Any]) -> int:
    """Sum of 16-bit words in network order, an odd last byte as a word's first."""
    high, low = (int(octets[start::2].sum(dtype=np.uint64)) for start in (0, 1))
    return (high << 8) + low


def _folded(total: int) -> int:
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total
