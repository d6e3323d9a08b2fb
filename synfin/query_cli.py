"""`synfin query`: a display filter, SQL or a ready-made question over the files that a sink wrote."""

import argparse
import atexit
import sys
from typing import TYPE_CHECKING, Final

from synfin.errors import EXIT_OK, UsageError
from synfin.read_cli import understood

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from synfin.query.sql import Where
    from synfin.query.store import Answer, Place, Store

REPORTS: Final = ("talkers", "handshakes", "resets", "states")  # of synfin.query.reports, which --help does not load
FORMS: Final = ("zeek-tsv", "zeek-json", "ecs", "ocsf")  # of synfin.view.foreign, likewise


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    parser.add_argument("filter", nargs="?", metavar="FILTER", help="a display filter, by what a record holds")
    add_places(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--events", action="store_true", help="events, not connections")
    what.add_argument(
        "--report", choices=REPORTS, help="who talks most, which handshakes were slowest, who resets whom"
    )
    what.add_argument("--sql", metavar="SQL", help="one SELECT over the relations flows, events and aggregates")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--csv", action="store_true", help="comma-separated values under a line of names")
    form.add_argument(
        "--as", dest="form", choices=FORMS, help="connections in the terms of others: conn.log, ECS, OCSF"
    )
    parser.add_argument("--since", metavar="TIME", help='of what went on then or later, as "2026-11-25 10:24"')
    parser.add_argument("--until", metavar="TIME", help="of what began before")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N alone")


def add_places(parser: argparse.ArgumentParser) -> None:
    """Flags that say where records are."""
    parser.add_argument(
        "--in",
        dest="places",
        action="append",
        default=[],
        metavar="PATH",
        help="where a sink writes, or a file of records, or - (the sink's folder, by synfin.toml, else events)",
    )
    parser.add_argument(
        "--config", metavar="FILE", help="read this instead of ./synfin.toml or /etc/synfin/synfin.toml"
    )


def main(args: argparse.Namespace) -> int:
    """Answer; the exit code."""
    if args.sql and (args.filter or args.since or args.until or args.limit is not None):
        raise UsageError("--sql says it all: FILTER, --since, --until and --limit go without it")
    if args.limit is not None and args.limit < 0:
        raise UsageError("--limit: a whole number is wanted")
    if args.csv and not args.sql and not args.report:
        raise UsageError("records nest, and --csv does not: take --json, or choose columns with --sql")
    if args.form and (args.sql or args.report or args.events):
        raise UsageError("--as is of connections, not of --events, --report or --sql")
    condition = _condition(args)
    from synfin.filter.errors import FilterError
    from synfin.query.store import Store

    store = Store(places(args))
    for at, pattern in condition.patterns:
        if why := store.refused(pattern):
            raise FilterError(args.filter, at, f"records are searched by RE2, which refuses this pattern: {why}")
    if args.sql:
        return _table(args, store.select(args.sql), {})
    limit = "" if args.limit is None else f" LIMIT {args.limit}"
    if args.report:
        from synfin.query.reports import REPORTS as KNOWN

        report = KNOWN[args.report]
        sql = f"WITH chosen AS (SELECT * FROM flows WHERE {condition.sql}) SELECT * FROM ({report.sql}){limit}"
        return _table(args, store.ask(sql, condition.parameters), report.shown)
    if args.json or args.events or args.form:
        count = _lines(args, store, condition, limit)
    else:
        count = _flows(store, condition, limit)
    if not count:
        sys.stderr.write("no record passes\n" if args.filter else "no records\n")
    return EXIT_OK


def places(args: argparse.Namespace) -> "list[Place]":
    """Where records are."""
    from pathlib import Path

    from synfin.config import resolve
    from synfin.query.store import Place

    settings = resolve("sink", {"config": args.config})
    prefix = settings["topics.prefix"]
    paths = [_standard_input() if path == "-" else Path(path) for path in args.places]
    return [Place(path, prefix) for path in paths or [settings["sink.folder"]]]


def _standard_input() -> "Path":
    """A file, gone with this process, of what stands there: it is read more than once."""
    import shutil
    import tempfile
    from pathlib import Path

    kept = tempfile.NamedTemporaryFile(prefix="synfin-query-", suffix=".jsonl")  # noqa: SIM115  for the process
    shutil.copyfileobj(sys.stdin.buffer, kept)
    kept.flush()
    atexit.register(kept.close)
    return Path(kept.name)


def _condition(args: argparse.Namespace) -> "Where":
    """What a record must fulfil. FilterError, UsageError, and hints on standard error."""
    from synfin.query.sql import Where, where

    condition = Where("TRUE")
    if args.filter:
        condition = where(understood(args.filter, "query"), events=args.events)
    begin, end = ("ts_ns", "ts_ns") if args.events else ("start_ns", "end_ns")
    for name, column, operator in (("since", end, ">="), ("until", begin, "<")):
        text = getattr(args, name)
        if text:
            condition.parameters[name] = _time(name, text)
            condition.sql += f" AND {column} {operator} ${name}"
    return condition


def _time(name: str, text: str) -> int:
    from datetime import datetime

    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1_000_000) * 1000
    except (ValueError, OverflowError):
        raise UsageError(f'--{name}: a time is wanted, as "2026-11-25 10:24:28.284", not {text!r}') from None


def _table(args: argparse.Namespace, answer: "Answer", shown: "Mapping[str, str]") -> int:
    from synfin.query.answers import cells, numeric, print_csv, print_json, print_table
    from synfin.view.style import style_for

    if args.csv:
        print_csv(answer)
    elif args.json:
        print_json(dict(zip(answer.names, row, strict=True)) for row in answer.rows)
    else:
        rows = list(answer.rows)
        right = [
            flag and name not in shown
            for flag, name in zip(numeric(rows, len(answer.names)), answer.names, strict=True)
        ]
        print_table(
            [name.upper() for name in answer.names], cells(answer.names, rows, shown), right, style_for(sys.stdout)
        )
    return EXIT_OK


def _lines(args: argparse.Namespace, store: "Store", condition: "Where", limit: str) -> int:
    """Print the records as they stand in the files; how many there were."""
    relations = ["events"] if args.events else ["flows"]
    if args.events and not args.filter:  # an alert over many connections has no ends that a filter could ask for
        relations.append("aggregates")
    from synfin.view.record_cells import as_schema

    found = store.lines(relations, condition, limit)
    if args.form:
        import orjson

        from synfin.view.foreign import lines

        found = lines(map(orjson.loads, found), args.form)
    count = 0
    for line in as_schema(found):
        sys.stdout.buffer.write(line.encode() + b"\n")
        count += 1
    return count


def _flows(store: "Store", condition: "Where", limit: str) -> int:
    """Print connections for a person; how many there were."""
    from synfin.query.answers import print_table
    from synfin.view.record_cells import HEADINGS, RIGHT, as_schema, flow_cells
    from synfin.view.style import style_for

    answer = store.ask(
        f"SELECT * FROM flows WHERE {condition.sql} ORDER BY start_ns, view_id{limit}", condition.parameters
    )
    style = style_for(sys.stdout)
    rows = (flow_cells(dict(zip(answer.names, row, strict=True)), style) for row in answer.rows)
    return print_table(HEADINGS, as_schema(rows), RIGHT, style)
