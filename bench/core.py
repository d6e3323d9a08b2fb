"""CPU time of the core a packet, its memory a connection, and the time until it runs.

    python bench/core.py [--packets 400000] [--rounds 5] [--connections 200000] [--no-cold]

Rounds go on in one core with later times, as a capture that does not end; the fastest counts, since the others met a
neighbour, and the first is left out, since it fills fresh memory. The loop of plain Python at the end tells how fast
the machine was meanwhile: on an idle machine of this kind it takes about 20 ns.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import numpy.typing as npt

from bench import traffic
from processor.tcp.machine import POOLS, TABLES, Limits, Machine
from sensor.batcher import Batcher
from synfin.wire.batch import GOES_ON, Batch, Lane
from synfin.wire.key import tuple_hash
from synfin.wire.segment import ACK, CSUM_OK, FLOW, HIGHER, LOWER, SEGMENT, SYN

Rows = npt.NDArray[np.void]
TOP = Path(__file__).parent.parent
LANE = Lane("bench", 1, 0)
BLOCK = 8_192  # rows that come at once
COLD = """
import time
from processor.tcp.machine import Limits, Machine, NO_FLOWS, NO_SEGMENTS
from synfin.wire.batch import Batch, Lane
begun = time.process_time()
Machine(Limits(), (1, 2)).apply(Batch(Lane("bench", 1, 0), NO_SEGMENTS, NO_FLOWS, 0, 0))
print(time.process_time() - begun)
"""


def batches_of(segments: Rows, flows: Rows) -> list[Batch]:
    """Batches as a sensor makes them, the lane open at the end."""
    batcher = Batcher(LANE, 1)
    batches: list[Batch] = []
    for at in range(0, len(segments), BLOCK):
        batches += batcher.add(segments[at : at + BLOCK], flows, 0)
    return batches + batcher.finish(GOES_ON)


def later(batch: Batch, by_ns: int) -> Batch:
    """The same batch at another time."""
    segments = batch.segments.copy()
    segments["t_ns"] += by_ns
    return replace(batch, segments=segments, first_ns=batch.first_ns + by_ns, last_ns=batch.last_ns + by_ns)


def measure(kind: str, packets: int, rounds: int) -> None:
    """Print the figures of one kind of traffic."""
    segments, flows = getattr(traffic, kind)(packets)
    batches = batches_of(segments, flows)
    span = int(segments["t_ns"][-1] - segments["t_ns"][0]) + 1_000_000_000
    machine, peak, times = Machine(Limits(), (1, 2)), 0, []
    for _ in range(rounds + 1):
        begun = time.process_time()
        for batch in batches:
            machine.apply(batch)
            peak = max(peak, machine.views_live)
        times.append((time.process_time() - begun) / packets * 1e9)
        batches = [later(batch, span) for batch in batches]
    best = min(times[1:])
    print(
        f"{kind:5} {best:6.0f} ns a packet {1e3 / best:6.2f} M packets/s of one core, first round {times[0]:.0f} ns, "
        f"peak {peak} live views"
    )


def opened(n: int) -> Batch:
    """The opening of n connections."""
    flows, rows = np.zeros(n, FLOW), np.zeros(3 * n, SEGMENT)
    flows["lower_ip"][:, 1] = 0xFFFF0A000001
    flows["higher_ip"][:, 1] = 0xFFFFC0A80000 + np.arange(n) // 50_000
    flows["lower_port"], flows["higher_port"], flows["family"] = 443, 1_024 + np.arange(n) % 50_000, 4
    zero, low, port = np.uint64(0), np.uint64(0xFFFF0A000001), np.uint64(443)
    for flow in flows:
        flow["hash"] = tuple_hash(zero, low, port, zero, flow["higher_ip"][1], np.uint64(flow["higher_port"]))
    rows["t_ns"] = 1_760_000_000_000_000_000 + np.arange(3 * n) * 1_000
    rows["flow"] = np.repeat(np.arange(n), 3)
    rows["flags"] = np.tile([SYN, SYN | ACK, ACK], n)
    rows["sender"] = np.tile([HIGHER, LOWER, HIGHER], n)
    rows["seq"], rows["ack"] = np.tile([100, 900, 101], n), np.tile([0, 101, 901], n)
    rows["window"], rows["local"], rows["checksum"], rows["ip_len"] = 64_000, LOWER, CSUM_OK, 40
    return Batch(LANE, rows, flows, int(rows["t_ns"][0]), int(rows["t_ns"][-1]))


def memory(n: int) -> None:
    """Print what an idle established connection takes."""
    machine = Machine(Limits(), (1, 2))
    machine.apply(opened(n))
    core, control = machine.core, machine.core.control[0]
    used = {}
    for name, _ in POOLS:
        size = sum(getattr(core, table).itemsize for table in TABLES.get(name, (name,)))
        used[name] = (len(getattr(core, name)) - int(control[f"{name}_left"])) * size
    live = machine.views_live
    parts = ", ".join(f"{name} {size / live:.0f}" for name, size in used.items())
    each = sum(used.values()) / live
    print(f"memory {each:.0f} bytes a connection of {live} ({parts}), index {core.slots.nbytes / live:.0f}")


def start() -> None:
    """Print the CPU time until the kernels are there: compiled, and read from the cache."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "SYNFIN_CACHE_DIR": folder, "PYTHONPATH": str(TOP)}
        for name in ("cold", "warm"):
            out = subprocess.run([sys.executable, "-c", COLD], env=env, check=True, capture_output=True, text=True)
            size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
            print(f"{name} start {float(out.stdout):.2f} s of CPU, cache {size / 1e6:.1f} MB")


def speed_of_python() -> float:
    """Time in ns of a turn of an empty loop, the best of some."""
    best = float("inf")
    for _ in range(5):
        begun = time.process_time()
        for _ in range(1_000_000):
            pass
        best = min(best, time.process_time() - begun)
    return best * 1e3


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=200_000)
    parser.add_argument("--no-cold", action="store_true", help="leave out the start, which compiles all kernels")
    arguments = parser.parse_args()
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((line.split(":")[1].strip() for line in lines if "model name" in line), "?")
    print(f"{processor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}")
    for kind in ("web", "bulk", "scan"):
        measure(kind, arguments.packets, arguments.rounds)
    memory(arguments.connections)
    if not arguments.no_cold:
        start()
    print(f"a turn of an empty loop in Python {speed_of_python():.0f} ns")


if __name__ == "__main__":
    main()
