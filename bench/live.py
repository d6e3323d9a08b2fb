"""CPU time a packet of a live capture on a cable between two namespaces, and what the kernel dropped.

    python bench/live.py [--seconds 3] [--rate PACKETS_A_SECOND]

A sender replays short web connections (made for the run) into one end of a veth pair as fast as it can, or at --rate;
each capture listens at the other end, in turn. Counted is the CPU time of the capturing process alone, from before
the first packet to after the last; the kernel's own work for a packet is done in the sender's time. The namespaces go
with the processes that hold them. Needs root, or user namespaces.
"""

import argparse
import contextlib
import ctypes
import os
import platform
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))
PACKETS = 110_000  # of the file that is replayed over and over
BATCH = 64
READY_S = 120  # a cold compilation is among it
SCAPY_RATE = 20_000
WARM_UP_S = 1.0

# The ring alone, and the ring with dissection: what the sensor does before it makes batches.
RING = """
import signal, sys
from sensor.capture import open_live
from sensor.dissect import Dissector
from sensor.warm import made_up_block
from sensor.ring import walk_block
import numpy as np
dissector = Dissector() if sys.argv[2] == "dissect" else None
if dissector:
    dissector.dissect(made_up_block())
empty = np.zeros(4096, np.uint8)
walk_block(empty, empty.view(np.uint16), empty.view(np.uint32), np.uint64(1), made_up_block().frames)
capture = open_live(sys.argv[1], "tcp", 256)
signal.signal(signal.SIGINT, lambda *_: capture.stop())
captured = 0
print("listening on", file=sys.stderr, flush=True)
for block in capture.blocks(0.1):
    captured += len(block)
    if dissector:
        dissector.dissect(block)
received, dropped = capture.statistics()
print(f"{captured} packets captured\\n{received} packets received by filter\\n{dropped} packets dropped by kernel",
      file=sys.stderr)
"""
SCAPY = """
import sys
from scapy.all import AsyncSniffer, TCP
import signal, threading
count = 0
def take(packet):
    global count
    count += TCP in packet
sniffer = AsyncSniffer(iface=sys.argv[1], prn=take, store=False)
stop = threading.Event()
signal.signal(signal.SIGINT, lambda *_: stop.set())
sniffer.start()
print("listening on", file=sys.stderr, flush=True)
while not stop.wait(0.2):
    pass
sniffer.stop()
print(f"{count} packets captured", file=sys.stderr)
"""


