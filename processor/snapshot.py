"""A slice's state as one value, and back.

A value holds all that the slice needs to go on as if nothing had happened: its counters, the lanes it has heard, its
open views with what waits, their transitions and packets. Not the index's keyed hash, which is made anew. Rows are
written as the core keeps them, in the order of arrival, with the links between them left out; so another layout of
the rows is another layout of the value, and its digest in front says so.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import crc32c
import numpy as np
import numpy.typing as npt
import orjson
import zstandard

from processor.tcp.filing import LOG_MAX
from processor.tcp.hold import HOLD_MAX
from processor.tcp.layout import (
    CORE,
    DEADLINE,
    ENDPOINT,
    HOLD,
    LOG,
    LOG_ROWS,
    PACKET,
    PACKET_ROWS,
    PACKETS_MAX,
    SLICE,
    STRUCK_OUT,
    VIEW,
    VIEW_LIVE,
)
from processor.tcp.machine import LaneState, Limits, Machine
from processor.tcp.tamper import RST_FORM_AT
from processor.tcp.views import adopt
from synfin.errors import ContractError, UsageError
from synfin.pools import addresses_of
from synfin.wire.event import (
    CERTAINTIES,
    HANDSHAKES,
    LOCAL_HOW,
    MICRO_EVENTS,
    ORIENT,
    ROLES,
    RST_FORMS,
    STATES,
    TEARDOWNS,
)
from synfin.wire.segment import HIGHER, LOWER

MAGIC: Final = b"SYNS"
VERSION: Final = 1
PREFIX: Final = struct.Struct(
    "<4sHHII8s8s"
)  # magic, version, slice, crc32c and size of the rest, digests: layout, limits
SIZE_MAX: Final = 1 << 30  # of the rest, unpacked
LINKS: Final = (
    "queue",
    "log_head",
    "log_tail",
    "packets_head",
    "packets_tail",
    "tentative",
    "resets",
)

Rows = npt.NDArray[Any]


def _digest(what: str) -> bytes:
    return hashlib.blake2b(what.encode(), digest_size=8).digest()


LAYOUT: Final = _digest(repr([(name, dtype.descr) for name, dtype in CORE]))


def limits_digest(limits: Limits) -> bytes:
    """What of the configuration a slice's records depend on."""
    return _digest(f"{limits.views_per_slice} {limits.with_transitions}")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A slice as it was before the batch at `next_offset`."""

    number: int
    counters: Rows  # SLICE[1]
    lanes: list[LaneState]
    views: Rows  # VIEW[n], lane = place in `lanes`
    deadlines: Rows  # DEADLINE[n]
    log: Rows  # LOG[], as many blocks as VIEW.steps rows take
    packets: Rows  # PACKET[], likewise for VIEW.packets_n
    holds: Rows  # HOLD[], those of the lower end, of the higher, the waiting SYN, the last RSTs, a view

    @property
    def place(self) -> tuple[int, int]:
        """Epoch and next offset: of two snapshots of a slice the greater is the newer."""
        return int(self.counters["epoch"][0]), int(self.counters["next_offset"][0])


def _blocks(views: Rows) -> tuple[Rows, Rows]:
    """How many blocks of LOG and of PACKET each view has."""
    return -(-views["steps"].astype(np.int64) // LOG_ROWS), -(-views["packets_n"].astype(np.int64) // PACKET_ROWS)


def _waiting(views: Rows) -> Rows:
    """How many rows of HOLD each view has: those for the lower end, for the higher, a waiting SYN, last RSTs."""
    held, kept = views["ends"]["hold_n"].astype(np.int64), views["kept_n"].astype(np.int64)
    return np.stack([held[:, 0], held[:, 1], kept & 1, kept >> 1], axis=1)


def chains(rows: Rows, heads: Rows) -> Rows:
    """Row numbers of linked lists, list after list: heads[i] and what follows it through `next`, up to 0."""
    found: list[Rows] = []
    owners: list[Rows] = []
    owner = np.flatnonzero(heads)
    at = heads[owner].astype(np.int64)
    while len(at):
        found.append(at)
        owners.append(owner)
        following = rows["next"][at].astype(np.int64)
        owner, at = owner[following > 0], following[following > 0]
    if not found:
        return np.zeros(0, np.int64)
    order = np.argsort(np.concatenate(owners), kind="stable")  # within a list the order of the steps is kept
    return np.concatenate(found)[order]


def take(machine: Machine) -> list[Snapshot]:
    """Copy all slices out of the core, in the order of the machine's table."""
    core = machine.core
    numbers = np.flatnonzero(core.views["marks"] & VIEW_LIVE)
    own = core.queues["own"][core.views["queue"][numbers]]
    order = np.lexsort((core.deadlines["serial"][numbers], own))
    numbers, own = numbers[order], own[order]
    views, deadlines = core.views[numbers], core.deadlines[numbers]
    heads = np.empty((len(views), 4), np.uint32)
    heads[:, :2] = np.where(views["ends"]["hold_n"] > 0, views["ends"]["hold_head"], 0)
    heads[:, 2], heads[:, 3] = views["tentative"], views["resets"]
    resets = (views["resets"] > 0).astype(np.uint8) + (core.holds["next"][views["resets"]] > 0)  # row 0 links nothing
    views["kept_n"] = (views["tentative"] > 0) + 2 * resets
    waiting = _waiting(views).sum(axis=1)
    log = core.log[chains(core.log, views["log_head"])]
    packets = core.packets[chains(core.packets, views["packets_head"])]
    holds = core.holds[chains(core.holds, heads.ravel())]
    for name in LINKS:
        views[name] = 0
    views["ends"]["hold_head"] = views["ends"]["hold_tail"] = 0
    for rows in (log, packets, holds):
        rows["next"] = 0
    for name in ("child", "next", "previous", "list"):
        deadlines[name] = 0
    cuts = np.searchsorted(own, np.arange(1, len(core.slices)))
    split = [np.split(views, cuts), np.split(deadlines, cuts)]
    for rows, counts in zip((log, packets, holds), (*_blocks(views), waiting), strict=True):
        ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        split.append(np.split(rows, ends[cuts]))
    lanes = [machine.lane_state(number) for number in range(len(core.lanes))]
    return [
        Snapshot(int(number), core.slices[own : own + 1].copy(), lanes, *tables)
        for own, (number, tables) in enumerate(zip(machine.slice_numbers, zip(*split, strict=True), strict=True))
    ]


