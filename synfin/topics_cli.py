"""`synfin topics`: creates the topics that are missing and compares those that exist with what the design leans on."""

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from synfin.config import add_flags, resolve
from synfin.errors import EXIT_FAILED, EXIT_OK

if TYPE_CHECKING:
    from synfin.clients import Description
    from synfin.wire.topics import Topic


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--create", action="store_true", help="create what is missing, then check")
    action.add_argument("--check", action="store_true", help="compare and change nothing (the default)")
    add_flags(parser, "topics")


def _differences(topic: "Topic", found: "Description | None", replication: int) -> list[str]:
    """What is not as it should be, in words; fewer replicas than asked for count, more do not."""
    if found is None:
        return ["missing"]
    differences = []
    if found.partitions != topic.partitions:
        differences.append(f"{found.partitions} partitions, wanted {topic.partitions}")
    if found.replication < replication:
        differences.append(f"{found.replication} replicas, wanted {replication}")
    for key, wanted in topic.settings.items():
        is_ = found.settings.get(key, "unknown")
        if is_ != wanted:
            differences.append(f"{key}={is_}, wanted {wanted}")
    return differences


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def _report(wanted: "tuple[Topic, ...]", found: "Mapping[str, Description]", replication: int) -> bool:
    """Print a line a topic and what differs below; True when nothing does."""
    rows: list[tuple[str, ...]] = [("TOPIC", "PARTITIONS", "REPLICAS", "CLEANUP", "STATE")]
    notes = []
    for topic in wanted:
        is_ = found.get(topic.name)
        differences = _differences(topic, is_, replication)
        state = "ok" if not differences else "missing" if is_ is None else "differs"
        counts = (str(is_.partitions), str(is_.replication)) if is_ else ("-", "-")
        rows.append((topic.name, *counts, topic.settings["cleanup.policy"], state))
        notes += [f"{topic.name}: {difference}" for difference in differences if is_ is not None]
    print(_table(rows))
    missing = [topic.name for topic in wanted if topic.name not in found]
    if missing:
        notes.append(f"{len(missing)} missing; `synfin topics --create` makes them")
    print("".join(f"{note}\n" for note in notes), end="", file=sys.stderr)
    return not notes


def main(args: argparse.Namespace) -> int:
    """Create or check; EXIT_FAILED when something differs."""
    settings = resolve("topics", vars(args))

    from dataclasses import replace

    from synfin.broker import BrokerConfig, KafkaBroker
    from synfin.wire.topics import Topics

    wanted = Topics(settings["topics.prefix"], settings["topics.partitions"]).all()
    replication = max(1, settings["topics.replication"])
    config = replace(BrokerConfig.of(settings, "synfin-topics"), timeout_s=10.0)  # somebody waits for the answer
    admin = KafkaBroker(config).admin()
    try:
        names = [topic.name for topic in wanted]
        found = admin.describe(names)
        if args.create:
            admin.create([topic for topic in wanted if topic.name not in found], replication)
            found = admin.describe(names)
    finally:
        admin.close()
    return EXIT_OK if _report(wanted, found, replication) else EXIT_FAILED
