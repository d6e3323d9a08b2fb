"""Fills in what the documentation takes from the program: docs/states.md, and what the commands in the pages print.

    python docs/make.py

A block of a page that is marked `console` holds commands behind `$ ` and their output. It is run in a shell, in the
project's folder, and its output is put in anew; `tests/packaging/test_docs.py` fails where a page says something else.
"""

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from synfin.wire.kinds import Kind

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PAGES: Final = (
    "README.md",
    "docs/first-capture.md",
    "docs/filters.md",
    "docs/query.md",
    "docs/packets.md",
    "docs/what-a-tap-can-know.md",
)
STATES_PAGE: Final = "docs/states.md"
EVENTS_PAGE: Final = "docs/events.md"
NAMES_PAGE: Final = "docs/names.md"
AGGREGATES_PAGE: Final = "docs/aggregates.md"

_BLOCK: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT: Final = "$ "
_STATES: Final = """\
# The table of states

Made from `processor/tcp/figure5.py` by `python docs/make.py`; `synfin figure5` prints the same. The kernel that moves
the states reads the same rows, so this page cannot say anything else than what the program does.

Every endpoint has its own state; there is no state of a connection. `TX_…` is what an endpoint sends and therefore
proves. `RX_…` is what it receives, and counts when the endpoint has taken it, which
[what a tap can know](what-a-tap-can-know.md) explains. One segment can be several events, one after the other: a FIN
that also acknowledges ours is `RX_ACKFIN` and then `RX_FIN`.

## Next state by event and state
```
{grid}
```

## Row by row
The last column is the action of RFC 9293's Figure 5, or what the step means; numbers are sections of that RFC.
```
{rows}
```
In addition `NEW_ISN` and `REVOKE` lead to CLOSED from every state.

## As a diagram
```mermaid
{mermaid}
```
"""


def states_page() -> str:
    """Text of docs/states.md."""
    from processor.tcp.figure5 import ANYWHERE, MEANING, ROWS  # noqa: PLC0415  reads numpy
    from synfin.view.figure5_text import grid, listing, mermaid  # noqa: PLC0415

    parts = {"grid": grid(ROWS, MEANING, ANYWHERE), "rows": listing(ROWS), "mermaid": [mermaid(ROWS).rstrip()]}
    return _STATES.format(**{name: "\n".join(lines) for name, lines in parts.items()})


_EVENTS: Final = """\
# Events and alerts

Made by `python docs/make.py` from `synfin/wire/kinds.py`, from which the program takes the severities, and from the
stories in [tests/stories](../tests/stories/README.md), which are told to it in each test run. Under each kind
stands a story of it: who sends what to whom, and to the right what the two endpoints are after it.

Each event has an `id` that is the same after every replay, the time `ts_ns` of the packet or timer that raised it, its
`certainty`, and as `evidence` the packets that it rests on. `./run schema event` prints the JSON Schema. An `alert.…`
also goes to the topic `synfin.alerts.v1`, and behind it, with the same key, what takes it back.

| kind | severity |
|---|---|
{index}

{kinds}
"""


def _stories() -> dict[str, tuple[str, str]]:
    """Name and text of a story for each kind of event: one that is named after it, or says little besides."""
    found: dict[str, list[tuple[bool, int, int, str, str]]] = {}
    for path in sorted(ROOT.glob("tests/stories/*/*.story")):
        text = path.read_text(encoding="utf-8")
        for line in re.findall(r"^events: (.*)$", text, re.MULTILINE):
            kinds = line.split(", ")
            for kind in kinds:
                # Those in labels/ are about what others call a connection.
                other = kind.split(".")[-1] not in path.stem or path.parent.name == "labels"
                ranked = (other, len(kinds), len(text), f"{path.parent.name}/{path.name}", text)
                found.setdefault(kind, []).append(ranked)
    return {kind: min(ranked)[3:] for kind, ranked in found.items()}


def _kind_section(name: str, kind: "Kind", story: tuple[str, str] | None) -> str:
    lines = [f"## {name}", "", f"**{kind.severity}** · {kind.when}", ""]
    lines += [kind.care, ""] if kind.care else []
    if story:
        lines += [f"[{story[0]}](../tests/stories/{story[0]})", "```", story[1].rstrip(), "```", ""]
    return "\n".join(lines)


