"""The kernels write the lines that Python's own strings give, for any records, compiled or not."""

import hashlib
import os
import subprocess
import sys
from datetime import UTC
from pathlib import Path

import numpy as np
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.compiled import ENABLED
from synfin.view.flow_text import FlowText
from synfin.view.style import Style
from synfin.view.words import duration, size
from synfin.wire.event import FLOW_RECORD
from synfin.wire.jsonl import flow_lines
from tests.support.json_records import records_from
from tests.support.plain_text import PlainText, flow_row

SIZE = FLOW_RECORD.itemsize
STYLES = (Style(), Style(colours=True), Style(unicode=False))


def records(data):
    made = records_from((data, b"", b"", b""), ("a",))
    for name in ("retransmits", "gap_bytes"):
        made.flows["ends"][name] >>= np.uint64(1)  # the sum of both ends is below 2^64
    return made


def blocks(made):
    """The flows in two pieces, of which the second is aligned with the first."""
    half = len(made.flows) // 2
    return [made.flows[:half], made.flows[half:]]


@settings(deadline=None, max_examples=200 if ENABLED else 20)
@given(st.integers(0, 6).flatmap(lambda n: st.binary(min_size=n * SIZE, max_size=n * SIZE)), st.sampled_from(STYLES))
def test_the_lines_are_those_of_plain_strings(data, style):
    made = records(data)
    objects = [orjson.loads(value) for value in flow_lines(made).values()]
    kernel, plain = FlowText(style, UTC), PlainText(style, UTC)
    for rows in blocks(made):
        expected = list(plain.lines(objects[: len(rows)]))
        del objects[: len(rows)]
        assert kernel.lines(rows).tobytes().decode().splitlines() == expected


@settings(deadline=None, max_examples=300 if ENABLED else 30)
@given(st.integers(0, 63).flatmap(lambda bits: st.integers(0, 2**bits)), st.integers(-1, 1))
def test_spans_and_sizes_at_the_edges_of_their_units(number, more):
    for unit in (1, 1000, 10**6, 10**9, 10**12, 60 * 10**9):
        x = max(0, min(number * unit // 1000 + more, 2**62))
        line = FlowText(Style(), UTC).lines(flow_row(syn_rtt_ns=x, ends__bytes=(x, 0))).tobytes().decode()
        assert f"three-way {duration(x)} " in line
        assert f" {size(x)} " in line


def digest(seed):
    """Hash of the lines of some records."""
    text = FlowText(Style(colours=True), UTC)
    made = records(np.random.default_rng(seed).bytes(SIZE * 60))
    return hashlib.sha256(b"".join(text.lines(rows).tobytes() for rows in blocks(made))).hexdigest()


def test_compiled_equals_plain():
    program = "import sys; from tests.property.test_flow_text import digest; print(digest(int(sys.argv[1])))"
    other = {**os.environ, "SYNFIN_COMPILED": "0" if ENABLED else "1"}
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", program, "11"], env=other, cwd=root, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == digest(11)
