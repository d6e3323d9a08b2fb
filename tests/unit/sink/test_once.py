import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.once import Once, Seq, Verdict, parse_seq
from synfin.wire import key, topics
from tests.unit.sink.histories import each_once, histories


def judged(once, *places):
    return [once.judge(Seq(*place), offset).value for offset, place in enumerate(places)]


def test_the_number_of_slices_is_that_of_the_contract():
    assert topics.SLICES == key.SLICES


def test_next_of_the_epoch_is_taken_and_what_came_before_is_a_replay():
    once = Once()
    assert judged(once, (5, 7, 1), (5, 7, 2), (5, 7, 1), (5, 7, 2), (5, 7, 3)) == [
        "take",
        "take",
        "replay",
        "replay",
        "take",
    ]
    assert once.taken == {5: (7, 3)}


def test_slices_do_not_know_one_another():
    assert judged(Once(), (1, 0, 1), (2, 0, 1), (1, 0, 2), (2, 0, 2)) == ["take"] * 4


def test_a_newer_epoch_begins_at_1_and_ends_the_older():
    once = Once({0: (10, 4)})
    assert judged(once, (0, 20, 2), (0, 20, 1), (0, 20, 2), (0, 10, 5)) == ["gap", "take", "take", "replay"]
    assert once.taken == {0: (20, 2)}


def test_a_gap_is_named_counted_and_closed_by_the_replay():
    once = Once({3: (0, 4)})
    assert judged(once, (3, 0, 6), (3, 0, 7)) == ["gap", "gap"]
    assert once.missing(3) == Seq(3, 0, 5)
    assert (once.gaps[3].first, once.gaps[3].offset, once.gaps[3].left) == (Seq(3, 0, 6), 0, 2)
    assert judged(once, (3, 0, 5)) == ["take"]
    assert 3 in once.gaps, "6 has not come again"
    assert judged(once, (3, 0, 6), (3, 0, 7)) == ["take", "take"]
    assert once.gaps == {}
    assert once.missing(3) is None


def test_a_gap_before_a_newer_epoch_waits_for_its_first():
    once = Once({3: (0, 4)})
    assert judged(once, (3, 9, 3)) == ["gap"]
    assert once.missing(3) == Seq(3, 9, 1)


def test_a_newer_epoch_closes_the_gap_of_the_older():
    once = Once({3: (0, 4)})
    assert judged(once, (3, 0, 6), (3, 9, 1)) == ["gap", "take"]
    assert once.gaps == {}


def test_a_reader_without_a_journal_takes_the_first_it_meets():
    once = Once()
    assert judged(once, (3, 9, 70), (3, 9, 71), (3, 9, 69)) == ["take", "take", "replay"]


def test_after_a_loss_each_slice_takes_the_first_newer_one_and_is_strict_again():
    once = Once({1: (0, 4), 2: (0, 4)}, gaps={})
    once.lost()
    assert judged(once, (1, 0, 4), (1, 0, 9), (1, 0, 11), (2, 5, 3)) == ["replay", "take", "gap", "take"]
    assert once.open_slices == set()


def test_a_header_is_read():
    assert parse_seq(b"383:0:1") == Seq(383, 0, 1)
    assert str(Seq(383, 1, 2)) == "383:1:2"
    assert parse_seq(b"0:999999999999999999:999999999999999999") == Seq(0, 10**18 - 1, 10**18 - 1)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"1:2",
        b"1:2:3:4",
        b"768:0:1",
        b"1:0:0",
        b"01:0:1",
        b"1:0:01",
        b"-1:0:1",
        b"1:+0:1",
        b"1:0:1_0",
        b" 1:0:1",
        b"1:0:1\n",
        b"1:0:1000000000000000000",
        "\u0661:0:1".encode(),
        b"\xff:0:1",
        b"1:0:1" * 1000,
    ],
)
def test_what_is_no_header_is_none(value):
    assert parse_seq(value) is None


@given(st.binary(max_size=24))
def test_any_bytes_are_a_place_or_none(value):
    seq = parse_seq(value)
    assert seq is None or str(seq).encode() == value


@given(histories())
def test_any_interleaving_of_replays_gives_each_record_once_in_order(history):
    once, taken = Once(), {}
    for offset, place in enumerate(history):
        if once.judge(Seq(*place), offset) is Verdict.TAKE:
            taken.setdefault(place[0], []).append(place[1:])
    assert taken == each_once(history)
    assert once.gaps == {}


@given(histories(), st.lists(st.integers(0, 200), max_size=4))
def test_a_reader_that_starts_again_from_what_it_knew_goes_on_as_if_it_had_not(history, restarts):
    once, whole, verdicts, expected = Once(), Once(), [], []
    for offset, place in enumerate(history):
        if offset in restarts:
            once = Once(once.taken, once.gaps, frozenset(once.open_slices))
        verdicts.append(once.judge(Seq(*place), offset))
        expected.append(whole.judge(Seq(*place), offset))
    assert verdicts == expected
