"""Small files are read in plain Python, without numba; the choice is the user's where one was made."""

import os
import subprocess
import sys

import pytest

from synfin import small
from tests.support.tile import CAPTURES

SMALL = CAPTURES / "client_closes" / "a.pcap"
READ = """
import sys
from synfin.cli import main
code = main(sys.argv[1:])
sys.stderr.write(f"numba {'numba' in sys.modules}")
sys.exit(code)
"""


@pytest.fixture
def chosen(monkeypatch):
    """What is chosen for some paths in a process that has imported no kernel yet."""
    monkeypatch.delenv("SYNFIN_COMPILED", raising=False)
    monkeypatch.delitem(sys.modules, "synfin.compiled", raising=False)

    def choose(*paths):
        small.plain_if_small(map(str, paths))
        return os.environ.pop("SYNFIN_COMPILED", None)

    return choose


def test_it_is_the_size_of_all_files_together_that_counts(chosen, tmp_path):
    half = tmp_path / "half"
    half.write_bytes(bytes(small.PLAIN_BYTES_MAX // 2))
    assert chosen(half, half) == "0"
    assert chosen(half, half, SMALL) is None


def test_a_missing_file_costs_no_compilation_and_an_endless_one_gets_it(chosen, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert chosen(tmp_path / "gone") == "0"
    assert chosen(tmp_path / "pipe") is None
    assert chosen("-") is None


def test_a_choice_that_was_made_stands(chosen, monkeypatch):
    monkeypatch.setenv("SYNFIN_COMPILED", "1")
    assert chosen(SMALL) == "1"


@pytest.mark.parametrize("command", [["read", "--json"], ["ladder"], ["run", "--json", "-r"]])
def test_commands_read_a_small_file_without_numba(command):
    clean = {name: value for name, value in os.environ.items() if name != "SYNFIN_COMPILED"}
    done = subprocess.run(
        [sys.executable, "-c", READ, *command, SMALL], env=clean, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "numba False")
    assert "TIME-WAIT" in done.stdout
