"""`synfin figure5`: the table of transitions, as a grid, as rows, or as a diagram for the docs."""

import argparse

from synfin.errors import EXIT_OK


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--rows", action="store_true", help="each transition with its action")
    form.add_argument("--mermaid", action="store_true", help="a Mermaid state diagram")


def main(args: argparse.Namespace) -> int:
    """Print it."""
    from processor.tcp.figure5 import ANYWHERE, MEANING, ROWS
    from synfin.view.figure5_text import grid, listing, mermaid

    if args.mermaid:
        print(mermaid(ROWS), end="")
    else:
        print("\n".join(listing(ROWS) if args.rows else grid(ROWS, MEANING, ANYWHERE)))
    return EXIT_OK
