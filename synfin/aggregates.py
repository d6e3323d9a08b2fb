"""The rules over several connections in one process: both stages, with lists in place of the topics between them."""

from processor.cell import CELLS_MAX
from processor.counting import Counting
from processor.index_key import index_key
from processor.rules import Thresholds
from processor.tcp.machine import Machine
from processor.windows import Alert, Judge
from synfin.wire.batch import GOES_ON, Batch
from synfin.wire.event import Records


class Rules:
    """The rules over several connections, behind the slices."""

    def __init__(self, limits: Thresholds | None = None) -> None:
        self._counting = Counting(index_key()[0], room=4 * CELLS_MAX)  # more than one piece of records begins
        self._judge = Judge(limits or Thresholds())
        self._dropped: dict[int, tuple[int, int]] = {}  # lane to what it had lost, and when it said so

    def count(self, records: Records) -> None:
        """Count a piece of what the core made of a batch."""
        self._counting.add(records)

    def begin(self, batch: Batch, machine: Machine) -> None:
        """Note what a batch says of losses, before its pieces are counted."""
        number, sensor = machine.lane_number(batch.lane), batch.lane.sensor
        before = self._dropped.get(number, (0, batch.first_ns))
        if batch.dropped > before[0]:
            self._counting.lost(sensor, before[1], batch.last_ns)
        if batch.first_ns < before[1]:
            self._counting.begun_anew(sensor)
        self._dropped[number] = batch.dropped, batch.last_ns

    def after(self, batch: Batch) -> list[Alert]:
        """What the batch makes due, when all its pieces were counted."""
        if batch.end == GOES_ON:
            self._counting.close(batch.lane.sensor, batch.last_ns)
        else:
            self._counting.end(batch.lane.sensor, batch.last_ns)
        return [alert for count in self._counting.take() for alert in self._judge.add(count)]
