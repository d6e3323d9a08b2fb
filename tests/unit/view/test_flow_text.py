"""Lines of `synfin read`."""

import re
from datetime import UTC, timedelta, timezone, tzinfo

import numpy as np

from synfin.view.flow_text import ALIGNED, LINE_MAX, FlowText
from synfin.view.style import Style
from synfin.wire.event import EVENT_KINDS, FLOW_RECORD, HANDSHAKES, STATES, TEARDOWNS
from tests.support.plain_text import flow_row

ESCAPES = re.compile("\x1b\\[[0-9;]*m")
PLAIN = Style(colours=False)
ALERT = 1 << EVENT_KINDS.index("alert.abnormal_teardown")
WIDE = {"family": 6, "lower_ip": (0x20010DB8 << 32, 1), "higher_ip": (0x20010DB800010002, 0x0003000400050006)}


def lines(*rows, text=None, style=PLAIN):
    """The lines of some rows."""
    return (text or FlowText(style, UTC)).lines(np.concatenate(rows)).tobytes().decode().splitlines()


def test_one_line_a_connection():
    (line,) = lines(flow_row(ends__bytes=(18, 1448)))
    assert line == (
        "08:53:20.123  10.0.0.2:40000  →  10.0.0.1:443    three-way 10 ms     18 B   1.45 kB  "
        "orig closed, 4 segments  TIME-WAIT / CLOSED"
    )


def test_columns_are_aligned_with_one_another_and_with_the_header():
    text = FlowText(PLAIN, UTC)
    found = lines(flow_row(), flow_row(**WIDE), flow_row(), text=text)
    assert "[2001:db8:1:2:3:4:5:6]:40000" in found[1]
    assert len({line.index("→") for line in found}) == 1
    assert text.header().index("RESPONDER") == found[0].index("10.0.0.1:443")
    assert text.header().index("STATES") == found[0].index("TIME-WAIT")
    (later,) = lines(flow_row(), text=text)
    assert later == found[0]  # no column shrinks again


def test_what_is_abnormal_stands_at_the_end():
    (line,) = lines(flow_row(alerts=ALERT, ends__retransmits=(1, 0)))
    assert line.endswith("TIME-WAIT / CLOSED  ALERT abnormal teardown, 1 retransmitted")


def test_colours_change_nothing_but_colours():
    rows = (
        flow_row(),
        flow_row(teardown="abort", by="resp", alerts=ALERT),
        flow_row(teardown="fin_then_rst", ends__retransmits=(0, 3)),
    )
    coloured = lines(*rows, style=Style(colours=True))
    assert all("\x1b[" in line for line in coloured)
    assert [ESCAPES.sub("", line) for line in coloured] == lines(*rows)


def test_without_the_signs_all_is_ascii():
    (line,) = lines(flow_row(syn_rtt_ns=31_500), style=Style(unicode=False))
    assert line.isascii()
    assert "three-way 31.5 us" in line


def test_the_time_is_that_of_the_zone():
    def clock(ns, zone):
        return FlowText(PLAIN, zone).lines(flow_row(start_ns=ns)).tobytes()[:12].decode()

    assert clock(1_760_000_000_123_456_000, UTC) == "08:53:20.123"
    assert clock(1_760_000_000_123_456_000, timezone(timedelta(hours=2))) == "10:53:20.123"
    assert clock(-1_500_000_000, UTC) == "23:59:58.500"


CHANGE = 1_761_440_400  # 2025-10-26 01:00 UTC


class Berlin(tzinfo):
    """Two hours east of UTC, and one hour in winter."""

    def fromutc(self, moment):
        winter = moment.replace(tzinfo=UTC).timestamp() >= CHANGE
        return (moment + timedelta(hours=1 if winter else 2)).replace(fold=winter)

    def utcoffset(self, moment):
        return timedelta(hours=1 if moment.fold else 2)

    def dst(self, moment):
        return None


def test_a_clock_that_is_set_back_for_winter_is_set_back_between_two_lines():
    rows = np.concatenate([flow_row(start_ns=(CHANGE + s) * 10**9) for s in (-1, 0)])
    text = FlowText(PLAIN, Berlin()).lines(rows).tobytes().decode()
    assert [line[:8] for line in text.splitlines()] == ["02:59:59", "02:00:00"]


def test_no_records_give_no_lines():
    assert len(FlowText(PLAIN, UTC).lines(np.zeros(0, FLOW_RECORD))) == 0


def test_the_longest_lines_have_room():
    """Nobody looks at a bound while a line is written."""
    longest = {
        "family": 6,
        "lower_ip": (2**64 - 1, 2**64 - 1),
        "higher_ip": (2**64 - 1, 2**64 - 1),
        "alerts": 2**64 - 1,
        "cause": 255,
        "dropped": 2**64 - 1,
        "orient": "presumed",
        "syn_rtt_ns": 2**63 - 1,
        "syn_count": 2**32 - 1,
        "synack_count": 2**32 - 1,
        "ends__bytes": 2**64 - 1,
        "ends__retransmits": (2**64 - 1, 0),
        "ends__gap_bytes": (2**64 - 1, 0),
        "ends__state": (max(STATES, key=len),) * 2,
    }
    rows = [flow_row(**longest, handshake=opening, teardown=end) for opening in HANDSHAKES for end in TEARDOWNS]
    found = FlowText(Style(colours=True), UTC).lines(np.concatenate(rows)[:ALIGNED]).tobytes()
    assert max(map(len, found.split(b"\n"))) < LINE_MAX
