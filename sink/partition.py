"""One topic-partition on its way into files: records in, lines and alerts out, and a journal of how far that went.

A step is `take`, `sync`, then the alerts (elsewhere), `keep`, `rotate`; whatever point it is killed at, `open` goes on
from the last journal that was kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import orjson

from sink.alerts import TYPE_HEADER, Alert, Headers, alert_of, header, rule_of
from sink.counters import Counters, Talk
from sink.files import LIVE_SUFFIX, Extent, LiveFile, Names, Rotation, finish, make_folder, storing, sync_folder
from sink.journal import Journal, journal_path, load, save
from synfin.errors import StorageError, UsageError
from synfin.once import SEQ_HEADER, Once, Verdict, parse_seq

JOURNALS: Final = "journal"  # folder beside those of the topics


class Record(Protocol):
    """A record as a consumer gives it."""

    @property
    def topic(self) -> str:
        """Name of the topic."""

    @property
    def partition(self) -> int:
        """Number of the partition."""

    @property
    def offset(self) -> int:
        """Place in the partition."""

    @property
    def timestamp_ms(self) -> int:
        """When it was sent, by the clock of whoever sent it."""

    @property
    def key(self) -> bytes | None:
        """The key's bytes, None without one."""

    @property
    def value(self) -> bytes | None:
        """The value's bytes, None without one."""

    @property
    def headers(self) -> Headers:
        """Names and values in order."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which topic-partition goes to which folder, and whether its events may be alerts."""

    out: Path
    topic: str
    partition: int
    alerts: bool

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


def event_ns(value: bytes) -> int | None:
    """Event time of a flow (its end) or an event; None when it tells none, ValueError when it is no JSON line."""
    if b"\n" in value or b"\r" in value:
        raise ValueError("it goes over several lines")
    fields = orjson.loads(value)
    if not isinstance(fields, dict):
        raise ValueError("it is not a JSON object")
    told = fields.get("end_ns", fields.get("ts_ns"))
    return told if type(told) is int else None


