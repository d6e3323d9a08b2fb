"""What the sink says, and how it ends, when something is wrong. Nothing that was confirmed is touched by it."""

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from synfin.broker import Record, send_all
from synfin.errors import EXIT_BROKER, EXIT_FAILED, EXIT_INCOMPLETE, EXIT_OK, EXIT_PERMISSION, EXIT_USAGE

ROOT = Path(__file__).resolve().parents[2]


def sink(out, *flags, timeout="20s"):
    """Run it to its end: exit code, and the lines on stderr."""
    command = [sys.executable, "-m", "sink.cli", "--out", str(out), "--metrics-port", "0", "--once-idle", "1", *flags]
    environment = {**os.environ, "SYNFIN_KAFKA_TIMEOUT": timeout}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()


def test_no_broker_ends_it_after_its_bound_with_exit_5(tmp_path):
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        began = time.monotonic()
        code, said = sink(tmp_path / "out", "--brokers", where, timeout="3s")
    assert code == EXIT_BROKER
    assert time.monotonic() - began >= 3, "it waits for a broker that is about to start"
    assert len(said) == 1
    assert said[0].startswith("sink: opening an admin client: Kafka at " + where)
    assert "is it running, is --brokers right?" in said[0]


def test_a_broker_that_says_nothing_ends_it_too(tmp_path):
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        code, said = sink(tmp_path / "out", "--brokers", f"127.0.0.1:{silent.getsockname()[1]}", timeout="3s")
    assert (code, len(said)) == (EXIT_BROKER, 1)
    assert "is it running, is --brokers right?" in said[0]


@pytest.mark.kafka
def test_unknown_topics_are_named_with_what_makes_them(kafka, prefix, tmp_path):
    code, said = sink(tmp_path / "out", "--brokers", kafka.bootstrap, "--prefix", prefix)
    assert code == EXIT_USAGE
    names = f"{prefix}.flows.v1, {prefix}.events.v1, {prefix}.alerts.v1"
    assert said == [f"sink: Kafka has no topic {names}; `synfin topics --create` makes them, --prefix names others"]


@pytest.mark.kafka
def test_a_partition_that_is_not_there(kafka, topics, tmp_path):
    flags = ("--brokers", kafka.bootstrap, "--prefix", topics.prefix, "--partitions", "0,9")
    code, said = sink(tmp_path / "out", *flags)
    assert code == EXIT_USAGE
    assert said == [f"sink: {topics.flows.name} has 2 partitions, 0 to 1: --partitions asks for 9"]


@pytest.mark.parametrize(
    ("folder", "code", "message"),
    [
        ("/sys/synfin", EXIT_PERMISSION, "cannot make the folder /sys/synfin: .*; let this user write there, or name"),
        ("{file}/out", EXIT_FAILED, "cannot make the folder .*: Not a directory"),
        ("{file}", EXIT_FAILED, "cannot make the folder .*: File exists"),
    ],
    ids=["not allowed", "below a file", "a file"],
)
def test_a_folder_that_cannot_be_written(tmp_path, folder, code, message):
    (tmp_path / "file").write_text("kept")
    ended, said = sink(folder.format(file=tmp_path / "file"), "--brokers", "127.0.0.1:1")
    assert ended == code
    assert len(said) == 1
    assert re.match("sink: " + message, said[0])
    assert (tmp_path / "file").read_text() == "kept"


@pytest.fixture
def filled(kafka, topics, tmp_path):
    """A folder with one record, whose sink has ended."""
    producer = kafka.broker.producer()
    headers = (("ce_id", b"x"), ("ce_type", b"synfin.flow"), ("synfin_seq", b"0:0:1"))
    send_all(producer, [Record(topics.flows.name, 0, b"k", b'{"end_ns":1}', headers)], 30)
    assert producer.close(10)
    flags = ("--brokers", kafka.bootstrap, "--prefix", topics.prefix, "--topics", "flows")
    assert sink(tmp_path / "out", *flags)[0] == EXIT_OK
    (file,) = (tmp_path / "out" / topics.flows.name).iterdir()
    assert file.read_bytes() == b'{"end_ns":1}\n'
    return tmp_path / "out", flags, file


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda data: data[: len(data) // 2], "its checksum is wrong"),
        (lambda data: b"", "its checksum is wrong"),
        (lambda data: data.replace(b'"next":1', b'"next":0'), "its checksum is wrong"),
    ],
    ids=["torn", "empty", "edited"],
)
def test_a_journal_that_is_corrupt_is_not_guessed_from(filled, spoil, why):
    out, flags, file = filled
    (journal,) = (path for path in (out / "journal").iterdir() if "flows.v1-0" in path.name)
    spoiled = spoil(journal.read_bytes())
    journal.write_bytes(spoiled)
    code, said = sink(out, *flags)
    assert code == EXIT_FAILED
    assert len(said) == 1
    assert said[0].startswith(f"sink: the journal {journal} cannot be used: {why}. ")
    assert said[0].endswith("restore it, or name another folder, which is filled from the topic anew")
    assert journal.read_bytes() == spoiled
    assert file.read_bytes() == b'{"end_ns":1}\n'


