"""What a capture missed is counted, and what only came out of order is not."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.core import batches_of, flows_json, records_of, rows_of

BULK = Path(__file__).resolve().parents[2] / "captures" / "bulk" / "a.pcap"


def sums(segments, flows):
    (flow,) = flows_json(records_of(batches_of(segments, flows)))
    ends = [flow[end] for end in ("orig", "resp")]
    return flow["capture_loss"]["gap_bytes"], [end["bytes"] for end in ends], [end["retransmits"] for end in ends]


@pytest.fixture(scope="module")
def bulk():
    """The recording, its largest segment in four pieces; and where the first of them stands."""
    segments, flows = rows_of(BULK, "10.77.0.1")
    place = int(np.argmax(segments["len"]))
    pieces = np.repeat(segments[place : place + 1], 4)
    quarter = int(segments["len"][place]) // 4
    pieces["seq"] += quarter * np.arange(4, dtype=np.uint32)
    pieces["len"] = [quarter, quarter, quarter, int(segments["len"][place]) - 3 * quarter]
    assert quarter > 100
    return np.concatenate([segments[:place], pieces, segments[place + 1 :]]), flows, place


def test_nothing_is_missing(bulk):
    assert sums(*bulk[:2])[0] == 0


@pytest.mark.parametrize("order", [(1, 0, 2, 3), (0, 2, 1, 3), (3, 0, 1, 2), (2, 0, 1, 3)])
def test_segments_that_change_places_are_no_gap(bulk, order):
    segments, flows, place = bulk
    swapped = segments.copy()
    swapped[place : place + 4] = segments[place + np.array(order)]
    assert sums(swapped, flows) == sums(segments, flows)


def test_a_segment_that_was_not_captured_is_a_gap_of_its_length(bulk):
    segments, flows, place = bulk
    gap, sent, _ = sums(np.delete(segments, place + 1), flows)
    assert gap == segments["len"][place + 1]
    assert sum(sent) == sum(sums(segments, flows)[1]) - gap
