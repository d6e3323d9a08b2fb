"""The command `sensor`: tcpdump's letters, and packets to Kafka."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from synfin.config import add_flags, resolve
from synfin.program import run

# tcpdump's letters that a sensor will have, and has not yet: each is refused by its name and never passed over.
LATER: Final = {
    "-d": 0, "-G": 1, "-C": 1, "-W": 1, "-e": 0, "-t": 0, "-S": 0, "-X": 0, "-A": 0, "-l": 0, "--print": 0, "--count": 0
}  # fmt: skip

_EPILOG: Final = """\
An expression is tcpdump's language (man pcap-filter); it judges frames alike with and without VLAN tags.
Without -w, --brokers or configuration batches go to localhost:9092; with -w and no brokers only the file is written.
Ctrl-C drains and prints the counters, a second one ends at once; SIGUSR1 prints the counters.
Exit codes: 0 ok, 1 failed, 2 usage, 3 finished but incomplete, 4 no permission, 5 broker unreachable."""


class _Later(argparse.Action):
    """Refuses a letter of tcpdump's that is not there yet."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002  as inherited
        values: str | Sequence[Any] | None,  # noqa: ARG002
        option_string: str | None = None,
    ) -> NoReturn:
        parser.error(f"{option_string} is an option of tcpdump that sensor does not have yet")


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Argparse's own, without the third of the time of --help in which it imports shutil to learn the width."""
    columns = os.environ.get("COLUMNS", "")
    try:
        width = int(columns) if columns.isdigit() else os.get_terminal_size(1).columns
    except OSError:
        width = 80
    return argparse.RawDescriptionHelpFormatter(prog, width=max(width - 2, 40))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sensor",
        usage="sensor [-i IF | -r FILE] [-w FILE] [options] [EXPRESSION]",
        description="Captures TCP packets and publishes their headers in batches to Kafka; writes capture files.",
        epilog=_EPILOG,
        formatter_class=_formatter,
        allow_abbrev=False,
    )
    parser.add_argument("expression", nargs="*", metavar="EXPRESSION", help="which packets; all without it")
    _add_capture(parser)
    _add_output(parser)
    for letter, values in LATER.items():
        parser.add_argument(letter, action=_Later, nargs=values, help=argparse.SUPPRESS)
    add_flags(parser, "sensor")
    return parser


def _add_capture(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("capture").add_argument
    add("-i", "--iface", dest="interface", metavar="IF", help="interface, or any; else that of the default route")
    add("-r", dest="file", metavar="FILE", help="read a pcap or pcapng file; - is standard input")
    add("--speed", metavar="N", help="-r as time goes by, N times as fast as it was captured; max: at once (max)")
    add("--bpf", metavar="EXPRESSION", help="the expression as one argument")
    add("-F", dest="filter_file", metavar="FILE", help="the expression from a file")
    add("-c", dest="count", metavar="N", help="end after N packets")
    add("-s", dest="snaplen", metavar="BYTES", help="of each packet (whole with -w or -r, else headers); 0: whole")
    add("-p", dest="no_promiscuous", action="store_true", help="do not put the interface into promiscuous mode")
    add("-Q", dest="direction", choices=("in", "out", "inout"), default="inout", help="only received or sent packets")
    add("-B", dest="buffer", metavar="KIB", help="size of the ring (32768)")
    add("-D", dest="list_interfaces", action="store_true", help="list the interfaces and end")
    add("-n", action="store_true", help="names are never looked up; accepted as in tcpdump")
    add("--local", metavar="CIDR,...", help="addresses of the capturing host, where the frames do not tell")


def _add_output(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("output").add_argument
    add("-w", dest="write", metavar="FILE", help="write a capture file (pcapng); - is standard output")
    add("--pcap", action="store_true", help="-w as classic pcap, as for a name that ends in .pcap")
    add("-U", dest="unbuffered", action="store_true", help="-w hands each block of packets on at once")
    add("--dry-run", action="store_true", help="make batches and do not publish them")
    add("--json", action="store_true", help="the counters at the end as JSON on standard output")
    add("-q", dest="quiet", action="store_true", help="say less")
    add("-v", dest="verbose", action="store_true", help="say more")
    add("--debug", action="store_true", help="show where an error comes from")


def work(argv: list[str]) -> int:
    """Do what the flags say; the exit code."""
    args = _parser().parse_intermixed_args(argv)
    settings = resolve("sensor", vars(args))
    from sensor.plan import make_plan

    plan = make_plan(args, settings)
    if plan.dumps:
        from sensor.interfaces import ANY, names

        print("\n".join([*names(), ANY]))
        return 0

    from sensor.run import log_to_stderr, run_sensor

    log_to_stderr(verbose=args.verbose, debug=args.debug)
    return run_sensor(plan, settings)


def main(argv: list[str] | None = None) -> int:
    """Entry point of `sensor`."""
    return run(work, sys.argv[1:] if argv is None else argv, "sensor")


if __name__ == "__main__":
    sys.exit(main())
