"""The command `sink`: events to files, alerts to their topic."""

import argparse
import sys

from synfin.config import add_flags, resolve
from synfin.program import run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sink",
        description="Writes flows and events from their topics to JSONL files, each record once, and passes alerts on.",
        epilog="One sink for a folder. SIGHUP finishes the files, SIGUSR1 prints the counters; the first Ctrl-C drains "
        "and finishes, the second ends. A file that grows is called *.jsonl.live.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--once-idle", type=float, metavar="SECONDS", help="end when all is read and nothing came for so long"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="say what is read")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    add_flags(parser, "sink")
    return parser


def _log_to_stderr(verbose: bool, debug: bool) -> None:
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s" if debug else "sink: %(message)s"))
    if not debug:
        # kafka-python logs each attempt to connect; what of it matters is said by us. A filter, not a level: the broker
        # module reads the reason for a failure out of these entries.
        handler.addFilter(lambda entry: not entry.name.startswith("kafka"))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO if verbose or debug else logging.WARNING)


def work(argv: list[str]) -> int:
    """Run a sink until it is told to end; gives the exit code."""
    args = _parser().parse_args(argv)
    from sink.settings import configuration

    settings = resolve("sink", vars(args))
    config = configuration(settings, args.once_idle)
    _log_to_stderr(args.verbose, args.debug)

    from sink import health
    from sink.service import Service, Stop
    from synfin import metrics
    from synfin.broker import BrokerConfig, KafkaBroker

    servers = []
    stop = Stop()
    stop.listen()
    service = Service(
        config,
        KafkaBroker(BrokerConfig.of(settings, "synfin-sink")),
        stop,
        lambda sink, status: servers.append(metrics.start(settings, "sink", health.probe(sink.counters, status))),
    )
    try:
        return service.run()
    finally:
        for server in servers:
            if server is not None:
                server.stop()


def main(argv: list[str] | None = None) -> int:
    """Entry point of `sink`."""
    return run(work, sys.argv[1:] if argv is None else argv, "sink")


if __name__ == "__main__":
    sys.exit(main())
