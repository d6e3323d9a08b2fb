"""`synfin tail`: connections, events or alerts from Kafka as they come, each once."""

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from synfin.config import add_flags, resolve
from synfin.errors import EXIT_OK, BrokerError, UsageError
from synfin.read_cli import understood

if TYPE_CHECKING:
    from synfin.clients import Broker
    from synfin.filter.tree import Filter

POLL_S: Final = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    parser.add_argument("filter", nargs="?", metavar="FILTER", help="a display filter, by what a record holds")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--events", action="store_true", help="events, not connections")
    what.add_argument("--alerts", action="store_true", help="what the sink passed on to the topic of alerts")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="JSON lines, as without a terminal")
    form.add_argument("--text", action="store_true", help="for a person, as on a terminal")
    parser.add_argument("--from-start", action="store_true", help="all that the topic holds, and then what comes")
    parser.add_argument("-c", dest="count", type=int, metavar="N", help="end after N records")
    add_flags(parser, "tail")


def main(args: argparse.Namespace) -> int:
    """Print what comes until told to end; the exit code."""
    if args.count is not None and args.count < 1:
        raise UsageError("-c: a number above 0 is wanted")
    made = _understood(args)
    settings = resolve("tail", vars(args))
    from synfin.broker import EARLIEST, LATEST, BrokerConfig, KafkaBroker
    from synfin.view.record_cells import Lines
    from synfin.view.style import style_for

    kind = "alerts" if args.alerts else "events" if args.events else "flows"
    broker = KafkaBroker(BrokerConfig.of(settings, "synfin-tail"))
    topic = f"{settings['topics.prefix']}.{kind}.v1"
    text = args.text or (sys.stdout.isatty() and not args.json)
    lines = Lines(kind != "flows", style_for(sys.stdout)) if text else None
    if lines is not None:
        print(lines.header(), flush=True)
    left = args.count
    for records in _records(broker, topic, EARLIEST if args.from_start else LATEST):
        passing = _passing(records, made)[:left]
        for value, record in passing:
            if lines is None:
                sys.stdout.buffer.write(value + b"\n")
            else:
                print(lines.of(record))
        sys.stdout.flush()
        if left is not None:
            left -= len(passing)
            if not left:
                break
    return EXIT_OK


def _understood(args: argparse.Namespace) -> "Filter | None":
    """FilterError where records cannot answer."""
    if not args.filter:
        return None
    from synfin.filter.askable import check_of_events, check_of_flows

    made = understood(args.filter, "tail")
    (check_of_events if args.events or args.alerts else check_of_flows)(made)
    return made


def _records(broker: "Broker", topic: str, start: int) -> Iterator[list[tuple[bytes, dict[str, Any]]]]:
    """Values of a topic and what they say, those of a poll together, each once. BrokerError."""
    import orjson

    from synfin.clients import TopicPartition
    from synfin.fresh import Fresh

    admin = broker.admin()
    try:
        found = admin.describe([topic])
    finally:
        admin.close()
    if topic not in found:
        raise BrokerError(f"there is no topic {topic}; `synfin topics --create` makes it")
    numbers = range(found[topic].partitions)
    consumer, fresh, strange = broker.consumer({TopicPartition(topic, n): start for n in numbers}), Fresh(), 0
    try:
        while True:
            told = []
            for message in filter(fresh.takes, consumer.poll(POLL_S)):
                value = message.value or b""
                try:
                    record = orjson.loads(value)
                except orjson.JSONDecodeError:
                    record = None
                if isinstance(record, dict) and b"\n" not in value:
                    told.append((value, record))
                else:
                    strange += 1
            yield told
    finally:
        consumer.close()
        if strange:
            sys.stderr.write(f"synfin tail: {strange} values of {topic} are no records\n")


def _passing(records: list[tuple[bytes, dict[str, Any]]], made: "Filter | None") -> list[tuple[bytes, dict[str, Any]]]:
    if made is None or not records:
        return records
    from synfin.filter.masks import mask
    from synfin.filter.told import ToldTable

    passes = mask(made, ToldTable([record for _, record in records])).tolist()
    return [told for told, keep in zip(records, passes, strict=True) if keep]
