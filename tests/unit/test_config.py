"""Where settings come from, and what is said about those that are wrong."""

import argparse
import os
from pathlib import Path

import pytest

from synfin import config
from synfin.cli import main
from synfin.errors import UsageError


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No file of this host's is read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config, "PLACES", (Path("synfin.toml"), tmp_path / "etc.toml"))


def write(path, content):
    Path(path).write_text(content, encoding="utf-8")
    return str(path)


def test_each_source_beats_the_next(tmp_path):
    variable = {"SYNFIN_SENSOR_LATENCY": "3s"}
    steps = [("default", 10**9), (f"{tmp_path / 'etc.toml'}:2", 5 * 10**9), ("synfin.toml:2", 4 * 10**9)]
    assert read({}, {}) == steps[0]
    write(tmp_path / "etc.toml", '[sensor]\nlatency = "5s"\n')
    assert read({}, {}) == steps[1]
    write("synfin.toml", '[sensor]\nlatency = "4s"\n')
    assert read({}, {}) == steps[2]
    assert read({}, variable) == ("environment SYNFIN_SENSOR_LATENCY", 3 * 10**9)
    assert read({"sensor.latency": "20ms"}, variable) == ("flag --latency", 20 * 10**6)


def read(flags, environment, name="sensor.latency", command="sensor"):
    settings = config.resolve(command, flags, environment)
    return settings.origins[name], settings[name]


def test_a_named_file_is_read_instead_of_the_usual_places(tmp_path):
    write("synfin.toml", '[sensor]\nid = "here"\n')
    other = write(tmp_path / "other.toml", '[kafka]\nbrokers = ["a:1", "b:2"]\n')
    settings = config.resolve("sensor", {"config": other}, {})
    assert (settings["sensor.id"], settings["kafka.brokers"]) == (None, ("a:1", "b:2"))


def test_flags_of_a_command_are_read_by_argparse():
    parser = argparse.ArgumentParser()
    config.add_flags(parser, "sink")
    args = parser.parse_args(["--brokers", "a:1,b:2", "--rotate-bytes", "64MiB"])
    settings = config.resolve("sink", vars(args), {})
    assert (settings["kafka.brokers"], settings["sink.rotate_size"]) == (("a:1", "b:2"), 64 << 20)
    assert settings["sink.folder"] == Path("events")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[kafka]\n\nbrokers = "a:1"\nbroker = "a:1"\n', "synfin.toml:4: .*kafka.broker; did you mean kafka.brokers"),
        ('"kafka"."zookeeper" = "a"\n', "synfin.toml:1: there is no setting kafka.zookeeper"),
        ("\nkafka = 3\n", "synfin.toml:2: there is no setting kafka"),
        ("[[kafak]]\nx = 1\n", "synfin.toml:1: there is no setting kafak"),
        ("[sensor]\nlatency = 5\n", "synfin.toml:2: sensor.latency: a duration is wanted, as 500ms, .*, not 5"),
        ("[sensor]\nmetrics_port = true\n", "synfin.toml:2: sensor.metrics_port: a whole number is wanted, not True"),
        ("[sensor\n", r"synfin.toml: is no TOML: .*line 1"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(content, message):
    write("synfin.toml", content)
    with pytest.raises(UsageError, match=message):
        config.resolve("sensor", {}, {})


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(UsageError, match=r"gone.toml: cannot be read: No such file"):
        config.resolve("sensor", {"config": str(tmp_path / "gone.toml")}, {})
    (tmp_path / "synfin.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"synfin.toml: is no TOML"):
        config.resolve("sensor", {}, {})


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_a_strangers_file_in_the_folder_is_refused_unless_it_is_named(tmp_path):
    os.chown(write("synfin.toml", '[kafka]\nbrokers = "elsewhere:1"\n'), 12345, 12345)
    with pytest.raises(UsageError, match="belongs to another user"):
        config.resolve("sensor", {}, {})
    assert config.resolve("sensor", {"config": "synfin.toml"}, {})["kafka.brokers"] == ("elsewhere:1",)


@pytest.mark.parametrize(
    ("parse", "good", "bad"),
    [
        (config.size, {"0": 0, "64MiB": 64 << 20, "1.5 kB": 1500, 7: 7}, ["-1", "64 miles", "", None, 1.5, -1]),
        (config.duration_ns, {"500ms": 500 * 10**6, "1.5s": 1_500_000_000, "10min": 600 * 10**9}, ["5", 5, "s", "-1s"]),
        (config.integer, {"12": 12, 0: 0}, ["1e3", "-1", -1, "٣", True]),
        (config.port, {"65535": 65535}, ["65536"]),
        (config.switch, {"yes": True, "0": False, False: False}, ["maybe", 2]),
        (config.words, {"a, b": ("a", "b")}, ["a,,b", "", [], [1], 3]),
        (config.text, {" x ": "x"}, ["", " ", 3]),
        (config.one_of("ssl", "plain"), {"SSL": "ssl"}, ["tls"]),
    ],
)
def test_kinds_of_values(parse, good, bad):
    assert {value: parse(value) for value in good} == good
    for value in bad:
        with pytest.raises(ValueError, match="wanted"):
            parse(value)


def test_the_command_shows_values_and_where_they_come_from(capsys, monkeypatch):
    monkeypatch.setenv("SYNFIN_KAFKA_PASSWORD", "hunter2")
    write("synfin.toml", '[kafka]\nbrokers = ["a:1", "b:2"]\n')
    assert main(["config", "sink"]) == 0
    rows = [line.split(None, 2) for line in capsys.readouterr().out.splitlines()]
    assert ["kafka.brokers", "a:1,b:2", "synfin.toml:2"] in rows
    assert ["kafka.password", "***", "environment SYNFIN_KAFKA_PASSWORD"] in rows
    assert ["sink.metrics_port", "9472", "default"] in rows
    assert {name for name, *_ in rows} == {setting.name for setting in config.of_command("sink")}


def test_secrets_have_no_flag_and_are_not_shown():
    settings = config.resolve("sink", {}, {"SYNFIN_KAFKA_PASSWORD": "hunter2"})
    assert settings["kafka.password"] == "hunter2"
    assert "hunter2" not in repr(settings.shown())
    secrets = [setting for setting in config.SETTINGS if setting.secret]
    assert secrets
    assert not [setting for setting in secrets if setting.flag]


def test_a_secret_that_is_wrong_is_not_repeated():
    write("synfin.toml", "[kafka]\npassword = 4711\n")
    with pytest.raises(UsageError) as caught:
        config.resolve("sink", {}, {})
    assert "4711" not in str(caught.value)


def test_the_table_is_sound():
    names = [setting.name for setting in config.SETTINGS]
    assert len(names) == len(set(names))
    assert all(name.count(".") == 1 for name in names)
    for command in {command for setting in config.SETTINGS for command in setting.commands}:
        flags = [setting.flag for setting in config.of_command(command) if setting.flag]
        assert len(flags) == len(set(flags))
