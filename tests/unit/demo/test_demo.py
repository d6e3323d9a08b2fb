"""`./run` without arguments, as a newcomer sees it."""

import re
import subprocess
import sys

import pytest

RUN = """
import sys
from synfin.demo import __main__, rungs
{changed}
sys.exit(__main__.main([]))
"""
FILE_RUNG = "rungs.choose = lambda: None"
FAILING_RUNG = """
from synfin.demo import recording
from synfin.errors import CaptureError
def record(path):
    raise CaptureError("interface 'lo' is down")
recording.record = record
rungs.choose = lambda: "captured somewhere"
"""


def demonstrate(changed):
    code = RUN.format(changed=changed)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ("", "Three connections over loopback, "),
        (FILE_RUNG, "from a capture that ships with synfin (this host lets us capture nowhere)"),
        (FAILING_RUNG, "from a capture that ships with synfin (interface 'lo' is down)"),
    ],
)
def test_three_connections_are_shown_with_both_ends_states_and_the_alert(changed, place):
    said = demonstrate(changed)
    assert place in said.splitlines()[0]
    closed, refused, aborted = re.split(r"^127\.0\.0\.1:\d+ → 127\.0\.0\.1:\d+$", said, flags=re.MULTILINE)[1:]
    for state in ("SYN-SENT", "SYN-RECEIVED", "FIN-WAIT-1", "CLOSE-WAIT", "LAST-ACK", "TIME-WAIT"):
        assert state in closed
    assert "Opened by a three-way handshake" in closed
    assert "Closed by the originator" in closed
    assert "The responder refused" in refused
    assert "Aborted: the originator sent RST" in aborted
    assert "ALERT: abnormal teardown" in aborted
    assert "ALERT" not in closed + refused
    table = aborted.splitlines()[-3:]
    assert all(line.count("127.0.0.1:") == 2 for line in table)
    assert sum("ALERT" in line for line in table) == 1
