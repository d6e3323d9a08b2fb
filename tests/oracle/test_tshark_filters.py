"""Wireshark's own filter engine beside ours: the same filters take the same frames of the same captures.

SYNFIN_TEST_FILTERS says how many are made for each capture, and SYNFIN_TEST_FILTERS_SEED begins another series.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from random import Random

import pytest

from synfin.filter.check import understand
from synfin.filter.errors import FilterError
from tests.support.filter_maker import Maker
from tests.support.filters import numbers, tables
from tests.support.tile import CAPTURES
from tests.unit.filter.test_language import CLOSES, ERRORS, MEANINGS

HERE = Path(__file__).parent
MADE = int(os.environ.get("SYNFIN_TEST_FILTERS", "20"))
SEED = os.environ.get("SYNFIN_TEST_FILTERS_SEED", "1")
CASES = sorted(path / "a.pcap" for path in CAPTURES.iterdir() if path.is_dir())

VERIFY = ("-o", "tcp.check_checksum:TRUE")  # as we do; without it every status is 2

# Of forms that tshark 4.0 does not have, or has another opinion of than the versions behind it.
NEWER = (" xor ", "^^", "20080 < tcp.srcport < 20082")


def theirs(path, filters):
    """For each filter the frames that tshark lets pass, or why it refuses it."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(filters) + "\n")
        file.flush()
        done = subprocess.run(
            ["tshark", "-2", "-q", "-n", *VERIFY, "-X", f"lua_script:{HERE / 'filters.lua'}", "-r", str(path)],
            env={**os.environ, "SYNFIN_FILTERS": file.name},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
    found = {}
    for line in done.stdout.splitlines():
        what, number, *rest = line.split("\t")
        if what == "passed":
            found[int(number) - 1] = [int(frame) for frame in " ".join(rest).split()]
        elif what == "refused":
            found[int(number) - 1] = rest[0]
    return [found[i] for i in range(len(filters))]


def judge():
    """Why there is none here, or nothing."""
    if shutil.which("tshark") is None:
        return "tshark is not installed"
    probe = subprocess.run(["tshark", "--version"], capture_output=True, text=True, check=False).stdout
    words = " ".join(probe.split())
    if "with Lua" not in words:
        return "this tshark has no Lua, by which many filters go in one run"
    if int(words.partition("(Wireshark) ")[2].partition(".")[0]) < 4:
        return "this tshark is older than the language of Wireshark 4"
    return ""


pytestmark = pytest.mark.skipif(bool(judge()), reason=judge() or "-")


def test_the_meanings_that_we_test_are_those_of_tshark():
    texts = [text for text, _ in MEANINGS if not any(form in text for form in NEWER) and "{80 20081}" not in text]
    assert dict(zip(texts, theirs(CLOSES, texts), strict=True)) == {text: dict(MEANINGS)[text] for text in texts}


def test_what_we_refuse_is_refused_by_tshark_too_where_it_has_the_field():
    ours_alone = {
        "tcp.pdu.size == 1",
        "tcp.port == -1",
        'synfin.conn_state == "SF" && tcp.seq == 0',
        " ",
        'frame.time == "9999-12-31 23:59:59-23:59"',
    }
    texts = [text for text, _, _ in ERRORS if text not in ours_alone]
    accepted = [text for text, told in zip(texts, theirs(CLOSES, texts), strict=True) if isinstance(told, list)]
    assert accepted == []


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.parent.name)
def test_filters_made_at_random_take_the_frames_that_tshark_takes(path):
    maker = Maker(Random(f"{path.parent.name} {SEED}"), [table for table, _ in tables(path)])
    texts = [maker.condition() for _ in range(MADE)]
    told = theirs(path, texts)
    asked, refused = [], {}
    for text, answer in zip(texts, told, strict=True):
        try:
            asked.append((text, understand(text), answer))
        except FilterError as error:
            refused[text] = str(error)
    found = numbers(path, [made for _, made, _ in asked])
    taken_there = [
        text for text, answer in zip(texts, told, strict=True) if text in refused and not isinstance(answer, str)
    ]
    assert not taken_there, refused
    other = [(text, ours, answer) for (text, _, answer), ours in zip(asked, found, strict=True) if ours != answer]
    assert other == []
