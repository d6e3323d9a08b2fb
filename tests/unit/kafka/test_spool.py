"""The spool's folder: one sensor at a time, what it remembers, and the change to another partition count."""

import fcntl
import os

import pytest

from sensor.segments import Entry, Tally
from sensor.spool import Spool
from synfin.errors import UsageError


def entry(n, partitions=24):
    return Entry(n % partitions, partitions, 2, bytes([n]) * 50)


def drain(spool):
    taken = []
    while (item := spool.queue.take()) is not None:
        taken.append(item[1])
    return taken


def test_two_sensors_cannot_share_a_spool(tmp_path):
    first, second = Spool(tmp_path / "s"), Spool(tmp_path / "s")
    first.open()
    with pytest.raises(UsageError, match="another sensor uses the spool"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file/s cannot be used: .*name one with --spool"):
        Spool(tmp_path / "file" / "s").open()


def test_the_count_is_remembered_and_beats_the_configured_one(tmp_path):
    spool = Spool(tmp_path, configured=12)
    spool.open()
    assert spool.partitions == 12
    spool.learn(48)
    spool.close()
    spool = Spool(tmp_path, configured=12)
    spool.open()
    assert (spool.partitions, spool.known) == (48, 48)
    spool.close()


@pytest.mark.parametrize("text", ["", "x 0\n", "5 0\n", "24\n"])
def test_a_damaged_layout_is_an_error_that_says_what_to_do(tmp_path, text):
    (tmp_path / "layout").write_text(text)
    spool = Spool(tmp_path)
    with pytest.raises(UsageError):
        spool.open()
    with (tmp_path / "lock").open("r") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it was given back


def test_the_queue_is_replaced_at_once(tmp_path):
    spool = Spool(tmp_path)
    spool.open()
    for n in range(5):
        spool.queue.append(entry(n))
    spool.replace(12, [entry(n, 12) for n in range(3)])
    assert spool.partitions == 12
    spool.queue.append(entry(3, 12))
    spool.close()
    spool = Spool(tmp_path)
    spool.open()
    assert drain(spool) == [entry(n, 12) for n in range(4)]
    assert [path.name for path in tmp_path.glob("g*")] == ["g1"]
    spool.close()


def test_a_sensor_that_dies_while_it_sorts_leaves_the_old_queue(tmp_path):
    spool = Spool(tmp_path)
    spool.open()
    for n in range(5):
        spool.queue.append(entry(n))

    def dies():
        yield entry(0, 12)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        spool.replace(12, dies())
    os.close(spool._lock)
    spool = Spool(tmp_path)
    spool.open()
    assert spool.partitions == 24
    assert drain(spool) == [entry(n) for n in range(5)]
    assert [path.name for path in tmp_path.glob("g*")] == ["g0"]
    spool.close()


def test_what_earlier_queues_dropped_is_not_forgotten(tmp_path):
    spool = Spool(tmp_path, max_bytes=800)
    spool.open()
    for n in range(20):
        spool.queue.append(entry(n))
    before = spool.dropped()
    assert before.batches > 0
    spool.replace(12, [])
    assert spool.dropped() == before == Tally(before.batches, 2 * before.batches)
    spool.close()
