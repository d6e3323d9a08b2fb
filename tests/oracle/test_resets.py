"""Forged RSTs in recordings that others made: which raise the alert, and that nothing else does."""

import json

import pytest

from synfin.embedded import Reading, Source, local_of
from synfin.wire.event import EVENT_KINDS
from tests.oracle.test_kernel import HOSTS, ORACLE, PACKETDRILL, PUBLIC, big, kernel_cases, pytestmark  # noqa: F401

# At the host that a forged RST came to. Others have the TTL of the real host, and of the form or the options one thing
# wrong, a score of 1; or they come behind the real one.
FORGED = {
    ("rst_from_middle_valid", "a"),
    ("rst_from_middle_valid", "b"),
    ("rst_in_window_challenge", "b"),
    ("middlebox_rst_both.s1", "b"),
}


def alerted(path, local):
    """Whether a capture raises an alert of tampering."""
    reading = Reading([Source("tap", str(path))], local_of(list(local)) if local else None)
    kind = EVENT_KINDS.index("alert.tamper")
    return sum(int((records.events["kind"] == kind).sum()) for records in reading.records()) > 0


def recordings():
    """(case, host, path, addresses) of all that have both hosts' captures."""
    for case in kernel_cases():
        for host in "ab":
            yield case.name, host, case / f"{host}.pcap", HOSTS[host]
    for case in sorted(path.parent for path in ORACLE.glob("*/expected.json")):
        ends = json.loads((case / "truth.json").read_text())["endpoints"]
        for host in "ab":
            yield case.name, host, case / f"{host}.pcap", [address for name, address in ends.items() if name[0] == host]


@big
@pytest.mark.parametrize("where", ["host", "middle"])
def test_of_real_and_forged_rsts_the_forged_ones_are_found(where):
    found = {
        (name, host) for name, host, path, local in recordings() if alerted(path, local if where == "host" else ())
    }
    assert found == FORGED


@big
@pytest.mark.parametrize("folder", [PACKETDRILL, PUBLIC], ids=lambda folder: folder.name)
def test_no_other_capture_raises_the_alert(folder):
    paths = [path for path in sorted(folder.rglob("*")) if path.name.endswith((".pcap", ".pcapng", ".cap", ".gz"))]
    assert len(paths) > 100
    assert [path.name for path in paths if alerted(path, ())] == []
