"""What the sink counted since it started, and the few lines that it says about odd records."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from synfin.errors import EXIT_INCOMPLETE, EXIT_OK


@dataclass(slots=True)
class Counters:
    """Records by what became of them; everything else follows from these."""

    read: int = 0  # records that came from the topics
    written: int = 0  # lines that stand in files, and whose journal says so
    bytes: int = 0  # of those lines
    replayed: int = 0  # skipped: a processor that started again sent them again
    left: int = 0  # left alone: a record before them is missing; its replay brings them again
    malformed: int = 0  # no synfin_seq, or no JSON object on one line
    lost: int = 0  # deleted from the topic before they were read
    alerts: int = 0  # acknowledged by the broker
    unsent: int = 0  # alerts without ce_id, or refused by the broker: written and not passed on
    files: int = 0  # finished
    steps: int = 0

    def exit_code(self, gaps: int) -> int:
        """3 when something that should stand in the files, or among the alerts, does not."""
        return EXIT_INCOMPLETE if gaps or self.malformed or self.lost or self.unsent else EXIT_OK

    def summary(self) -> str:
        """The counters in one line; read is the sum of written, replayed, left alone and malformed."""
        return (
            f"{self.read} records read: {self.written} written ({self.bytes} bytes), "
            f"{self.replayed} skipped as replayed, {self.left} left alone behind a gap, {self.malformed} malformed; "
            f"{self.lost} lost to retention, {self.alerts} alerts sent, {self.unsent} not; "
            f"{self.files} files finished"
        )


class Talk:
    """Reports by kind, each at most once in `every_s`; says how many were kept back in between."""

    def __init__(self, log: logging.Logger, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._every_s = every_s
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}  # kind: when it was said last, how often kept back since

    def warn(self, kind: str, text: str) -> None:
        """Say it, unless the same kind was said a moment ago."""
        now = self._clock()
        last, kept_back = self._said.get(kind, (float("-inf"), 0))
        if now - last < self._every_s:
            self._said[kind] = (last, kept_back + 1)
            return
        self._said[kind] = (now, 0)
        more = f" (and {kept_back} more like it since the last report)" if kept_back else ""
        self._log.warning("%s%s", text, more)
