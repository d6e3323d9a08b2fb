import subprocess
import sys

import pytest

from sink import cli
from sink.settings import parse_partitions
from synfin.errors import EXIT_OK, EXIT_USAGE, UsageError

HEAVY = ("numba", "numpy", "scapy", "kafka", "faust", "orjson")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("all", None),
        ("0", {0}),
        ("0,1,5-7", {0, 1, 5, 6, 7}),
        (" 3 - 4 , 4", {3, 4}),
        ("383", {383}),
    ],
)
def test_partitions_are_numbers_and_ranges(text, numbers):
    assert parse_partitions(text) == numbers


@pytest.mark.parametrize("text", ["", "a", "1,", "-1", "7-5", "1-", "384", "0-99999999", "1;2", "\u0661"])
def test_what_is_no_partition_is_named(text):
    with pytest.raises(UsageError, match=r"--partitions: .* is no partition"):
        parse_partitions(text)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--topics", "flows,packets"], "--topics: 'packets' is not a topic of records; there are flows and events"),
        (["--once-idle", "0"], "--once-idle: 0 is not a number of seconds above 0"),
        (["--once-idle", "nan"], "--once-idle: nan is not"),
        (["--prefix", "../x"], "--prefix: '../x' is not what the name of a topic may begin with"),
        (["--rotate-bytes", "0B"], "--rotate-bytes: 0 would finish a file before its first record"),
        (["--rotate-seconds", "0"], "--rotate-seconds: 0 would finish"),
        (["--rotate-bytes", "much"], "a size is wanted"),
        (["--partitions", "9-1"], "--partitions: '9-1'"),
    ],
)
def test_a_wrong_flag_is_one_line_and_exit_2(flags, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*flags, "--out", "x"]) == EXIT_USAGE
    said = capsys.readouterr().err
    assert said.startswith("sink: ")
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "x").exists()


def imported_by(*flags):
    program = (
        "import sys\n"
        "from sink import cli\n"
        "try:\n    code = cli.main(sys.argv[1:])\nexcept SystemExit as end:\n    code = end.code\n"
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program, *flags], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("flag", "code"), [("--help", EXIT_OK), ("--no-such", EXIT_USAGE), ("--partitions=9-1", EXIT_USAGE)]
)
def test_help_and_wrong_flags_import_nothing_heavy(flag, code):
    assert imported_by(flag) == f"{code} []"
