"""What a sensor is told to do: the meaning of its flags, checked, before anything is opened."""

import argparse
import os
from dataclasses import dataclass
from typing import Final

from synfin.config import Settings
from synfin.errors import UsageError

SNAPLEN_WHOLE: Final = 262_144  # sensor.frames.CAPLEN_MAX, which costs numpy to import
# Without -w only headers are wanted: Ethernet, two tags, IPv6 with extension headers and TCP with all its options.
SNAPLEN_HEADERS: Final = 256
SENSOR_ID_MAX: Final = 64  # bytes
SPEED_MIN: Final = 0.1  # slower, heartbeats, each ten seconds of the file, would come too late to tell that it lives
SPEED_MAX: Final = 1e9


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of a sensor."""

    interface: str | None  # None: that of the default route, unless there is a file
    file: str | None
    filter: str
    write: str | None
    classic: bool  # -w as classic pcap
    unbuffered: bool
    count: int | None
    snaplen: int
    promiscuous: bool
    direction: str
    buffer_kib: int | None
    publishes: bool
    dry_run: bool
    local: str | None
    as_json: bool
    quiet: bool
    dumps: bool = False  # -D
    speed: float | None = None  # of a file: seconds of it in one of the clock; None: at once

    @property
    def on_disk(self) -> bool:
        """Whether frames come from a file; a pipe may bring what is captured now."""
        return self.file is not None and os.path.isfile(self.file)  # noqa: PTH113  pathlib costs --help its time

    @property
    def makes_batches(self) -> bool:
        """Whether frames are dissected."""
        return self.publishes or self.dry_run


def _positive(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or int(text) < 1 or int(text) > 2**62:
        raise UsageError(f"{name} {text}: a whole number above 0 is wanted")
    return int(text)


def _speed(text: str | None) -> float | None:
    if text in (None, "max"):
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not SPEED_MIN <= speed <= SPEED_MAX:
        raise UsageError(f"--speed {text}: how many times as fast is wanted, as 1 or 0.5 or 10, or max")
    return speed


def _snaplen(text: str | None, *, whole: bool) -> int:
    if text == "0" or (text is None and whole):  # 0 as in tcpdump
        return SNAPLEN_WHOLE
    chosen = _positive("-s", text)
    if chosen is None:
        return SNAPLEN_HEADERS
    if chosen > SNAPLEN_WHOLE:
        raise UsageError(f"-s {text}: at most {SNAPLEN_WHOLE}, or 0 for whole packets")
    return chosen


def _filter(args: argparse.Namespace) -> str:
    """The one expression: positional words, --bpf, or the file of -F."""
    given = {"an expression": " ".join(args.expression), "--bpf": args.bpf, "-F": args.filter_file}
    there = [name for name, value in given.items() if value]
    if len(there) > 1:
        raise UsageError(f"{' and '.join(there)}: give one filter")
    if args.filter_file:
        try:
            with open(args.filter_file, encoding="utf-8") as file:  # noqa: PTH123  pathlib costs --help its time
                return file.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"-F {args.filter_file}: cannot be read: {error}") from None
    text: str = args.bpf or given["an expression"]
    return text.strip()


def _check_pairs(args: argparse.Namespace) -> None:
    if args.file is not None and args.interface is not None:
        raise UsageError("-r and -i: a file or an interface")
    if args.speed is not None and args.file is None:
        raise UsageError("--speed is of a file that -r names")
    if args.pcap and args.write is None:
        raise UsageError("--pcap says how -w writes, and there is no -w")
    if args.dry_run and args.brokers_given:
        raise UsageError("--dry-run and --brokers: publish or do not")
    if args.write == "-" and args.json:
        raise UsageError("-w - and --json: both want standard output")
    if args.write == "-" and os.isatty(1):
        raise UsageError(
            "-w - writes a capture file to standard output, which is a terminal: redirect it, or name a file"
        )


def make_plan(args: argparse.Namespace, settings: Settings) -> Plan:
    """Check the flags against one another. Raises UsageError."""
    configured = settings.origins["kafka.brokers"] != "default"
    args.brokers_given = settings.origins["kafka.brokers"].startswith("flag")
    _check_pairs(args)
    sensor_id = settings["sensor.id"]
    if sensor_id is not None and len(sensor_id.encode()) > SENSOR_ID_MAX:
        raise UsageError(f"--sensor-id: at most {SENSOR_ID_MAX} bytes")
    return Plan(
        interface=args.interface,
        file=args.file,
        filter=_filter(args),
        write=args.write,
        classic=args.pcap or bool(args.write and args.write.endswith(".pcap")),
        unbuffered=args.unbuffered,
        count=_positive("-c", args.count),
        snaplen=_snaplen(args.snaplen, whole=args.write is not None or args.file is not None),
        promiscuous=not args.no_promiscuous,
        direction=args.direction,
        buffer_kib=_positive("-B", args.buffer),
        publishes=not args.dry_run and (args.write is None or configured),
        dry_run=args.dry_run,
        local=args.local,
        as_json=args.json,
        quiet=args.quiet,
        dumps=args.list_interfaces,
        speed=_speed(args.speed),
    )
