"""Times, sizes and outcomes in words."""

import pytest

from synfin.view.sentences import cautions, ending, opening, vantage
from synfin.view.words import abnormal, duration, ended, opened, size, socket_text
from synfin.wire.event import CAUSES, END_REASONS, HANDSHAKES, RST_FORMS, SEGMENTS, SIDES, TEARDOWNS
from tests.support.view_records import end, record


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1000, "1 µs"),
        (31_456, "31.5 µs"),
        (999_999, "1000 µs"),
        (12_000_000, "12 ms"),
        (2_034_000_000, "2.03 s"),
        (59_999_000_000, "60 s"),
        (125_000_000_000, "2 min 5 s"),
        (7_260_000_000_000, "2 h 1 min"),
    ],
)
def test_durations(ns, text):
    assert duration(ns) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1448, "1.45 kB"), (40_000, "40 kB"), (10**9, "1 GB")],
)
def test_sizes(count, text):
    assert size(count) == text


def test_an_ipv6_address_is_in_brackets():
    assert socket_text(end("2001:db8::1", 443, "CLOSED")) == "[2001:db8::1]:443"
    assert socket_text(end("10.0.0.1", 443, "CLOSED")) == "10.0.0.1:443"


def test_openings_in_few_words():
    assert opened(record()) == "three-way 10 ms"
    assert opened(record(handshake__kind="rejected", handshake__syn_rtt_ns=None)) == "refused"
    assert opened(record(handshake__kind="unanswered", handshake__syn_count=3)) == "no answer, 3 SYN"
    assert opened(record(handshake__kind="half_open", handshake__synack_count=2)) == "half-open, 2 SYN,ACK"
    assert opened(record(handshake__kind="unseen", handshake__syn_rtt_ns=None)) == "seen midway"


def test_ends_in_few_words():
    assert ended(record()) == "orig closed, 4 segments"
    assert ended(record(teardown__kind="abort", teardown__by="resp")) == "resp reset"
    assert ended(record(teardown__kind="fin_then_rst", teardown__by="resp")) == "orig closed, resp reset"
    assert ended(record(teardown__kind="fin_then_rst", teardown__by="orig")) == "orig closed, then reset"
    assert ended(record(teardown__kind="none", end_reason="eof")) == "open at the end"
    assert ended(record(teardown__kind="none", handshake__kind="rejected")) == ""


def test_what_is_abnormal_comes_with_alerts_first():
    odd = record(
        alerts=["alert.abnormal_teardown"],
        teardown__cause=["unread_data", "linger0_or_kill"],
        orig__retransmits=2,
        resp__retransmits=1,
        capture_loss__gap_bytes=1448,
        capture_loss__dropped=7,
        orient="presumed",
    )
    assert abnormal(odd) == [
        "ALERT abnormal teardown",
        "unread data or linger 0 or killed",
        "3 retransmitted",
        "1.45 kB not captured",
        "sensor dropped 7",
        "direction presumed",
    ]
    assert abnormal(record()) == []


@pytest.mark.parametrize("kind", HANDSHAKES)
def test_every_opening_has_a_word_and_a_sentence(kind):
    found = record(handshake__kind=kind)
    assert "_" not in opened(found)
    assert opening(found)[0].isupper()
    assert opening(found).endswith(".")
    assert "_" not in opening(found)


@pytest.mark.parametrize("kind", TEARDOWNS)
def test_every_end_has_a_word_and_a_sentence(kind):
    for reason in END_REASONS:
        for side in SIDES:
            for segments in SEGMENTS:
                found = record(
                    teardown__kind=kind,
                    end_reason=reason,
                    teardown__by=side,
                    teardown__active_closer=side,
                    teardown__segments=segments,
                )
                assert "_" not in ended(found)
                sentence = ending(found)
                assert "_" not in sentence
                assert "None" not in ended(found) + sentence
                assert sentence == "" or sentence.endswith(".")


def test_every_cause_and_form_of_an_abort_is_told():
    for form in RST_FORMS:
        for cause in CAUSES:
            found = record(
                teardown__kind="abort", teardown__by="resp", teardown__rst_form=form, teardown__cause=[cause]
            )
            assert ending(found).startswith("Aborted: the responder sent RST")
            assert "_" not in ending(found)


def test_sentences_of_a_whole_connection():
    found = record()
    assert opening(found) == "Opened by a three-way handshake, 10 ms from SYN to SYN,ACK, 1 ms from SYN,ACK to ACK."
    assert ending(found) == "Closed by the originator (the active closer) in four segments: FIN, ACK, FIN, ACK."
    assert cautions(found) == []
    assert vantage(found) == "seen at the originator's host"


def test_who_resets_after_its_own_close_is_not_named_twice():
    found = record(teardown__kind="fin_then_rst", teardown__by="orig", teardown__rst_form="reply")
    assert ending(found) == (
        "The originator closed, and then sent RST as the answer of a host without that connection."
    )


def test_what_a_record_cannot_vouch_for():
    found = record(
        alerts=["alert.abnormal_teardown"], capture_loss__gap_bytes=10, capture_loss__dropped=3, orient="port"
    )
    assert cautions(found) == [
        "ALERT: abnormal teardown.",
        "10 B were acknowledged and never captured.",
        "The sensor lost 3 packets, of this or other connections, meanwhile.",
        "Who opened was not seen: originator and responder are presumed.",
    ]


def test_names_that_a_later_version_adds_are_shown_and_harmless():
    found = record(handshake__kind="new\x1b_kind", alerts=["alert.new\x07thing"], teardown__cause=["new\x1b"])
    assert "\x1b" not in opened(found) + opening(found) + "".join(abnormal(found) + cautions(found))
    assert "\x07" not in "".join(abnormal(found) + cautions(found))


def test_where_it_was_seen():
    assert vantage(record(local="resp")) == "seen at the responder's host"
    assert vantage(record(local="none", local_how="inferred")) == "seen between the hosts"
    assert vantage(record(local="orig", local_how="inferred")) == (
        "seen at the originator's host, to judge by the timing"
    )