@pytest.mark.kafka
def test_a_journal_that_is_gone_is_not_replaced(filled):
    out, flags, file = filled
    (journal,) = (path for path in (out / "journal").iterdir() if "flows.v1-0" in path.name)
    journal.unlink()
    code, said = sink(out, *flags)
    assert code == EXIT_FAILED
    assert len(said) == 1
    assert f"its journal {journal} does not exist" in said[0]
    assert "Put the journal back, or name another folder" in said[0]
    assert not journal.exists()
    assert file.read_bytes() == b'{"end_ns":1}\n'


@pytest.mark.kafka
def test_topics_that_were_made_anew_are_noticed(kafka, topics, filled):
    out, flags, file = filled
    admin = kafka.broker.admin()
    admin.delete([topics.flows.name])
    until = time.monotonic() + 30
    while admin.describe([topics.flows.name]) and time.monotonic() < until:
        time.sleep(0.1)
    admin.create([topics.flows])
    admin.close()
    code, said = sink(out, *flags)
    assert code == EXIT_USAGE
    assert len(said) == 1
    assert "is at offset 1" in said[0]
    assert "ends at 0: the topic was made anew, or this is another cluster; name another folder with --out" in said[0]
    assert file.read_bytes() == b'{"end_ns":1}\n'


@pytest.mark.kafka
def test_a_second_sink_is_told_who_holds_the_folder(kafka, topics, tmp_path):
    flags = ("--brokers", kafka.bootstrap, "--prefix", topics.prefix, "--out", str(tmp_path / "out"))
    command = [sys.executable, "-m", "sink.cli", *flags, "--metrics-port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as first:
        try:
            until = time.monotonic() + 60
            while not (tmp_path / "out" / "journal").exists() and time.monotonic() < until:
                time.sleep(0.05)
            code, said = sink(tmp_path / "out", "--brokers", kafka.bootstrap, "--prefix", topics.prefix)
            assert first.poll() is None, "the first goes on"
        finally:
            first.terminate()
        assert first.wait(60) == EXIT_OK, first.stderr.read()
    assert code == EXIT_FAILED
    assert len(said) == 1
    assert said[0].startswith(f"sink: {tmp_path / 'out'} is in use by the sink with pid {first.pid} on ")
    assert said[0].endswith("end that one, or name another folder with --out")


@pytest.mark.kafka
def test_records_of_strangers_are_counted_and_left_out(kafka, topics, tmp_path):
    name = topics.flows.name

    def record(value, *headers):
        return Record(name, 0, b"k", value, headers)

    strange = [
        record(b"\xff\x00 not JSON"),
        record(b"{}", ("synfin_seq", b"1;DROP")),
        record(None, ("synfin_seq", b"2:0:1")),
        record(b'{"a":\n1}', ("synfin_seq", b"4:0:1")),
        record(b"{}", ("synfin_seq", b"999:0:1")),
    ]
    producer = kafka.broker.producer()
    good = record(b'{"end_ns":1}', ("synfin_seq", b"0:0:1"))
    last = record(b'{"end_ns":2}', ("synfin_seq", b"0:0:2"))
    send_all(producer, [good, *strange, last], 30)
    assert producer.close(10)
    flags = ("--brokers", kafka.bootstrap, "--prefix", topics.prefix, "--topics", "flows")
    code, said = sink(tmp_path / "out", *flags)
    assert code == EXIT_INCOMPLETE
    assert f"{name}-0 offset 1 is no record of synfin" in said[0]
    assert "7 records read: 2 written" in said[-1]
    assert "5 malformed" in said[-1]
    (file,) = (tmp_path / "out" / name).iterdir()
    assert file.read_bytes() == b'{"end_ns":1}\n{"end_ns":2}\n'


@pytest.mark.kafka
def test_a_full_disk_ends_it_and_loses_nothing(kafka, topics, tmp_path):
    """A limit on the size of files, as ulimit -f sets it, stands for the disk: no mount and no root is needed."""
    name = topics.flows.name
    values = [b'{"end_ns":%d,"x":"%s"}' % (n, b"y" * 500) for n in range(1, 201)]
    producer = kafka.broker.producer()
    records = [Record(name, 0, None, value, (("synfin_seq", b"0:0:%d" % n),)) for n, value in enumerate(values, 1)]
    send_all(producer, records, 30)
    assert producer.close(10)
    flags = ("--brokers", kafka.bootstrap, "--prefix", topics.prefix, "--topics", "flows", "--partitions", "0")
    limited = (
        "import resource, signal, sys\n"
        "from sink import cli\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))\n"
        "sys.exit(cli.main())"
    )
    command = [sys.executable, "-c", limited, *flags, "--out", str(tmp_path / "out"), "--metrics-port", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == EXIT_FAILED
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert re.match(r"sink: cannot write .*: File too large; free space there and start again: nothing ackn", last)
    assert sink(tmp_path / "out", *flags)[0] == EXIT_OK
    (file,) = (tmp_path / "out" / name).iterdir()
    assert file.read_bytes().splitlines() == values
