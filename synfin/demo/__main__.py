"""`./run` without arguments: makes three connections, captures them and shows what happened to each."""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from synfin.demo import rungs
from synfin.errors import SynfinError
from synfin.program import run

SHIPPED: Final = Path(__file__).with_name("connections.pcapng")


def _captured(folder: Path) -> tuple[Path, str]:
    """A capture of the three connections, and words for where it comes from."""
    place = rungs.choose()
    reason = "this host lets us capture nowhere"
    if place is not None:
        from synfin.demo.recording import record  # noqa: PLC0415  numpy, only after the namespace is entered

        path = folder / "lo.pcapng"  # the sensor is called as the file
        try:
            record(path)
        except (SynfinError, OSError) as error:
            reason = str(error)
        else:
            return path, place
    return SHIPPED, f"from a capture that ships with synfin ({reason})"


def _arguments(command: Any, *words: str) -> argparse.Namespace:
    """What a command makes of these words."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


def main(argv: list[str]) -> int:
    """Show them; the exit code."""
    argparse.ArgumentParser(prog="./run", description=__doc__).parse_args(argv)
    # Compiling takes longer than three connections do in plain Python, with the same result. Set before any kernel.
    os.environ.setdefault("SYNFIN_COMPILED", "0")
    with tempfile.TemporaryDirectory(prefix="synfin-demo-") as folder:
        path, place = _captured(Path(folder))
        print(f"Three connections over loopback, {place}.\n", flush=True)  # noqa: T201
        from synfin import ladder_cli, read_cli  # noqa: PLC0415  likewise

        code = ladder_cli.main(_arguments(ladder_cli, "--text", str(path)))
        print("\nThe same, a line each, as `./run read FILE` prints them:\n", flush=True)  # noqa: T201
        return code or read_cli.main(_arguments(read_cli, str(path)))


if __name__ == "__main__":
    sys.exit(run(main, sys.argv[1:], "./run"))