def events_page() -> str:
    """Text of docs/events.md."""
    from synfin.wire.kinds import KINDS  # noqa: PLC0415  reads numpy

    stories = _stories()
    index = [f"| [{name}](#{name.replace('.', '')}) | {kind.severity} |" for name, kind in KINDS.items()]
    sections = [_kind_section(name, kind, stories.get(name)) for name, kind in KINDS.items()]
    return _EVENTS.format(index="\n".join(index), kinds="\n".join(sections).rstrip())


_NAMES: Final = """\
# Names that other tools give

Made by `python docs/make.py` from `synfin/wire/names.py`. Beside the states of both endpoints a flow record has these
names, so that it can be laid beside what other tools write. None of them is evidence for a state.
[Reading synfin next to Zeek and Wireshark](zeek-and-wireshark.md) says where those would write something else.

## `conn_state`
As Zeek's `conn.log`. It goes by what the two ends sent, believed or not: a forged RST resets.

| name | means |
|---|---|
{states}

## `history`
As Zeek's: a letter for each kind of segment in the order of first sight, upper case for what the originator sent.

| letter | means | another one for |
|---|---|---|
{letters}

## `end_reason` and `ipfix_end_reason`
Why the record was written, and IPFIX's flowEndReason, information element 136.

| `end_reason` | means | `ipfix_end_reason` |
|---|---|---|
{reasons}

| `ipfix_end_reason` | means |
|---|---|
{codes}

## `tampering`
Which signature of connection tampering (SIGCOMM 2023) the originator's first ten packets bear, null for none. It is a
label and no verdict: scans, crashes and closed browser tabs make the same. There is none where the originator is on the
capturing host, which knows what it sent. Of the 19 signatures three are one here, `psh_rst_rst`: they differ in the
acknowledgment number of a RST without ACK, which a sensor does not send.

| name | the originator sent | and then |
|---|---|---|
{signatures}
"""


def names_page() -> str:
    """Text of docs/names.md."""
    from synfin.wire import names  # noqa: PLC0415  reads numpy
    from synfin.wire.event import IPFIX_END_REASONS, SIGNATURES  # noqa: PLC0415

    signatures = [name.partition("_") for name in SIGNATURES if name]
    parts = {
        "states": [f"| `{name}` | {means} |" for name, means in names.CONN_STATES.items()],
        "letters": [f"| `{letter}` | {means} | {again} |" for letter, (means, again) in names.HISTORY.items()],
        "reasons": [f"| `{name}` | {means} | {IPFIX_END_REASONS[name]} |" for name, means in names.END_REASONS.items()],
        "codes": [f"| {code} | {means} |" for code, means in names.IPFIX.items()],
        "signatures": [
            f"| `{stage}{sign}{resets}` | {names.STAGES[stage]} | {names.RESETS[resets]} |"
            for stage, sign, resets in signatures
        ],
    }
    return _NAMES.format(**{name: "\n".join(lines) for name, lines in parts.items()})


def commands(page: str) -> list[str]:
    """Command lines of the `console` blocks of a page's text."""
    lines = "".join(_BLOCK.findall(page)).splitlines()
    return [line.removeprefix(_PROMPT) for line in lines if line.startswith(_PROMPT)]


def filled(page: str) -> str:
    """A page's text with what its commands print now."""
    return _BLOCK.sub(lambda block: f"```console\n{_session(block[1])}```", page)


def _session(block: str) -> str:
    return "".join(f"{_PROMPT}{command}\n{output(command)}" for command in commands(f"```console\n{block}```"))


@cache
def output(command: str) -> str:
    """What a command line prints, `./run` being this Python. Raises CalledProcessError when it fails."""
    ours = f"{shlex.quote(sys.executable)} -m synfin.cli "
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    environment |= {"SYNFIN_COMPILED": "0", "TZ": "UTC", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    shell = ["sh", "-c", command.replace("./run ", ours)]
    return subprocess.run(shell, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def main() -> None:
    """Write the pages."""
    from docs.aggregates_page import aggregates_page  # noqa: PLC0415  found when ROOT is in the path

    (ROOT / STATES_PAGE).write_text(states_page(), encoding="utf-8")
    (ROOT / EVENTS_PAGE).write_text(events_page(), encoding="utf-8")
    (ROOT / NAMES_PAGE).write_text(names_page(), encoding="utf-8")
    (ROOT / AGGREGATES_PAGE).write_text(aggregates_page(), encoding="utf-8")
    for name in PAGES:
        page = (ROOT / name).read_text(encoding="utf-8")
        (ROOT / name).write_text(filled(page), encoding="utf-8")


if __name__ == "__main__":
    main()
