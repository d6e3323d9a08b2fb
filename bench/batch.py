"""Bytes a packet of a batch, and CPU time a packet to encode and to decode it, beside two simpler ways in the same run.

    python bench/batch.py [--rows 16384] [--batches 8] [--rounds 40] [--captures FOLDER]

Web, bulk and scan are made up (traffic.py, with nanoseconds); `mix` is all capture files of a folder together, each
beginning at the same moment. Of several rounds the fastest counts, a batch at a time: the others met a neighbour. The
batches of a kind differ, so that no processor learns one by heart. Last the bytes of each column, to see where they go.
"""

import argparse
import platform
import struct
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zstandard

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.traffic import Rows, bulk, scan, web
from sensor.batcher import Batcher
from sensor.dissect import Dissector
from sensor.pcapfile import CaptureFile
from synfin.errors import CaptureError
from synfin.wire.batch import END_OF_FILE, Batch, Lane
from synfin.wire.codec import decode, encode
from synfin.wire.columns import NAMES
from synfin.wire.envelope import unpack
from synfin.wire.segment import SEGMENT

ROOT = Path(__file__).resolve().parent.parent
GOAL_BYTES, GOAL_MPS = 6.0, 10.0  # of web traffic at 16 384 rows
LANE = Lane("web-01", 0x1234567890ABCDEF, 0)
PLACES = (ROOT.parent / "shared/captures/public", ROOT / "tests/captures")

RECORD = np.dtype(  # 40 bytes a packet, without options: what a C struct would be
    [
        *(("t_ns", "<i8"), ("lower", "<u4"), ("higher", "<u4"), ("ports", "<u2", (2,)), ("seq", "<u4"), ("ack", "<u4")),
        *(("len", "<u2"), ("window", "<u2"), ("flags", "<u2"), ("ip_id", "<u2"), ("ttl", "u1"), ("tos", "u1")),
        *(("sender", "u1"), ("local", "u1")),
    ]
)
assert RECORD.itemsize == 40


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.processor() or platform.machine()


def mix(folder: Path) -> Rows:
    """All segments of a folder's capture files, each file as if it had begun at the same moment."""
    parts, tables, known = [], [], 0
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        dissector, begin = Dissector(), None
        try:
            for block in CaptureFile(path).blocks():
                rows, flows = dissector.dissect(block)
                if begin is None and len(rows):
                    begin = int(rows["t_ns"][0])
                rows["t_ns"] += 1_700_000_000_000_000_000 - (begin or 0)
                rows["flow"] += known
                known += len(flows)
                parts.append(rows)
                tables.append(flows)
        except CaptureError:
            continue
    rows = np.concatenate(parts)
    return rows[np.argsort(rows["t_ns"], kind="stable")], np.concatenate(tables)


def batches_of(rows: Rows, size: int) -> list[Batch]:
    """Full batches of the size, as the batcher makes them for one partition."""
    batcher = Batcher(LANE, 1, size, 1 << 62)
    found = batcher.add(*rows, 0) + batcher.finish(END_OF_FILE)
    return [batch for batch in found if len(batch.segments) == size]


def fastest_ns(work: Callable[[], Any], rounds: int) -> int:
    best = 1 << 62
    for _ in range(rounds):
        before = time.process_time_ns()
        work()
        best = min(best, time.process_time_ns() - before)
    return best


def fixed(batch: Batch) -> bytes:
    rows, flows = batch.segments, batch.flows[batch.segments["flow"]]
    out = np.zeros(len(rows), RECORD)
    for name in ("t_ns", "seq", "ack", "len", "window", "flags", "ip_id", "ttl", "tos", "sender", "local"):
        out[name] = rows[name]
    for end in ("lower", "higher"):
        out[end] = flows[f"{end}_ip"][:, 1] & 0xFFFFFFFF
    out["ports"] = np.stack((flows["lower_port"], flows["higher_port"]), axis=1)
    return zstandard.compress(out.tobytes(), 1)


def json(batch: Batch) -> bytes:
    """One object a packet with all columns that hold something."""
    lines, names = [], [name for name in SEGMENT.names or () if name not in {"flow", "frame", "sack"}]
    flows = [
        {"ips": [str(hex(int(each[end][1]))) for end in ("lower_ip", "higher_ip")], "sport": int(each["lower_port"])}
        | {"dport": int(each["higher_port"])}
        for each in batch.flows
    ]
    for row in batch.segments:
        item = {name: value for name in names if (value := int(row[name]))} | flows[int(row["flow"])]
        if row["sack_n"]:
            item["sack"] = row["sack"][: 2 * int(row["sack_n"])].tolist()
        lines.append(orjson.dumps(item))
    return zstandard.compress(b"\n".join(lines), 1)


