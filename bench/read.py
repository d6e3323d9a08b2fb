"""CPU time from capture file to connections, of whole processes: `synfin read` beside the tools of Debian, in one run.

    python bench/read.py [--packets 1000000] [--rounds 5] [--traffic web scan bulk]

The files are made for the run (bench/web.py). All commands take turns on the same file, and of their rounds the median
counts. What a command costs before its first packet is measured in the same rounds, with a file of eleven packets and
the compiled path forced, shown apart and taken off. tshark reads the first packets only: all would take minutes. A
second table holds the memory of a file and of one ten times as long with as many connections at a time; a third the
commands that only start. `apt install tcptrace argus-server softflowd tcpdump tshark` brings the others.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parent.parent
TRAFFIC = ("web", "scan", "bulk")
TSHARK_PACKETS = 50_000
STEADY = 200  # connections at a time of the files whose memory is compared
# Files of bytecode are written once, at a user's first call; an environment that forbids it would have each call do it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


class Cost(NamedTuple):
    """Of one whole process."""

    cpu_s: float
    peak_mib: float
    lines: int


@dataclass
class Command:
    """One way to read a file; `{}` stands for its name."""

    name: str
    words: tuple[str, ...]
    packets_max: int | None = None
    environment: dict[str, str] = field(default_factory=dict)
    costs: list[Cost] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)

    def run(self, path: Path) -> Cost:
        """Read a file."""
        return run([word.format(path) for word in self.words], self.environment)


def run(words: list[str], environment: dict[str, str] | None = None) -> Cost:
    """Run a command to its end; its lines are counted and thrown away."""
    with subprocess.Popen(
        words,
        cwd=TOP,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT | (environment or {}),
    ) as process:
        assert process.stdout is not None
        lines = 0
        while chunk := process.stdout.read(1 << 20):
            lines += chunk.count(b"\n")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)}: exit {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, lines)


def write(kind: str, path: Path, packets: int, *more: int) -> int:
    """Have a file made; how many packets it has. By a child, because a large process gives its peak to its children."""
    words = [sys.executable, str(TOP / "bench" / "web.py"), kind, str(path), str(packets), *map(str, more)]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.processor() or platform.machine()


def synfin(*words: str) -> tuple[str, ...]:
    return sys.executable, "-m", "synfin.cli", *words


def commands() -> list[Command]:
    """Ours, and those of the others that are installed."""
    compiled = {"SYNFIN_COMPILED": "1"}
    ours = [
        Command("synfin read: text lines, all states", synfin("read", "{}"), environment=compiled),
        Command("synfin read --json: with all transitions", synfin("read", "--json", "{}"), environment=compiled),
    ]
    others = [
        Command("softflowd: counters, no TCP state", ("softflowd", "-d", "-r", "{}")),
        Command("argus: binary records, flags seen", ("argus", "-r", "{}", "-w", "/dev/null")),
        Command("tcptrace: text lines, SYNs and FINs", ("tcptrace", "-n", "{}")),
        Command("tcpdump -w: copies packets", ("tcpdump", "-nn", "-r", "{}", "-w", "/dev/null")),
        Command(
            "tshark -z conv,tcp: counters",
            ("tshark", "-n", "-q", "-z", "conv,tcp", "-c", str(TSHARK_PACKETS), "-r", "{}"),
            TSHARK_PACKETS,
        ),
    ]
    missing = sorted({command.words[0] for command in others if not shutil.which(command.words[0])})
    if missing:
        print(f"not installed: {', '.join(missing)}")
    return ours + [command for command in others if command.words[0] not in missing]


def compare(name: str, folder: Path, wanted: int, rounds: int) -> None:
    """All commands by turns over a file of one kind of traffic."""
    path, small = folder / f"{name}.pcap", folder / "small.pcap"
    packets = write(name, path, wanted)
    write("web", small, 11)
    chosen = commands()
    for command in chosen:
        command.run(small)  # compiles, or brings it into memory
    for _ in range(rounds):
        for command in chosen:
            command.starts.append(command.run(small).cpu_s)
            command.costs.append(command.run(path))
    print(f"\n{name}: {packets} packets, {path.stat().st_size >> 20} MiB; medians of {rounds} rounds, start taken off")
    print(f"{'':<42} ns/packet     M/s  start s  peak MiB     lines")
    for command in chosen:
        start_s = statistics.median(command.starts)
        work_s = max(statistics.median(cost.cpu_s for cost in command.costs) - start_s, 1e-9)
        n, peak = min(packets, command.packets_max or packets), max(cost.peak_mib for cost in command.costs)
        print(
            f"{command.name:<42} {work_s / n * 1e9:9.0f} {n / work_s / 1e6:7.2f}  {start_s:7.2f} {peak:9.0f}"
            f" {command.costs[0].lines:9}"
        )
    path.unlink()


def memory(folder: Path, wanted: int) -> None:
    """Peak memory of a file and of one ten times as long, with as many connections at a time."""
    print(f"\nmemory of `synfin read --json`, {STEADY} connections at a time, each remembered for 10 s behind its end")
    command = Command("", synfin("read", "--json", "{}"), environment={"SYNFIN_COMPILED": "1"})
    path = folder / "steady.pcap"
    for size in (wanted // 10, wanted):
        packets = write("web", path, size, STEADY)
        cost = command.run(path)
        print(f"{packets:9} packets, {cost.lines:7} connections: peak {cost.peak_mib:.0f} MiB")
    path.unlink()


def starts(folder: Path, rounds: int) -> None:
    small = folder / "small.pcap"
    write("web", small, 11)
    words = [synfin(*words) for words in (("--help",), ("read", "--help"), ("sensor", "--help"), ("sink", "--help"))]
    words += [(str(TOP / "run"), "--help"), synfin("read", str(small)), synfin("read", "--json", str(small))]
    words += [(sys.executable, "-c", "pass"), (sys.executable, "-c", "import numpy")]
    print("\nCPU of what only starts")
    for command in words:
        run(list(command))
        cpu_s = statistics.median(run(list(command)).cpu_s for _ in range(2 * rounds))
        shown = ["synfin", *command[3:]] if command[1:3] == synfin()[1:3] else list(command)
        print(f"{' '.join(Path(word).name if '/' in word else word for word in shown):<42} {cpu_s * 1e3:7.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--traffic", nargs="*", choices=TRAFFIC, default=TRAFFIC)
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        for traffic in args.traffic:
            compare(traffic, Path(name), args.packets, args.rounds)
        memory(Path(name), args.packets)
        starts(Path(name), args.rounds)


if __name__ == "__main__":
    main()
