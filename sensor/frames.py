"""Captured frames as a block: one buffer of bytes, and one row a frame that says where it lies and when it came.

The capture-file reader and the live ring both produce these blocks; the dissector and the file writer take them. A
block owns nothing: it is valid for as long as the one who made it says so (a file's blocks for ever, a ring's until it
hands the memory back to the kernel).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

FRAME: Final = np.dtype(
    [
        ("t_ns", "<i8"),  # ns since the epoch, as captured: may step back
        ("offset", "<u4"),  # first byte in the block's buffer, which is below 4 GiB
        ("caplen", "<u4"),  # bytes in the buffer
        ("wirelen", "<u4"),  # bytes on the wire, never below caplen
        ("link", "<u2"),  # LINKTYPE_ number
        ("vlan_tci", "<u2"),  # of the tag that the kernel took out, when FRAME_VLAN
        ("vlan_tpid", "<u2"),  # its EtherType, 0x8100 when the kernel does not say
        ("direction", "u1"),  # DIRECTION_*
        ("checksum", "u1"),  # CHECKSUM_*
        ("flags", "u1"),  # FRAME_*
        ("pad", "u1"),
        ("interface", "<u2"),  # of a file: index of CaptureFile.interfaces
    ]
)
assert FRAME.itemsize == 32

NO_INTERFACE: Final = 0xFFFF  # one beyond those that are counted

DIRECTION_UNKNOWN: Final = 0
DIRECTION_RECEIVED: Final = 1  # 1 and 2 as in pcapng's epb_flags
DIRECTION_SENT: Final = 2
DIRECTION_BOTH: Final = 3  # loopback, where the outgoing copy was dropped: its sender and its receiver are this host

CHECKSUM_UNKNOWN: Final = 0  # no metadata
CHECKSUM_VALID: Final = 1  # the kernel or the card has verified it
CHECKSUM_NOT_READY: Final = 2  # left to the card (offload): what stands in the frame is not the sum

FRAME_VLAN: Final = 0x01  # the outermost VLAN tag was taken out and is in vlan_tci and vlan_tpid

LINK_NULL: Final = 0
LINK_ETHERNET: Final = 1
LINK_RAW_BSD: Final = 12  # DLT_RAW as most systems number it; in a file it should be LINK_RAW
LINK_RAW_OPENBSD: Final = 14
LINK_RAW: Final = 101
LINK_LOOP: Final = 108
LINK_SLL: Final = 113
LINK_IPV4: Final = 228
LINK_IPV6: Final = 229
LINK_SLL2: Final = 276

CAPLEN_MAX: Final = 262_144  # libpcap's largest snapshot; a longer record is taken for a corrupt one


@dataclass(frozen=True, slots=True)
class FrameBlock:
    """Some frames that follow one another; `first_frame` is the number of the first, from 0, in its file or capture."""

    buffer: npt.NDArray[np.uint8]  # 1-d, contiguous
    frames: npt.NDArray[np.void]  # FRAME[n]; each lies inside the buffer, which is who made the block's duty
    first_frame: int = 0

    def __len__(self) -> int:
        """Count the frames."""
        return len(self.frames)

    def octets(self, row: int) -> bytes:
        """The captured bytes of a frame."""
        first = int(self.frames["offset"][row])
        return self.buffer[first : first + int(self.frames["caplen"][row])].tobytes()
