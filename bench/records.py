"""CPU time of a JSON line, by our kernels and by dicts and orjson, over the same records in the same run.

    python bench/records.py [--records 2000] [--seconds 3]

The records are those of short web connections that ended well: nine transitions a flow, and two events a flow with
three packets of evidence each. Of several rounds the fastest counts: the others met a neighbour.
"""

import argparse
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import orjson

sys.path.insert(0, str(Path(__file__).parent.parent))

from synfin.wire import event as ev
from synfin.wire.event import Records
from synfin.wire.ids import identify
from synfin.wire.jsonl import event_lines, flow_lines
from synfin.wire.segment import ACK, FIN, HIGHER, PSH, SYN
from tests.support import json_records

START_NS = 1_760_000_000_123_456_789
STEPS = (
    ("orig", "SYN-SENT", "TX_SYN"),
    ("resp", "SYN-RECEIVED", "TX_SYNACK"),
    ("orig", "ESTABLISHED", "RX_SYNACK"),
    ("resp", "ESTABLISHED", "RX_ACKSYN"),
    ("orig", "FIN-WAIT-1", "TX_FIN"),
    ("resp", "CLOSE-WAIT", "RX_FIN"),
    ("orig", "FIN-WAIT-2", "RX_ACKFIN"),
    ("resp", "LAST-ACK", "TX_FIN"),
    ("orig", "TIME-WAIT", "RX_FIN"),
)
KINDS = ("handshake.three_way", "teardown.orderly")


def flows(n: int, chance: np.random.Generator) -> npt.NDArray[np.void]:
    rows = np.zeros(n, ev.FLOW_RECORD)
    rows["family"], rows["orig"] = 4, HIGHER
    rows["lower_ip"][:, 1] = 0xFFFF_0A00_0001
    rows["higher_ip"][:, 1] = 0xFFFF_C0A8_0000 + chance.integers(0, 1 << 16, n)
    rows["lower_port"], rows["higher_port"] = 443, chance.integers(32768, 61000, n)
    rows["start_ns"] = START_NS + np.cumsum(chance.integers(1, 30_000, n))
    rows["end_ns"] = rows["start_ns"] + chance.integers(50_000_000, 90_000_000, n)
    rows["id_isn"] = chance.integers(0, 1 << 32, n)
    rows["syn_rtt_ns"], rows["ack_rtt_ns"] = chance.integers(100_000, 20_000_000, (2, n))
    rows["syn_count"] = rows["synack_count"] = rows["validated"] = rows["active_closer"] = 1
    rows["local"] = rows["local_how"] = rows["orient"] = 1
    rows["handshake"], rows["teardown"] = ev.HANDSHAKES.index("three_way"), ev.TEARDOWNS.index("orderly")
    rows["segments"], rows["completeness"] = ev.SEGMENTS.index("three"), 31
    rows["conn_state"], rows["end_code"] = ev.CONN_STATES.index("SF"), 3
    rows["history"] = 0x0245_9112, 0x0000_0296, 0  # eight letters
    rows["log"], rows["log_n"] = np.arange(n) * len(STEPS), len(STEPS)
    ends = rows["ends"]
    ends["bytes"], ends["packets"] = chance.integers(100, 90_000, (n, 2)), chance.integers(5, 60, (n, 2))
    ends["ip_bytes"] = ends["bytes"] + 40 * ends["packets"]
    ends["first_ns"], ends["last_ns"] = rows["start_ns"][:, None], rows["end_ns"][:, None]
    ends["isn"], ends["flags"] = chance.integers(0, 1 << 32, (n, 2)), SYN | ACK | PSH | FIN
    ends["mss"], ends["wscale"], ends["sack_permitted"], ends["timestamps"] = 1460, 7, 1, 1
    ends["state"] = ev.STATES.index("TIME-WAIT"), ev.STATES.index("CLOSED")
    return rows


