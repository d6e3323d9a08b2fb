"""Makes a long capture out of the short recordings in tests/captures: all of them, again and again, as other hosts.

In every round each recording gets addresses and ports that no other round has, and starts a little later than the one
before. Sums stay right without being computed: what is added to one 16-bit word of a sum is taken from another.
The result is pcapng with direction, as a sensor at host a (or b) would write it, without the payload of long frames.
The same arguments give the same bytes.

    python -m tests.support.tile OUTPUT PACKETS
"""

import ipaddress
import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
START_NS = 1_700_000_000_000_000_000
STAGGER_NS = 3_000_000  # from the start of one recording to that of the next
SHIFTS = 77  # 10.77 - k .. 10.0: IPv4 stays in 10/8
PORT_SHIFTS = 9_000
ROUNDS_MAX = SHIFTS * SHIFTS * PORT_SHIFTS
WRITE_FRAMES = 65_536
SNAP = 14 + 40 + 60  # Ethernet, IPv6 and the longest TCP header

LINK_ETHERNET, LINK_RAW = 1, 101
ETHERNET = bytes.fromhex("020000000002020000000001")
SECTION = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
INTERFACE = struct.pack("<IIHHIHHB3xHHI", 1, 32, LINK_ETHERNET, 0, 0, 9, 1, 9, 0, 0, 32)  # if_tsresol: nanoseconds
PACKET_HEAD = 28
RECEIVED, SENT = 1, 2


@dataclass(frozen=True)
class Template:
    """The frames of one recording as pcapng blocks, end to end, and where in them a copy differs."""

    blocks: np.ndarray  # uint8[]
    starts: np.ndarray  # of each block, int64[n]
    sizes: np.ndarray
    times_ns: np.ndarray  # since the recording's first frame
    words: dict[str, np.ndarray]  # where the 16-bit words stand that get `+` or `-` a shift, by "a+", "a-", "b+", …


