"""`synfin read`: the connections of capture files."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from synfin.errors import EXIT_INCOMPLETE, EXIT_OK
from synfin.small import plain_if_small

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processor.windows import Alert
    from sensor.pcapfile import CaptureFile
    from synfin.aggregates import Rules
    from synfin.embedded import Source
    from synfin.filter.tree import Filter
    from synfin.printing import Printer
    from synfin.wire.event import Records


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    add_sources(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="flow records, one JSON object a line")
    form.add_argument("--events", action="store_true", help="events as they happen, one JSON object a line")
    form.add_argument("--packets", action="store_true", help="packets, one a line, with both ends' states behind each")
    form.add_argument("-T", dest="form", choices=("fields",), help="packets, the fields named by -e between tabs")
    parser.add_argument("-e", dest="fields", action="append", default=[], metavar="FIELD", help="a field for -T fields")
    parser.add_argument(
        "-Y", dest="filter", metavar="FILTER", help="connections with a packet that passes this display filter"
    )
    parser.add_argument("--sort", choices=("start",), help="with --json: by first packet, not in the order of writing")


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Flags that name captures."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="pcap or pcapng; - is standard input")
    parser.add_argument(
        "--sensor",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="a capture with the name of its vantage point",
    )
    parser.add_argument(
        "--local", action="append", default=[], metavar="CIDR,...", help="addresses of the capturing host"
    )


def _printer(args: argparse.Namespace) -> "Printer":
    from synfin.printing import JsonPrinter, SortedPrinter, TextPrinter

    if args.sort:
        return SortedPrinter()
    if args.json or args.events:
        return JsonPrinter(events=args.events)
    return TextPrinter("no connection passes the filter") if args.filter else TextPrinter()


def rules_for(args: argparse.Namespace) -> "Rules | None":
    """The rules over several connections where their alerts are wanted."""
    if not args.events:
        return None
    from synfin.aggregates import Rules

    return Rules()


def print_alerts(alerts: "list[Alert]") -> None:
    """Print what the rules raised, one JSON object a line, and forget it."""
    if alerts:
        sys.stdout.buffer.writelines(alert.value + b"\n" for alert in alerts)
        sys.stdout.buffer.flush()
        alerts.clear()


def understood(text: str) -> "Filter":
    """The filter, with hints on standard error. FilterError."""
    from synfin.filter.check import understand

    made = understand(text)
    for hint in made.hints:
        sys.stderr.write(f"synfin read: {hint}\n")
    return made


class Choice:
    """Which records a filter lets pass; all without one. FilterError, and hints on standard error."""

    def __init__(self, text: str | None, events: bool) -> None:
        self.selection: Any = None  # a Selection
        self._passing: Callable[[Records], Records] | None = None
        if text is None:
            return
        from synfin.filter.askable import by_records, check_of_events
        from synfin.filter.records import events_passing, flows_passing, wanted
        from synfin.packets.selection import Selection

        made = understood(text)
        if events:
            check_of_events(made)
            self._passing = lambda records: events_passing(records, made)
        elif by_records(made):
            self._passing = lambda records: flows_passing(records, made)
        else:
            self.selection = Selection(made)
            self._passing = wanted

    def of(self, records: "Records") -> "Records":
        """The records that pass."""
        return self._passing(records) if self._passing else records


def main(args: argparse.Namespace) -> int:
    """Read the files; the exit code."""
    plain_if_small([*args.files, *(named.partition("=")[2] for named in args.sensor)])
    from synfin.errors import UsageError

    if args.sort and not args.json:
        raise UsageError("--sort start goes with --json")
    if bool(args.fields) != bool(args.form):
        raise UsageError("-T fields and -e FIELD go together")
    torn = _packets(args) if args.packets or args.form else _connections(args)
    for said in torn:
        sys.stderr.write(f"synfin read: {said}\n")
    return EXIT_INCOMPLETE if torn else EXIT_OK


def _connections(args: argparse.Namespace) -> list[str]:
    """Print connections or events; what was wrong with files that ended before their time."""
    from processor.tcp.machine import Limits
    from synfin.embedded import Reading, local_of, sources_of
    from synfin.printing import Progress

    printer, progress = _printer(args), Progress()
    choice = Choice(args.filter, args.events)
    limits = Limits(with_transitions=bool(args.events))
    sources, local = sources_of(args.files, args.sensor), local_of(args.local)
    rules = None if args.filter else rules_for(args)
    reading = Reading(sources, local, limits, rules=rules, selection=choice.selection)
    for records in reading.records():
        print_alerts(reading.alerts)
        printer.take(choice.of(records))
        capture = reading.capture
        if capture and capture.size is None:
            printer.flush()  # a pipe: somebody may be writing and looking on
        elif capture:
            progress.show(capture.bytes_read, capture.size)
    progress.clear()
    printer.finish()
    print_alerts(reading.alerts)
    return reading.torn


def _packets(args: argparse.Namespace) -> list[str]:
    """Print packets; what was wrong with files that ended before their time."""
    from sensor.pcapfile import CaptureFile
    from synfin.embedded import sources_of
    from synfin.errors import UsageError
    from synfin.filter.check import of_flows
    from synfin.packets.columns import fields_named, rows
    from synfin.packets.lines import HEADER
    from synfin.packets.selection import TWICE, needs_the_end, read_again

    made = understood(args.filter) if args.filter else None
    if made and of_flows(made):
        raise UsageError("a filter by fields of connections (synfin.…) chooses connections, not packets")
    fields, torn, sources = fields_named(args.fields), [], sources_of(args.files, args.sensor)
    several = "--packets reads its file several times" if args.packets else ""
    several = several or (TWICE if needs_the_end([*fields, *(made.fields if made else ())]) else "")
    for source in sources if several else ():
        read_again(source.path, several)
    if args.packets:
        print(HEADER)
    for source in sources:
        capture = CaptureFile(source.path)
        if args.form:
            printed: Iterator[str] = ("\t".join(row) for row in rows(capture, fields, made))
        else:
            printed = _lines(capture, source, args, made)
        for line in printed:
            print(line)
        if capture.torn:
            torn.append(capture.torn)
    return torn


def _lines(
    capture: "CaptureFile", source: "Source", args: argparse.Namespace, made: "Filter | None"
) -> "Iterator[str]":
    """Lines of the packets that pass, with the states of their connections."""
    from synfin.embedded import Reading, local_of
    from synfin.packets.lines import lines, said_by
    from synfin.packets.selection import Selection
    from synfin.view.style import style_for

    local = local_of(args.local)
    records = Reading([source], local, selection=Selection(made) if made else None).records()
    said = said_by(records, Reading([source], local).batches(), some=made is not None)
    return lines(capture, made, said, style_for(sys.stdout))