def transitions(rows: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    steps = np.zeros(len(rows) * len(STEPS), ev.TRANSITION)
    names = (ev.ENDPOINTS, ev.STATES, ev.MICRO_EVENTS)
    for column, known, given in zip(("endpoint", "to", "event"), names, zip(*STEPS, strict=True), strict=True):
        steps[column] = np.tile([known.index(name) for name in given], len(rows))
    steps["t_ns"] = np.repeat(rows["start_ns"], len(STEPS)) + np.tile(np.arange(len(STEPS)) * 8_012_345, len(rows))
    steps["packet_ns"] = steps["t_ns"]
    steps["certainty"] = steps["endpoint"]  # the other host's states are inferred
    steps["lag_ns"] = 123_456 * steps["endpoint"].astype(np.int64)
    return steps


def events(rows: npt.NDArray[np.void]) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void]]:
    told = np.zeros(len(rows) * len(KINDS), ev.EVENT_RECORD)
    for name in ev.IDENTITY.names or ():
        told[name] = np.repeat(rows[name], len(KINDS), axis=0)
    told["kind"] = np.tile([ev.EVENT_KINDS.index(kind) for kind in KINDS], len(rows))
    told["ts_ns"], told["value_ns"] = np.repeat(rows["end_ns"], len(KINDS)), 12_345_678
    told["severity"], told["by"] = ev.SEVERITIES.index("info"), np.tile([0, 1], len(rows))
    told["evidence"], told["evidence_n"] = np.arange(len(told)) * 3, 3
    packets = np.zeros(3 * len(told), ev.EVIDENCE)
    packets["t_ns"], packets["ack"] = np.repeat(told["ts_ns"], 3), 1
    packets["flags"], packets["role"] = np.tile([SYN, SYN | ACK, ACK], len(told)), np.tile([1, 2, 3], len(told))
    packets["from"] = np.tile([0, 1, 0], len(told))
    return told, packets


def made_records(n: int) -> Records:
    rows = flows(n, np.random.default_rng(1))
    return Records(rows, transitions(rows), *events(rows), ("web-01",))


def fastest_ns(work: Callable[[], Any], seconds: float, records: int) -> float:
    """CPU time a record of the fastest round."""
    work()
    best, until = float("inf"), time.monotonic() + seconds
    while time.monotonic() < until:
        before = time.process_time_ns()
        work()
        best = min(best, (time.process_time_ns() - before) / records)
    return best


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.processor() or platform.machine()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=2000, help="flows a round, about what a batch of packets ends")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    args = parser.parse_args()
    records = made_records(args.records)
    epochs = np.zeros(384, np.int64)
    print(f"{processor()}, Python {platform.python_version()}, numba {numba.__version__}, orjson {orjson.__version__}")
    print("CPU ns a record    kernel  of it ids   M/s  bytes  taken apart  dicts, orjson  of it orjson")
    for name, rows, write, plain in (
        ("flow", records.flows, flow_lines, json_records.flow),
        ("event", records.events, event_lines, json_records.event),
    ):
        n, lines = len(rows), write(records)
        kernel = fastest_ns(partial(write, records), args.seconds, n)
        ids = fastest_ns(partial(identify, rows, records.sensors), args.seconds / 3, n)
        taken = fastest_ns(lambda lines=lines: sum(1 for _ in lines.records(epochs)), args.seconds / 3, n)
        dicts = [plain(row, records) for row in rows[:200]]
        made = fastest_ns(lambda rows=rows, f=plain: [f(row, records) for row in rows[:200]], args.seconds, len(dicts))
        dumped = fastest_ns(lambda dicts=dicts: [orjson.dumps(d) for d in dicts], args.seconds / 3, len(dicts))
        size = len(lines.buffer) / n
        print(f"{name:14}{kernel:11.0f}{ids:11.0f}{1000 / kernel:6.2f}{size:7.0f}{taken:13.0f}", end="")
        print(f"{made + dumped:15.0f}{dumped:15.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
