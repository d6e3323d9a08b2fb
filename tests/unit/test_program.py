"""What every program does around its work, tried from outside."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from synfin.errors import BrokerError, UsageError
from synfin.program import run

def main(argv):
    if argv[0] == "wrong":
        raise UsageError("--flag: is wrong")
    if argv[0] == "broker":
        raise BrokerError("is away")
    if argv[0] == "interrupted":
        raise KeyboardInterrupt
    if argv[0] == "broken":
        raise FileNotFoundError(2, "No such file or directory", "/gone")
    print("x" * 300_000 if argv[0] == "long" else "x")
    return 3

sys.exit(run(main, sys.argv[1:], "prog"))
"""


def call(*argv, stdout=subprocess.PIPE):
    command = [sys.executable, "-c", PROGRAM, *argv]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


@pytest.mark.parametrize(
    ("argument", "code", "said"),
    [
        ("wrong", 2, "prog: --flag: is wrong\n"),
        ("broker", 5, "prog: is away\n"),
        ("broken", 1, "prog: [Errno 2] No such file or directory: '/gone'\n"),
        ("interrupted", 130, ""),
        ("fine", 3, ""),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(argument, code, said):
    done = call(argument)
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize("argument", ["wrong", "broken"])
def test_debug_shows_where_it_comes_from(argument):
    done = call(argument, "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_reader_that_has_enough_is_a_quiet_end():
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "long"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 0


def test_a_full_disk_is_said_in_one_line():
    with Path("/dev/full").open("w") as full:
        done = call("fine", stdout=full)
    assert (done.returncode, done.stderr) == (1, "prog: [Errno 28] No space left on device\n")
