"""Each test of a RST: what fails it, and the innocent packet beside it that does not; notation of the stories."""

import pytest

from processor.tcp.layout import VIEW_LIVE
from processor.tcp.tamper import _TESTS
from synfin.wire.event import EVENT_KINDS, TAMPER_TESTS
from tests.support.story import Telling, read

OPENED = """
0.000  A > B  [S] seq 0, id 100, mss 1460, TS 100/0
0.020  B > A  [S.] seq 0, ack 1, mss 1460, TS 500/100
0.040  A > B  [.] seq 1, ack 1, id 101, TS 120/500
0.041  A > B  [P.] seq 1:11, ack 1, id 102, TS 121/500
0.042  B > A  [.] seq 1, ack 11, TS 542/121
0.050  A > B  [P.] seq 11:21, ack 1, id 103, TS 130/542
0.051  B > A  [.] seq 1, ack 21, TS 551/130
0.060  A > B  [P.] seq 21:31, ack 1, id 104, TS 140/551
0.061  B > A  [.] seq 1, ack 31, TS 561/140
"""
ABORT = "0.100  A > B  [R.] seq 31, ack 1, id 105, TS 180/561"
ANSWER = "0.100  A > B  [R] seq 31, win 0"

FAILED = {
    "rst_then_alive": [
        (ABORT, "0.101  A > B  [F.] seq 31, ack 1, TS 181/561"),
        (ABORT, "0.140  A > B  [.] seq 31, ack 1, TS 220/561"),  # too late for one that was overtaken
        (ABORT, "0.101  A > B  [.] seq 31, ack 11, TS 220/561"),  # acknowledges more than the RST
    ],
    "rst_seq_data": [(ABORT, "1.900  A > B  [P.] seq 31:41, ack 1, TS 220/561")],
    "data_seq_rst": [("0.100  A > B  [R.] seq 21, ack 1, TS 180/561",)],
    "rst_seq_change": [("0.100  A > B  [R] seq 31, win 0", "0.100  A > B  [R] seq 1491, win 0")],
    "rst_ack_change": [(ABORT, "0.101  A > B  [R.] seq 31, ack 2, TS 180/561")],
    "ttl_delta": [(ABORT + ", ttl 62",), (ANSWER + ", ttl 50",), (ANSWER + ", ttl 250",)],
    "ipid_delta": [("0.100  A > B  [R.] seq 31, ack 1, id 9000, TS 180/561",)],
    "options": [("0.100  A > B  [R.] seq 31, ack 1",)],
    "foreign_form": [("0.100  A > B  [R] seq 31",), ("0.100  A > B  [R.] seq 40, ack 1",)],
}
PASSED = {
    "rst_then_alive": [
        (ABORT, "0.101  A > B  [.] seq 31, ack 1, TS 180/561"),  # had left before
        (ABORT, "0.102  A > B  [P.] seq 21:31, ack 1, TS 140/551"),
        (ABORT, "0.100  A > B  [P.] seq 21:31, ack 1", "0.180  A > B  [.] seq 31, ack 1"),  # all is in disorder
        (ABORT, "0.400  A > B  [.] seq 31, ack 1, TS 220/561"),  # much later: perhaps begun anew, unseen
        ("0.100  A > B  [R.] seq 500031, ack 1", "0.101  A > B  [P.] seq 31:41, ack 1"),
    ],
    "rst_seq_data": [
        (ABORT, "2.200  A > B  [P.] seq 31:41, ack 1, TS 220/561"),
        (ANSWER, "0.120  A > B  [F.] seq 31, ack 1, TS 200/561"),  # an answer may overtake what closes
    ],
    "data_seq_rst": [("0.100  A > B  [R] seq 21, win 0",), (ABORT,)],
    "rst_seq_change": [
        ("0.100  A > B  [R] seq 11, win 0", "0.101  A > B  [R] seq 21, win 0", "0.102  A > B  [R] seq 31, win 0"),
        (ANSWER, "2.200  A > B  [R] seq 1491, win 0"),
    ],
    "rst_ack_change": [(ABORT, "0.101  A > B  [R] seq 31, win 0"), (ABORT, ABORT)],
    "ttl_delta": [(ABORT + ", ttl 63",), (ANSWER + ", ttl 255",)],  # a host's own TTL behind a program's
    "ipid_delta": [("0.100  A > B  [R.] seq 31, ack 1, id 900, TS 180/561",), (ANSWER,)],
    "options": [(ABORT,), (ANSWER,)],
    "foreign_form": [(ABORT,), (ANSWER,), ("0.100  A > B  [R.] seq =0, ack 1, win 0",)],
}
# At A's own host, a server 40 ms off that answers in 1.
NEAR = """
0.000  A > B  [S] seq 0
0.040  B > A  [S.] seq 0, ack 1
0.041  A > B  [.] seq 1, ack 1
0.042  A > B  [P.] seq 1:101, ack 1
"""


