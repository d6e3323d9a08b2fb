"""Records come in pieces of what the outputs hold: a capture that ends with many connections needs no room for all."""

import numpy as np

from processor.tcp import machine
from processor.tcp.kernel import ROOM_FLOWS
from processor.tcp.machine import Limits, Machine
from synfin.wire.batch import END_OF_FILE, Batch
from synfin.wire.jsonl import flow_lines
from synfin.wire.segment import FLOW, HIGHER, LOWER, SEGMENT, SYN
from tests.support.core import KEY, LANE

N = 50
HELD = 3  # flows that the outputs of the test have room for


def asked_in_vain(n):
    """One SYN each of n connections, and the end of the capture."""
    rows, flows = np.zeros(n, SEGMENT), np.zeros(n, FLOW)
    rows["t_ns"], rows["flow"] = 1_000 + np.arange(n), np.arange(n)
    rows["flags"], rows["sender"], rows["local"] = SYN, LOWER, HIGHER
    flows["hash"], flows["lower_port"], flows["higher_port"] = np.arange(n) << 40, 1 + np.arange(n), 80
    flows["lower_ip"], flows["higher_ip"], flows["family"] = (0, 0xFFFF_0A00_0001), (0, 0xFFFF_0A00_0002), 4
    return Batch(LANE, rows, flows, 1_000, 1_000 + n, end=END_OF_FILE)


def test_no_piece_is_larger_than_the_outputs_and_together_they_are_what_apply_gives(monkeypatch):
    whole = Machine(Limits(), KEY).apply(asked_in_vain(N))
    monkeypatch.setitem(machine.OUTPUT_ROWS, "flows", ROOM_FLOWS + HELD - 1)
    core, lines, sizes = Machine(Limits(), KEY), [], []
    for piece in core.pieces(asked_in_vain(N)):
        sizes.append(len(piece.flows))
        lines += flow_lines(piece).values()
    assert max(sizes) == HELD
    assert sum(sizes) == N
    assert lines == list(flow_lines(whole).values())


def test_pieces_that_were_kept_are_joined_with_their_transitions(monkeypatch):
    monkeypatch.setitem(machine.OUTPUT_ROWS, "flows", ROOM_FLOWS + HELD - 1)
    records = Machine(Limits(), KEY).apply(asked_in_vain(N))
    steps = [records.transitions["to"][flow["log"] :][: flow["log_n"]].tolist() for flow in records.flows]
    assert len(steps) == N
    assert all(found == steps[0] for found in steps)
    assert steps[0]


def test_pools_grow_in_the_middle_of_a_batch():
    core = Machine(Limits(), KEY)
    n = 2 * machine.POOL_ROWS
    rows = len(core.core.views)
    assert len(core.apply(asked_in_vain(n)).flows) == n
    assert len(core.core.views) > rows
