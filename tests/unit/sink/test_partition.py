import errno
import logging
import os

import orjson
import pytest

from sink.consumer import Sink
from sink.counters import Counters, Talk
from sink.files import Rotation
from sink.partition import PartitionLog, Place, event_ns
from sink.settings import StepLimits
from synfin.errors import EXIT_INCOMPLETE, EXIT_OK, BrokerError, StorageError, UsageError
from tests.unit.sink.topics import Topics, value_of

EVENTS = "synfin.events.v1"
KEY = (EVENTS, 0)
NEVER = Rotation(1 << 30, 1 << 62)
SECOND = 10**9


@pytest.fixture
def topics():
    return Topics()


@pytest.fixture
def start(tmp_path, topics):
    """Start a sink of one topic-partition; the one before it must have been let go of."""

    def begin(rotation=NEVER):
        place = Place(tmp_path, *KEY, alerts=True)
        sink = Sink([place], rotation, topics, topics, Talk(logging.getLogger("sink.test"), every_s=0))
        sink.open()
        return sink

    return begin


def run(sink, topics):
    while arrivals := topics.poll(0):
        sink.step(arrivals)
    return sink.counters


def fill(topics, *numbers, slice_=0, epoch=0):
    for n in numbers:
        topics.add(*KEY, (slice_, epoch, n))


def files(folder):
    return {path.name: path.read_bytes().count(b"\n") for path in sorted((folder / EVENTS).iterdir())}


def live(first):
    return f"{EVENTS}-0-{first:020d}.jsonl.live"


def closed(first, last):
    return f"{EVENTS}-0-{first:020d}-{last:020d}.jsonl"


def journal(folder):
    return folder / "journal" / f"{EVENTS}-0.journal"


# Rotation


def test_a_file_is_finished_by_the_record_that_reaches_the_size(tmp_path, topics, start):
    fill(topics, *range(1, 6))
    size = len(value_of(0, 0, 1, alert=False)) + len(value_of(0, 0, 2, alert=False)) + 2
    run(start(Rotation(size, 1 << 62)), topics)
    assert files(tmp_path) == {closed(0, 1): 2, closed(2, 3): 2, live(4): 1}


def test_a_file_is_finished_by_the_record_that_reaches_the_age(tmp_path, topics, start):
    fill(topics, *range(1, 8))  # a second of event time apart
    run(start(Rotation(1 << 30, 3 * SECOND)), topics)
    assert files(tmp_path) == {closed(0, 3): 4, live(4): 3}


def test_where_files_end_does_not_depend_on_how_records_arrive(tmp_path, topics, start):
    fill(topics, *range(1, 30))
    sink = start(Rotation(700, 1 << 62))
    sink.step({KEY: topics.logs[KEY]})
    at_once = files(tmp_path)
    sink.close()
    other = tmp_path / "other"
    place = Place(other, *KEY, alerts=True)
    one_by_one = Sink([place], Rotation(700, 1 << 62), topics, topics, Talk(logging.getLogger("sink.test")))
    one_by_one.open()
    for record in topics.logs[KEY]:
        one_by_one.step({KEY: [record]})
    assert files(other) == at_once
    assert len(at_once) > 3


def test_files_are_finished_on_demand_and_only_once(tmp_path, topics, start):
    fill(topics, 1, 2)
    sink = start()
    counters = run(sink, topics)
    sink.finish_files()
    sink.finish_files()
    assert files(tmp_path) == {closed(0, 1): 2}
    assert counters.files == 1
    fill(topics, 3)
    run(sink, topics)
    assert files(tmp_path) == {closed(0, 1): 2, live(2): 1}


def test_a_finished_file_may_be_taken_away(tmp_path, topics, start, caplog):
    fill(topics, 1, 2)
    sink = start()
    run(sink, topics)
    sink.finish_files()
    sink.close()
    (tmp_path / EVENTS / closed(0, 1)).unlink()
    fill(topics, 3)
    run(start(), topics)
    assert files(tmp_path) == {live(2): 1}
    assert not caplog.records


# Starting again


def test_the_journal_decides_where_to_go_on_and_not_the_commit(tmp_path, topics, start):
    fill(topics, 1, 2, 3)
    sink = start()
    run(sink, topics)
    sink.close()
    assert topics.committed == {KEY: 3}
    topics.committed.clear()
    fill(topics, 4)
    counters = run(start(), topics)
    assert (counters.read, counters.written) == (1, 1)
    assert files(tmp_path) == {live(0): 4}


