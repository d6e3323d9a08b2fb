"""The queue on disk against a list: whatever happens, what is taken is what was appended, in order."""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sensor.segments import RECORD, Entry, Segments, Tally


def entry(n, size=40, partitions=24):
    return Entry(n % partitions, partitions, n % 7, bytes([n % 251]) * size)


def take_all(queue):
    taken = []
    while (item := queue.take()) is not None:
        taken.append(item)
    return taken


class Machine(RuleBasedStateMachine):
    """`kept` is what must still be there, by index; with room for all, nothing may be missing."""

    @initialize()
    def start(self):
        import tempfile
        from pathlib import Path

        self.holder = tempfile.TemporaryDirectory()
        self.folder = Path(self.holder.name) / "q"
        self.queue = Segments(self.folder, 1 << 12)  # files of 256 bytes
        self.appended = []
        self.taken = 0
        self.head = 0

    def teardown(self):
        if hasattr(self, "queue"):
            self.queue.close()
            self.holder.cleanup()

    def room(self, size):
        return self.queue.has_room(size)

    @rule(size=st.integers(0, 120))
    def append(self, size):
        if self.room(size):
            made = entry(len(self.appended), size)
            assert self.queue.append(made) == len(self.appended)
            self.appended.append(made)

    @precondition(lambda self: self.taken == len(self.appended))
    @rule(size=st.integers(0, 120))
    def append_taken(self, size):
        if self.room(size):
            made = entry(len(self.appended), size)
            self.queue.append(made, taken=True)
            self.appended.append(made)
            self.taken += 1

    @rule(count=st.integers(1, 5))
    def take(self, count):
        for _ in range(count):
            expected = (self.taken, self.appended[self.taken]) if self.taken < len(self.appended) else None
            assert self.queue.take() == expected
            self.taken += expected is not None

    @rule(data=st.data())
    def acknowledge(self, data):
        self.head = data.draw(st.integers(self.head, self.taken))
        self.queue.acknowledge(self.head)

    @rule()
    def rewind(self):
        self.queue.rewind()
        self.taken = self.head

    @rule(orderly=st.booleans())
    def begin_again(self, orderly):
        """A sensor ends, or is killed: then its descriptors close and nothing else happens."""
        if orderly:
            self.queue.close()
        else:
            for descriptor in (self.queue._write_fd, self.queue._read_fd, self.queue._head_fd):
                if descriptor >= 0:
                    os.close(descriptor)
        self.queue = Segments(self.folder, 1 << 12)
        self.taken = self.head

    @invariant()
    def counts_agree(self):
        if hasattr(self, "queue"):
            waiting = self.appended[self.taken :]
            assert self.queue.waiting == Tally(len(waiting), sum(e.rows for e in waiting))
            assert (self.queue.head, self.queue.taken, self.queue.end) == (self.head, self.taken, len(self.appended))
            assert self.queue.dropped == Tally()
            assert self.queue.bytes == sum(path.stat().st_size for path in self.folder.glob("*.batches"))


Machine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestModel = Machine.TestCase


def test_when_it_is_full_the_oldest_go_and_are_counted(tmp_path):
    queue = Segments(tmp_path, 2000)
    made = [entry(n) for n in range(100)]
    for each in made:
        queue.append(each)
        assert queue.bytes <= 2000
    left = take_all(queue)
    assert [e for _, e in left] == made[-len(left) :]
    assert 20 <= len(left) <= 2000 // (RECORD.size + 40)
    assert queue.dropped == Tally(100 - len(left), sum(e.rows for e in made[: -len(left)]))
    queue.close()


def test_what_was_taken_is_not_counted_when_its_file_goes(tmp_path):
    queue = Segments(tmp_path, 2000)
    for n in range(31):
        queue.append(entry(n))
    for _ in range(31):
        queue.take()
    for n in range(31, 62):
        queue.append(entry(n))
    assert queue.dropped == Tally()
    assert queue.head > 0, "the files of what was taken went first"
    queue.rewind()
    first, _ = queue.take()
    assert first == queue.head
    queue.close()


def test_a_batch_larger_than_the_bound_is_kept_alone(tmp_path):
    queue = Segments(tmp_path, 1000)
    queue.append(entry(1))
    queue.append(entry(2, size=5000))
    assert [e for _, e in take_all(queue)] == [entry(2, size=5000)]
    assert queue.dropped == Tally(1, 1)
    queue.close()


@pytest.mark.parametrize("cut", range(1, RECORD.size + 41))
def test_a_torn_tail_is_cut_and_all_before_it_is_there(tmp_path, cut):
    queue = Segments(tmp_path, 1 << 20)
    for n in range(5):
        queue.append(entry(n))
    queue.close()
    (path,) = tmp_path.glob("*.batches")
    os.truncate(path, path.stat().st_size - cut)

    queue = Segments(tmp_path, 1 << 20)
    assert queue.end == 4
    assert queue.append(entry(77)) == 4
    assert [e for _, e in take_all(queue)] == [entry(0), entry(1), entry(2), entry(3), entry(77)]
    assert queue.dropped == Tally()
    queue.close()


def test_every_flipped_byte_is_noticed_and_costs_no_more_than_the_rest_of_its_file(tmp_path):
    queue = Segments(tmp_path / "q", 1 << 14)  # files of 1 024 bytes, 16 records
    made = [entry(n) for n in range(40)]
    for each in made:
        queue.append(each)
    queue.close()
    first = min((tmp_path / "q").glob("*.batches"))
    whole = first.read_bytes()
    size = RECORD.size + 40
    for at in range(2 * size, 4 * size):  # in the third and fourth record of a file that is not the last
        first.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        queue = Segments(tmp_path / "q", 1 << 14)
        taken = take_all(queue)
        assert [e for _, e in taken] == [made[index] for index, _ in taken], "never a wrong byte"
        kept = [index for index, _ in taken]
        assert kept[: at // size] == list(range(at // size)), "all before the damage"
        assert set(range(len(whole) // size, 40)) <= set(kept), "all of the other files"
        assert queue.dropped.batches == 40 - len(taken)
        queue.rewind()
        queue.close()


def test_a_disk_that_takes_only_a_part_leaves_nothing_behind(tmp_path, monkeypatch):
    queue = Segments(tmp_path, 1 << 20)
    queue.append(entry(0))

    real = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, parts: real(fd, [parts[0], parts[1][:3]]))
    with pytest.raises(OSError, match="No space left"):
        queue.append(entry(1))
    monkeypatch.undo()
    assert queue.append(entry(2)) == 1
    queue.close()
    queue = Segments(tmp_path, 1 << 20)
    assert [e for _, e in take_all(queue)] == [entry(0), entry(2)]
    queue.close()


def test_the_partition_counts_are_known_without_reading_the_batches(tmp_path):
    queue = Segments(tmp_path, 1 << 20)
    queue.append(entry(0, partitions=24))
    queue.append(entry(1, partitions=12))
    queue.close()
    queue = Segments(tmp_path, 1 << 20)
    assert queue.layouts == {24, 12}
    queue.close()
