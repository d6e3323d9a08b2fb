"""Wireshark beside us: which connections it tells apart, and what it saw of each (`tcp.stream`, `tcp.completeness`)."""

import shutil
import subprocess

import orjson
import pytest

from synfin.embedded import Reading, Source
from synfin.wire.jsonl import flow_lines
from tests.support.tile import CAPTURES

FIELDS = ("tcp.stream", "tcp.completeness", "tcp.srcport", "tcp.dstport")
CASES = [(path.name, host) for path in sorted(CAPTURES.iterdir()) if path.is_dir() for host in "ab"]

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def streams(path):
    """(ports, completeness) of each stream, by two passes: in one pass tshark tells what it knew at each packet."""
    wanted = [argument for name in FIELDS for argument in ("-e", name)]
    command = ["tshark", "-2", "-n", "-r", str(path), "-Y", "tcp && !icmp && !icmpv6", "-T", "fields", *wanted]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    found = {}
    for line in out.splitlines():
        stream, completeness, *ports = line.split("\t")
        found[int(stream)] = (tuple(sorted(map(int, ports))), int(completeness))
    return sorted(found.values())


def ours(path):
    reading = Reading([Source("tap", str(path))], None)
    found = [orjson.loads(line) for records in reading.records() for line in flow_lines(records).values()]
    return sorted((tuple(sorted((f["orig"]["port"], f["resp"]["port"]))), f["completeness"]) for f in found)


@pytest.mark.parametrize(("name", "host"), CASES, ids=lambda value: value)
def test_connections_and_their_completeness_are_those_of_tshark(name, host):
    path = CAPTURES / name / f"{host}.pcap"
    assert ours(path) == streams(path)