def read_pcap(path: Path) -> list[tuple[int, bytes]]:
    """Frames (ns, bytes with an Ethernet header) of a pcap as the lab writes it: little-endian, with nanoseconds."""
    data = path.read_bytes()
    magic, link = struct.unpack_from("<I16xI", data)
    assert magic == 0xA1B23C4D
    assert link in {LINK_ETHERNET, LINK_RAW}
    frames, at = [], 24
    while at < len(data):
        seconds, nanos, size = struct.unpack_from("<III", data, at)
        packet = data[at + 16 : at + 16 + size]
        if link == LINK_RAW:
            packet = ETHERNET + (b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet
        frames.append((seconds * 10**9 + nanos, packet))
        at += 16 + size
    return frames


def _block(frame: bytes, direction: int) -> bytes:
    """Write an enhanced packet block; the time is filled in later."""
    kept = frame[:SNAP]
    padded = kept + bytes(-len(kept) % 4)
    total = PACKET_HEAD + len(padded) + 12 + 4
    head = struct.pack("<IIIIIII", 6, total, 0, 0, 0, len(kept), len(frame))
    return head + padded + struct.pack("<HHIHHI", 2, 4, direction, 0, 0, total)


def _places(frame: bytes, b: set[bytes]) -> tuple[bool, dict[str, int]]:
    """Whether a's side sent the frame, and where in it stand the words to be shifted."""
    ipv4 = frame[12:14] == b"\x08\x00"
    at = {"+": 14 + 12 + 2, "-": 14 + 12} if ipv4 else {"+": 14 + 8 + 2, "-": 14 + 8 + 4}
    size = 4 if ipv4 else 16
    source = frame[14 + 12 : 14 + 16] if ipv4 else frame[14 + 8 : 14 + 24]
    sent = source not in b
    sender, receiver = ("a", "b") if sent else ("b", "a")
    places = {f"{sender}{sign}": place for sign, place in at.items()}
    places |= {f"{receiver}{sign}": place + size for sign, place in at.items()}
    protocol = frame[14 + 9] if ipv4 else frame[14 + 6]
    payload = 14 + ((frame[14] & 15) * 4 if ipv4 else 40)
    assert protocol == 6, "only TCP is tiled"
    return sent, places | {f"{sender}port": payload, f"{receiver}port": payload + 2}


def template(folder: Path, host: str) -> Template:
    """Make a recording ready for copies."""
    meta = json.loads((folder / "meta.json").read_text())
    b = {ipaddress.ip_address(address).packed for address in meta["b"]}
    blocks, starts, times = bytearray(), [], []
    words: dict[str, list[int]] = {}
    frames = read_pcap(folder / f"{host}.pcap")
    for t_ns, frame in frames:
        sent_by_a, places = _places(frame, b)
        start = len(blocks)
        starts.append(start)
        times.append(t_ns - frames[0][0])
        for name, place in places.items():
            words.setdefault(name, []).append(start + PACKET_HEAD + place)
        blocks += _block(frame, SENT if sent_by_a == (host == "a") else RECEIVED)
    return Template(
        np.frombuffer(bytes(blocks), np.uint8),
        np.array(starts),
        np.diff([*starts, len(blocks)]),
        np.array(times),
        {name: np.array(where) for name, where in words.items()},
    )


def _shift(copies: np.ndarray, where: np.ndarray, by: np.ndarray) -> None:
    """Add, in ones' complement, `by` to big-endian words of each copy."""
    words = (copies[:, where].astype(np.int64) << 8 | copies[:, where + 1]) + by[:, None]
    words = (words & 0xFFFF) + (words >> 16)
    copies[:, where] = words >> 8
    copies[:, where + 1] = words & 0xFF


def _copies(one: Template, rounds: np.ndarray) -> np.ndarray:
    """Blocks of the recording in some rounds, without times: uint8[rounds, bytes]."""
    copies = np.tile(one.blocks, (len(rounds), 1))
    shifts = {"a": rounds % SHIFTS, "b": rounds // SHIFTS % SHIFTS}
    for host, by in shifts.items():
        _shift(copies, one.words[f"{host}+"], by)
        _shift(copies, one.words[f"{host}-"], _minus(by))
    ports = rounds // SHIFTS**2 % PORT_SHIFTS
    _shift(copies, one.words["aport"], ports)
    _shift(copies, one.words["bport"], _minus(ports))
    return copies


def _minus(by: np.ndarray) -> np.ndarray:
    """The ones' complement, with one zero only."""
    return np.where(by == 0, 0, 0xFFFF - by)


def recordings() -> list[Path]:
    """Folders of the recordings that hold nothing but TCP."""
    return sorted(path.parent for path in CAPTURES.glob("*/meta.json") if path.parent.name != "rejected_by_router")


def tile(
    output: Path, packets: int, *, host: str = "a", folders: list[Path] | None = None, first_round: int = 0
) -> int:
    """Write a capture of at least so many packets, whole connections only; gives how many.

    Captures whose rounds do not overlap have no connection in common.
    """
    templates = [template(folder, host) for folder in folders or recordings()]
    rounds = -(-packets // sum(len(one.starts) for one in templates))
    assert 0 < rounds <= ROUNDS_MAX - first_round
    numbers = np.arange(first_round, first_round + rounds)
    buffers, starts, sizes, times, offset = [], [], [], [], 0
    for index, one in enumerate(templates):
        copies = _copies(one, numbers)
        begin_ns = START_NS + (numbers * len(templates) + index) * STAGGER_NS
        buffers.append(copies.reshape(-1))
        starts.append((np.arange(rounds)[:, None] * one.blocks.size + one.starts + offset).reshape(-1))
        sizes.append(np.tile(one.sizes, rounds))
        times.append((begin_ns[:, None] + one.times_ns).reshape(-1))
        offset += copies.size
    _write(output, np.concatenate(buffers), np.concatenate(starts), np.concatenate(sizes), np.concatenate(times))
    return sum(len(each) for each in times)


def _write(output: Path, buffer: np.ndarray, starts: np.ndarray, sizes: np.ndarray, times: np.ndarray) -> None:
    """Write the blocks in the order of their times, with these filled in."""
    order = np.argsort(times, kind="stable")
    for shift, place in ((32, 12), (0, 16)):
        half = (times >> shift & 0xFFFFFFFF).astype("<u4").view(np.uint8).reshape(-1, 4)
        for byte in range(4):
            buffer[starts + place + byte] = half[:, byte]
    with output.open("wb") as file:
        file.write(SECTION + INTERFACE)
        for at in range(0, len(order), WRITE_FRAMES):
            chosen = order[at : at + WRITE_FRAMES]
            size = sizes[chosen]
            before = np.cumsum(size) - size
            file.write(buffer[np.repeat(starts[chosen] - before, size) + np.arange(size.sum())].tobytes())


if __name__ == "__main__":
    print(tile(Path(sys.argv[1]), int(sys.argv[2])), "packets")
