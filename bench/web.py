"""A capture of web-like traffic for the benchmarks: short HTTP connections, eleven packets each, many at a time."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

# One connection: (client sends, flags, payload bytes); sizes in braces are drawn a connection.
_REQUEST: Final = -1
_REPLY: Final = -2
_STEPS: Final = (
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


class _Connections:
    """What each connection drew at random; all columns have one entry a connection."""

    def __init__(self, n: int, concurrent: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.n = n
        self.client = (10 << 24 | random.integers(0, 1 << 24, n)).astype(np.uint32)
        self.server = (203 << 24 | random.integers(0, 1 << 8, n)).astype(np.uint32)
        self.port = random.integers(32768, 61000, n).astype(np.uint32)
        self.isn = random.integers(0, 1 << 32, (n, 2)).astype(np.uint32)
        self.sizes = {_REQUEST: random.integers(80, 700, n), _REPLY: random.integers(100, 1448, n)}
        rtt_ns = random.integers(5_000_000, 60_000_000, n)
        self.gap_ns = random.integers(1_000, 1_000_000, (PACKETS, n)) + rtt_ns // 2
        life_ns = int(self.gap_ns.sum(axis=0).mean())
        self.start_ns = _START_NS + random.integers(0, max(1, n * life_ns // concurrent), n)

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
    connections: _Connections, step: int, t_ns: npt.NDArray[np.int64], seqs: npt.NDArray[np.uint32]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Headers of one step for all connections, and their payload bytes (which are zeros); `seqs` is moved on."""
    client, flags, size = _STEPS[step]
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
        (34, connections.isn[:, me] + step, ">u2"),
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


def write_web(path: Path, packets: int, concurrent: int = 2000, seed: int = 1) -> int:
    """Write a pcap file (Ethernet, nanoseconds, right checksums) of about so many packets; how many there are."""
    connections = _Connections(max(1, packets // PACKETS), concurrent, seed)
    seqs, t_ns = connections.isn.copy(), connections.start_ns.copy()
    rows, sizes, times = [], [], []
    for step in range(PACKETS):
        headers, payload = _step_rows(connections, step, t_ns, seqs)
        rows.append(headers)
        sizes.append(headers.shape[1] + payload)
        times.append(t_ns.copy())
        t_ns += connections.gap_ns[step]
    order = np.argsort(np.concatenate(times), kind="stable")
    ends = np.cumsum(np.concatenate(sizes)[order])
    starts = np.empty(len(order), np.int64)
    starts[order] = np.concatenate([[0], ends[:-1]])
    out = np.zeros(24 + int(ends[-1]), np.uint8)
    out[:24] = np.frombuffer(np.array([0xA1B23C4D, 4 << 16 | 2, 0, 0, 262144, 1], "<u4").tobytes(), np.uint8)
    for step, headers in enumerate(rows):
        at = 24 + starts[step * connections.n : (step + 1) * connections.n]
        for column in range(headers.shape[1]):
            out[at + column] = headers[:, column]
    out.tofile(path)
    return len(order)
