"""What is open in the first stage, as rows: the tables on which the kernel of cells.py works.

A cell is what is open about one thing in one window of one sensor; it becomes a record (counting.py).
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from synfin.pools import opener
from synfin.wire.counts import MEMBERS_MAX, SUMS

CELLS_MAX: Final = 4096  # of a partition; beyond it all are closed: records are additive
KINDS: Final = ("service", "source", "stray")
ROOM: Final = 2  # cells that a row may begin
SUMS_MAX: Final = max(len(sums) for sums in SUMS.values())
REMEMBERED: Final = 60  # windows after which a handshake no longer shows that both directions are seen
NEVER_NS: Final = -(1 << 62)
NOBODY: Final = 0xFFFF_FFFF  # row of SENSOR of a sensor that has none

CELL: Final = np.dtype(
    [
        ("hash", "<u8"),
        ("window", "<i8"),  # its number
        ("high", "<u8"),  # address as in segment.FLOW
        ("low", "<u8"),
        ("killed_first_ns", "<i8"),
        ("killed_last_ns", "<i8"),
        ("sums", "<u4", (SUMS_MAX,)),  # in the order of SUMS
        ("sensor", "<u4"),  # row of SENSOR
        ("domain", "<u4"),
        ("port", "<u2"),  # 0 of a source
        ("of", "u1"),  # index into KINDS
        ("family", "u1"),
        ("members_n", "u1"),  # of a source the targets, which lie apart
        ("pad", "u1", (7,)),
        ("members", "<u8", (MEMBERS_MAX,)),  # hashes in their order, the least there were
    ]
)
TARGET: Final = np.dtype([("high", "<u8"), ("low", "<u8"), ("port", "<u8")])
SENSOR: Final = np.dtype(
    [
        ("clock", "<i8"),  # the window that is open, as it was last told
        ("opened_at", "<i8"),  # window of the last handshake
        ("opened", "<u8"),  # bit i: there was one i windows before that
        ("lost_first_ns", "<i8"),  # the last stretch of time in which packets were lost
        ("lost_last_ns", "<i8"),
    ]
)
# `sensor` is the one of the core's records that waits for a row.
CONTROL: Final = np.dtype([(name, "<u8") for name in ("key", "room", "cells_n", "tallies_at", "events_at", "sensor")])

Rows = npt.NDArray[Any]


class Cells(NamedTuple):
    """What the kernel works on."""

    control: Rows  # CONTROL[1]
    wanted: Rows  # CELL[1]: the key that is looked for
    cells: Rows  # CELL[]
    targets: Rows  # TARGET[], TARGETS_MAX of each cell
    slots: Rows  # u4[]: number of a cell and one, 0 for none
    sensors: Rows  # SENSOR[]
    numbers: Rows  # u4[]: row of SENSOR of each sensor in the core's records, or NOBODY


TABLES: Final = (
    ("control", CONTROL),
    ("wanted", CELL),
    ("cells", CELL),
    ("targets", TARGET),
    ("slots", np.dtype("<u4")),
    ("sensors", SENSOR),
    ("numbers", np.dtype("<u4")),
)
open_cells: Final = opener(TABLES)

SERVICE: Final = 0
SOURCE: Final = 1
STRAY: Final = 2
SLOTS: Final = 2  # for each cell
