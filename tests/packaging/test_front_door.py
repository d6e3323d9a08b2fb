"""The front door is light: help and mistakes import none of the heavy libraries."""

import subprocess
import sys

import pytest

from synfin.cli import COMMANDS, exists

HEAVY = {"numpy", "numba", "scapy", "kafka", "faust", "aiokafka", "asyncio"}
HEAVY |= {"dataclasses", "inspect", "logging", "socket", "json"}  # 5 to 20 ms each, of the 60 that help may cost


def imported_by(argv):
    """Modules in memory after `synfin ARGV` has ended, and its exit code."""
    code = f"""
import sys
from synfin.cli import main
try:
    code = main({argv!r})
except SystemExit as end:
    code = end.code
sys.stderr.write("\\nMODULES " + repr((code, sorted(sys.modules))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return eval(done.stderr.rpartition("MODULES ")[2])


@pytest.mark.parametrize(
    ("argv", "expected"),
    [(["--help"], 0), (["--version"], 0), ([], 2), (["--wrong"], 2), (["no-such-command"], 2)],
)
def test_help_and_mistakes_import_nothing_heavy(argv, expected):
    code, modules = imported_by(argv)
    assert code in ({expected, None} if expected == 0 else {expected})
    assert not HEAVY & set(modules)


@pytest.mark.parametrize("command", [name for name, command in COMMANDS.items() if exists(command)])
@pytest.mark.parametrize(("flag", "expected"), [("--help", 0), ("--no-such-flag", 2)])
def test_every_command_answers_help_and_a_wrong_flag_without_them(command, flag, expected):
    code, modules = imported_by([command, flag])
    assert code == expected
    assert not HEAVY & set(modules)