def test_what_a_replay_brings_is_skipped_and_counted(topics, start):
    fill(topics, 1, 2, 3, 2, 3, 4)
    counters = run(start(), topics)
    assert (counters.read, counters.written, counters.replayed) == (6, 4, 2)
    assert counters.exit_code(0) == EXIT_OK


def test_files_without_their_journal_are_not_written_over(tmp_path, topics, start):
    fill(topics, 1)
    sink = start()
    run(sink, topics)
    sink.close()
    journal(tmp_path).unlink()
    with pytest.raises(StorageError, match=r"written a second time.*Put the journal back, or name another folder"):
        start()
    assert files(tmp_path) == {live(0): 1}


def test_an_older_journal_is_noticed(tmp_path, topics, start):
    fill(topics, 1)
    sink = start()
    run(sink, topics)
    older = journal(tmp_path).read_bytes()
    fill(topics, 2)
    sink.finish_files()
    fill(topics, 3)
    run(sink, topics)
    sink.finish_files()
    sink.close()
    journal(tmp_path).write_bytes(older)
    (tmp_path / EVENTS / closed(0, 0)).rename(tmp_path / EVENTS / live(0))
    with pytest.raises(StorageError, match=r"does not fit the journal .*Restore both"):
        start()


def test_a_topic_that_was_made_anew_is_noticed_at_start(topics, start):
    fill(topics, 1, 2)
    sink = start()
    run(sink, topics)
    sink.close()
    topics.logs.clear()
    fill(topics, 1)
    with pytest.raises(UsageError, match=r"at offset 2 and .*-0 ends at 1: the topic was made anew"):
        start()


def test_a_topic_that_goes_back_is_noticed(topics, start):
    fill(topics, 1, 2)
    sink = start()
    run(sink, topics)
    with pytest.raises(UsageError, match="went back from offset 2 to 0"):
        sink.step({KEY: topics.logs[KEY][:1]})


def test_records_that_retention_took_are_counted_and_slices_go_on(tmp_path, topics, start, caplog):
    fill(topics, 1, 2)
    sink = start()
    run(sink, topics)
    sink.close()
    fill(topics, 3, 4, 5, 6)
    topics.first[KEY] = 4
    counters = run(start(), topics)
    assert (counters.lost, counters.written, counters.left) == (2, 2, 0)
    assert counters.exit_code(0) == EXIT_INCOMPLETE
    assert "2 records from offset 2 on were deleted before they were read" in caplog.text
    assert files(tmp_path) == {live(0): 4}


def test_retention_that_overtakes_a_running_sink_is_counted(topics, start):
    fill(topics, *range(1, 9))
    sink = start()
    sink.step({KEY: topics.logs[KEY][:2]})
    sink.step({KEY: topics.logs[KEY][5:]})
    assert (sink.counters.lost, sink.counters.written) == (3, 5)


def test_an_empty_topic_that_begins_late_loses_nothing(topics, start):
    fill(topics, *range(1, 9))
    topics.first[KEY] = 6
    counters = run(start(), topics)
    assert (counters.lost, counters.written) == (0, 2)


# Gaps


def test_a_gap_is_named_outlives_a_restart_and_is_closed_by_the_replay(topics, start, caplog):
    fill(topics, 1, 3, 4)
    sink = start()
    counters = run(sink, topics)
    assert counters.left == 2
    assert "slice 0 waits for 0:0:2" in caplog.text
    sink.close()
    sink = start()
    assert len(sink.gaps()) == 1
    assert "2 records from 0:0:3 (offset 1) on were left alone" in sink.gaps()[0]
    assert sink.counters.exit_code(len(sink.gaps())) == EXIT_INCOMPLETE
    fill(topics, 2, 3, 4)
    counters = run(sink, topics)
    assert (counters.written, sink.gaps()) == (3, [])


# Records that are none


GOOD = [("synfin_seq", b"0:0:2"), ("ce_type", b"synfin.flow"), ("ce_id", b"x")]


