"""The sensor's spool: every batch on disk until Kafka has acknowledged it, so that a killed sensor finds it again.

The folder holds `lock` (one sensor a spool), `layout` (the partition count, once a broker has said it, and the
generation that counts) and the queue of that generation in a folder of its own. Where the broker's partition count is
not the one that the batches were sorted by, the queue is sorted anew into the next generation, and only then does that
one count.
"""

import fcntl
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sensor.segments import Entry, Segments, Tally
from synfin.errors import UsageError
from synfin.wire.topics import PARTITIONS, check_partitions

MAX_BYTES: Final = 1 << 30


class Spool:
    """The spool in `folder`, at most `max_bytes` of batches, twice that while it is sorted anew. Inert until `open`.

    `configured` is the partition count until a broker was reached. `queue` is there while it is open.
    """

    queue: Segments

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES, configured: int = PARTITIONS) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.known: int | None = None  # partition count as a broker said it
        self.dropped_before = Tally()  # by the generations before
        self._configured = check_partitions(configured)
        self._generation = 0
        self._lock = -1

    @property
    def partitions(self) -> int:
        """Partition count by which batches are to be sorted."""
        return self.known or self._configured

    def dropped(self) -> Tally:
        """What was lost from disk: the spool was full, or a record was damaged."""
        before, now = self.dropped_before, self.queue.dropped
        return Tally(before.batches + now.batches, before.packets + now.packets)

    def open(self) -> None:
        """Take the folder; UsageError when it cannot be used or another sensor uses it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.known, self._generation = self._layout()
            for path in self.folder.glob("g*"):
                if path != self._place(self._generation):  # what was being sorted when a sensor was killed
                    shutil.rmtree(path)
            self.queue = Segments(self._place(self._generation), self.max_bytes)
        except UsageError:
            self._unlock()
            raise
        except BlockingIOError:
            self._unlock()
            raise UsageError(f"another sensor uses the spool {self.folder}; name one with --spool") from None
        except OSError as error:
            self._unlock()
            raise UsageError(f"the spool {self.folder} cannot be used: {error}; name one with --spool") from None

    def _place(self, generation: int) -> Path:
        return self.folder / f"g{generation}"

    def _layout(self) -> tuple[int | None, int]:
        try:
            partitions, generation = (self.folder / "layout").read_text().split()
            return (check_partitions(int(partitions)) if partitions != "-" else None), int(generation)
        except FileNotFoundError:
            return None, 0
        except ValueError:
            where = self.folder / "layout"
            raise UsageError(f"{where} is damaged; without it the spool cannot be read: remove the folder") from None

    def _save_layout(self, partitions: int, generation: int) -> None:
        """Replace the file at once: a crash leaves the old or the new."""
        beside = self.folder / "layout.new"
        with beside.open("w") as file:
            file.write(f"{partitions} {generation}\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.folder / "layout")
        self.known, self._generation = partitions, generation

    def learn(self, partitions: int) -> None:
        """Keep the count that the broker said, where all batches are sorted by it."""
        if self.known != partitions:
            self._save_layout(partitions, self._generation)

    def replace(self, partitions: int, entries: Iterable[Entry]) -> None:
        """Put these in place of the whole queue, sorted by another partition count."""
        place = self._place(self._generation + 1)
        shutil.rmtree(place, ignore_errors=True)
        successor = Segments(place, self.max_bytes)
        for entry in entries:
            successor.append(entry)
        old = self.queue
        self._save_layout(partitions, self._generation + 1)
        self.dropped_before = self.dropped()
        self.queue = successor
        old.close()
        shutil.rmtree(old.folder, ignore_errors=True)

    def hand_over(self, uid: int, gid: int) -> None:
        """Give folder and files to the user that the sensor will become."""
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, uid, gid, follow_symlinks=False)

    def close(self) -> None:
        """Give the folder back; what was not acknowledged is there for the next sensor."""
        self.queue.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
