"""The command line: what it means, what it refuses, and what it does not import."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sensor import cli
from sensor.plan import SNAPLEN_HEADERS, SNAPLEN_WHOLE, make_plan
from synfin.config import resolve
from synfin.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent.parent.parent
HEAVY = ("numpy", "numba", "scapy", "kafka", "faust", "cypcap", "zstandard")


def plan(*argv, environment=None):
    args = cli._parser().parse_intermixed_args(argv)
    return make_plan(args, resolve("sensor", vars(args), environment or {}))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no synfin.toml


@pytest.mark.parametrize(
    ("argv", "interface", "expression", "write", "publishes"),
    [
        (
            "-i eth0 host 203.119.160.6 and tcp port 80 -w 1.cap",
            "eth0",
            "host 203.119.160.6 and tcp port 80",
            "1.cap",
            False,
        ),
        ("host 203.119.160.6 and tcp port 80 -w 1.cap", None, "host 203.119.160.6 and tcp port 80", "1.cap", False),
        ("host 203.119.160.6 and port not 22", None, "host 203.119.160.6 and port not 22", None, True),
        ("-ieth0 tcp -nUw - and port 80", "eth0", "tcp and port 80", "-", False),
        ("-w 1.cap --brokers a:1 tcp", None, "tcp", "1.cap", True),
        ("-w 1.cap tcp --brokers a:1 -s 0", None, "tcp", "1.cap", True),
    ],
)
def test_expression_and_options_in_any_order(argv, interface, expression, write, publishes):
    made = plan(*argv.split())
    assert (made.interface, made.filter, made.write, made.publishes) == (interface, expression, write, publishes)
    assert not made.classic


def test_one_argument_is_an_expression_as_well():
    text = "host 192.168.2.29 and (port 22222 or port 22221 or port 80)"
    made = plan("-i", "eth0", "-U", "-w", "-", text)
    assert (made.filter, made.unbuffered, made.write) == (text, True, "-")
    made = plan("--iface", "eth0", "--bpf", "tcp port 80")
    assert (made.interface, made.filter, made.publishes) == ("eth0", "tcp port 80", True)


def test_brokers_of_the_environment_are_brokers_and_a_file_is_written_beside_them():
    assert plan("-w", "x", environment={"SYNFIN_KAFKA_BROKERS": "a:1"}).publishes
    assert not plan("-w", "x").publishes
    assert not plan("--dry-run").publishes
    assert plan("--dry-run").makes_batches
    assert not plan("-w", "x").makes_batches


@pytest.mark.parametrize(
    ("argv", "snaplen", "classic"),
    [
        ("", SNAPLEN_HEADERS, False),
        ("-w x.pcap", SNAPLEN_WHOLE, True),
        ("-w x.pcapng", SNAPLEN_WHOLE, False),
        ("-w x.cap --pcap", SNAPLEN_WHOLE, True),
        ("-w x -s 96", 96, False),
        ("-s 0", SNAPLEN_WHOLE, False),
        ("-r x", SNAPLEN_WHOLE, False),
    ],
)
def test_snap_length_and_form(argv, snaplen, classic):
    made = plan(*argv.split())
    assert (made.snaplen, made.classic) == (snaplen, classic)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("--bpf tcp udp", "an expression and --bpf: give one filter"),
        ("-F f --bpf udp", "--bpf and -F: give one filter"),
        ("-F missing", "-F missing: cannot be read"),
        ("-r x -i lo", "-r and -i: a file or an interface"),
        ("-c 0", "-c 0: a whole number above 0 is wanted"),
        ("-c 1e3", "-c 1e3: a whole number above 0"),
        ("-c ²", "-c ²: a whole number above 0"),
        ("-s 262145", "-s 262145: at most 262144, or 0"),
        ("-B -1", "-B -1: a whole number"),
        ("--pcap", "--pcap says how -w writes"),
        ("--dry-run --brokers a:1", "--dry-run and --brokers"),
        ("-w - --json", "both want standard output"),
        ("--sensor-id " + "é" * 33, "at most 64 bytes"),
    ],
)
def test_what_does_not_go_together_is_said(argv, says):
    with pytest.raises(UsageError) as raised:
        plan(*argv.split())
    assert says in str(raised.value)


def test_an_expression_from_a_file(tmp_path):
    (tmp_path / "f").write_text("tcp\nand port 80\n")
    assert plan("-F", "f").filter == "tcp\nand port 80"


@pytest.mark.parametrize("letter", [*cli.LATER])
def test_letters_that_are_not_there_yet_are_refused_by_name(letter, capsys):
    with pytest.raises(SystemExit) as raised:
        cli.main(["-i", "lo", letter, *["1"] * cli.LATER[letter]])
    assert raised.value.code == 2
    assert f"{letter} is an option of tcpdump that sensor does not have yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "code"), [(["--help"], 0), (["--nonsense"], 2), (["-i"], 2), (["-r", "x", "-i", "y"], 2)]
)
def test_help_and_a_wrong_flag_import_nothing_heavy(argv, code):
    script = f"""
import json, sys
from sensor.cli import main
try:
    code = main({argv!r})
except SystemExit as end:
    code = end.code
print(json.dumps([code, [name for name in {HEAVY!r} if name in sys.modules]]))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=environment)
    assert json.loads(done.stdout.splitlines()[-1]) == [code, []]


def run(*argv):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "sensor.cli", *argv],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=240,
    )


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["-i", "nosuch0", "-w", "x"], 1, "sensor: no interface 'nosuch0' on this host: there are lo, "),
        (["-r", "nosuch", "-w", "x"], 1, "sensor: nosuch: cannot be opened: No such file or directory\n"),
        (["-r", "x", "-w", "y", "prt 80"], 2, "sensor: filter 'prt 80': can't parse filter expression: syntax error\n"),
        (["-r", "x", "-w", "y", "-Z", "nosuchuser"], 2, "sensor: -Z nosuchuser: there is no such user\n"),
    ],
)
def test_what_cannot_be_opened_is_named_and_nothing_is_written(argv, code, says, tmp_path):
    if "-Z" in argv and os.geteuid() != 0:
        pytest.skip("only root becomes somebody else")
    done = run(*argv)
    assert done.returncode == code
    assert done.stderr.startswith(says)
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_interfaces_are_listed():
    done = run("-D")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "any"
    assert "lo" in done.stdout.splitlines()
