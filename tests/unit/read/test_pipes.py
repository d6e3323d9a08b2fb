"""What has to be read several times is refused where it can be read once: at once, and not by waiting for ever."""

import os

import pytest

from synfin.cli import dispatch
from synfin.errors import EXIT_USAGE
from synfin.program import run
from tests.support.tile import CAPTURES


@pytest.mark.parametrize("words", [["--packets"], ["-T", "fields", "-e", "tcp.completeness"]])
def test_a_pipe_with_a_name_is_a_usage_error_that_says_why(tmp_path, capsys, words):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert run(dispatch, ["read", *words, str(pipe)], "synfin") == EXIT_USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert "no regular file" in err


def test_sort_goes_with_json_alone(capsys):
    words = ["read", "--sort", "start", "-T", "fields", "-e", "tcp.seq", str(CAPTURES / "client_closes" / "a.pcap")]
    assert run(dispatch, words, "synfin") == EXIT_USAGE
    assert "--sort start goes with --json" in capsys.readouterr().err
