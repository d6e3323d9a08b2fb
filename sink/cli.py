"""The command `sink`: events to files, alerts to their topic."""

import argparse
import logging
import re
import sys
from typing import TYPE_CHECKING

from synfin.config import Settings, add_flags, resolve
from synfin.errors import UsageError
from synfin.program import run

if TYPE_CHECKING:
    from sink.service import SinkConfig

PARTITION_MAX = 384  # no topic can have more partitions than there are slices


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


def parse_partitions(text: str) -> frozenset[int] | None:
    """Numbers and ranges with commas between them, as 0,1,5-7; None for `all`."""
    if text == "all":
        return None
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,4})\s*(?:-\s*([0-9]{1,4})\s*)?", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last or last >= PARTITION_MAX:
            raise UsageError(f"--partitions: {part.strip()!r} in {text!r} is no partition and no range, as in 0,1,5-7")
        numbers.update(range(first, last + 1))
    return frozenset(numbers)


def _config(settings: Settings, once_idle_s: float | None) -> "SinkConfig":
    from sink.files import Rotation
    from sink.service import TOPICS, SinkConfig

    topics = tuple(dict.fromkeys(settings["sink.topics"]))
    unknown = [name for name in topics if name not in TOPICS]
    if unknown:
        raise UsageError(f"--topics: {unknown[0]!r} is not a topic of records; there are {' and '.join(TOPICS)}")
    if once_idle_s is not None and not 0 < once_idle_s < float("inf"):
        raise UsageError(f"--once-idle: {once_idle_s:g} is not a number of seconds above 0")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", settings["topics.prefix"]):
        raise UsageError(f"--prefix: {settings['topics.prefix']!r} is not what the name of a topic may begin with")
    for name, flag in (("sink.rotate_size", "--rotate-bytes"), ("sink.rotate_seconds", "--rotate-seconds")):
        if not settings[name]:
            raise UsageError(f"{flag}: 0 would finish a file before its first record; give more")
    return SinkConfig(
        out=settings["sink.folder"],
        prefix=settings["topics.prefix"],
        topics=topics,
        partitions=parse_partitions(settings["sink.partitions"]),
        rotation=Rotation(settings["sink.rotate_size"], settings["sink.rotate_seconds"] * 10**9),
        group=settings["sink.group"],
        once_idle_s=once_idle_s,
    )


def _log_to_stderr(verbose: bool, debug: bool) -> None:
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
    settings = resolve("sink", vars(args))
    config = _config(settings, args.once_idle)
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
