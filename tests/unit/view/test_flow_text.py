"""Lines of `synfin read`."""

import re
from datetime import UTC, timedelta, timezone

from synfin.view.flow_text import FlowText, time_text
from synfin.view.style import Style
from tests.support.view_records import T, end, record

ESCAPES = re.compile("\x1b\\[[0-9;]*m")
PLAIN = Style(colours=False)


def test_one_line_a_connection():
    found = record(orig__bytes=18, resp__bytes=1448)
    (line,) = FlowText(PLAIN, UTC).lines([found])
    assert line == (
        "08:53:20.123  10.0.0.2:40000  →  10.0.0.1:443    three-way 10 ms     18 B   1.45 kB  "
        "orig closed, 4 segments  TIME-WAIT / CLOSED"
    )


def test_columns_are_aligned_with_one_another_and_with_the_header():
    text = FlowText(PLAIN, UTC)
    wide = record(orig=end("2001:db8:1:2:3:4:5:6", 65535, "ESTABLISHED"), resp=end("2001:db8::1", 443, "CLOSED"))
    lines = list(text.lines([record(), wide, record()]))
    places = {line.index("→") for line in lines}
    assert len(places) == 1
    assert text.header().index("RESPONDER") == lines[0].index("10.0.0.1:443")
    assert text.header().index("STATES") == lines[0].index("TIME-WAIT")
    (later,) = text.lines([record()])
    assert later == lines[0]  # no column shrinks again


def test_what_is_abnormal_stands_at_the_end():
    (line,) = FlowText(PLAIN, UTC).lines([record(alerts=["alert.abnormal_teardown"], orig__retransmits=1)])
    assert line.endswith("TIME-WAIT / CLOSED  ALERT abnormal teardown, 1 retransmitted")


def test_colours_change_nothing_but_colours():
    records = [
        record(),
        record(teardown__kind="abort", teardown__by="resp", alerts=["alert.abnormal_teardown"]),
        record(teardown__kind="fin_then_rst"),
    ]
    coloured = list(FlowText(Style(colours=True), UTC).lines(records))
    assert all("\x1b[" in line for line in coloured)
    assert [ESCAPES.sub("", line) for line in coloured] == list(FlowText(PLAIN, UTC).lines(records))


def test_without_the_signs_the_arrow_is_ascii():
    (line,) = FlowText(Style(unicode=False), UTC).lines([record(handshake__syn_rtt_ns=None)])
    assert line.isascii()


def test_the_time_is_that_of_the_zone():
    assert time_text(T, UTC) == "08:53:20.123"
    assert time_text(T, timezone(timedelta(hours=2))) == "10:53:20.123"
    assert time_text(-1_500_000_000, UTC) == "23:59:58.500"


def test_control_characters_in_an_address_do_not_reach_the_terminal():
    (line,) = FlowText(PLAIN, UTC).lines([record(orig=end("10.0.0.1\x1b[2J", 1, "CLOSED"))])
    assert "\x1b" not in line


def test_no_records_give_no_lines():
    assert list(FlowText(PLAIN, UTC).lines([])) == []
