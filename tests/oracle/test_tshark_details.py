"""`-V` and `-T json` beside tshark: each line of a packet's tree is one of tshark's, in its order, to the letter."""

import json
import os
import re
import subprocess
import sys
from collections import Counter

import pytest

from tests.oracle.test_tshark_filters import CASES, judge
from tests.unit.read.test_filter import DEMO
from tests.unit.read.test_read import TOP

pytestmark = pytest.mark.skipif(bool(judge()), reason=judge() or "-")

OURS = [sys.executable, "-m", "synfin.cli", "read"]
THEIRS = ["tshark", "-2", "-n", "-o", "tcp.check_checksum:TRUE", "-r"]

# What tshark says beyond us, by the first words of a line; whatever hangs on such a line is left out with it.
THEIRS_ALONE = re.compile(
    r"\[Time shift|\[Time delta from previous displayed|\[Frame is |Raw packet data|Section number|Interface id"
    r"|Packet flags|Point-to-Point|Address: |[01. ]+ = [LI]G bit|\[Header checksum status|\[Calculated Checksum"
    r"|\[Expert Info|Data|\[Length|\[D-SACK|D-SACK|Retransmitted TCP segment data|\[HTTP |\[Status Code Description"
    r"|\[(Request|Response|(Next|Prev) (request|response)) in|\[Request URI|\[Time since request|\\r\\n|[0-9a-f]{4}  "
    r"|(Content-Length|Host): "
)


def lines_of(command, path, words):
    done = subprocess.run(
        [*command, str(path), *words],
        cwd=TOP,
        env={**os.environ, "SYNFIN_COMPILED": "0", "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout


def packets(text):
    """The lines of each packet, without what is known to be said in other words."""
    text = re.sub(r"^(Frame .* captured \(\d+ bits\)).*$", r"\1", text, flags=re.MULTILINE)
    text = re.sub(r"(Checksum: 0x\w+) \[?(incorrect|correct).*$", r"\1 \2", text, flags=re.MULTILINE)
    text = re.sub(r"(Protocols in frame: .*?):(?:http|data)\]", r"\1]", text)
    found = re.split(r"^(?=Frame \d+: )", text, flags=re.MULTILINE)[1:]
    return [[line for line in packet.splitlines() if line.strip()] for packet in found]


def without_our_own(lines):
    """The lines up to the layer of our own."""
    end = next((i for i, line in enumerate(lines) if line.startswith("synfin")), len(lines))
    return lines[:end]


def left_over(ours, theirs):
    """Lines of ours that do not come in theirs in their order, and of theirs that we do not have."""
    at, missing, beyond = 0, [], []
    for line in ours:
        place = next((i for i in range(at, len(theirs)) if theirs[i] == line), None)
        if place is None:
            missing.append(line)
            continue
        beyond += theirs[at:place]
        at = place + 1
    return missing, beyond + theirs[at:]


def depth(line):
    return len(line) - len(line.lstrip())


def unknown(beyond):
    """Lines of tshark's that are not among those which it alone has, and do not hang on one."""
    found, under = [], None
    for line in beyond:
        if under is not None and depth(line) > under:
            continue
        under = depth(line) if THEIRS_ALONE.match(line.strip()) else None
        found += [line] if under is None else []
    return found


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.parent.name)
def test_each_line_is_one_of_tshark_and_none_of_its_layers_is_left_out(path):
    ours, theirs = (packets(lines_of(command, path, ["-V"])) for command in (OURS, THEIRS))
    assert len(ours) == len(theirs)
    for number, (mine, yours) in enumerate(zip(ours, theirs, strict=True), 1):
        missing, beyond = left_over(without_our_own(mine), yours)
        assert missing == [], number
        assert unknown(beyond) == [], number


def leaves(tree, name=""):
    """Names and values of a JSON tree, by how often they are there; tshark's keys may repeat."""
    if isinstance(tree, dict):
        tree = tree.items()
    found = Counter()
    for key, value in tree if not isinstance(tree, str) else ():
        for one in value if isinstance(value, list) and not isinstance(value, Pairs) else [value]:
            if isinstance(one, str):
                found[key, one] += 1
            else:
                found += leaves(one)
    return found


class Pairs(list):
    """A JSON object with all its keys."""


@pytest.mark.parametrize("path", CASES[::4], ids=lambda path: path.parent.name)
def test_each_value_of_the_json_form_is_one_of_tshark(path):
    words = ["-T", "json"]
    theirs = json.loads(lines_of(THEIRS, path, words), object_pairs_hook=Pairs)
    ours = json.loads(lines_of(OURS, path, words))
    assert len(ours) == len(theirs)
    for mine, yours in zip(ours, theirs, strict=True):
        outer = dict(yours)
        assert {key: mine[key] for key in mine if key != "_source"} == {
            key: outer[key] for key in mine if key != "_source"
        }
        layers = mine["_source"]["layers"]
        layers.pop("synfin", None)
        theirs_there = leaves(dict(outer["_source"])["layers"])
        protocols = layers["frame"].pop("frame.protocols")
        assert any(name == "frame.protocols" and value.startswith(protocols) for name, value in theirs_there)
        missing = leaves(layers) - theirs_there
        assert missing == Counter()


def test_the_json_form_of_named_fields_is_that_of_tshark():
    words = [
        "-T",
        "json",
        "-e",
        "frame.number",
        "-e",
        "tcp.port",
        "-e",
        "udp.port",
        "-e",
        "tcp.payload",
        "-Y",
        "tcp.len > 0",
    ]
    assert json.loads(lines_of(OURS, DEMO, words)) == json.loads(lines_of(THEIRS, DEMO, words))


@pytest.mark.parametrize(
    "options",
    [
        ["header=y"],
        ["header=y", "separator=,", "quote=d"],
        ["separator=/s", "aggregator=;", "quote=s"],
        ["occurrence=f"],
        ["occurrence=l", "bom=y", "quote=n"],
        ["aggregator=/s", "header=n"],
    ],
    ids=" ".join,
)
def test_columns_are_written_as_tshark_writes_them(options):
    words = ["-T", "fields"]
    words += [word for name in ("frame.number", "tcp.port", "udp.port", "frame.time") for word in ("-e", name)]
    words += [word for option in options for word in ("-E", option)]
    assert lines_of(OURS, DEMO, words) == lines_of(THEIRS, DEMO, words)
