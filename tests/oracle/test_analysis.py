"""tshark's analysis of sequence numbers beside ours: `tcp.analysis.*` of every frame of captures.

Ours are judged by tshark itself, all fields and their values; those of other projects by what tshark 4.0 said once,
names only.
"""

import gzip
import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from sensor.pcapfile import CaptureFile
from synfin.filter.fields import FIELDS
from synfin.packets.columns import fields_named, rows
from tests.support.tile import CAPTURES

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "captures" / "public-reference"
PUBLIC = REFERENCE.parent / "public"
NAMES = [name for name in FIELDS if name.startswith("tcp.analysis")]
TIMES = ("ack_rtt", "rto", "initial_rtt", "bytes_in_flight", "push_bytes_sent", "rto_frame")  # not in the reference

# Frames of which Wireshark says something else, by file, and why.
OTHERWISE = {
    "ndpi__heuristic_tcp_ack_payload.pcap": (1, "acknowledgments beyond what was captured: which of them are told"),
    "ndpi__reasm_crash_anon.pcapng": (20, "sequence numbers damaged on purpose: what was lost is told otherwise"),
    "suri__bug-76__input.pcap": (2, "data offsets beyond the packet"),
    "suri__util-action-tests__input.pcap": (1, "data with both SYNs of a split handshake, and again"),
    "zeek__bigtransfer.pcap": (2, "gaps of more than half of all sequence numbers"),
    "zeek__cwd-navigation.pcap": (2, "acknowledgments beyond what was captured: which of them are told"),
    "zeek__pppoe-over-qinq.pcap": (13, "an IP length that says six bytes more than PPPoE's: they are payload here"),
    "zeek__reassembly.pcap": (9, "frames that the capture calls shorter than their IP length"),
}


def ours(path, names):
    """For each frame its values of the fields named."""
    found = rows(CaptureFile(str(path)), fields_named(names), None)
    return [tuple(",".join(values.get(name, ())) for name in names) for _, values in found]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("case", sorted(path.name for path in CAPTURES.iterdir() if path.is_dir()))
def test_every_value_of_every_frame_of_our_captures_is_that_of_tshark(case):
    for path in sorted((CAPTURES / case).glob("[ab].pcap")):
        asked = [word for name in NAMES for word in ("-e", name)]
        command = ["tshark", "-2", "-n", "-r", str(path), "-T", "fields", *asked]
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        assert ours(path, NAMES) == [tuple(line.split("\t")) for line in told.splitlines()]


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="needs the captures beside the repository")
def test_the_labels_of_other_peoples_captures_are_those_of_wireshark():
    short = [name.removeprefix("tcp.analysis.") for name in NAMES if name != "tcp.analysis"]
    labels = [name for name in short if name not in TIMES]
    frames, other = 0, Counter()
    for path in sorted((REFERENCE / "tshark").glob("*.jsonl.gz")):
        name = path.name.removesuffix(".jsonl.gz")
        if not (PUBLIC / name).is_file():
            continue
        with gzip.open(path, "rt") as file:
            told = {int(row["frame.number"]): set(row["analysis"]) & set(labels) for row in map(json.loads, file)}
        found = ours(PUBLIC / name, ["frame.number", *(f"tcp.analysis.{label}" for label in labels)])
        for number, *values in found:
            have = {label for label, value in zip(labels, values, strict=True) if value}
            frames += 1
            other[name] += have != told.get(int(number), set())
    assert frames > 20_000
    assert {name: n for name, n in other.items() if n > OTHERWISE.get(name, (0, ""))[0]} == {}
