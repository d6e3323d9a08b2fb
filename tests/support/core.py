"""Captures through the core, for tests: rows, batches, and records as JSON."""

from pathlib import Path

import numpy as np
import orjson

from processor.tcp.machine import Limits, Machine
from sensor.addresses import LocalAddresses
from sensor.dissect import Dissector
from sensor.lane import LaneClock
from sensor.pcapfile import CaptureFile
from synfin.wire.batch import END_OF_FILE, Batch, Lane
from synfin.wire.event import IDENTITY, Records
from synfin.wire.jsonl import flow_lines
from synfin.wire.segment import FLOW, SEGMENT
from tests.support.batches import cut

LANE = Lane("tap", 1, 0)
KEY = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)


def rows_of(path: Path, local: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """All rows of a capture with one flow dictionary, times raised as a lane's are."""
    file, dissector = CaptureFile(path), Dissector(LocalAddresses.parse(local) if local else None)
    segments, flows, before = [np.zeros(0, SEGMENT)], [np.zeros(0, FLOW)], 0
    for block in file.blocks():
        rows, table = dissector.dissect(block)
        rows = rows.copy()
        rows["flow"] += before
        before += len(table)
        segments.append(rows)
        flows.append(table.copy())
    assert file.torn is None
    rows = np.concatenate(segments)
    for stretch, times in LaneClock().raised(rows["t_ns"]):
        rows["t_ns"][stretch] = times
    return rows, np.concatenate(flows)


def batches_of(segments, flows, sizes=(16_384,), lane=LANE, end=END_OF_FILE) -> list[Batch]:
    """The rows as batches of the sizes given, the last of which ends the lane."""
    batches = []
    for rows, table in cut(segments, flows, sizes):
        batches.append(Batch(lane, rows, table, int(rows["t_ns"][0]), int(rows["t_ns"][-1]), number=len(batches)))
    last = int(segments["t_ns"][-1])
    return [*batches, Batch(lane, segments[:0], flows[:0], last, last, number=len(batches), end=end)]


def records_of(batches, machine=None, **limits) -> list[Records]:
    """What the core makes of them."""
    machine = machine or Machine(Limits(**limits), KEY)
    return [machine.apply(batch) for batch in batches]


def flows_json(records) -> list[dict]:
    """Flow records, in the order of writing."""
    return [orjson.loads(value) for each in records for value in flow_lines(each).values()]


def values_of(records) -> list[tuple[bytes, bytes]]:
    """(view, value) of all flows and events, flows first; equal exactly where the JSON lines are, and made faster."""
    found = []
    for name, links, table in (
        ("flows", ("log", "log_n", "revised_n"), "transitions"),
        ("events", ("evidence", "evidence_n"), "evidence"),
    ):
        for each in records:
            rows = getattr(each, name).copy()
            firsts, counts = rows[links[0]].tolist(), sum(rows[link].astype(np.int64) for link in links[1:]).tolist()
            for column in (links[0], "n", "sensor"):
                rows[column] = 0
            rest = getattr(each, table)
            for row, first, count in zip(rows, firsts, counts, strict=True):
                view = row.tobytes()[: IDENTITY.itemsize]
                found.append((view, name.encode() + row.tobytes() + rest[first : first + count].tobytes()))
    return found


def by_view(values) -> dict[bytes, list[bytes]]:
    """Values by their view, each view's in order."""
    views: dict[bytes, list[bytes]] = {}
    for view, value in values:
        views.setdefault(view, []).append(value)
    return views


def same_records(one, other) -> bool:
    """`design.md` section 5: the multiset of values is equal, and within one view their order."""
    return sorted(one) == sorted(other) and by_view(one) == by_view(other)
