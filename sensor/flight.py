"""What was sent and is not acknowledged, and what was acknowledged while something before it was not."""

from sensor.segments import Entry, Segments, Tally


class Flight:
    """Batches between the spool and the broker, by their index in the spool's queue, which every method is given.

    A batch that the disk did not take has a negative index: it is sent once. `published` counts the acknowledged,
    `lost` what will not be sent again.
    """

    def __init__(self) -> None:
        self.tally = Tally()
        self.bytes = 0
        self.published = Tally()
        self.lost = Tally()
        self._sent: dict[int, tuple[int, int]] = {}  # rows and bytes, the least index first
        self._acknowledged: dict[int, int] = {}  # rows, from the queue's head on
        self._rewound_to = -1  # up to there, what the queue gives again may be acknowledged

    def __len__(self) -> int:
        return len(self._sent)

    def send(self, index: int, entry: Entry) -> None:
        """Note that a batch is on its way."""
        self._sent[index] = entry.rows, len(entry.data)
        self.tally.add(entry.rows)
        self.bytes += len(entry.data)

    def land(self, queue: Segments, index: int, rows: int, delivered: bool) -> bool:
        """Note that a batch is done with, delivered or refused; False when that was known.

        An answer may come twice, and from a producer that was given up: the batch has arrived all the same.
        """
        sent = self._sent.pop(index, None)
        if sent is not None:
            self.tally.add(-sent[0], -1)
            self.bytes -= sent[1]
        elif index < queue.head or index in self._acknowledged:
            return False
        if index >= queue.head:
            self._acknowledged[index] = rows
        (self.published if delivered else self.lost).add(rows)
        return True

    def has_landed(self, index: int) -> bool:
        """Whether a batch that the queue gives again is acknowledged."""
        return index in self._acknowledged

    def free(self, queue: Segments) -> None:
        """Let the queue forget what is acknowledged without a gap."""
        head = next((index for index in self._sent if index >= 0), queue.taken)
        for index in range(queue.head, head):
            self._acknowledged.pop(index, None)
        queue.acknowledge(head)

    def give_up(self, queue: Segments) -> None:
        """Forget what is on its way, and let the queue give it again; what the queue has lost meanwhile is lost."""
        queue.rewind()
        for index, (rows, _) in self._sent.items():
            if index < queue.head:
                self.lost.add(rows)
        self._sent.clear()
        self.tally = Tally()
        self.bytes = 0
        self._rewound_to = max(self._acknowledged, default=-1)

    def begin_again(self) -> None:
        """Forget what was acknowledged: the queue was replaced by another, whose indices mean other batches."""
        assert not self._sent, "what is on its way must be given up before"
        self._acknowledged.clear()

    def landed_ahead(self, queue: Segments) -> Tally:
        """What the queue will give again although it is acknowledged."""
        ahead = Tally()
        if queue.taken <= self._rewound_to:
            for index, rows in self._acknowledged.items():
                if index >= queue.taken:
                    ahead.add(rows)
        return ahead
