"""`synfin read`: the connections of capture files."""

import argparse
import sys
from typing import TYPE_CHECKING

from synfin.errors import EXIT_INCOMPLETE, EXIT_OK
from synfin.small import plain_if_small

if TYPE_CHECKING:
    from processor.windows import Alert
    from synfin.aggregates import Rules
    from synfin.printing import Printer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    add_sources(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="flow records, one JSON object a line")
    form.add_argument("--events", action="store_true", help="events as they happen, one JSON object a line")
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
    from synfin.errors import UsageError
    from synfin.printing import JsonPrinter, SortedPrinter, TextPrinter

    if args.sort and not args.json:
        raise UsageError("--sort start goes with --json")
    if args.sort:
        return SortedPrinter()
    return JsonPrinter(events=args.events) if args.json or args.events else TextPrinter()


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


def main(args: argparse.Namespace) -> int:
    """Read the files; the exit code."""
    plain_if_small([*args.files, *(named.partition("=")[2] for named in args.sensor)])
    from processor.tcp.machine import Limits
    from synfin.embedded import Reading, local_of, sources_of
    from synfin.printing import Progress

    printer, progress = _printer(args), Progress()
    limits = Limits(with_transitions=bool(args.events))
    reading = Reading(sources_of(args.files, args.sensor), local_of(args.local), limits, rules=rules_for(args))
    for records in reading.records():
        print_alerts(reading.alerts)
        printer.take(records)
        capture = reading.capture
        if capture and capture.size is None:
            printer.flush()  # a pipe: somebody may be writing and looking on
        elif capture:
            progress.show(capture.bytes_read, capture.size)
    progress.clear()
    printer.finish()
    print_alerts(reading.alerts)
    for torn in reading.torn:
        sys.stderr.write(f"synfin read: {torn}\n")
    return EXIT_INCOMPLETE if reading.torn else EXIT_OK
