"""`synfin replay`: a capture file into the topic as if it happened now, its times kept. It is `sensor -r --speed`."""

import sys
from typing import Final

from synfin.errors import EXIT_OK, EXIT_USAGE

USAGE: Final = """\
usage: synfin replay FILE [--speed N] [options of sensor] [EXPRESSION]

Publishes a capture file at the speed at which it was captured, or N times as fast; --speed max at once. The times in
the batches are those of the file. All else is said as to `sensor -r FILE`; `sensor --help` lists it.
"""


def main(argv: list[str]) -> int:
    """Call the sensor; the exit code."""
    if not argv or argv[0] in ("-h", "--help"):
        (sys.stdout if argv else sys.stderr).write(USAGE)
        return EXIT_OK if argv else EXIT_USAGE
    if argv[0].startswith("-") and argv[0] != "-":
        sys.stderr.write(f"{USAGE}synfin replay: FILE comes first, not {argv[0]}\n")
        return EXIT_USAGE
    from sensor.cli import main as sensor

    own = [] if any(word == "--speed" or word.startswith("--speed=") for word in argv) else ["--speed", "1"]
    return sensor(["-r", argv[0], *own, *argv[1:]])