def directory(body: bytes, columns: int) -> list[tuple[str, int]]:
    """What lies in the decompressed body: a name and a length each."""
    found = []
    for number, mask, count in struct.iter_unpack("<BBI", body[len(body) - 6 * columns :]):
        found += [(NAMES[number], count)] * mask.bit_count()
    return [*found, ("directory", 6 * columns)]


def column_bytes(data: bytes) -> dict[str, float]:
    """Bytes of a batch by column. Planes that were compressed together share by their length."""
    name_bytes, (columns, blocks) = data[31], struct.unpack_from("<HH", data, 88)
    table = [struct.unpack_from("<II", data, 92 + name_bytes + 8 * i) for i in range(blocks)]
    out: dict[str, float] = defaultdict(float, {"header and table": 92.0 + name_bytes + 8 * blocks})
    pieces = iter(directory(unpack(data).body.tobytes(), columns))
    for stored, raw in table:
        left = raw
        while left:
            name, length = next(pieces)
            out[name] += stored * length / raw
            left -= length
    return out


def report(kind: str, batches: list[Batch], rounds: int) -> dict[str, float]:
    """Print one line of figures; the bytes by column."""
    rows = len(batches[0].segments)
    total = rows * len(batches)
    written = [encode(batch) for batch in batches]
    for data, batch in zip(written, batches, strict=True):
        expected = batch.segments.copy()
        expected["frame"] = 0
        assert decode(data).segments.tobytes() == expected.tobytes()
    encode_ns = sum(fastest_ns(lambda batch=batch: encode(batch), rounds) for batch in batches)
    decode_ns = sum(fastest_ns(lambda data=data: decode(data), rounds) for data in written)
    size = sum(map(len, written)) / total
    simple = len(fixed(batches[0])) / rows, len(json(batches[0])) / rows
    print(
        f"{kind:10} {rows:7} {len(batches):7} {size:8.2f} {simple[0]:8.2f} {simple[1]:8.2f}"
        f" {encode_ns / total:9.1f} {1e3 * total / encode_ns:7.1f}"
        f" {decode_ns / total:9.1f} {1e3 * total / decode_ns:7.1f}"
    )
    by_column: dict[str, float] = defaultdict(float)
    for data in written:
        for name, count in column_bytes(data).items():
            by_column[name] += count / total
    return by_column


def kinds(rows: int, captures: Path | None) -> Iterator[tuple[str, Callable[[int], Rows]]]:
    yield "web", web
    yield "bulk", bulk
    yield "scan", scan
    if captures is not None:
        everything = mix(captures)
        if len(everything[0]) >= rows:
            yield "mix", lambda n: (everything[0][:n], everything[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=16_384)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--captures", type=Path, default=next((place for place in PLACES if place.is_dir()), None))
    options = parser.parse_args()

    print(f"{processor()}, Python {platform.python_version()}, numpy {np.__version__}, zstd {zstandard.ZSTD_VERSION}")
    print("bytes and CPU nanoseconds a packet; 40 B: a fixed record without options + zstd, JSON: all columns + zstd")
    print(
        f"{'':10} {'rows':>7} {'batches':>7} {'bytes':>8} {'40 B':>8} {'JSON':>8}"
        f" {'encode ns':>9} {'M/s':>7} {'decode ns':>9} {'M/s':>7}"
    )
    columns = {}
    for kind, make in kinds(options.rows, options.captures):
        rows = make(options.rows * options.batches)
        columns[kind] = report(kind, batches_of(rows, options.rows), options.rounds)
        if kind == "web":
            for size in (2_048, 256):
                report(kind, batches_of(rows, size)[: options.batches], options.rounds)
    print(f"goal: web at 16 384 rows at most {GOAL_BYTES} bytes, {GOAL_MPS:.0f} M/s to encode and as many to decode\n")
    print(f"{'bytes':18}" + "".join(f"{kind:>8}" for kind in columns))
    for name in sorted({name for each in columns.values() for name in each}, key=lambda name: -columns["web"][name]):
        print(f"{name:18}" + "".join(f"{each[name]:8.3f}" for each in columns.values()))


if __name__ == "__main__":
    main()
