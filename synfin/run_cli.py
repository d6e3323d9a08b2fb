"""`synfin run`: capture and print connections, all in one process, without Kafka."""

import argparse
import signal
import sys
import time
from itertools import chain
from typing import TYPE_CHECKING, Any

from synfin.errors import EXIT_FAILED, EXIT_INCOMPLETE, EXIT_OK
from synfin.read_cli import print_alerts, rules_for
from synfin.small import plain_if_small

if TYPE_CHECKING:
    from collections.abc import Callable

    from sensor.capture import LiveCapture
    from synfin.embedded import Vantage
    from synfin.printing import Printer
    from synfin.wire.batch import Batch

WAIT_S = 0.1
NAME_MAX = 64  # characters of this host's name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    parser.add_argument("-i", "--iface", dest="interface", metavar="IF", help="interface; else of the default route")
    parser.add_argument("-r", dest="files", action="append", default=[], metavar="FILE", help="read capture files")
    parser.add_argument("-c", dest="count", type=int, metavar="N", help="end after N packets")
    parser.add_argument("-Z", dest="user", metavar="USER", help="whom to become when all is open")
    parser.add_argument("--local", action="append", default=[], metavar="CIDR,...", help="addresses of the host")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="flow records, one JSON object a line")
    form.add_argument("--events", action="store_true", help="events as they happen, one JSON object a line")
    parser.add_argument("expression", nargs="*", metavar="BPF", help="which packets; all without it")


def main(args: argparse.Namespace) -> int:
    """Capture, or read, and print; the exit code."""
    if args.files:
        plain_if_small(args.files)
    from synfin.printing import JsonPrinter, TextPrinter

    printer: Printer = JsonPrinter(events=args.events) if args.json or args.events else TextPrinter()
    return _read(args, printer) if args.files else _capture(args, printer)


def _read(args: argparse.Namespace, printer: "Printer") -> int:
    from processor.tcp.machine import Limits
    from synfin.embedded import Reading, local_of, sources_of
    from synfin.errors import UsageError

    if args.interface:
        raise UsageError("-r and -i: a file or an interface")
    limits = Limits(with_transitions=args.events)
    expression = " ".join(args.expression)
    reading = Reading(sources_of(args.files, []), local_of(args.local), limits, bpf=expression, rules=rules_for(args))
    for records in reading.records():
        print_alerts(reading.alerts)
        printer.take(records)
    printer.finish()
    print_alerts(reading.alerts)
    for torn in reading.torn:
        sys.stderr.write(f"synfin run: {torn}\n")
    return EXIT_INCOMPLETE if reading.torn else EXIT_OK


class _Stop:
    """Ctrl-C: the first drains the capture, the second ends at once."""

    def __init__(self, capture: "LiveCapture") -> None:
        self._capture = capture
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        self._capture.stop()


def _capture(args: argparse.Namespace, printer: "Printer") -> int:
    import socket

    from processor.index_key import index_key
    from processor.tcp.machine import Limits, Machine
    from sensor.capture import open_live
    from sensor.interfaces import default_route
    from sensor.plan import SNAPLEN_HEADERS
    from sensor.privileges import account, drop
    from sensor.warm import made_up_block
    from synfin.embedded import Vantage, local_of
    from synfin.wire.batch import STOPPED

    interface, who = args.interface or default_route(), account(args.user)
    vantage = Vantage(socket.gethostname()[:NAME_MAX], local_of(args.local))
    machine = Machine(Limits(with_transitions=args.events), index_key())
    rehearsal, core = Vantage("", None), Machine(Limits(), index_key())
    for batch in chain(rehearsal.take(made_up_block()), rehearsal.finish(STOPPED)):
        printer.rehearse(core.apply(batch))  # compiles what would else be compiled while packets wait

    rules = rules_for(args)

    def take(batch: "Batch") -> None:
        if rules:
            rules.begin(batch, machine)
        for records in machine.pieces(batch):
            printer.take(records)
            if rules:
                rules.count(records)
        printer.flush()
        if rules:
            print_alerts(rules.after(batch))

    capture = open_live(interface, " ".join(args.expression) or None, SNAPLEN_HEADERS)
    _Stop(capture)
    try:
        if who:
            drop(who)
        sys.stderr.write(f"listening on {interface}; Ctrl-C ends\n")
        captured = _loop(capture, vantage, take, args.count)
        received, dropped = capture.statistics()
    finally:
        capture.close()
    for batch in vantage.finish(STOPPED):
        take(batch)
    printer.finish()
    sys.stderr.write(
        f"{captured} packets captured\n{received} packets received by filter\n{dropped} packets dropped by kernel\n"
    )
    if capture.lost:
        sys.stderr.write(f"synfin run: {capture.lost}\n")
        return EXIT_FAILED
    return EXIT_INCOMPLETE if dropped else EXIT_OK


def _loop(capture: "LiveCapture", vantage: "Vantage", take: "Callable[[Batch], None]", count: int | None) -> int:
    """Feed blocks until the capture ends; the number of packets taken."""
    from sensor.pipeline import Limit

    limit = Limit(count, None)
    for block in capture.blocks(WAIT_S):
        for batch in chain(vantage.take(limit.cut(block), capture.statistics()[1]), vantage.tick(time.time_ns())):
            take(batch)
        if limit.reached:
            break
    return limit.captured