def encode(snapshot: Snapshot, limits: Limits) -> bytes:
    """Write a snapshot as the value of the state topic."""
    lanes = orjson.dumps([list(lane) for lane in snapshot.lanes])
    tables = [snapshot.counters, snapshot.views, snapshot.deadlines, snapshot.log, snapshot.packets, snapshot.holds]
    counts = struct.pack("<6I", len(lanes), *(len(rows) for rows in tables[1:]))
    body = b"".join([counts, lanes, *(rows.tobytes() for rows in tables)])
    rest = zstandard.ZstdCompressor(level=1).compress(body)
    prefix = PREFIX.pack(MAGIC, VERSION, snapshot.number, crc32c.crc32c(rest), len(body), LAYOUT, limits_digest(limits))
    return prefix + rest


def decode(value: bytes, limits: Limits) -> Snapshot:
    """Read a value of the state topic.

    UsageError when another version or configuration of ours wrote it, ContractError when nobody of ours did.
    """
    if len(value) < PREFIX.size or value[:4] != MAGIC:
        raise ContractError("a value of the state topic is no snapshot of synfin")
    _, version, number, crc, size, layout, limit = PREFIX.unpack_from(value)
    if version != VERSION or layout != LAYOUT:
        raise UsageError(
            f"the snapshots in the state topic have layout {version}/{layout.hex()}, this version has "
            f"{VERSION}/{LAYOUT.hex()}: go on with the version that wrote them, or create packets, state, events and "
            "flows anew together"
        )
    if limit != limits_digest(limits):
        raise UsageError(
            f"the snapshots in the state topic were made with configuration {limit.hex()}, this processor has "
            f"{limits_digest(limits).hex()}: processor.views_per_slice and processor.transitions must stay as they were"
        )
    rest = value[PREFIX.size :]
    if crc32c.crc32c(rest) != crc or size > SIZE_MAX:
        raise ContractError(f"the snapshot of slice {number} is damaged: its checksum does not fit")
    try:
        body = zstandard.ZstdDecompressor().decompress(rest, max_output_size=size)
        return _read(number, body, size)
    except (zstandard.ZstdError, struct.error, ValueError, TypeError, orjson.JSONDecodeError) as error:
        raise ContractError(f"the snapshot of slice {number} is damaged: {error}") from error


def _read(number: int, body: bytes, size: int) -> Snapshot:
    lanes_n, *counts = struct.unpack_from("<6I", body)
    at = struct.calcsize("<6I")
    lanes = [LaneState.of(fields) for fields in orjson.loads(body[at : at + lanes_n])]
    at += lanes_n
    tables = []
    for dtype, count in zip((SLICE, VIEW, DEADLINE, LOG, PACKET, HOLD), (1, *counts), strict=True):
        tables.append(np.frombuffer(body, dtype, count, at).copy())
        at += count * dtype.itemsize
    if not at == len(body) == size:
        raise ValueError(f"{len(body)} bytes where its tables take {at} and its head says {size}")
    snapshot = Snapshot(number, tables[0], lanes, *tables[1:])
    _check(snapshot)
    return snapshot


NAMED: Final = {"rst_form": RST_FORMS, "local_how": LOCAL_HOW, "orient": ORIENT}  # columns of VIEW that index names