class Iovec(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Msghdr(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.POINTER(Iovec)),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class Mmsghdr(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", Msghdr), ("length", ctypes.c_uint32))


def messages(path: Path) -> tuple[ctypes.Array[Mmsghdr], list[object]]:
    """The frames of a pcap file as sendmmsg takes them, and what must stay alive meanwhile."""
    data = ctypes.create_string_buffer(path.read_bytes())
    base, at, places = ctypes.addressof(data), 24, []
    while at + 16 < len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        places.append((base + at + 16, length))
        at += 16 + length
    vectors = (Iovec * len(places))(*places)
    headers = (Mmsghdr * len(places))()
    for header, vector in zip(headers, vectors, strict=True):
        header.header.iov = ctypes.pointer(vector)
        header.header.iov_length = 1
    return headers, [data, vectors]


def send(interface: str, path: Path, seconds: float, rate: float) -> None:
    """Send for so long and print how many packets it were, and in what time."""
    headers, _alive = messages(path)
    libc = ctypes.CDLL(None, use_errno=True)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind((interface, 0))
        sent, at, start = 0, 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            if rate and sent > elapsed * rate:
                time.sleep(0.001)
                continue
            count = min(BATCH, len(headers) - at)
            done = libc.sendmmsg(sock.fileno(), ctypes.byref(headers[at]), count, 0)
            if done > 0:
                sent += done
                at = (at + done) % len(headers)
    print(sent, elapsed)


class Capture(NamedTuple):
    """One program that captures on v1."""

    name: str
    command: tuple[str, ...]
    rate: float | None = None  # None: that of the run


class Figures(NamedTuple):
    """What one run showed."""

    warm_up: tuple[int, float]  # packets sent, and in how many seconds
    sent: tuple[int, float]
    captured: int  # of both
    dropped: int
    cpu_ns: int  # after the warm-up
    memory_kib: int


def cpu_ns(process: int) -> int:
    """CPU time of all threads of a process."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{process}/task").iterdir())


def memory_kib(process: int) -> int:
    match = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(match[1]) if match else 0


@contextlib.contextmanager
def cable() -> Iterator[tuple[list[str], list[str]]]:
    """Two namespaces with v0 and v1: what to put before a command to run it in the first, in the second."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    inside = ["--user", "--preserve-credentials"] if user else []
    holders: list[subprocess.Popen[str]] = []
    enters: list[list[str]] = []
    try:
        for number in range(2):
            before = enters[0] if number else []
            command = [*before, "unshare", *([] if number else user), "--net", "sh", "-c", "echo up; exec sleep 900"]
            holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            holders.append(holder)
            assert holder.stdout
            holder.stdout.readline()
            enters.append(["nsenter", "--target", str(holder.pid), *inside, "--net"])
        for words in (f"link add v0 type veth peer name v1 netns {holders[1].pid}", "link set v0 up"):
            subprocess.run([*enters[0], "ip", *words.split()], check=True)
        subprocess.run([*enters[1], *["ip", "link", "set", "v1", "up"]], check=True)
        yield enters[0], enters[1]
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()


def counted(text: str, what: str) -> int:
    match = re.search(rf"(\d+) packets {what}", text)
    return int(match[1]) if match else 0


def wait_ready(process: subprocess.Popen[bytes], errors: Path) -> None:
    deadline = time.monotonic() + READY_S
    while "listening on" not in errors.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{process.args}: {errors.read_text()}")
        time.sleep(0.05)
    time.sleep(0.5)


def run_sender(command: list[str], seconds: float) -> tuple[int, float]:
    """Packets sent and seconds; waits until the ring is empty again."""
    arguments = [*command, "--seconds", str(seconds)]
    sent, took = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split()
    time.sleep(0.5)
    return int(sent), float(took)


def measure(capture: Capture, ends: tuple[list[str], list[str]], path: Path, seconds: float, rate: float) -> Figures:
    errors = path.with_name("stderr")
    environment = {**os.environ, "PYTHONPATH": str(TOP)}
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [*ends[1], *capture.command], stdout=subprocess.DEVNULL, stderr=stderr, env=environment, cwd=path.parent
        )
    try:
        wait_ready(process, errors)
        chosen = rate if capture.rate is None else capture.rate
        sender = [*ends[0], sys.executable, __file__, "--send", "v0", "--file", str(path), "--rate", str(chosen)]
        first = run_sender(sender, WARM_UP_S)  # memory is touched, and what is compiled late is compiled
        before = cpu_ns(process.pid)
        second = run_sender(sender, seconds)
        used, memory = cpu_ns(process.pid) - before, memory_kib(process.pid)
        process.send_signal(signal.SIGINT)
        process.wait(60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    text = errors.read_text()
    dropped = counted(text, "dropped by kernel")
    return Figures(first, second, counted(text, "captured"), dropped, used, memory)


def captures(folder: Path) -> Iterator[Capture]:
    python, sensor = sys.executable, (sys.executable, "-m", "sensor.cli", "-i", "v1", "-Z", "root")
    if os.geteuid() != 0:
        sensor = sensor[:-2]
    yield Capture("ring", (python, "-c", RING, "v1", "walk"))
    yield Capture("ring and dissection", (python, "-c", RING, "v1", "dissect"))
    yield Capture("sensor, batches not sent", (*sensor, "--dry-run", "tcp"))
    yield Capture("sensor -w", (*sensor, "-w", str(folder / "ours.pcapng"), "tcp"))
    yield Capture("sensor -w -s 256", (*sensor, "-w", str(folder / "ours.pcapng"), "-s", "256", "tcp"))
    if shutil.which("tcpdump"):
        tcpdump = ("tcpdump", "-Z", "root", "-i", "v1", "-w", str(folder / "theirs.pcap"))
        yield Capture("tcpdump -w", (*tcpdump, "tcp"))
        yield Capture("tcpdump -w -s 256", (*tcpdump, "-s", "256", "tcp"))
    yield Capture("scapy sniff(prn=)", (python, "-W", "ignore", "-c", SCAPY, "v1"), SCAPY_RATE)


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.processor() or platform.machine()


def report(seconds: float, rate: float) -> None:
    from bench.web import write_web

    print(f"{processor()}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}")
    print(f"load {os.getloadavg()[0]:.1f} before the run\n")
    print(f"  {'':<26} {'sent/s':>9} {'captured':>10} {'dropped':>9} {'lost':>7} {'CPU ns/packet':>14} {'MiB':>6}")
    with tempfile.TemporaryDirectory(prefix="synfin-bench-") as name, cable() as ends:
        path = Path(name) / "web.pcap"
        write_web(path, PACKETS)
        for capture in captures(Path(name)):
            f = measure(capture, ends, path, seconds, rate)
            sent = f.warm_up[0] + f.sent[0]
            each = f.cpu_ns / max(f.captured * f.sent[0] / sent, 1)
            figures = (
                f"{f.sent[0] / f.sent[1]:9.0f} {f.captured:10} {f.dropped:9} {1 - f.captured / sent:7.2%} {each:14.0f}"
            )
            print(f"  {capture.name:<26} {figures} {f.memory_kib / 1024:6.0f}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rate", type=float, default=0.0, help="packets a second; 0: as fast as it goes")
    parser.add_argument("--send", help=argparse.SUPPRESS)  # the sender's own process
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        send(options.send, options.file, options.seconds, options.rate)
    else:
        report(options.seconds, options.rate)
    return 0


if __name__ == "__main__":
    sys.exit(main())
