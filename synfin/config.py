"""Every setting in one table, and where its value comes from.

A flag beats the environment (SYNFIN_KAFKA_BROKERS), which beats the first of `--config FILE`, ./synfin.toml and
/etc/synfin/synfin.toml ([kafka] brokers = …), which beats the default. A setting without a flag, such as a password, is
not given where every user of the host could read it.
"""

import argparse
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from synfin.errors import UsageError

PLACES: Final = (Path("synfin.toml"), Path("/etc/synfin/synfin.toml"))

_SIZES: Final = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_TIMES_NS: Final = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}
_HEADER: Final = re.compile(r"\s*\[+\s*([^\]]+?)\s*\]")
_QUOTES: Final = " \t\"'"
_QUANTITY: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def text(value: object) -> str:
    """Some text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("some text is wanted")
    return value.strip()


def path(value: object) -> Path:
    """A path; `~` is the user's home."""
    return Path(text(value)).expanduser()


def words(value: object) -> tuple[str, ...]:
    """A list, or text with commas between its words."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not parts:
        raise ValueError("words with commas between them are wanted")
    return tuple(text(part) for part in parts)


def integer(value: object) -> int:
    """A whole number, not below 0."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a whole number is wanted")
    return value


def port(value: object) -> int:
    """A TCP port; 0 for none."""
    number = integer(value)
    if number > 65535:
        raise ValueError("a port is wanted, at most 65535, or 0 for none")
    return number


def switch(value: object) -> bool:
    """A truth value."""
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if isinstance(value, str):
        value = known.get(value.strip().lower())
    if not isinstance(value, bool):
        raise ValueError("true or false is wanted")
    return value


def _quantity(value: object, units: Mapping[str, int], wanted: str) -> int:
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2] not in units:
        raise ValueError(wanted)
    return round(float(match[1]) * units[match[2]]) if "." in match[1] else int(match[1]) * units[match[2]]


def size(value: object) -> int:
    """Bytes: a number, or text as 64MiB."""
    return integer(value) if isinstance(value, int) else _quantity(value, _SIZES, "a size is wanted, as 64MiB")


def duration_ns(value: object) -> int:
    """Nanoseconds, from text as 500ms, 2s or 10min; a bare number would leave the unit open."""
    return _quantity(value, _TIMES_NS, "a duration is wanted, as 500ms, 2s or 10min")


def one_of(*names: str) -> Callable[[object], str]:
    """One of some names, in any case."""

    def choose(value: object) -> str:
        name = text(value).lower()
        if name not in names:
            raise ValueError(f"one of {', '.join(names)} is wanted")
        return name

    return choose


class Setting(NamedTuple):
    """One row of the table. `parse` takes the text of a flag or the environment, or the value of the TOML file."""

    name: str  # table and key in TOML
    parse: Callable[[object], Any]
    default: Any  # as parse gives it; None: the command decides
    help: str
    commands: tuple[str, ...]
    flag: str | None = None
    secret: bool = False  # never shown

    @property
    def variable(self) -> str:
        """Name in the environment."""
        return "SYNFIN_" + self.name.replace(".", "_").upper()


_KAFKA: Final = ("sensor", "processor", "sink", "topics", "tail")