def _check(snapshot: Snapshot) -> None:
    """Kernels look at no bound, so what they index by must be inside."""
    views, log, packets = snapshot.views, snapshot.log["rows"], snapshot.packets["rows"]
    ends = views["ends"]
    inside = (
        len(views) == len(snapshot.deadlines)
        and (views["lane"] < len(snapshot.lanes)).all()
        and ((views["orig"] == LOWER) | (views["orig"] == HIGHER)).all()
        and (ends["side"] == [0, 1]).all()
        and all((ends[name] < len(STATES)).all() for name in ("state", "last_from", "undo_state"))
        and (ends["hold_n"] <= HOLD_MAX).all()
        and all((views[name] < len(names)).all() for name, names in NAMED.items())
        and (views["reset_by"] <= 2).all()
        and (views["first_closer"] <= 2).all()
        and (snapshot.holds["tests"] >> RST_FORM_AT < len(RST_FORMS)).all()
        and (views["kept_n"] <= 1 + 2 * 2).all()
        and (views["steps"] <= LOG_MAX).all()
        and ((views["opening"] & 0x0F) < len(HANDSHAKES)).all()
        and ((views["ending"] & 0x0F) < len(TEARDOWNS)).all()
        and (views["packets_n"] <= PACKETS_MAX).all()
        and ((log["to"] & ~np.uint8(STRUCK_OUT)) < len(STATES)).all()
        and (log["event"] < len(MICRO_EVENTS)).all()
        and (log["certainty"] < len(CERTAINTIES)).all()
        and (log["side"] <= 1).all()
        and (packets["side"] <= 1).all()
        and (packets["role"] < len(ROLES)).all()
    )
    if not inside:
        raise ValueError("a number in it is out of its range")


def put_back(machine: Machine, snapshots: Sequence[Snapshot]) -> None:
    """Fill a fresh machine with slices.

    The oldest snapshot says what was heard of the lanes: input is read from there on, and slices ahead of it skip that.
    """
    where = {int(number): own for own, number in enumerate(machine.slice_numbers)}
    snapshots = sorted(snapshots, key=lambda snapshot: snapshot.place[1])
    for rank, snapshot in enumerate(snapshots):
        machine.core.slices[where[snapshot.number]] = snapshot.counters[0]
        for lane in snapshot.lanes:
            machine.know_lane(lane, heard=rank == 0)
    views = _joined(snapshots, "views", VIEW)
    lanes = [np.zeros(0, np.int64)]
    queues = [np.zeros(0, np.int64)]
    for snapshot in snapshots:
        table = np.array([machine.know_lane(lane, heard=False) for lane in snapshot.lanes] or [0], np.int64)
        lanes.append(table[snapshot.views["lane"]])
        queues.append(lanes[-1] * len(where) + where[snapshot.number])
    views["lane"], views["queue"] = np.concatenate(lanes), np.concatenate(queues)
    holds = _joined(snapshots, "holds", HOLD)
    lists = _waiting(views)
    heads, tails = _link(holds, lists.ravel())
    heads, tails = heads.reshape(lists.shape), tails.reshape(lists.shape)
    views["ends"]["hold_head"], views["ends"]["hold_tail"] = heads[:, :2], tails[:, :2]
    views["tentative"], views["resets"], views["kept_n"] = heads[:, 2], heads[:, 3], 0
    log, packets = _joined(snapshots, "log", LOG), _joined(snapshots, "packets", PACKET)
    logged, named = _blocks(views)
    views["log_head"], views["log_tail"] = _link(log, logged)
    views["packets_head"], views["packets_tail"] = _link(packets, named)
    deadlines = _joined(snapshots, "deadlines", DEADLINE)
    first = machine.fill({"views": views, "deadlines": deadlines, "holds": holds, "log": log, "packets": packets})
    adopt(addresses_of(machine.core), np.uint64(first), np.uint64(len(views)))


def _joined(snapshots: Sequence[Snapshot], table: str, dtype: np.dtype[Any]) -> Rows:
    return np.concatenate([np.zeros(0, dtype), *(getattr(snapshot, table) for snapshot in snapshots)])


def _link(rows: Rows, counts: Rows) -> tuple[Rows, Rows]:
    """Link rows that lie list after list, as they will be numbered: from 1 on. Heads and tails, 0 for an empty list."""
    ends = np.cumsum(counts, dtype=np.int64)
    if len(rows) != (int(ends[-1]) if len(ends) else 0):
        raise ContractError(f"a snapshot has {len(rows)} rows where its views count {ends[-1] if len(ends) else 0}")
    rows["next"] = np.arange(2, len(rows) + 2)
    filled = counts > 0
    rows["next"][ends[filled] - 1] = 0
    return np.where(filled, ends - counts + 1, 0), np.where(filled, ends, 0)


assert set(LINKS) <= set(VIEW.names or ())
assert "hold_head" in (ENDPOINT.names or ())
