"""`synfin config`: the settings that a command would run with, and where each comes from."""

import argparse

from synfin.config import COMMANDS, resolve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say for which command."""
    parser.add_argument("command", choices=COMMANDS, help="the command whose settings are meant")
    parser.add_argument(
        "--config", metavar="FILE", help="read this instead of ./synfin.toml or /etc/synfin/synfin.toml"
    )


def main(args: argparse.Namespace) -> int:
    """Print a table."""
    rows = resolve(args.command, vars(args)).shown()
    name_width = max(len(name) for name, _, _ in rows)
    value_width = max(len(value) for _, value, _ in rows)
    for name, value, origin in rows:
        print(f"{name:<{name_width}}  {value:<{value_width}}  {origin}")
    return 0