SETTINGS: Final = (
    Setting("kafka.brokers", words, ("localhost:9092",), "brokers to begin with", _KAFKA, "--brokers"),
    Setting(
        "kafka.security",
        one_of("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"),
        "plaintext",
        "plaintext, ssl, sasl_plaintext or sasl_ssl",
        _KAFKA,
        "--kafka-security",
    ),
    Setting("kafka.ca_file", path, None, "certificates that the brokers are checked by", _KAFKA, "--kafka-ca"),
    Setting("kafka.cert_file", path, None, "our certificate, where brokers ask for one", _KAFKA, "--kafka-cert"),
    Setting("kafka.key_file", path, None, "its private key", _KAFKA, "--kafka-key"),
    Setting("kafka.key_password", text, None, "password of the private key", _KAFKA, secret=True),
    Setting(
        "kafka.sasl_mechanism",
        one_of("plain", "scram-sha-256", "scram-sha-512"),
        "scram-sha-512",
        "plain, scram-sha-256 or scram-sha-512",
        _KAFKA,
        "--kafka-sasl",
    ),
    Setting("kafka.username", text, None, "SASL user", _KAFKA, "--kafka-user"),
    Setting("kafka.password", text, None, "SASL password", _KAFKA, secret=True),
    Setting("kafka.timeout", duration_ns, 30 * 10**9, "how long to wait for a broker at start", _KAFKA),
    Setting("topics.prefix", text, "synfin", "what topic names begin with", _KAFKA[1:], "--prefix"),
    Setting("topics.packets", text, "synfin.packets.v1", "topic of the batches", ("sensor",), "--topic"),
    Setting(
        "topics.partitions",
        integer,
        24,
        "partitions of a new topic; divides 384",
        ("sensor", "topics"),
        "--partitions",
    ),
    Setting("topics.replication", integer, 1, "replicas of a new topic", ("topics",), "--replication"),
    Setting("sensor.id", text, None, "name of this sensor, else the host's", ("sensor",), "--sensor-id"),
    Setting(
        "sensor.latency",
        duration_ns,
        10**9,
        "age at which a batch is closed; of a file only if given",
        ("sensor",),
        "--latency",
    ),
    Setting("sensor.spool", path, None, "folder for batches while the broker is away", ("sensor",), "--spool"),
    Setting("sensor.spool_max", size, 1 << 30, "bytes in that folder; beyond, the oldest go", ("sensor",)),
    Setting("sensor.user", text, None, "user to become, else synfin, else nobody", ("sensor",), "-Z"),
    Setting("sensor.metrics_port", port, 9470, "metrics on loopback; 0: none", ("sensor",), "--metrics-port"),
    Setting(
        "processor.group", text, "synfin-processor", "consumer group that shares the work", ("processor",), "--group"
    ),
    Setting(
        "processor.views_per_slice",
        integer,
        1 << 14,
        "connections that a slice keeps; fixed once there is state",
        ("processor",),
    ),
    Setting(
        "processor.transitions",
        switch,
        False,
        "an event for each transition; fixed once there is state",
        ("processor",),
    ),
    Setting("rules.syn_rate", integer, 100, "SYNs a second to one service that may be a flood", ("processor",)),
    Setting(
        "rules.flood_completion_percent",
        integer,
        10,
        "of them that become connections, in a flood less",
        ("processor",),
    ),
    Setting("rules.flood_sources", integer, 32, "sources of a flood, at least", ("processor",)),
    Setting(
        "rules.flood_half_open", integer, 256, "or connections in ten seconds that it leaves half-open", ("processor",)
    ),
    Setting(
        "rules.scan_targets",
        integer,
        20,
        "ports of one host, or hosts with one port, that one source tries in a minute",
        ("processor",),
    ),
    Setting("rules.scan_failed_percent", integer, 80, "of its attempts that fail, in a scan at least", ("processor",)),
    Setting(
        "rules.storm_aborts", integer, 50, "connections of one service that are reset in ten seconds", ("processor",)
    ),
    Setting("rules.storm_factor", integer, 5, "times what is usual for it", ("processor",)),
    Setting("rules.stray_segments", integer, 20, "answers to nothing, from one sender in a minute", ("processor",)),
    Setting("rules.stray_peers", integer, 16, "to so many addresses and ports", ("processor",)),
    Setting("rules.refused", integer, 5, "attempts that a service refuses in a minute", ("processor",)),
    Setting(
        "rules.listener_resets",
        integer,
        2,
        "connections that a service resets together before it sent anything on them",
        ("processor",),
    ),
    Setting(
        "rules.close_wait",
        integer,
        10,
        "connections of a service that get stuck in CLOSE-WAIT in ten minutes, or are by now",
        ("processor",),
    ),
    Setting(
        "rules.quiet_windows",
        integer,
        3,
        "times ten seconds without its cause, after which an alert is raised again",
        ("processor",),
    ),
    Setting("processor.metrics_port", port, 9471, "metrics on loopback; 0: none", ("processor",), "--metrics-port"),
    Setting("sink.folder", path, Path("events"), "folder for the files", ("sink",), "--out"),
    Setting("sink.topics", words, ("flows", "events"), "which of flows and events", ("sink",), "--topics"),
    Setting("sink.partitions", text, "all", "which partitions, as 0,1,5-7", ("sink",), "--partitions"),
    Setting("sink.rotate_size", size, 1 << 28, "size at which a file is closed", ("sink",), "--rotate-bytes"),
    Setting(
        "sink.rotate_seconds", integer, 3600, "event time after which one is closed", ("sink",), "--rotate-seconds"
    ),
    Setting("sink.group", text, "synfin-sink", "consumer group that shows the lag", ("sink",), "--group"),
    Setting("sink.metrics_port", port, 9472, "metrics on loopback; 0: none", ("sink",), "--metrics-port"),
)
COMMANDS: Final = tuple(sorted({command for setting in SETTINGS for command in setting.commands}))
_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}


