"""Rows and batches for tests: of any values, and the same rows cut into batches in any way."""

from dataclasses import replace

import numpy as np

from synfin.wire.batch import Batch, Lane
from synfin.wire.key import tuple_hash
from synfin.wire.segment import FLOW, SEGMENT

LANE = Lane("sensor-ä", 0xFEDCBA9876543210, 7)
MAPPED = 0xFFFF00000000


def flow_row(lower, higher, domain=0, family=4):
    """FLOW of two (address as an integer, port), in whichever order; an IPv4 address is mapped."""
    ends = [((ip | MAPPED) if family == 4 else ip, port) for ip, port in (lower, higher)]
    (a, a_port), (b, b_port) = sorted(ends)
    a, b = (a >> 64, a & (2**64 - 1)), (b >> 64, b & (2**64 - 1))
    digest = tuple_hash(*(np.uint64(word) for word in (*a, a_port, *b, b_port)))
    return np.array((digest, a, b, a_port, b_port, domain, family, 0), FLOW)


def flow_table(rng, m):
    """FLOW[m] between few addresses and many, IPv4 and IPv6, some twice."""
    rows = np.zeros(m, FLOW)
    for i in range(m):
        family = int(rng.choice((4, 6)))
        bits = int(rng.choice((2, 16, 32 if family == 4 else 128)))
        ends = [(int.from_bytes(rng.bytes(16)) & ((1 << bits) - 1), int(rng.integers(0, 1 << 16))) for _ in range(2)]
        rows[i] = flow_row(*ends, int(rng.choice((0, 0, 4096, 2**32 - 1))), family)
    return rows


def _wild(rng, rows):
    """Any value that the contract allows, in every column."""
    n = len(rows)
    most = {"flags": 0xFFF, "sender": 2, "local": 3, "kind": 1, "checksum": 2, "sack_n": 4, "local_how": 3}
    for name in SEGMENT.names:
        if name not in {"t_ns", "flow", "frame"}:
            top = most.get(name, np.iinfo(SEGMENT[name].base).max)
            some = rng.integers(0, top, (n, *SEGMENT[name].shape), endpoint=True, dtype=np.uint64)
            rows[name] = np.where(rng.random(n).reshape(-1, *(1 for _ in SEGMENT[name].shape)) < 0.5, some, 0)


def _likely(rng, rows):
    """Values that follow from one another, as in real traffic, with exceptions."""
    state = {}
    clock = int(rng.integers(0, 2**32))
    for row in rows:
        flow, sender = int(row["flow"]), int(rng.choice((1, 2)))
        mine = state.setdefault((flow, sender), {"seq": int(rng.integers(0, 2**32)), "id": 7, "ts": 0, "ack": 0})
        peer = state.setdefault((flow, 3 - sender), {"seq": int(rng.integers(0, 2**32)), "id": 9, "ts": 0, "ack": 0})
        flags = int(rng.choice((0x02, 0x12, 0x10, 0x10, 0x18, 0x11, 0x14, 0x1D2)))
        size = int(rng.choice((0, 0, 1, 1448, 1448, 65_000, 300_000)))
        back = int(rng.choice((0, 0, 0, 1448, 70_000)))
        row["seq"], row["len"] = (mine["seq"] - back) % 2**32, size
        step = int(rng.choice((0, 2896, 1, 400_000)))
        acked = peer["seq"] if rng.random() < 0.6 else (mine["ack"] + step) % 2**32
        row["ack"] = acked if flags & 0x10 else 0
        row["flags"], row["sender"], row["window"] = flags, sender, int(rng.choice((502, 501, 64_240, 0)))
        row["ip_id"], row["ttl"], row["ip_len"] = mine["id"], int(rng.choice((64, 64, 57))), size + 52
        if rng.random() < 0.7:
            row["options"] = 8
            row["tsval"] = (clock + int(row["t_ns"]) // 1_000_000 + int(rng.choice((0, 0, 1, -1, 10_000)))) % 2**32
            row["tsecr"] = peer["ts"] if rng.random() < 0.8 else int(rng.integers(0, 2**32))
            mine["ts"] = int(row["tsval"])
        if rng.random() < 0.2:
            row["sack_n"] = n = int(rng.integers(1, 5))
            row["sack"][: 2 * n] = (int(row["ack"]) + 1448 * (1 + np.arange(2 * n))) % 2**32
        if rng.random() < 0.05:
            row["kind"], row["icmp_type"], row["sack"][:4] = 1, 3, rng.integers(0, 2**32, 4)
        mine["seq"] = (mine["seq"] + size + (flags & 1) + (flags >> 1 & 1)) % 2**32
        mine["id"], mine["ack"] = (mine["id"] + int(rng.choice((1, 1, 0, 3, 999)))) % 2**16, int(row["ack"])


def any_batch(seed, rows=50, flows=5, kind="likely", partitions=1):
    """A batch of the rows and flows asked for, `likely` or `wild`; `frame` is 0, as it comes back."""
    rng = np.random.default_rng(seed)
    table = flow_table(rng, flows)
    segments = np.zeros(rows, SEGMENT)
    unit = int(rng.choice((1, 1, 1_000)))
    start = int(rng.integers(-(2**40), 2**61)) // unit * unit
    gaps = rng.integers(0, int(rng.choice((2, 300, 70_000, 2**33))), rows) * unit
    segments["t_ns"] = start + np.cumsum(gaps)
    if flows:
        segments["flow"] = (
            rng.integers(0, flows, rows) if rng.random() < 0.5 else np.minimum(np.arange(rows), flows - 1)
        )
    (_wild if kind == "wild" else _likely)(rng, segments)
    last = int(segments["t_ns"][-1]) if rows else start
    return Batch(
        lane=LANE,
        segments=segments,
        flows=table,
        first_ns=start,
        last_ns=last + int(rng.integers(0, 2**40)),
        partitions=partitions,
        number=int(rng.integers(0, 2**63)),
        clock_epoch=int(rng.integers(0, 2**32)),
        captured=int(rng.integers(0, 2**63)),
        dropped=int(rng.integers(0, 2**63)),
        end=int(rng.integers(0, 3)),
    )


def cut(segments, flows, sizes):
    """The rows in blocks of the sizes given, the last size again and again, each with a dictionary of its own."""
    sizes, at = list(sizes), 0
    while at < len(segments):
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        rows = segments[at : at + size].copy()
        used, first, back = np.unique(rows["flow"], return_index=True, return_inverse=True)
        order = np.argsort(first)
        place = np.empty(len(order), np.uint32)
        place[order] = np.arange(len(order), dtype=np.uint32)
        rows["flow"] = place[back]
        yield rows, flows[used[order]]
        at += size


def cut_batches(segments, flows, sizes, like=None):
    """The rows as batches of the sizes given, numbered from 0; all else as in the batch `like`."""
    like = like or Batch(LANE, segments, flows, 0, 0)
    return [
        replace(
            like,
            segments=rows,
            flows=dictionary,
            number=number,
            first_ns=int(rows["t_ns"][0]),
            last_ns=int(rows["t_ns"][-1]),
        )
        for number, (rows, dictionary) in enumerate(cut(segments, flows, sizes))
    ]


def same(one, other):
    """Whether two batches agree in everything, to the last byte of their rows."""
    rest = [replace(each, segments=None, flows=None) for each in (one, other)]
    return (
        rest[0] == rest[1]
        and one.segments.tobytes() == other.segments.tobytes()
        and one.flows.tobytes() == other.flows.tobytes()
    )