class PartitionLog:
    """The way of one topic-partition into its files. Inert until `open`."""

    def __init__(self, place: Place, rotation: Rotation, counters: Counters, talk: Talk) -> None:
        self.place = place
        self.once = Once()
        self.next = 0  # offset of the next record to read
        self.last_ms = 0  # timestamp of the last one read; 0: none yet
        self.alerts: list[Alert] = []  # of the records taken since the last `keep`
        self._rotation = rotation
        self._counters = counters
        self._talk = talk
        self._names = Names(place.out / place.topic, place.topic, place.partition)
        self._journal_path = journal_path(place.out / JOURNALS, place.topic, place.partition)
        self._file: LiveFile | None = None
        self._extent: Extent | None = None  # of the live file, as of the last line
        self._finishing: Extent | None = None
        self.due = False  # the live file is to be finished at the end of this step
        self._lines = 0  # written in this step
        self._bytes = 0

    # On start

    def open(self, earliest: int, end: int) -> int:
        """Bring the files to what the journal says and return the offset to read from.

        `earliest` and `end` are the offsets that the topic still has.
        """
        make_folder(self._names.folder)
        make_folder(self._journal_path.parent)
        journal = load(self._journal_path, self.place.topic, self.place.partition)
        if journal is None:
            self._begin(earliest)
            return self.next
        if journal.next > end:
            raise UsageError(
                f"{self._journal_path} is at offset {journal.next} and {self.place} ends at {end}: the topic was made "
                "anew, or this is another cluster; name another folder with --out"
            )
        self.next = journal.next
        self.once = Once(journal.taken, journal.gaps, journal.open_slices)
        self._recover(journal)
        if self.next < earliest:
            self._skip_to(earliest)
        self._save()
        sync_folder(self._journal_path.parent)
        return self.next

    def _begin(self, earliest: int) -> None:
        """Keep a journal before there is any file, so that files without one always mean that it was lost."""
        found = self._names.found()
        if found:
            raise StorageError(
                f"{found[0].name} lies in {self._names.folder}, and its journal {self._journal_path} does not exist: "
                "its records would be written a second time. Put the journal back, or name another folder with --out"
            )
        self.next = earliest
        self._save()
        sync_folder(self._journal_path.parent)

    def _recover(self, journal: Journal) -> None:
        if journal.finishing is not None:
            self._finish_again(journal.finishing)
        if journal.live is not None:
            self._file = LiveFile(self._names.live(journal.live.first), journal.live.bytes, new=False)
            self._file.open()
            self._extent = journal.live
        for path in self._names.found():
            self._check(path)
        sync_folder(self._names.folder)

    def _finish_again(self, extent: Extent) -> None:
        """The step before the end may have been killed between journal and rename."""
        live, closed = self._names.live(extent.first), self._names.closed(extent)
        if live.exists():
            file = LiveFile(live, extent.bytes, new=False)
            file.open()
            file.close()
            finish(live, closed)
        elif not closed.exists():
            self._talk.warn("taken away", f"{closed} was finished and is no longer there: moved away, or deleted")

    def _check(self, path: Path) -> None:
        """Remove a live file that no journal ever confirmed; refuse files of which the journal should know."""
        live = path.name.endswith(LIVE_SUFFIX)
        if self._file is not None and path == self._file.path:
            return
        offset = int(path.name.removesuffix(LIVE_SUFFIX)[-20:]) if live else int(path.stem[-20:])
        if live and offset >= self.next:
            with storing("remove", path):
                path.unlink()
        elif live or offset >= self.next:
            raise StorageError(
                f"{path} does not fit the journal {self._journal_path}, which is at offset {self.next}: one of them "
                "was put there from an older copy. Restore both, or name another folder with --out"
            )

    # A step

    def take(self, records: Sequence[Record]) -> int:
        """Deal with records from the front until the live file is due to be finished; return with how many."""
        lines: list[bytes] = []
        count = 0
        for record in records:
            count += 1
            line = self._line(record)
            if line is not None:
                lines += (line, b"\n")
                if self.due:
                    break
        if lines:
            data = b"".join(lines)
            assert self._file is not None
            self._file.append(data)
            self._lines += len(lines) // 2
            self._bytes += len(data)
        self._counters.read += count
        return count

    def finish_file(self) -> None:
        """Have the live file finished at the end of this step, if there is one."""
        self.due = self._extent is not None

    def sync(self) -> None:
        """Make the lines of this step last."""
        if self._file is not None and self._lines:
            self._file.sync()

    def keep(self) -> None:
        """Write the journal of this step; it lasts when the folder of the journals has been synced."""
        if self.due:
            assert self._file is not None
            self._file.close()
            self._finishing, self._file, self._extent, self.due = self._extent, None, None, False
        self._save()
        self._counters.written += self._lines
        self._counters.bytes += self._bytes
        self._lines = self._bytes = 0
        self.alerts.clear()

    def rotate(self) -> None:
        """Give a file that this step finished its lasting name, and take that off the journal."""
        if self._finishing is None:
            return
        finish(self._names.live(self._finishing.first), self._names.closed(self._finishing))
        self._finishing = None
        self._counters.files += 1
        self._save()

    def close(self) -> None:
        """Let go of the live file, as it is."""
        if self._file is not None:
            self._file.close()

    # Records

    def _line(self, record: Record) -> bytes | None:
        """Judge one record; return the line to write, if any."""
        self._follow(record.offset)
        self.last_ms = record.timestamp_ms
        seq = parse_seq(header(record.headers, SEQ_HEADER))
        if seq is None:
            self._malformed(record, f"its header {SEQ_HEADER} is missing, or is not slice:epoch:n")
            return None
        verdict = self.once.judge(seq, record.offset)
        if verdict is Verdict.REPLAY:
            self._counters.replayed += 1
            return None
        if verdict is Verdict.GAP:
            self._counters.left += 1
            self._talk.warn("gap", f"{self.place} offset {record.offset}: {self.gap_text(seq.slice)}")
            return None
        return self._checked_line(record)

    def _checked_line(self, record: Record) -> bytes | None:
        """Look into the value of a record that is the next of its slice."""
        value = record.value
        try:
            if value is None:
                raise ValueError("it has no value")  # noqa: TRY301  (one place that counts malformed values)
            at_ns = event_ns(value)
        except ValueError as error:
            self._malformed(record, str(error))
            return None
        if self.place.alerts:
            self._alert(record, value)
        self._grow(record.offset, len(value) + 1, at_ns)
        return value

    def _alert(self, record: Record, value: bytes) -> None:
        rule = rule_of(header(record.headers, TYPE_HEADER), value)
        if rule is None:
            return
        alert = alert_of(rule, record.key, value, record.headers)
        if alert is None:
            self._counters.unsent += 1
            self._talk.warn("unsent", f"{self.place} offset {record.offset} is an alert without ce_id: not passed on")
        else:
            self.alerts.append(alert)

    def _grow(self, offset: int, size: int, at_ns: int | None) -> None:
        if self._extent is None:
            self._file = LiveFile(self._names.live(offset), 0, new=True)
            self._file.open()
            self._extent = Extent(offset, offset, size, at_ns)
        else:
            held = self._extent
            self._extent = Extent(held.first, offset, held.bytes + size, held.first_ns)
        self.due = self.due or self._rotation.due(self._extent.bytes, self._extent.first_ns, at_ns)

    def _follow(self, offset: int) -> None:
        """Offsets of these topics have no holes; a step aside means that the topic is no longer the same."""
        if offset > self.next:
            self._skip_to(offset)
        elif offset < self.next:
            raise UsageError(
                f"{self.place} went back from offset {self.next} to {offset}: the topic was made anew; start again "
                "with another folder"
            )
        self.next = offset + 1

    def _skip_to(self, offset: int) -> None:
        lost = offset - self.next
        self._counters.lost += lost
        self._talk.warn(
            "lost",
            f"{self.place}: {lost} records from offset {self.next} on were deleted before they were read; "
            "read more often, or keep the topic longer (retention.ms)",
        )
        self.once.lost()
        self.next = offset

    def _malformed(self, record: Record, why: str) -> None:
        self._counters.malformed += 1
        self._talk.warn("malformed", f"{self.place} offset {record.offset} is no record of synfin: {why}")

    def gap_text(self, slice_number: int) -> str:
        """Say in words what a slice waits for."""
        gap = self.once.gaps[slice_number]
        return (
            f"slice {slice_number} waits for {self.once.missing(slice_number)}: {gap.left} records from {gap.first} "
            f"(offset {gap.offset}) on were left alone; a restart of the processor sends them again"
        )

    def _save(self) -> None:
        journal = Journal(
            topic=self.place.topic,
            partition=self.place.partition,
            next=self.next,
            taken=self.once.taken,
            gaps=self.once.gaps,
            open_slices=frozenset(self.once.open_slices),
            live=self._extent,
            finishing=self._finishing,
        )
        save(self._journal_path, journal)