class Settings:
    """The settings of one command, by name, and where each value comes from."""

    def __init__(self, values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
        self.values = values
        self.origins = origins

    def __getitem__(self, name: str) -> Any:
        """Value of a setting; asking for one that the command has not is broken code."""
        return self.values[name]

    def shown(self) -> list[tuple[str, str, str]]:
        """Rows (name, value, origin) for a person; secrets are masked."""
        return [
            (name, "***" if _BY_NAME[name].secret and value is not None else _plain(value), self.origins[name])
            for name, value in self.values.items()
        ]


def _plain(value: Any) -> str:
    return "-" if value is None else ",".join(value) if isinstance(value, tuple) else str(value)


def of_command(command: str) -> list[Setting]:
    """Rows of the table that a command has."""
    return [setting for setting in SETTINGS if command in setting.commands]


def add_flags(parser: argparse.ArgumentParser, command: str) -> None:
    """Add `--config` and the flags of a command's settings; what they get stays text until resolve()."""
    group = parser.add_argument_group("settings", "also from SYNFIN_… in the environment and from synfin.toml")
    group.add_argument("--config", metavar="FILE", help="read this instead of ./synfin.toml or /etc/synfin/synfin.toml")
    for setting in of_command(command):
        if setting.flag:
            word = setting.flag.lstrip("-").rpartition("-")[2].upper()
            default = "" if setting.default is None else f" ({_plain(setting.default)})"
            group.add_argument(setting.flag, dest=setting.name, metavar=word, help=setting.help + default)


def resolve(command: str, flags: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Settings:
    """Settings of a command. `flags`: what was given, by name of setting, and "config"; vars(args) will do.

    Raises UsageError for a value that is none, an unknown key and a file that cannot be read.
    """
    environment = os.environ if environment is None else environment
    given = _from_file(flags.get("config"))
    values, origins = {}, {}
    for setting in of_command(command):
        if flags.get(setting.name) is not None:
            value, origin = flags[setting.name], f"flag {setting.flag}"
        elif environment.get(setting.variable):
            value, origin = environment[setting.variable], f"environment {setting.variable}"
        elif setting.name in given:
            value, origin = given[setting.name]
        else:
            values[setting.name], origins[setting.name] = setting.default, "default"
            continue
        values[setting.name], origins[setting.name] = _parsed(setting, value, origin), origin
    return Settings(values, origins)


def _parsed(setting: Setting, value: object, origin: str) -> Any:
    try:
        return setting.parse(value)
    except ValueError as error:
        shown = "" if setting.secret else f", not {value!r}"
        raise UsageError(f"{origin}: {setting.name}: {error}{shown}") from None


def _file(chosen: str | None) -> Path | None:
    """The file to read, None where there is none."""
    if chosen is not None:
        return Path(chosen)
    for place in PLACES:
        try:
            owner = place.stat().st_uid
        except OSError:
            continue
        if owner not in {0, os.geteuid()}:
            # Settings name the brokers that captures go to: a stranger's file in a shared folder must not.
            raise UsageError(f"{place}: belongs to another user; name it with --config if it is meant")
        return place
    return None


def _from_file(chosen: str | None) -> dict[str, tuple[object, str]]:
    """Value and place of each setting that the file holds; unknown ones are errors."""
    file = _file(chosen)
    if file is None:
        return {}
    import difflib  # noqa: PLC0415  these cost as much as all that --help needs
    import tomllib  # noqa: PLC0415

    try:
        content = file.read_text(encoding="utf-8")
        tables = tomllib.loads(content)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: is no TOML: {error}") from error
    found: dict[str, tuple[object, str]] = {}
    for table, keys in tables.items():
        for key, value in keys.items() if isinstance(keys, dict) else [(None, keys)]:
            name = f"{table}.{key}" if key else table
            place = f"{file}:{_line(content, table, key)}"
            if name not in _BY_NAME:
                near = difflib.get_close_matches(name, _BY_NAME, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise UsageError(f"{place}: there is no setting {name}{hint}")
            found[name] = value, place
    return found


def _line(content: str, table: str, key: str | None) -> int:
    """Line on which a key stands, or its table where it is written in another of TOML's ways; tomllib does not tell."""
    wanted = f"{table}.{key}" if key else table
    within, fallback = "", 1
    for number, line in enumerate(content.splitlines(), 1):
        if match := _HEADER.match(line):
            within = match[1].strip("\"'")
            fallback = number if within == table else fallback
        name, equals, _ = line.partition("=")
        if equals and f"{within}.{name.strip(_QUOTES)}".lstrip(".") == wanted:
            return number
    return fallback
