"""Captures for the benchmarks, as pcap files with right checksums: short HTTP connections, a port scan, downloads.

    python bench/web.py web|scan|bulk FILE PACKETS [CONNECTIONS AT A TIME]

The same connection is drawn many times over: its steps are fixed, its addresses, numbers, sizes and times are random.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

# One connection: (client sends, flags, payload bytes); sizes in braces are drawn a connection.
_REQUEST: Final = -1
_REPLY: Final = -2
_Steps = tuple[tuple[bool, int, int], ...]
_STEPS: Final[_Steps] = (
    (True, 0x002, 0),
    (False, 0x012, 0),
    (True, 0x010, 0),
    (True, 0x018, _REQUEST),
    (False, 0x010, 0),
    (False, 0x010, 1448),
    (False, 0x018, _REPLY),
    (True, 0x010, 0),
    (False, 0x011, 0),
    (True, 0x011, 0),
    (False, 0x010, 0),
)
PACKETS: Final = len(_STEPS)
_REFUSED: Final[_Steps] = ((True, 0x002, 0), (False, 0x014, 0))
_UNANSWERED: Final[_Steps] = ((True, 0x002, 0),)
_FLIGHT: Final[_Steps] = ((False, 0x010, 1448), (False, 0x010, 1448), (True, 0x010, 0))
DOWNLOADS: Final = 14
_SYN_OPTIONS: Final = bytes.fromhex("020405b4 0402 080a 00000000 00000000 01 030307".replace(" ", ""))
_OPTIONS: Final = bytes.fromhex("0101080a0000000000000000")
_CLIENT_MAC, _SERVER_MAC = bytes.fromhex("021100000001"), bytes.fromhex("021100000002")
_START_NS: Final = 1_700_000_000_000_000_000


def _step_header(client: bool, flags: int) -> bytes:
    """Pcap record header, Ethernet, IPv4 and TCP headers of a step, with holes for what a connection draws."""
    options = _SYN_OPTIONS if flags & 0x02 else _OPTIONS
    macs = _SERVER_MAC + _CLIENT_MAC if client else _CLIENT_MAC + _SERVER_MAC
    ipv4 = bytes.fromhex("4500 0000 0000 4000 4006 0000 00000000 00000000".replace(" ", ""))
    tcp = bytes(12) + bytes([(20 + len(options)) // 4 << 4, flags]) + bytes.fromhex("ffff00000000") + options
    return bytes(16) + macs + b"\x08\x00" + ipv4 + tcp


# Of one step of all connections: headers of each packet, its bytes with payload, its time.
_Packets = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class _Kind:
    """Connections of one kind; ranges are of uniformly drawn nanoseconds."""

    steps: _Steps
    n: int
    rtt_ns: tuple[int, int]
    gap_ns: tuple[int, int]  # before each packet, besides half a round trip


class _Connections:
    """What each connection drew at random; all columns have one entry a connection."""

    def __init__(self, kind: _Kind, length_ns: int | None, concurrent: int, seed: int) -> None:
        """They begin within `length_ns`; without it so that `concurrent` live at a time."""
        random, n = np.random.default_rng(seed), kind.n
        self.n = n
        self.client = (10 << 24 | random.integers(0, 1 << 24, n)).astype(np.uint32)
        self.server = (203 << 24 | random.integers(0, 1 << 8, n)).astype(np.uint32)
        self.port = random.integers(32768, 61000, n).astype(np.uint32)
        self.isn = random.integers(0, 1 << 32, (n, 2)).astype(np.uint32)
        self.sizes = {_REQUEST: random.integers(80, 700, n), _REPLY: random.integers(100, 1448, n)}
        rtt_ns = random.integers(*kind.rtt_ns, n)
        self.gap_ns = random.integers(*kind.gap_ns, (len(kind.steps), n)) + rtt_ns // 2
        life_ns = int(self.gap_ns.sum(axis=0).mean())
        self.start_ns = _START_NS + random.integers(0, length_ns or max(1, n * life_ns // concurrent), n)

    def payload(self, size: int) -> npt.NDArray[np.int64]:
        """Payload bytes of a step for all connections."""
        return np.full(self.n, size, np.int64) if size >= 0 else self.sizes[size]


def _put(rows: npt.NDArray[np.uint8], at: int, values: npt.NDArray[np.generic], dtype: str) -> None:
    """Write a number of a given layout into the same place of each row."""
    raw = np.ascontiguousarray(values.astype(dtype)).view(np.uint8).reshape(len(rows), -1)
    rows[:, at : at + raw.shape[1]] = raw


def _sums(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Internet checksum of each row of an even number of bytes."""
    total = rows.view(">u2").sum(axis=1, dtype=np.uint32)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _step_rows(
    connections: _Connections, step: tuple[bool, int, int], t_ns: npt.NDArray[np.int64], seqs: npt.NDArray[np.uint32]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Headers of one step for all connections, and their payload bytes (which are zeros); `seqs` is moved on."""
    client, flags, size = step
    me, peer = (0, 1) if client else (1, 0)
    header = np.frombuffer(_step_header(client, flags), np.uint8)
    rows = np.tile(header, (connections.n, 1))
    payload = connections.payload(size)
    addresses = (connections.client, connections.server) if client else (connections.server, connections.client)
    ports = (connections.port, np.full(connections.n, 80)) if client else (np.full(connections.n, 80), connections.port)
    frame = len(header) - 16 + payload
    for at, values, dtype in (
        (0, t_ns // 1_000_000_000, "<u4"),
        (4, t_ns % 1_000_000_000, "<u4"),
        (8, frame, "<u4"),
        (12, frame, "<u4"),
        (32, frame - 14, ">u2"),
        (34, seqs[:, me] >> 3, ">u2"),
        (42, addresses[0], ">u4"),
        (46, addresses[1], ">u4"),
        (50, ports[0], ">u2"),
        (52, ports[1], ">u2"),
        (54, seqs[:, me], ">u4"),
        (58, seqs[:, peer] if flags & 0x10 else np.zeros(connections.n), ">u4"),
        (len(header) - (12 if flags & 0x02 else 8), t_ns // 1_000_000, ">u4"),
    ):
        _put(rows, at, values, dtype)
    _put(rows, 40, _sums(np.ascontiguousarray(rows[:, 30:50])), ">u2")
    pseudo = np.zeros((connections.n, 12), np.uint8)
    pseudo[:, :8] = rows[:, 42:50]
    pseudo[:, 9] = 6
    _put(pseudo, 10, frame - 34, ">u2")
    _put(rows, 66, _sums(np.hstack([pseudo, rows[:, 50:]])), ">u2")
    seqs[:, me] += (payload + (1 if flags & 0x03 else 0)).astype(np.uint32)
    return rows, payload


def _packets(kind: _Kind, connections: _Connections) -> Iterator[_Packets]:
    """Headers, bytes with payload, and times of each step of all connections."""
    seqs, t_ns = connections.isn.copy(), connections.start_ns.copy()
    for i, step in enumerate(kind.steps):
        headers, payload = _step_rows(connections, step, t_ns, seqs)
        yield headers, headers.shape[1] + payload, t_ns.copy()
        t_ns += connections.gap_ns[i]


def _write(path: Path, steps: list[_Packets]) -> int:
    """Write packets in the order of their times; how many there are."""
    order = np.argsort(np.concatenate([times for _, _, times in steps]), kind="stable")
    ends = np.cumsum(np.concatenate([sizes for _, sizes, _ in steps])[order])
    starts = np.empty(len(order), np.int64)
    starts[order] = np.concatenate([[0], ends[:-1]])
    out = np.zeros(24 + int(ends[-1]), np.uint8)
    out[:24] = np.frombuffer(np.array([0xA1B23C4D, 4 << 16 | 2, 0, 0, 262144, 1], "<u4").tobytes(), np.uint8)
    places = np.split(starts, np.cumsum([len(headers) for headers, _, _ in steps])[:-1])
    for width in {headers.shape[1] for headers, _, _ in steps}:  # side by side, as a column at a time is written
        chosen = [i for i, (headers, _, _) in enumerate(steps) if headers.shape[1] == width]
        at = 24 + np.concatenate([places[i] for i in chosen])
        rows = np.concatenate([steps[i][0] for i in chosen])
        for column in range(width):
            out[at + column] = rows[:, column]
    out.tofile(path)
    return len(order)


def write_web(path: Path, packets: int, concurrent: int = 2000, seed: int = 1) -> int:
    """Short HTTP connections, eleven packets each; how many packets there are."""
    kind = _Kind(_STEPS, max(1, packets // PACKETS), (5_000_000, 60_000_000), (1_000, 1_000_000))
    return _write(path, list(_packets(kind, _Connections(kind, None, concurrent, seed))))


def write_scan(path: Path, packets: int, rate: int = 50_000, seed: int = 3) -> int:
    """SYNs of many to many, `rate` a second, a third of them refused."""
    n = max(1, packets // 4)
    steps = []
    for i, (kind, count) in enumerate(((_REFUSED, n), (_UNANSWERED, 2 * n))):
        drawn = _Kind(kind, count, (1_000_000, 60_000_000), (1_000, 100_000))
        steps += list(_packets(drawn, _Connections(drawn, 3 * n * 1_000_000_000 // rate, 1, seed + i)))
    return _write(path, steps)


def write_bulk(path: Path, packets: int, seed: int = 2) -> int:
    """Downloads in full segments, each second one acknowledged."""
    flights = max(1, packets // DOWNLOADS // len(_FLIGHT))
    steps = (*_STEPS[:4], *_FLIGHT * flights, *_STEPS[-3:])
    kind = _Kind(steps, DOWNLOADS, (100_000, 1_000_000), (1_000, 20_000))
    return _write(path, list(_packets(kind, _Connections(kind, 1_000_000, 1, seed))))


if __name__ == "__main__":
    _, kind, path, *numbers = sys.argv
    print({"web": write_web, "scan": write_scan, "bulk": write_bulk}[kind](Path(path), *map(int, numbers)))
