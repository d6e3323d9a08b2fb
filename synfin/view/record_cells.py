"""Records that were told as JSON as lines for a person, in columns: connections, events and alerts."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from synfin.errors import StorageError
from synfin.view.style import Style, safe
from synfin.view.words import CAUSE_WORDS, Record, abnormal, duration, ended, opened, size, socket_text

HEADINGS: Final = ("TIME", "ORIGINATOR", "", "RESPONDER", "OPENED", "SENT", "RECEIVED", "ENDED", "STATES", "")
RIGHT: Final = tuple(heading in ("SENT", "RECEIVED") for heading in HEADINGS)
EVENT_HEADINGS: Final = ("TIME", "SEVERITY", "WHAT", "ORIGINATOR", "", "RESPONDER", "SENSOR", "")
# What comes of a record that is not as its schema says, when it is made into words.
NOT_AS_TOLD: Final = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
_PAINTS: Final = {"alert": "bad", "warn": "warn", "debug": "faint"}
_LEAST: Final = {  # so that the first lines of a stream look like those behind
    "TIME": 23,
    "ORIGINATOR": 15,
    "RESPONDER": 15,
    "OPENED": 16,
    "SENT": 7,
    "RECEIVED": 8,
    "ENDED": 23,
    "SEVERITY": 8,
    "WHAT": 24,
}


T = TypeVar("T")


def as_schema(made: Iterable[T]) -> Iterator[T]:
    """What is made of records. StorageError for one that is not as its schema says."""
    try:
        yield from made
    except NOT_AS_TOLD as error:
        why = f"{type(error).__name__}: {error}"
        raise StorageError(f"a record is not as its schema says ({why}); --json shows it") from error


def moment(ns: int) -> str:
    """A time of this host's zone to the millisecond, with its day."""
    try:
        local = datetime.fromtimestamp(ns // 1_000_000_000, UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return f"{ns} ns"
    return f"{local:%Y-%m-%d %H:%M:%S}.{ns // 1_000_000 % 1000:03}"


def flow_cells(record: Record, style: Style) -> list[str]:
    """A connection in the columns of HEADINGS."""
    orig, resp = record["orig"], record["resp"]
    return [
        moment(record["start_ns"]),
        socket_text(orig),
        style.sign("→", ">"),
        socket_text(resp),
        opened(record),
        size(orig["bytes"]),
        size(resp["bytes"]),
        ended(record),
        f"{orig['state']} / {resp['state']}",
        ", ".join(abnormal(record)),
    ]


def event_cells(record: Record, style: Style) -> list[str]:
    """An event, or an alert over many connections, in the columns of EVENT_HEADINGS."""
    told = [moment(record["ts_ns"]), str(record["severity"]), str(record["kind"])]
    if "orig" in record:
        ends = [socket_text(record["orig"]), style.sign("→", ">"), socket_text(record["resp"])]
    else:  # it is of an address, and perhaps a port of it
        who = str(record["ip"]) if record["port"] is None else socket_text(record)
        ends = ["", "", who] if record["of"] == "service" else [who, "", ""]
    return [*(safe(text) for text in told), *ends, safe(str(record["sensor"])), _why(record)]


def _why(record: Record) -> str:
    """What else an event tells, in few words."""
    parts = []
    if record.get("to"):
        parts.append(f"{record['endpoint']} {record['from']} to {record['to']}")
    if record.get("by"):
        parts.append(f"by {record['by']}")
    if record.get("cause"):
        parts.append(" or ".join(CAUSE_WORDS.get(cause, str(cause)) for cause in record["cause"]))
    if record.get("corrects"):
        parts.append(f"takes back {str(record['corrects']).partition('/')[2]}")
    if record.get("counts"):
        parts += [f"{count} {str(name).replace('_', ' ')}" for name, count in record["counts"].items() if count]
        parts.append(f"in {duration(max(0, record['ts_ns'] - record['since_ns']))}")
    if record.get("certainty", "observed") != "observed":
        parts.append(str(record["certainty"]))
    return safe(", ".join(parts))


def line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    """A row in columns."""
    placed = zip(row, widths, right, strict=True)
    return "  ".join(text.rjust(width) if flush else text.ljust(width) for text, width, flush in placed).rstrip()


class Lines:
    """Lines of a stream of records, whose columns grow with what they hold."""

    def __init__(self, events: bool, style: Style) -> None:
        self.headings = EVENT_HEADINGS if events else HEADINGS
        self._events, self._style = events, style
        self._widths = [max(len(heading), _LEAST.get(heading, 0)) for heading in self.headings]

    def header(self) -> str:
        """The headings over the columns, as wide as they are now."""
        return self._style.paint(self._placed(self.headings), "faint")

    def of(self, record: Record) -> str:
        """The line of a record; of one that is not as it should be, that it is not."""
        try:
            cells = event_cells(record, self._style) if self._events else flow_cells(record, self._style)
            paint = _PAINTS.get(record["severity"], "") if self._events else "bad" if record["alerts"] else ""
        except NOT_AS_TOLD:
            return self._style.paint("a record that is not as its schema says; --json shows it", "warn")
        self._widths[:] = map(max, self._widths, map(len, cells))
        return self._style.paint(self._placed(cells), paint)

    def _placed(self, cells: Sequence[str]) -> str:
        return line(cells, self._widths, (False,) * len(cells) if self._events else RIGHT)
