"""The demonstration's parts: where it captures, and which connections it makes."""

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import dpkt
import pytest

from synfin.demo import rungs
from synfin.demo.traffic import ADDRESS, Conversations

SHIPPED = Path(rungs.__file__).with_name("connections.pcapng")
FIN, SYN, RST, ACK = 1, 2, 4, 16

RECORD = """
import sys
from pathlib import Path
from synfin.demo import rungs
if not rungs.enter_namespace():
    raise SystemExit(77)
from synfin.demo.recording import record
record(Path(sys.argv[1]))
"""


def stories(path):
    """Flags in order of each connection, those of PSH left out."""
    found = defaultdict(list)
    with path.open("rb") as file:
        for _, frame in dpkt.pcapng.Reader(file):
            ip = dpkt.ethernet.Ethernet(frame).data
            assert {ip.src, ip.dst} == {bytes(map(int, ADDRESS.split(".")))}
            found[frozenset({ip.data.sport, ip.data.dport})].append(ip.data.flags & (FIN | SYN | RST | ACK))
    return list(found.values())


def assert_one_of_each(three):
    closed, refused, aborted = three
    assert closed[:3] == aborted[:3] == [SYN, SYN | ACK, ACK]
    assert closed.count(FIN | ACK) == 2
    assert closed[-1] == ACK
    assert not any(flags & RST for flags in closed)
    assert refused == [SYN, RST | ACK]
    assert aborted[-1] & RST
    assert not any(flags & FIN for flags in aborted)


def test_a_close_a_refusal_and_an_abort_are_captured_without_root(tmp_path):
    path = tmp_path / "lo.pcapng"
    plain = os.environ | {"SYNFIN_COMPILED": "0"}  # as the demonstration runs: for so few packets nothing is compiled
    done = subprocess.run([sys.executable, "-c", RECORD, path], env=plain, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("needs unprivileged user namespaces")
    assert done.returncode == 0, done.stderr
    assert_one_of_each(stories(path))


def test_the_file_that_ships_shows_the_same():
    assert_one_of_each(stories(SHIPPED))


@pytest.mark.parametrize(
    ("allowed", "namespace", "said"),
    [
        (True, None, "captured on lo of this host"),
        (False, True, "captured on lo of a user and network namespace of its own, which needs no root"),
        (False, False, None),
    ],
)
def test_the_first_rung_that_holds_is_taken(monkeypatch, allowed, namespace, said):
    monkeypatch.setattr(rungs, "may_capture", lambda: allowed)
    monkeypatch.setattr(rungs, "enter_namespace", lambda: pytest.fail("not needed") if allowed else namespace)
    assert rungs.choose() == said


def test_the_filter_names_both_ports_and_they_are_given_back():
    with Conversations() as conversations:
        first = conversations.bpf
        conversations.play()
    assert first.startswith(f"host {ADDRESS} and tcp port (")
    with pytest.raises(ConnectionRefusedError):
        conversations.play()
