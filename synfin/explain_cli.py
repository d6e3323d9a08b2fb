"""`synfin explain`: one connection in words, with the packets that each conclusion rests on."""

import argparse
import shutil
import sys
from typing import TYPE_CHECKING, Any, Final

from synfin.errors import EXIT_INCOMPLETE, EXIT_OK, UsageError
from synfin.small import plain_if_small

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TOLD_MAX: Final = 20  # connections whose flow_id begins so
WIDTH_MAX: Final = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    from synfin.query_cli import add_places

    parser.add_argument("flow", metavar="FLOW_ID", help="the beginning of the flow_id of a connection")
    parser.add_argument("file", nargs="?", metavar="FILE", help="a capture file; without it, what a sink has stored")
    parser.add_argument("--local", action="append", default=[], metavar="CIDR,...", help="addresses of FILE's host")
    add_places(parser)


def main(args: argparse.Namespace) -> int:
    """Tell; the exit code."""
    if not args.flow or len(args.flow) > 32 or set(args.flow) - set("0123456789abcdef"):
        raise UsageError(
            f"{args.flow!r} is not the beginning of a flow_id: hexadecimal digits, as `synfin read --json` says"
        )
    if args.file and args.places:
        raise UsageError("FILE is a capture and --in what a sink has stored: name one of them")
    flows, events, torn = _captured(args) if args.file else _stored(args)
    if not flows:
        raise UsageError(f"{args.flow}: there is no such connection; `synfin read --json` and `query --json` name them")
    if len(flows) > TOLD_MAX:
        raise UsageError(f"{args.flow}: {len(flows)} connections begin so; say more of it")
    from synfin.view.record_cells import as_schema

    sys.stdout.writelines(as_schema(_told(flows, events)))
    for said in torn:
        sys.stderr.write(f"synfin explain: {said}\n")
    return EXIT_INCOMPLETE if torn else EXIT_OK


def _told(flows: list[dict[str, Any]], events: list[dict[str, Any]]) -> "Iterator[str]":
    from synfin.view.explain import explain
    from synfin.view.style import style_for

    style, width = style_for(sys.stdout), min(WIDTH_MAX, shutil.get_terminal_size((WIDTH_MAX, 24)).columns)
    for i, flow in enumerate(sorted(flows, key=lambda its: (its["start_ns"], its["view_id"]))):
        its_own = sorted((event for event in events if event["view_id"] == flow["view_id"]), key=_place)
        yield ("\n\n" if i else "") + "\n".join(explain(flow, its_own, style, width)) + "\n"


def _place(event: dict[str, Any]) -> tuple[int, bool, str]:
    """An alert stands behind what it is about, which has the same time."""
    return event["ts_ns"], event["kind"].startswith("alert."), event["id"]


Told = tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]


def _captured(args: argparse.Namespace) -> Told:
    """Flows and events of a capture file, and what was wrong with its end."""
    plain_if_small([args.file])
    from synfin.embedded import Reading, local_of, sources_of
    from synfin.wire.jsonl import event_lines, flow_lines

    flows: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    reading = Reading(sources_of([args.file], []), local_of(args.local))
    for records in reading.records():
        flows += _of(args.flow, flow_lines(records).values())
        events += _of(args.flow, event_lines(records).values())
    return flows, events, reading.torn


def _of(flow: str, lines: "Iterable[bytes]") -> "Iterable[dict[str, Any]]":
    import orjson

    wanted = f'"flow_id":"{flow}'.encode()
    return [orjson.loads(line) for line in lines if wanted in line]


def _stored(args: argparse.Namespace) -> Told:
    """The same of what a sink has stored, all of which is whole."""
    import orjson

    from synfin.query.sql import Where
    from synfin.query.store import Store
    from synfin.query_cli import places

    store = Store(places(args))
    its = Where("starts_with(flow_id, $flow)", {"flow": args.flow})
    flows, events = ([orjson.loads(line) for line in store.lines([name], its)] for name in ("flows", "events"))
    return flows, events, []
