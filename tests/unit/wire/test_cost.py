"""Bytes a packet of made-up traffic: what the format is for. Nothing here is a time."""

import pytest

from bench.traffic import bulk, scan, web
from synfin.wire.batch import Batch, Lane
from synfin.wire.codec import decode, encode
from tests.support.batches import same

ROWS = 16_384


@pytest.mark.parametrize(("make", "most"), [(web, 4.4), (bulk, 2.6), (scan, 11.0)])
def test_a_packet_costs_few_bytes(make, most):
    rows, flows = make(ROWS)
    batch = Batch(Lane("web-01", 2**63, 0), rows, flows, int(rows["t_ns"][0]), int(rows["t_ns"][-1]))
    data = encode(batch)
    assert same(decode(data), batch)
    assert len(data) / ROWS < most
