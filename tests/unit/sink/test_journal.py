import pytest
from hypothesis import given
from hypothesis import strategies as st

from sink.files import Extent
from sink.journal import Journal, decode, encode, load, save
from synfin.errors import StorageError
from synfin.once import Gap, Seq
from synfin.wire.topics import SLICES

numbers = st.integers(0, 2**63 - 1)
slices = st.integers(0, SLICES - 1)
extents = st.none() | st.builds(Extent, numbers, numbers, numbers, st.none() | st.integers(-(2**63), 2**63 - 1))
taken = st.dictionaries(slices, st.tuples(numbers, numbers), max_size=20)
gaps = st.dictionaries(slices, st.tuples(numbers, numbers, numbers, numbers), max_size=5).map(
    lambda found: {slice_: Gap(Seq(slice_, e, n), offset, left) for slice_, (e, n, offset, left) in found.items()}
)
journals = st.builds(
    Journal,
    topic=st.sampled_from(["synfin.flows.v1", 'odd"name\\']),
    partition=st.integers(0, 383),
    next=numbers,
    taken=taken,
    gaps=gaps,
    open_slices=st.frozensets(slices),
    live=extents,
    finishing=extents,
)
PLAIN = Journal("t", 3, 70, {5: (1, 2)}, live=Extent(60, 69, 1234, 10**18))


@given(journals)
def test_what_is_written_is_read(journal):
    assert decode(encode(journal), journal.topic, journal.partition) == journal


@given(st.integers(0, len(encode(PLAIN)) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at, change):
    data = bytearray(encode(PLAIN))
    data[at] ^= change
    with pytest.raises((ValueError, KeyError)):
        decode(bytes(data), "t", 3)


@given(st.integers(0, len(encode(PLAIN)) - 1))
def test_a_torn_journal_is_noticed(length):
    with pytest.raises(ValueError):
        decode(encode(PLAIN)[:length], "t", 3)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "checksum"),
        (b"\0" * 300, "checksum"),
        (encode(Journal("other", 3, 0)), "it is that of other-3"),
        (encode(Journal("t", 4, 0)), "it is that of t-4"),
    ],
    ids=["empty", "zeros", "other topic", "other partition"],
)
def test_a_journal_that_cannot_be_used_says_why_and_what_to_do(tmp_path, data, why):
    path = tmp_path / "t-3.journal"
    path.write_bytes(data)
    with pytest.raises(StorageError, match=f"{why}.*name another folder"):
        load(path, "t", 3)


def test_another_version_is_named(monkeypatch):
    monkeypatch.setattr("sink.journal.VERSION", 2)
    newer = encode(PLAIN)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="version 2"):
        decode(newer, "t", 3)


def test_none_where_there_is_none(tmp_path):
    assert load(tmp_path / "t-3.journal", "t", 3) is None


def test_it_is_replaced_whole(tmp_path):
    path = tmp_path / "t-3.journal"
    save(path, PLAIN)
    save(path, Journal("t", 3, 71))
    assert load(path, "t", 3) == Journal("t", 3, 71)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
