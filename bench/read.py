"""CPU time from capture file to connections: `synfin read --json` and its text lines, beside tshark, in the same run.

    python bench/read.py [--packets 2000000] [--rounds 5]

The file is made for the run: short HTTP connections (bench/web.py). Whole processes are measured, their start-up with
a file of one connection is shown apart and taken off. Medians of rounds in turn. Also: what a command costs that only
starts (`sensor --help`, `synfin --help`, `synfin read` of a small file), and the memory of the large reading.
"""

import argparse
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

from bench.decode import processor  # noqa: E402  after the path is set
from bench.web import write_web  # noqa: E402

TSHARK_PACKETS = 50_000  # a tenth of a minute


class Cost(NamedTuple):
    """Of one whole process."""

    cpu_s: float
    peak_mib: float
    lines: int


def run(command: list[str]) -> Cost:
    """Run it to its end; its lines are counted and thrown away."""
    with subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        lines = 0
        while chunk := process.stdout.read(1 << 20):
            lines += chunk.count(b"\n")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, lines)


def synfin(*words: str) -> list[str]:
    return [sys.executable, "-m", "synfin.cli", *words]


def compare(large: Path, small: Path, packets: int, rounds: int) -> None:
    for name, words in (("flow JSON with all transitions", ["read", "--json"]), ("text lines", ["read"])):
        run(synfin(*words, str(small)))  # compiles, or loads
        start = statistics.median(run(synfin(*words, str(small))).cpu_s for _ in range(rounds))
        costs = [run(synfin(*words, str(large))) for _ in range(rounds)]
        work_s = statistics.median(cost.cpu_s for cost in costs) - start
        print(
            f"synfin {name:<32} {work_s / packets * 1e9:7.0f} ns/packet  {packets / work_s / 1e6:6.2f} M/s  "
            f"start {start:.2f} s  peak {max(cost.peak_mib for cost in costs):.0f} MiB  {costs[0].lines} lines"
        )


def peers(folder: Path, rounds: int) -> None:
    sample = folder / "sample.pcap"
    packets = write_web(sample, TSHARK_PACKETS)
    for name, command in (
        ("tshark -z conv,tcp", ["tshark", "-n", "-q", "-z", "conv,tcp", "-r", str(sample)]),
        ("tcpdump -w (counts nothing)", ["tcpdump", "-r", str(sample), "-w", "-"]),
    ):
        if not shutil.which(command[0]):
            print(f"{name}: not installed")
            continue
        cpu_s = statistics.median(run(command).cpu_s for _ in range(rounds))
        print(f"{name:<39} {cpu_s / packets * 1e9:7.0f} ns/packet  {packets / cpu_s / 1e6:6.2f} M/s, start included")


def starts(small: Path, rounds: int) -> None:
    for name, command in (
        ("synfin --help", synfin("--help")),
        ("sensor --help", [sys.executable, "-m", "sensor.cli", "--help"]),
        ("synfin read of 11 packets", synfin("read", str(small))),
    ):
        cpu_s = statistics.median(run(command).cpu_s for _ in range(rounds))
        print(f"{name:<39} {cpu_s * 1e3:7.0f} ms of CPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        large, small = Path(name) / "web.pcap", Path(name) / "small.pcap"
        packets = write_web(large, args.packets)
        write_web(small, 11)
        print(f"{packets} packets of short HTTP connections, {large.stat().st_size >> 20} MiB")
        compare(large, small, packets, args.rounds)
        peers(Path(name), args.rounds)
        starts(small, args.rounds)


if __name__ == "__main__":
    main()
