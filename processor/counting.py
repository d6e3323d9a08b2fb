"""The first stage of rules over several connections: adds up what a partition sees, into the records of counts.

Pure as the slices are, and nothing of it is on the way of a data packet: it reads what the core emits when a connection
opens, fails or is reset. A window of a sensor is closed when the sensor's clock is past it. Records are additive, so
what must make room is simply emitted early, and no count is ever lost or guessed.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
import orjson
import zstandard

from processor.cell import (
    CELL,
    CELLS_MAX,
    CONTROL,
    KINDS,
    NEVER_NS,
    NOBODY,
    REMEMBERED,
    SENSOR,
    SERVICE,
    SLOTS,
    SOURCE,
    STRAY,
    TABLES,
    TARGET,
    Cells,
    Rows,
)
from processor.cells import count, index
from processor.stuck import Stuck
from synfin.errors import ContractError, UsageError
from synfin.pools import addresses_of
from synfin.wire.counts import (
    CLOCKS,
    MEMBERS_MAX,
    SUMS,
    TARGETS_MAX,
    TYPE,
    WINDOW_NS,
    Count,
    Key,
    empty,
    encode,
    group_of,
    ip_text,
)
from synfin.wire.event import Records

SENSORS_MAX: Final = 1024  # beyond it one makes way for each new one
STATE_KEY: Final = b"open"  # of its values in the state topic
MAGIC: Final = b"SYNC"
PREFIX: Final = struct.Struct("<4sqq")  # magic, epoch, next offset: of two snapshots the greater is the newer
SIZE_MAX: Final = 1 << 30
LAYOUT: Final = repr([(name, dtype.descr) for name, dtype in TABLES])
_NAMES: Final = [tuple(SUMS[of]) for of in KINDS]

Row = tuple[str, bytes, bytes, str, str, str]


class Counting:
    """The open records of a partition, or of all there is in one process."""

    def __init__(self, key: int, partitions: int = 1, partition: int = 0, room: int = CELLS_MAX) -> None:
        """`key` is of the hash table: random. `partitions` of the counts topic. `room` for so many cells."""
        self.next = 0  # offset of the first batch that is not in the counts
        self._partition, self._epoch = partition, -1  # offset of the first that is, where there was no snapshot
        self._sent = [0] * partitions  # number of the last record for each partition of the counts topic
        self._names: list[str] = []  # of the sensors, by row of SENSOR
        self._numbers: dict[str, int] = {}  # the other way round
        self._next_row = 0  # whose sensor makes way
        self._tables = Cells(
            control=np.zeros(1, CONTROL),
            wanted=np.zeros(1, CELL),
            cells=np.zeros(room, CELL),
            targets=np.zeros(room * TARGETS_MAX, TARGET),  # which the system gives when they are written
            slots=np.zeros(SLOTS * room, np.uint32),
            sensors=np.zeros(0, SENSOR),
            numbers=np.zeros(0, np.uint32),
        )
        self._tables.control["key"], self._tables.control["room"] = key, room
        self._addresses = addresses_of(self._tables)
        self._stuck = Stuck()
        self._closed: list[Count] = []  # until `take`

    def add(self, records: Records) -> None:
        """Count what the core emitted."""
        new = records.sensors[len(self._tables.numbers) :]
        if new:
            self._replace(numbers=np.append(self._tables.numbers, np.full(len(new), NOBODY, np.uint32)))
        control = self._tables.control
        control["tallies_at"] = control["events_at"] = 0
        while not count(self._addresses, records.tallies, records.events, records.evidence):
            wanted = int(control["sensor"][0])
            if self._tables.numbers[wanted] == NOBODY:
                self._tables.numbers[wanted] = self._sensor(records.sensors[wanted])
            else:
                self._close(np.ones(int(control["cells_n"][0]), bool))
        self._stuck.note(records)

    def _replace(self, **tables: Rows) -> None:
        self._tables = self._tables._replace(**tables)
        self._addresses = addresses_of(self._tables)

    def _sensor(self, name: str) -> int:
        """Row of a sensor, made at first sight."""
        number = self._numbers.get(name)
        if number is not None:
            return number
        row = np.zeros(1, SENSOR)
        for field in ("clock", "opened_at", "lost_last_ns"):
            row[field] = NEVER_NS
        if len(self._names) < SENSORS_MAX:
            number = len(self._names)
            self._names.append(name)
            self._replace(sensors=np.append(self._tables.sensors, row))
        else:
            number = self._make_way()
            self._names[number] = name
            self._tables.sensors[number : number + 1] = row
        self._numbers[name] = number
        return number

    def _make_way(self) -> int:
        """A row whose sensor begins anew when it is heard again: no count is lost, but what explains counts is."""
        number, self._next_row = self._next_row, (self._next_row + 1) % SENSORS_MAX
        cells = self._tables.cells[: int(self._tables.control["cells_n"][0])]
        self._close(cells["sensor"] == number)
        self._tables.numbers[self._tables.numbers == number] = NOBODY
        del self._numbers[self._names[number]]
        self._stuck.forget(self._names[number])
        return number

    def _row(self, name: str) -> Any:
        number = self._sensor(name)
        return self._tables.sensors[number]

    def lost(self, sensor: str, first_ns: int, last_ns: int) -> None:
        """Note that the sensor lost packets in a stretch of time."""
        row = self._row(sensor)
        joins = row["lost_last_ns"] >= first_ns - WINDOW_NS
        row["lost_first_ns"] = min(int(row["lost_first_ns"]), first_ns) if joins else first_ns
        row["lost_last_ns"] = max(int(row["lost_last_ns"]), last_ns)

    def begun_anew(self, sensor: str) -> None:
        """The sensor's connections were forgotten: what is seen of them from now on says nothing."""
        self._row(sensor)["opened"] = 0

    def close(self, sensor: str, until_ns: int) -> None:
        """Close the sensor's windows but that of its clock; after a step back the later ones are over too."""
        number, window = self._sensor(sensor), until_ns // WINDOW_NS
        before = int(self._tables.sensors["clock"][number])
        if before - window in {0, 1}:  # 1: of several lanes one may be behind
            return
        self._tables.sensors["clock"][number] = window
        cells = self._tables.cells[: int(self._tables.control["cells_n"][0])]
        self._close((cells["sensor"] == number) & (cells["window"] != window))
        for made in self._stuck.held(sensor, before, window):
            made.loss = _overlaps(self._tables.sensors[["lost_first_ns", "lost_last_ns"]][number].item(), made)
            self._closed.append(made)
        self._say("clock", sensor, window)

    def end(self, sensor: str, last_ns: int) -> None:
        """The sensor's capture ended: close all, and say so to every partition."""
        number = self._sensor(sensor)
        self._tables.sensors["clock"][number] = NEVER_NS
        cells = self._tables.cells[: int(self._tables.control["cells_n"][0])]
        self._close(cells["sensor"] == number)
        self._stuck.forget(sensor)
        self.begun_anew(sensor)
        self._say("end", sensor, last_ns // WINDOW_NS)

    def _say(self, what: str, sensor: str, window: int) -> None:
        """Tell every partition where the sensor's clock stands."""
        self._closed.append(empty(Key(what, sensor, 0, "", 0), window * WINDOW_NS))

    def _close(self, chosen: Rows) -> None:
        """Make records of the chosen cells; the others close ranks."""
        if not chosen.any():
            return
        tables = self._tables
        self._closed += self._counts(np.flatnonzero(chosen))
        cells, left = tables.cells[: len(chosen)], np.flatnonzero(~chosen)
        if len(left):
            named = (cells["of"][left] == SOURCE) & (cells["members_n"][left] > 0)
            targets = tables.targets.reshape(-1, TARGETS_MAX)
            targets[np.flatnonzero(named)] = targets[left[named]]
            cells[: len(left)] = cells[left]
        tables.control["cells_n"] = len(left)
        tables.slots.fill(0)
        index(self._addresses)

    def _counts(self, numbers: Rows) -> Iterator[Count]:
        """Cells as records."""
        cells, targets = self._tables.cells, self._tables.targets.reshape(-1, TARGETS_MAX)
        columns = [
            cells[name][numbers].tolist() for name in ("of", "sensor", "domain", "family", "high", "low", "port")
        ]
        columns += [cells[name][numbers].tolist() for name in ("window", "sums", "members_n")]
        first = cells["members"][numbers, 0].tolist()
        lost = self._tables.sensors[["lost_first_ns", "lost_last_ns"]].tolist()
        for i, (of, sensor, domain, family, high, low, port, window, sums, n) in enumerate(zip(*columns, strict=True)):
            key = Key(KINDS[of], self._names[sensor], domain, ip_text(family, high, low), port)
            made = Count(key, window * WINDOW_NS, dict(zip(_NAMES[of], sums, strict=False)))
            if n and of == SOURCE:
                found = targets[numbers[i], :n].tolist()
                made.members = {(ip_text(family, high, low), port) for high, low, port in found}
            elif n:
                made.members = {first[i]} if n == 1 else set(cells["members"][numbers[i], :n].tolist())
            made.loss = _overlaps(lost[sensor], made)
            if of == STRAY:
                made.both_ways = _opened_before(self._tables.sensors[sensor], window)
            elif of == SERVICE and made.sums["killed"]:
                cell = cells[numbers[i]]
                made.killed_ns = int(cell["killed_first_ns"]), int(cell["killed_last_ns"])
            yield made

    def take(self) -> list[Count]:
        """Records that were closed since the last call."""
        closed, self._closed = self._closed, []
        return closed

    def rows(self, offset: int) -> Iterator[Row]:
        """The same as a producer takes them, when the batch at `offset` was counted; the topic names the partition."""
        self._epoch = offset if self._epoch < 0 else self._epoch
        self.next = offset + 1
        partitions = len(self._sent)
        for made in self.take():
            text, value = made.key.text(), encode(made)
            every = made.key.of in CLOCKS
            for target in range(partitions) if every else (group_of(text) % partitions,):
                self._sent[target] += 1
                seq = f"{self._partition}:{self._epoch}:{self._sent[target]}"
                yield f"counts/{target}", text.encode(), value, f"counts/{target}/{seq}", TYPE, seq

    def snapshot(self) -> bytes:
        """All that is open, as a value of the state topic."""
        tables = self._tables
        cells = tables.cells[: int(tables.control["cells_n"][0])].copy()
        filled = np.arange(MEMBERS_MAX) < cells["members_n"][:, None]
        cells["members"][~filled | (cells["of"] == SOURCE)[:, None]] = 0
        cells["hash"] = 0
        targets = tables.targets.reshape(-1, TARGETS_MAX)[: len(cells)][_named(cells)]
        head = {
            "layout": LAYOUT,
            "place": [self._partition, len(self._sent)],
            "next": self.next,
            "epoch": self._epoch,
            "sent": self._sent,
            "next_row": self._next_row,
            "sensors": [[name, *row.tolist()] for name, row in zip(self._names, tables.sensors, strict=True)],
            "stuck": self._stuck.snapshot(),
            "cells": len(cells),
        }
        told = orjson.dumps(head)
        body = b"".join([struct.pack("<I", len(told)), told, cells.tobytes(), targets.tobytes()])
        rest = zstandard.ZstdCompressor(level=1, write_checksum=True).compress(body)
        return PREFIX.pack(MAGIC, self._epoch, self.next) + rest

    def put_back(self, value: bytes) -> None:
        """Take a snapshot; ContractError when it is none, UsageError when it is one of elsewhere."""
        try:
            body = zstandard.ZstdDecompressor().decompress(value[PREFIX.size :], max_output_size=SIZE_MAX)
            told_n = struct.unpack_from("<I", body)[0]
            told = orjson.loads(body[4 : 4 + told_n])
            if told["layout"] != LAYOUT or told["place"] != [self._partition, len(self._sent)]:
                raise UsageError(
                    "a snapshot of the counts is of another version of this program or another number of partitions: "
                    "go on with those, or create packets, counts, state, events and flows anew together"
                )
            cells = np.frombuffer(body, CELL, int(told["cells"]), 4 + told_n)
            targets = np.frombuffer(body, TARGET, -1, 4 + told_n + cells.nbytes)
            self._fill(told, cells, targets)
        except (zstandard.ZstdError, struct.error, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ContractError(f"a snapshot of the counts is damaged: {error!r}") from error

    def _fill(self, told: dict[str, Any], cells: Rows, targets: Rows) -> None:
        """Kernels look at no bound, so what they index by must be inside."""
        n, named = len(cells), _named(cells)
        outside = (cells["of"] >= len(KINDS)) | (cells["sensor"] >= len(told["sensors"]))
        if len(told["sent"]) != len(self._sent):
            raise ValueError("it has numbers for another count of partitions")
        if (
            n > len(self._tables.cells)
            or (outside | (cells["members_n"] > MEMBERS_MAX)).any()
            or len(targets) != named.sum()
        ):
            raise ValueError("a number in it is out of its range")
        self.next, self._epoch, self._sent = int(told["next"]), int(told["epoch"]), [int(n) for n in told["sent"]]
        self._names = [str(name) for name, *_ in told["sensors"]]
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._stuck.put_back(told["stuck"])
        self._next_row = int(told["next_row"]) % SENSORS_MAX
        sensors = np.array([tuple(row) for _, *row in told["sensors"]], SENSOR)
        self._tables.cells[:n] = cells
        self._tables.targets.reshape(-1, TARGETS_MAX)[:n][named] = targets
        self._tables.control["cells_n"] = n
        self._replace(sensors=sensors)
        index(self._addresses)


def newest(values: Iterable[bytes]) -> bytes | None:
    """The newest snapshot of counts among values of the state topic; None when there is none."""
    own = [value for value in values if value.startswith(MAGIC) and len(value) >= PREFIX.size]
    return max(own, key=PREFIX.unpack_from, default=None)


def _named(cells: Rows) -> Rows:
    """Which targets of the cells there are."""
    named: Rows = (np.arange(TARGETS_MAX) < cells["members_n"][:, None]) & (cells["of"] == SOURCE)[:, None]
    return named


def _overlaps(lost_ns: tuple[int, int], made: Count) -> bool:
    """Whether packets were lost in a record's window."""
    first_ns, last_ns = lost_ns
    return first_ns < made.window_ns + WINDOW_NS and made.window_ns <= last_ns


def _opened_before(sensor: Any, window: int) -> bool:
    """Whether a handshake was seen in a window before: at first, answers to what came before us are no strays."""
    after = int(sensor["opened_at"]) - window
    if not -REMEMBERED <= after < 64:
        return False
    seen = int(sensor["opened"]) >> after + 1 if after >= 0 else int(sensor["opened"])
    return bool(seen & (1 << REMEMBERED + min(after + 1, 0)) - 1)
