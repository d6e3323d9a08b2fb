"""What a sensor warms before the first packet is all that it needs: later, packets would wait for a compiler."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

# In a process of its own: the kernels of this one were compiled by other tests too.
PROGRAM = """
import json, sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from sensor.batch_output import BatchOutput, NoDelivery
from sensor.batcher import Batcher
from sensor.capfile_writer import CaptureFileFormat, CaptureFileWriter
from sensor.dissect import Dissector
from sensor.frames import LINK_ETHERNET, LINK_RAW, FRAME
from sensor.own_traffic import OwnTraffic
from sensor.pipeline import FileOutput, Limit
from sensor.publication import Publication
from sensor.resort import Resorter
from sensor.ring import ROW_BYTES_MIN, RingShape, walk_block
from sensor.warm import warm
from synfin.clients import Address
from synfin.wire.batch import STOPPED, Lane
from synfin.wire.codec import encode
from tests.support.frames import block, ethernet, ipv4, ipv6, packets, tcp


def compiled():
    names = {}
    for module in list(sys.modules.values()):
        if module.__name__.partition(".")[0] in {"sensor", "synfin"}:
            for kernel in vars(module).values():
                if hasattr(kernel, "signatures") and hasattr(kernel, "py_func"):
                    names[f"{kernel.__module__}.{kernel.__name__}"] = len(kernel.signatures)
    return names


write, classic = sys.argv[1] or None, sys.argv[2] == "classic"
plan = SimpleNamespace(file=None, write=write, classic=classic, filter="")
warm(plan)
Publication.warm(None)
before = compiled()
given = [*packets(), ipv4(tcp(40000, 9092)), ipv6(tcp(3, 4))] * 300
ours = Address("10.9.0.1", 40000, "10.9.0.2", 9092)
batcher = Batcher(Lane("s", 1, 0), 24, max_rows=1000, max_age_ns=100)
outputs = [BatchOutput(Dissector(None), batcher, NoDelivery(), OwnTraffic(), lambda: frozenset({ours}))]
if write:
    writer = CaptureFileWriter(write, CaptureFileFormat(classic), LINK_ETHERNET)
    writer.open()
    outputs.append(FileOutput(writer))
memory = np.frombuffer(bytearray(RingShape().block_bytes), np.uint8).reshape(1, -1)
halves, words = memory.view(np.uint16), memory.view(np.uint32)
rows = np.zeros(RingShape().block_bytes // ROW_BYTES_MIN, FRAME)
walk_block(memory[0], halves[0], words[0], np.uint64(LINK_RAW), rows)
whole = block([ethernet(packet) for packet in given])
whole = replace(whole, buffer=whole.buffer.copy())  # writable, as the ring is
later = replace(whole, frames=whole.frames.copy())
later.frames["t_ns"] -= 10**12  # the clock steps back
for each in (whole, whole, later, Limit(700, 60).cut(whole)):
    for output in outputs:
        output.take(each, 3)
        output.tick(0)
outputs[0].finish(STOPPED)
batcher.add(*Dissector(None).dissect(whole), 0)
resorter = Resorter(12)
assert [entry for batch in batcher.finish(STOPPED) for entry in resorter.add(encode(batch))] + [*resorter.flush()]
assert len(before) > 40
print(json.dumps({name: count for name, count in compiled().items() if count != before.get(name, 0)}))
"""


@pytest.mark.parametrize(("write", "form"), [("", ""), ("out.pcapng", ""), ("out.pcap", "classic")])
def test_nothing_is_compiled_after_the_warming(tmp_path, write, form):
    path = str(tmp_path / write) if write else ""
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, path, form],
        cwd=ROOT,
        env={**os.environ, "SYNFIN_COMPILED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == {}