@pytest.mark.parametrize(
    ("value", "headers", "why"),
    [
        (b"{}", [], "synfin_seq is missing, or is not"),
        (b"{}", [("synfin_seq", None)], "synfin_seq is missing, or is not"),
        (b"{}", [("synfin_seq", b"0:0:x")], "synfin_seq is missing, or is not"),
        (None, GOOD, "it has no value"),
        (b"", GOOD, "no record"),
        (b"{", GOOD, "no record"),
        (b"[1]", GOOD, "not a JSON object"),
        (b'{"a":\n1}', GOOD, "over several lines"),
        (b'{"a":\r1}', GOOD, "over several lines"),
        (b'{"a":"\xff"}', GOOD, "no record"),
        (b'{"a":NaN}', GOOD, "no record"),
        (b"[" * 100_000, GOOD, "no record"),
    ],
)
def test_what_is_no_record_is_counted_reported_and_left_out(tmp_path, topics, start, caplog, value, headers, why):
    fill(topics, 1)
    topics.add_raw(*KEY, None, value, headers)
    fill(topics, *([3] if headers == GOOD else [2]))
    counters = run(start(), topics)
    assert (counters.read, counters.written, counters.malformed) == (3, 2, 1)
    assert counters.exit_code(0) == EXIT_INCOMPLETE
    assert f"{EVENTS}-0 offset 1" in caplog.text
    assert why in caplog.text
    assert files(tmp_path) == {live(0): 2}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"end_ns": 5, "ts_ns": 6}, 5),
        ({"ts_ns": 6}, 6),
        ({}, None),
        ({"ts_ns": "6"}, None),
        ({"ts_ns": True}, None),
        ({"ts_ns": 6.5}, None),
    ],
)
def test_event_time_is_the_end_of_a_flow_or_the_time_of_an_event(fields, told):
    assert event_ns(orjson.dumps(fields)) == told


def test_an_alert_without_id_stays_in_the_file_and_is_counted(tmp_path, topics, start):
    headers = [("synfin_seq", b"0:0:1"), ("ce_type", b"synfin.alert.abnormal_teardown")]
    topics.add_raw(*KEY, b"k", b"{}", headers)
    counters = run(start(), topics)
    assert (counters.written, counters.unsent, counters.alerts, topics.alerts) == (1, 1, 0, [])
    assert counters.exit_code(0) == EXIT_INCOMPLETE


def test_alerts_go_out_with_the_id_of_their_event(topics, start):
    fill(topics, 1, 2, 3)
    counters = run(start(), topics)
    (alert,) = topics.alerts
    assert (alert.id, alert.key) == (b"0/0/3", b"alert.abnormal_teardown/1:community")
    assert alert.value == topics.logs[KEY][2].value
    assert counters.alerts == 1


# A source that fails


def test_what_came_before_the_source_failed_is_written_first(tmp_path, topics, start):
    fill(topics, *range(1, 8))
    sink = start()
    polls = [topics.logs[KEY][:3], BrokerError("an undecodable record")]

    def poll(wait_s):
        now = polls.pop(0)
        if isinstance(now, BrokerError):
            raise now
        return {KEY: now}

    topics.poll = poll
    arrivals = sink.gather(StepLimits(), 1.0, lambda: False)
    sink.step(arrivals)
    assert files(tmp_path) == {live(0): 3}
    with pytest.raises(BrokerError, match="undecodable"):
        sink.gather(StepLimits(), 1.0, lambda: False)
    assert polls == [], "it is not asked again"


# A disk that is full


def test_a_full_disk_loses_nothing_that_was_confirmed(tmp_path, topics, start, monkeypatch):
    fill(topics, *range(1, 30))
    sink = start()
    sink.step(topics.poll(0))
    real, room = os.write, [400]

    def write(descriptor, data):
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        data = bytes(data)[: room[0]]
        room[0] -= len(data)
        return real(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(StorageError, match=r"No space left on device; free space there and start again"):
            run(sink, topics)
    sink.close()
    assert sink.counters.written == 7, "what the journal does not confirm is not counted"
    sink = start()
    run(sink, topics)
    lines = (tmp_path / EVENTS / live(0)).read_bytes().splitlines()
    assert lines == [record.value for record in topics.logs[KEY]]


def test_a_log_is_inert_until_it_is_opened(tmp_path):
    PartitionLog(Place(tmp_path / "out", *KEY, alerts=False), NEVER, Counters(), Talk(logging.getLogger("sink.test")))
    assert not (tmp_path / "out").exists()