def told(folder, tap, lines):
    """What RSTs failed, and the kinds of events, after some packets."""
    path = folder / "x.story"
    rows = [f"{line}   | . ." for line in lines if line]
    path.write_text("\n".join(["one", "two", "", f"taps: {tap}", *rows]))
    telling = Telling(read(path), tap, swapped=False)
    for line in read(path).connections[0].lines:
        telling.apply(line.t_ns, telling.segment(line))
    read.cache_clear()
    core, bits = telling.machine.core, 0
    (view,) = core.views[(core.views["marks"] & VIEW_LIVE) != 0]
    h = view["resets"]
    while h:
        bits |= int(core.holds[h]["tests"]) & _TESTS
        h = core.holds[h]["next"]
    kinds = [EVENT_KINDS[event["kind"]] for records in telling.records for event in records.events]
    return {name for i, name in enumerate(TAMPER_TESTS) if bits >> i & 1}, kinds


@pytest.mark.parametrize(("name", "lines"), [(name, lines) for name, cases in FAILED.items() for lines in cases])
def test_what_is_odd_fails(name, lines, tmp_path):
    failed, kinds = told(tmp_path, "B", [*OPENED.splitlines(), *lines])
    assert name in failed
    assert ("alert.tamper" in kinds) == (sum(TAMPER_TESTS[test] for test in failed) >= 3)


@pytest.mark.parametrize(("name", "lines"), [(name, lines) for name, cases in PASSED.items() for lines in cases])
def test_what_has_an_innocent_explanation_does_not_fail(name, lines, tmp_path):
    failed, kinds = told(tmp_path, "B", [*OPENED.splitlines(), *lines])
    assert name not in failed
    if lines[0] in (ABORT, ANSWER):
        assert "alert.tamper" not in kinds


@pytest.mark.parametrize(
    ("lines", "fails"),
    [
        (["0.050  B > A  [R.] seq 1, ack 101"], True),
        (["0.083  B > A  [R.] seq 1, ack 101"], False),
        (["0.050  B > A  [R.] seq 1, ack 1"], False),  # what it acknowledges is older
        (["0.052  A > B  [P.] seq 1:101, ack 1", "0.083  B > A  [R.] seq 1, ack 101"], False),  # or was repeated
        (["0.082  A > B  [.] seq 101, ack 1", "0.083  B > A  [R.] seq 1, ack 101"], False),
    ],
)
def test_nobody_so_far_off_acknowledges_so_soon(lines, fails, tmp_path):
    failed, _ = told(tmp_path, "A", [*NEAR.splitlines(), *lines])
    assert ("rtt_impossible" in failed) == fails


def test_the_other_sensors_test_has_its_place():
    assert TAMPER_TESTS["received_never_sent"] == 6


def test_no_rst_is_forged_that_leaves_its_own_host(tmp_path):
    forged = ["0.100  A > B  [R] seq 21, ttl 40", "0.101  A > B  [P.] seq 31:41, ack 1"]
    assert told(tmp_path, "B", [*OPENED.splitlines(), *forged])[0]
    assert told(tmp_path, "A", [*OPENED.splitlines(), *forged])[0] == set()


def test_other_stacks_are_not_held_to_the_forms_of_linux(tmp_path):
    windows = [line + ", ttl 128" for line in OPENED.splitlines() if line]
    for rst in ("[R.] seq 21, ack 1, ttl 128", "[R] seq 31, ttl 128", "[R.] seq 31, ack 1, ttl 128"):
        failed, _ = told(tmp_path, "B", [*windows, f"0.100  A > B  {rst}"])
        assert failed == set()
