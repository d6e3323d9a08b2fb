"""`synfin ladder`: connections of a capture file as sequence diagrams, with both ends' states."""

import argparse
import shutil
import sys
from typing import Any, Final

from synfin.errors import EXIT_INCOMPLETE, EXIT_OK
from synfin.small import plain_if_small

SHOWN_MAX: Final = 20  # connections without a choice


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    parser.add_argument("file", metavar="FILE", help="pcap or pcapng")
    parser.add_argument("--text", action="store_true", help="for a terminal, which is the only form yet")
    parser.add_argument("--flow", metavar="ID", help="the connection whose flow_id begins so")
    parser.add_argument("--all", action="store_true", help="all packets, also where many say the same")
    parser.add_argument("--width", type=int, help="columns; those of the terminal without it")
    parser.add_argument("--local", action="append", default=[], metavar="CIDR,...", help="addresses of the host")


def main(args: argparse.Namespace) -> int:
    """Draw them; the exit code."""
    plain_if_small([args.file])
    from synfin.embedded import Reading, local_of, sources_of
    from synfin.errors import UsageError

    if args.file == "-":
        raise UsageError("ladder reads its file twice, so it cannot be standard input")
    local, sources = local_of(args.local), sources_of([args.file], [])
    reading = Reading(sources, local)
    flows = _flows(reading)
    if args.flow:
        flows = [flow for flow in flows if flow["flow_id"].startswith(args.flow)]
        if not flows:
            raise UsageError(f"--flow {args.flow}: {args.file} has no such connection; `synfin read --json` names them")
    elif len(flows) > SHOWN_MAX:
        raise UsageError(
            f"{args.file} has {len(flows)} connections: choose one by --flow ID (`synfin read --json` names them)"
        )
    draw(flows, Reading(sources, local), _layout(args))
    for torn in reading.torn:
        sys.stderr.write(f"synfin ladder: {torn}\n")
    return EXIT_INCOMPLETE if reading.torn else EXIT_OK


def _layout(args: argparse.Namespace) -> Any:
    from synfin.view.ladder_text import Layout

    return Layout(width=args.width or shutil.get_terminal_size((100, 24)).columns, all_packets=args.all)


def _flows(reading: Any) -> list[dict[str, Any]]:
    import orjson

    from synfin.wire.jsonl import flow_lines

    found = [orjson.loads(value) for records in reading.records() for value in flow_lines(records).values()]
    return sorted(found, key=lambda flow: flow["start_ns"])


def draw(flows: list[dict[str, Any]], again: Any, layout: Any) -> None:
    """Print the diagram of each flow record, from a second reading of its packets."""
    import numpy as np

    from synfin.view.ladder import build, select
    from synfin.view.ladder_text import render
    from synfin.view.style import style_for

    parts: list[list[Any]] = [[] for _ in flows]
    lower = [False] * len(flows)
    for batch in again.batches():
        for i, flow in enumerate(flows):
            rows, lower[i] = select(flow, batch.segments, batch.flows)
            if len(rows):
                parts[i].append(rows)
    style = style_for(sys.stdout)
    for i, flow in enumerate(flows):
        if i:
            print()
        for line in render(build(flow, np.concatenate(parts[i]), lower[i]), style, layout):
            print(line)
