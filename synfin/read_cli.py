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
    from synfin.packets.copying import FrameChoice
    from synfin.packets.lines import Said
    from synfin.printing import Printer
    from synfin.wire.event import Records


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    add_sources(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="flow records, one JSON object a line")
    form.add_argument("--events", action="store_true", help="events as they happen, one JSON object a line")
    form.add_argument("--packets", action="store_true", help="packets, one a line, with both ends' states behind each")
    form.add_argument("-V", dest="details", action="store_true", help="packets, each with all its layers and fields")
    form.add_argument(
        "-T",
        dest="form",
        choices=("fields", "json"),
        help="packets: the fields named by -e between tabs, or JSON as tshark's: all layers, or those fields",
    )
    form.add_argument(
        "-w",
        dest="to",
        metavar="CAPTURE",
        help="packets into a pcapng file, or classic pcap by the name; all of a connection if -Y is about connections",
    )
    parser.add_argument("-x", dest="octets", action="store_true", help="with --packets and -V: the bytes of each")
    parser.add_argument("-e", dest="fields", action="append", default=[], metavar="FIELD", help="a field for -T")
    parser.add_argument(
        "-E",
        dest="columns",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="for -T fields: header=y, separator=, aggregator=, quote=d, occurrence=f, bom=y",
    )
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


def understood(text: str, command: str = "read") -> "Filter":
    """The filter that a command was given, with hints on standard error. FilterError."""
    from synfin.filter.check import understand

    made = understand(text)
    for hint in made.hints:
        sys.stderr.write(f"synfin {command}: {hint}\n")
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
    _check_form(args)
    if args.to is not None:
        torn = _copied(args)
    else:
        torn = _packets(args) if args.packets or args.details or args.form else _connections(args)
    for said in torn:
        sys.stderr.write(f"synfin read: {said}\n")
    return EXIT_INCOMPLETE if torn else EXIT_OK


def _check_form(args: argparse.Namespace) -> None:
    """Refuse flags that do not go together. UsageError."""
    from synfin.errors import UsageError

    if (args.form == "fields" and not args.fields) or (args.fields and not args.form):
        raise UsageError("-T fields and -e FIELD go together")
    if args.columns and args.form != "fields":
        raise UsageError("-E goes with -T fields")
    if args.octets and not (args.packets or args.details):
        raise UsageError("-x goes with --packets or -V")


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
    from synfin.packets.columns import fields_named
    from synfin.packets.selection import TWICE, needs_the_end, read_again

    made = understood(args.filter) if args.filter else None
    if made and of_flows(made):
        raise UsageError("a filter by fields of connections (synfin.…) chooses connections, not packets")
    fields, torn, sources = fields_named(args.fields), [], sources_of(args.files, args.sensor)
    several = "" if args.fields else f"{_named_form(args)} reads its file several times"
    several = several or (TWICE if needs_the_end([*fields, *(made.fields if made else ())]) else "")
    for source in sources if several else ():
        read_again(source.path, several)

    def printed() -> "Iterator[str]":
        for source in sources:
            capture = CaptureFile(source.path)
            yield from _shown(capture, source, args, made)
            if capture.torn:
                torn.append(capture.torn)

    if "bom=y" in args.columns:
        sys.stdout.write("\ufeff")
    for line in _framed(printed(), args):
        print(line)
    return torn


def _framed(printed: "Iterator[str]", args: argparse.Namespace) -> "Iterator[str]":
    """What is printed, with what the form has before and behind it."""
    from synfin.packets.columns import Form, fields_named
    from synfin.packets.documents import array
    from synfin.packets.lines import HEADER

    if args.form == "json":
        yield from array(printed)
        return
    form = Form.of(args.columns)
    if args.packets:
        yield HEADER
    if form.header:
        yield form.names(fields_named(args.fields))
    yield from printed


def _copied(args: argparse.Namespace) -> list[str]:
    """Write packets to a capture file; what was wrong with files that ended before their time."""
    from synfin.embedded import sources_of
    from synfin.filter.check import of_flows
    from synfin.packets.copying import check_target, copy
    from synfin.packets.selection import TWICE, Selection, needs_the_end, read_again

    check_target(args.to)
    made = understood(args.filter) if args.filter else None
    sources = sources_of(args.files, args.sensor)
    whole = made is not None and of_flows(made)
    several = "-w with a filter by connections reads its file several times" if whole else ""
    several = several or (TWICE if made and needs_the_end(made.fields) else "")
    for source in sources if several else ():
        read_again(source.path, several)
    choice: FrameChoice | None = Selection(made).mask if made else None
    if made and whole:
        choice = _of_connections(sources, args, made)
    done = copy([source.path for source in sources], args.to, choice)
    sys.stderr.write(f"{done.written} of {done.read} packets written\n")
    return done.torn


def _of_connections(sources: "list[Source]", args: argparse.Namespace, made: "Filter") -> "FrameChoice":
    """Chooses the packets of the connections that pass."""
    from synfin.embedded import Reading, local_of
    from synfin.filter.records import flows_passing
    from synfin.packets.connections import Frames, connections_of, frames_of

    local, frames = local_of(args.local), {}
    for source in sources:
        records = Reading([source], local).records()
        found = connections_of(records, lambda piece: flows_passing(piece, made))
        frames[source.path] = frames_of(found, Reading([source], local).batches())
    return Frames(frames).mask


def _named_form(args: argparse.Namespace) -> str:
    return "--packets" if args.packets else "-V" if args.details else f"-T {args.form}"


def _shown(
    capture: "CaptureFile", source: "Source", args: argparse.Namespace, made: "Filter | None"
) -> "Iterator[str]":
    """The lines of a capture in the form that is asked for."""
    from synfin.packets.columns import Form, fields_named, rows
    from synfin.packets.details import detailed, text_of
    from synfin.packets.documents import as_json, document
    from synfin.packets.lines import lines
    from synfin.view.style import style_for

    style, fields, form = style_for(sys.stdout), fields_named(args.fields), Form.of(args.columns)
    if args.form == "fields":
        return (form.line(fields, values) for _, values in rows(capture, fields, made))
    if args.fields:
        return (document(t_ns, values) for t_ns, values in rows(capture, fields, made))
    said = _said(source, args, made)
    if args.form == "json":
        packets = detailed(capture, made, said, style)
        return (document(packet.t_ns, as_json(packet.items)) for packet in packets)
    if args.details:
        return text_of(capture, made, said, style, octets=args.octets)
    return lines(capture, made, said, style, octets=args.octets)


def _said(source: "Source", args: argparse.Namespace, made: "Filter | None") -> "dict[int, Said]":
    """What the connections of the packets that pass say of these."""
    from synfin.embedded import Reading, local_of
    from synfin.packets.lines import said_by
    from synfin.packets.selection import Selection

    local = local_of(args.local)
    records = Reading([source], local, selection=Selection(made) if made else None).records()
    return said_by(records, Reading([source], local).batches(), some=made is not None)
