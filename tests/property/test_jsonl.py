"""The kernels write what a plain rendering writes, for any records, compiled or not."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.compiled import ENABLED
from synfin.wire.event import EVENT_RECORD, EVIDENCE, FLOW_RECORD, TRANSITION
from synfin.wire.jsonl import event_lines, flow_lines
from tests.support.json_records import lines as lines_by_orjson
from tests.support.json_records import records_from


def rows(dtype, most):
    size = dtype.itemsize
    return st.binary(max_size=most * size).map(lambda data: data.ljust(-(-len(data) // size) * size, b"\x27"))


names = st.text(max_size=16)  # at most 64 bytes
tables = st.tuples(rows(FLOW_RECORD, 3), rows(TRANSITION, 12), rows(EVENT_RECORD, 6), rows(EVIDENCE, 20))


@settings(deadline=None, max_examples=200 if ENABLED else 20)
@given(tables, st.tuples(names, names))
def test_the_lines_are_those_of_dicts_and_orjson(data, sensors):
    records = records_from(data, sensors)
    made = list(flow_lines(records).values()), list(event_lines(records).values())
    assert made == lines_by_orjson(records)
    for line in (*made[0], *made[1]):
        json.loads(line)


def digest(seed):
    """Hash of all lines of some records."""
    chance = np.random.default_rng(seed)
    data = tuple(chance.bytes(n) for n in (336 * 30, 32 * 150, 136 * 60, 32 * 120))
    records = records_from(data, ("a", 'b"\n', "ü" * 32))
    return hashlib.sha256(flow_lines(records).buffer.tobytes() + event_lines(records).buffer.tobytes()).hexdigest()


def test_compiled_equals_plain():
    program = "import sys; from tests.property.test_jsonl import digest; print(digest(int(sys.argv[1])))"
    other = {**os.environ, "SYNFIN_COMPILED": "0" if ENABLED else "1"}
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", program, "11"], env=other, cwd=root, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == digest(11)
