"""The trial broker: verified jars, nothing left behind, restarts on its own data; and `synfin topics` against it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy import broker as trial
from deploy.broker import TrialBroker, TrialError
from synfin.broker import EARLIEST, BrokerConfig, KafkaBroker, Record, TopicPartition, send_all
from synfin.cli import main
from synfin.wire.topics import Topics

pytestmark = pytest.mark.kafka

PROGRAM = Path(trial.__file__)


def alive(pid):
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(condition, timeout_s=30.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@pytest.fixture
def one_jar(tmp_path, monkeypatch):
    """A cache of one jar, and pins for it alone."""
    digest, path = min(trial.pins(), key=lambda pin: (trial.JARS / pin[1]).stat().st_size)
    jar = tmp_path / "jars" / path
    jar.parent.mkdir(parents=True)
    jar.write_bytes((trial.JARS / path).read_bytes())
    pins = tmp_path / "pins"
    pins.write_text(f"{digest}  {path}\n")
    monkeypatch.setattr(trial, "JARS", tmp_path / "jars")
    monkeypatch.setattr(trial, "PINS", pins)
    return jar


def test_a_torn_jar_is_downloaded_again(kafka, one_jar):
    whole = one_jar.read_bytes()
    one_jar.write_bytes(whole[:1000])
    assert trial.jars() == [one_jar]
    assert one_jar.read_bytes() == whole


def test_a_jar_that_is_not_what_was_pinned_is_removed_and_nothing_starts(one_jar, monkeypatch):
    one_jar.write_bytes(b"something else")
    monkeypatch.setattr(trial, "_download", lambda path: one_jar.write_bytes(b"and again"))
    broker = TrialBroker()
    with pytest.raises(TrialError, match="is not what pins pins"):
        broker.start()
    assert not one_jar.exists()
    with pytest.raises(AssertionError):
        _ = broker.pid


def test_every_jar_is_pinned_once_to_one_kafka():
    paths = [path for _, path in trial.pins()]
    assert len(paths) == len(set(paths)) > 40
    assert {re.search(r"/(\d[\d.]+)/", path)[1] for path in paths if path.startswith("org/apache/kafka/")} == {"4.1.1"}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_its_program_however_that_ends(kafka, tmp_path, how):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    program = subprocess.Popen(
        [sys.executable, str(PROGRAM), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
        # Who starts us in the background has us ignore SIGINT, and what we start inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    try:
        assert re.match(r"Kafka is at 127\.0\.0\.1:\d+\.", program.stdout.readline())
        children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
        (java,) = [int(pid) for pid in children]
        assert alive(java)
    finally:
        program.send_signal(how)
        code = program.wait(60)
        program.stdout.close()
    eventually(lambda: not alive(java))
    if how != signal.SIGKILL:
        assert code == 0
        assert list(tmp_path.iterdir()) == [], "it removes what it made"


def test_a_given_folder_is_kept_and_found_again(kafka, tmp_path):
    topics = Topics("kept", 2)
    where = TopicPartition(topics.events.name, 1)
    for turn in range(2):
        with TrialBroker(data=tmp_path / "data") as broker:
            driver = KafkaBroker(BrokerConfig(bootstrap=broker.bootstrap))
            admin = driver.admin()
            admin.create([topics.events])
            admin.close()
            producer = driver.producer()
            send_all(producer, [Record(*where, None, b"%d" % turn)], 30)
            assert producer.close(10)
            consumer = driver.consumer({where: EARLIEST})
            values = []
            while len(values) <= turn:
                values += [message.value for message in consumer.poll(1.0)]
            consumer.close()
            assert values == [b"0", b"1"][: turn + 1]
    assert (tmp_path / "data" / "log").is_dir()


def test_topics_are_made_checked_and_told_apart(kafka, prefix, capsys):
    flags = ["topics", "--brokers", kafka.bootstrap, "--prefix", prefix, "--partitions", "2"]
    try:
        assert main([*flags, "--check"]) == 1
        said = capsys.readouterr()
        assert len(re.findall(rf"^{prefix}\.\w+\.v1 .*missing$", said.out, re.MULTILINE)) == 8
        assert said.err == "8 missing; `synfin topics --create` makes them\n"

        assert main([*flags, "--create"]) == 0
        said = capsys.readouterr()
        assert re.search(rf"^{prefix}\.packets\.v1 +2 +1 +delete +ok$", said.out, re.MULTILINE)
        assert re.search(rf"^{prefix}\.state\.v1 +2 +1 +compact +ok$", said.out, re.MULTILINE)
        assert said.err == ""
        assert main([*flags, "--create"]) == 0
        assert main(flags) == 0
        capsys.readouterr()

        assert main([*flags[:-1], "4"]) == 1
        said = capsys.readouterr()
        assert f"{prefix}.packets.v1: 2 partitions, wanted 4\n" in said.err
        assert "alerts" not in said.err
    finally:
        admin = kafka.broker.admin()
        admin.delete(topic.name for topic in Topics(prefix, 2).all())
        admin.close()


def test_topics_that_cannot_be_are_a_usage_error_before_anything_is_asked(capsys):
    assert main(["topics", "--brokers", "127.0.0.1:1", "--partitions", "7"]) == 2
    assert "7 partitions do not divide 384" in capsys.readouterr().err


def test_without_a_broker_the_exit_code_says_so(capsys):
    assert main(["topics", "--brokers", "127.0.0.1:1"]) == 5
    said = capsys.readouterr().err
    assert "Kafka at 127.0.0.1:1 does not answer" in said
    assert "ECONNREFUSED" in said
