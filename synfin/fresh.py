"""What a reader who keeps nothing shows of a topic: what did not come before, while it reads."""

import sys
from collections import defaultdict
from typing import Final

from synfin.clients import Message
from synfin.once import SEQ_HEADER, Once, Verdict, parse_seq

IDS_MAX: Final = 1 << 16  # alerts that are remembered, to tell those that come again


class Fresh:
    """Tells what did not come before: a record by its number where it has one, an alert by its id."""

    def __init__(self) -> None:
        self._once: defaultdict[int, Once] = defaultdict(Once)  # of each partition
        self._following: dict[int, int] = {}  # its next offset
        self._ids: dict[bytes, None] = {}
        self._missed: set[int] = set()  # slices of which it was said that something is missing

    def takes(self, message: Message) -> bool:
        """Whether it is new, and nothing before it is missing."""
        once, number = self._once[message.partition], message.partition
        if self._following.get(number, message.offset) != message.offset:
            once.lost()  # the topic let go of what lay between before we came to it
        self._following[number] = message.offset + 1
        headers = dict(message.headers)
        seq = parse_seq(headers.get(SEQ_HEADER))
        if seq is None:
            return self._is_new(headers.get("ce_id") or b"")
        verdict = once.judge(seq, message.offset)
        if verdict is Verdict.GAP and seq.slice not in self._missed:
            self._missed.add(seq.slice)
            what = "what follows it is left alone until a replay brings both"
            sys.stderr.write(f"synfin tail: {once.missing(seq.slice)} has not come; {what}\n")
        return verdict is Verdict.TAKE

    def _is_new(self, name: bytes) -> bool:
        if name in self._ids:
            return False
        if name:
            self._ids[name] = None
        if len(self._ids) > IDS_MAX:
            del self._ids[next(iter(self._ids))]
        return True
