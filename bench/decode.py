"""CPU time a packet to read a capture file and to take its headers apart, beside others on the same file and run.

    python bench/decode.py [--packets 1000000] [--rounds 9] [--file FILE]

The file is made for the run: short HTTP connections of eleven packets (Ethernet, IPv4, TCP with timestamps), thousands
at a time. Of several rounds the fastest counts, a block of frames at a time: the others met a neighbour. "copy" is
what the kernel takes to hand the same bytes over, the floor of any reader.
"""

import argparse
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import dpkt
import numba
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.web import write_web
from sensor.dissect import Dissector
from sensor.pcapfile import BUFFER_BYTES, CaptureFile

GOAL_NS = 1e3 / 30  # 30 M packets/s
DPKT_PACKETS = 20_000


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.processor() or platform.machine()


def cpu_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_PROCESS_CPUTIME_ID)


def stream(path: Path, rounds: int, dissector: Dissector) -> tuple[int, float, float]:
    """Frames, and the fastest CPU time in ns of each block summed: reading it, and dissecting it while it is warm."""
    read: dict[int, int] = {}
    dissected: dict[int, int] = {}
    frames = 0
    for _ in range(rounds):
        file, frames = CaptureFile(path), 0
        blocks = file.blocks()
        while True:
            t0 = cpu_ns()
            block = next(blocks, None)
            t1 = cpu_ns()
            if block is None:
                break
            dissector.dissect(block)
            t2 = cpu_ns()
            number = block.first_frame
            read[number] = min(read.get(number, t1 - t0), t1 - t0)
            dissected[number] = min(dissected.get(number, t2 - t1), t2 - t1)
            frames += len(block)
    return frames, float(sum(read.values())), float(sum(dissected.values()))


def copy(path: Path) -> None:
    buffer = memoryview(bytearray(BUFFER_BYTES))
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def with_dpkt(path: Path) -> None:
    """What dpkt needs for the first packets: the layers, and the options of TCP."""
    with path.open("rb") as file:
        for n, (_seconds, data) in enumerate(dpkt.pcap.Reader(file)):
            if n == DPKT_PACKETS:
                break
            segment = dpkt.ethernet.Ethernet(data).data.data
            dpkt.tcp.parse_opts(segment.opts)


def fastest_ns(work: Callable[[], object], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        before = cpu_ns()
        work()
        best = min(best, cpu_ns() - before)
    return best


def child_ns(command: Iterable[str], rounds: int) -> float:
    """CPU time of a program, the least of some runs."""
    best = float("inf")
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(list(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best * 1e9


def row(name: str, ns: float, note: str = "") -> None:
    print(f"  {name:<28} {ns:9.1f} ns  {1e3 / ns:8.2f} M packets/s  {note}".rstrip())


def report(path: Path, rounds: int) -> float:
    """Print the figures; the dissector's ns a packet."""
    frames, read_ns, dissect_ns = stream(path, rounds, Dissector())
    verified_ns = stream(path, max(rounds // 3, 1), Dissector(verify=True))[2]
    size = path.stat().st_size
    print(f"  {frames} frames, {size / 1e6:.0f} MB\n")
    row("read", read_ns / frames, f"{size / read_ns:.2f} GB/s")
    row("dissect", dissect_ns / frames)
    row("read and dissect", (read_ns + dissect_ns) / frames)
    row("dissect, sums verified", verified_ns / frames)
    copy_ns = fastest_ns(lambda: copy(path), rounds)
    row("copy", copy_ns / frames, f"{size / copy_ns:.2f} GB/s")
    row("dpkt (read and dissect)", fastest_ns(lambda: with_dpkt(path), 2) / min(frames, DPKT_PACKETS))
    for name, command in (
        ("tcpdump -w (read and write)", ("tcpdump", "-r", str(path), "-w", os.devnull)),
        ("capinfos -c (read)", ("capinfos", "-c", str(path))),
    ):
        if shutil.which(command[0]):
            row(name, child_ns(command, 3) / frames)
        else:
            print(f"  {name:<28} not here")
    return dissect_ns / frames


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--file", type=Path, help="a capture file instead of a made one")
    options = parser.parse_args()
    print(f"{processor()}, Python {platform.python_version()}, numpy {np.__version__}, numba {numba.__version__}")
    with tempfile.TemporaryDirectory(prefix="synfin-bench-") as folder:
        path = options.file or Path(folder) / "web.pcap"
        if options.file is None:
            write_web(path, options.packets)
        dissect_ns = report(path, options.rounds)
    print(f"\n  dissect: goal {GOAL_NS:.1f} ns (30 M packets/s), {'kept' if dissect_ns <= GOAL_NS else 'MISSED'}")
    return 0 if dissect_ns <= GOAL_NS else 1


if __name__ == "__main__":
    sys.exit(main())
