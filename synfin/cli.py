"""The front door, `synfin`: finds the module of a command by name and imports nothing else.

A command's module has `add_arguments(parser)` and `main(args) -> int`, or, for the programs that are commands of their
own as well, `main(argv) -> int` alone.
"""

import argparse
import importlib
import importlib.util
import sys
from typing import Any, Final, NamedTuple, NoReturn

from synfin import __version__
from synfin.errors import EXIT_USAGE
from synfin.program import run


class Command(NamedTuple):
    """Where a command lives, and what the list of commands says about it."""

    module: str
    does: str
    whole: bool = False  # a program with a parser of its own: all that follows its name is its own


COMMANDS: Final = {
    "run": Command("synfin.run_cli", "capture or read, and print connections: all in one process, without Kafka"),
    "read": Command("synfin.read_cli", "connections of capture files, one line each"),
    "tail": Command("synfin.tail_cli", "connections, events or alerts from Kafka as they come"),
    "explain": Command("synfin.explain_cli", "a connection in words, with the packets that each conclusion rests on"),
    "query": Command("synfin.query_cli", "questions to the files that a sink wrote: a filter, SQL, or a report"),
    "replay": Command("synfin.replay_cli", "a capture file into the topic at its own speed, or another", whole=True),
    "ladder": Command("synfin.ladder_cli", "a connection as a sequence diagram with both ends' states"),
    "topics": Command("synfin.topics_cli", "create and check the topics"),
    "figure5": Command("synfin.figure5_cli", "the table of transitions"),
    "schema": Command("synfin.schema_cli", "JSON Schema of the records"),
    "config": Command("synfin.config_cli", "the settings of a command, and where each comes from"),
    "sensor": Command("sensor.cli", "frames to batches: capture and publish", whole=True),
    "processor": Command("processor.cli", "batches to events: a Faust worker", whole=True),
    "sink": Command("sink.cli", "events to files, alerts to their topic", whole=True),
}


def exists(command: Command) -> bool:
    """Whether this installation has the command's module; imports no more than its package."""
    return importlib.util.find_spec(command.module) is not None


def _overview() -> argparse.ArgumentParser:
    rows = [f"  {name:<10} {command.does}" for name, command in COMMANDS.items() if exists(command)]
    parser = argparse.ArgumentParser(
        prog="synfin",
        usage="synfin [--version] COMMAND ...",
        description="From SYN to FIN: what happened to every TCP connection.",
        epilog="commands:\n" + "\n".join(rows) + "\n\n`synfin COMMAND --help` tells more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"synfin {__version__}")
    return parser


def _wrong(message: str) -> NoReturn:
    sys.stderr.write(f"synfin: {message}\n")
    raise SystemExit(EXIT_USAGE)


def _call(name: str, command: Command, rest: list[str]) -> int:
    module: Any = importlib.import_module(command.module)
    if command.whole:
        return int(module.main(rest))
    parser = argparse.ArgumentParser(prog=f"synfin {name}", description=command.does, allow_abbrev=False)
    module.add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    return int(module.main(parser.parse_args(rest)))


def dispatch(argv: list[str]) -> int:
    """Run one command and give its exit code."""
    if not argv or argv[0].startswith("-"):
        parser = _overview()
        parser.parse_args(argv)
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    name, rest = argv[0], argv[1:]
    command = COMMANDS.get(name)
    if command is None or not exists(command):
        import difflib

        near = difflib.get_close_matches(name, COMMANDS, 1)
        _wrong(f"there is no command `{name}`" + (f"; did you mean `{near[0]}`?" if near else "; see synfin --help"))
    return _call(name, command, rest)


def main(argv: list[str] | None = None) -> int:
    """Entry point of `synfin`."""
    return run(dispatch, sys.argv[1:] if argv is None else argv, "synfin")


if __name__ == "__main__":
    sys.exit(main())
