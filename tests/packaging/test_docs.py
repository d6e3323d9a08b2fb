"""The pages say what is there: links lead somewhere, commands and flags exist, examples are what the commands print."""

import re
import shlex
import subprocess
import sys
from functools import cache

import pytest

from docs.aggregates_page import aggregates_page
from docs.make import (
    AGGREGATES_PAGE,
    EVENTS_PAGE,
    NAMES_PAGE,
    PAGES,
    ROOT,
    STATES_PAGE,
    commands,
    events_page,
    filled,
    names_page,
    states_page,
)
from synfin.cli import COMMANDS
from synfin.wire import event, names

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"(?:\./run|\bsynfin) +(.+)")  # `./run read x.pcap`, `synfin topics --create`
PROGRAM = re.compile(r"^(sensor|processor|sink) (.+)$")
FLAG = re.compile(r"--?[A-Za-z][A-Za-z-]*")
BESIDE = {"kafka"}  # what ./run does that is no command of synfin


def pages():
    tracked = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    names = set(tracked.split()) | {path.name for path in ROOT.glob("*.md")}
    names |= {str(path.relative_to(ROOT)) for folder in ("docs", "bench") for path in (ROOT / folder).rglob("*.md")}
    return sorted(name for name in names if (ROOT / name).exists())


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(page):
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", pages())
def test_every_link_within_the_project_leads_somewhere(name):
    for target in LINK.findall(FENCE.sub("", read(name))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / name).parent / path if path else ROOT / name
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.read_text(encoding="utf-8")), target


def test_the_page_of_states_is_what_the_table_says():
    assert read(STATES_PAGE) == states_page(), "python docs/make.py writes it"


def test_the_page_of_alerts_over_several_connections_is_what_the_rules_say():
    assert read(AGGREGATES_PAGE) == aggregates_page(), "python docs/make.py writes it"


def test_the_page_of_events_is_what_their_table_and_the_stories_say():
    assert read(EVENTS_PAGE) == events_page(), "python docs/make.py writes it"


def test_the_page_of_names_is_what_their_tables_say_and_these_have_all_names():
    assert read(NAMES_PAGE) == names_page(), "python docs/make.py writes it"
    assert set(names.CONN_STATES) == set(event.CONN_STATES)
    assert set(names.HISTORY) == {*event.HISTORY_LETTERS.lower().strip(), "+"}
    assert set(names.END_REASONS) == set(event.END_REASONS) == set(event.IPFIX_END_REASONS)
    assert set(event.IPFIX_END_REASONS.values()) <= set(names.IPFIX)


@pytest.mark.parametrize("name", PAGES)
def test_examples_are_what_the_commands_print(name):
    page = read(name)
    assert commands(page)
    assert filled(page) == page, "python docs/make.py puts in what they print now"


@cache
def help_of(command):
    done = subprocess.run(
        [sys.executable, "-m", "synfin.cli", command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(FLAG.findall(done.stdout))


def snippets(page):
    """Lines of code blocks, and code within the text."""
    for block in FENCE.findall(page):
        yield from block.splitlines()[1:-1]
    yield from re.findall(r"`([^`\n]+)`", FENCE.sub("", page))


def calls(page):
    """Command and arguments of each call of ours in a page, up to what a shell would take for something else."""
    for snippet in snippets(page):
        line = snippet.partition("  #")[0].removeprefix("$ ").removeprefix("sudo ")
        for rest in CALL.findall(line) + [f"{name} {rest}" for name, rest in PROGRAM.findall(line)]:
            command, *words = shlex.split(rest, comments=True)
            stop = next((i for i, word in enumerate(words) if word in ("|", ">", ";", "…")), len(words))
            yield command, words[:stop]


def test_the_search_for_calls_finds_them():
    block = "```sh\nsynfin topics --create  # once\n$ ./run ladder -x F | sed -n 1p\nsensor -i lo tcp\n```\n"
    assert list(calls(f"`./run read F --json`\n{block}")) == [
        ("topics", ["--create"]),
        ("ladder", ["-x", "F"]),
        ("sensor", ["-i", "lo", "tcp"]),
        ("read", ["F", "--json"]),
    ]


@pytest.mark.parametrize("name", [name for name in pages() if name != "CHANGELOG.md"])
def test_every_command_and_flag_that_a_page_names_exists(name):
    for command, words in calls(read(name)):
        if command.startswith("-"):
            assert command in {"--help", "--version"}
            continue
        assert command in {*COMMANDS, *BESIDE} or not re.fullmatch(r"[a-z0-9]+", command), command
        if command not in COMMANDS:
            continue
        for word in words:
            if FLAG.fullmatch(word.partition("=")[0]):
                assert word.partition("=")[0] in help_of(command), f"{command} {word}"


def test_the_readme_names_the_commands_of_the_distributed_form():
    named = {command for command, _ in calls(read("README.md"))}
    assert named >= {"kafka", "topics", "sensor", "processor", "sink", "read", "ladder", "run", "figure5"}


def test_the_architecture_is_short_and_names_only_files_that_exist():
    page = read("ARCHITECTURE.md")
    assert len(page.splitlines()) <= 250
    named = re.findall(r"`((?:sensor|processor|sink|synfin|docs|deploy|bench|tests)/[\w./]+)`", page)
    assert len(named) > 20
    for path in named:
        assert (ROOT / path).exists(), path
