"""`-T fields -e` beside tshark: the same columns, to the letter, of the same packets."""

import os
import subprocess
import sys

import pytest

from synfin.filter.fields import FIELDS, Flow
from synfin.filter.kinds import Kind
from tests.oracle.test_tshark_filters import CASES, VERIFY, judge
from tests.unit.read.test_read import TOP

SHOWN = [f.name for f in FIELDS.values() if f.kind is not Kind.PROTOCOL and not isinstance(f.source, Flow)]

pytestmark = pytest.mark.skipif(bool(judge()), reason=judge() or "-")


def printed(command, path):
    words = [*command, "-T", "fields", *(word for name in SHOWN for word in ("-e", name))]
    words += ["-r", str(path)] if command[0] == "tshark" else [str(path)]
    done = subprocess.run(
        words,
        cwd=TOP,
        env={**os.environ, "SYNFIN_COMPILED": "0"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return [dict(zip(SHOWN, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]


def transport(protocols):
    """Protocols up to TCP: what it carries is not told apart here."""
    return protocols.removesuffix(":http").removesuffix(":data")


@pytest.mark.parametrize("path", CASES[1::5], ids=lambda path: path.parent.name)
def test_the_columns_of_every_field_are_those_of_tshark(path):
    assert len(SHOWN) > 80
    theirs = printed(["tshark", "-2", "-n", *VERIFY], path)
    ours = printed([sys.executable, "-m", "synfin.cli", "read"], path)
    assert len(ours) == len(theirs)
    other = [
        (number, name, mine[name], yours[name])
        for number, (mine, yours) in enumerate(zip(ours, theirs, strict=True), 1)
        for name in SHOWN
        if mine[name] != (transport(yours[name]) if name == "frame.protocols" else yours[name])
    ]
    assert other == []
