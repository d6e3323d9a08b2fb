"""A connection as the views take it: a flow record as its JSON object, and the segments of a capture."""

from typing import Any, Final

import numpy as np

from synfin.wire.event import MICRO_EVENTS, STATES
from synfin.wire.segment import FLOW, HIGHER, LOWER, SEGMENT

T: Final = 1_760_000_000_123_456_000
ISN: Final = {"orig": 4_294_967_290, "resp": 1000}  # the originator's numbers wrap around in its sixth byte
_LETTERS: Final = "FSRP.UEWe"


def end(ip: str, port: int, state: str) -> dict[str, Any]:
    return {
        "ip": ip,
        "port": port,
        "state": state,
        "bytes": 0,
        "ip_bytes": 0,
        "packets": 0,
        "retransmits": 0,
        "flags": "",
        "first_ns": None,
        "last_ns": None,
    }


def step(ms: float, endpoint: str, to: str, event: str, **more: Any) -> dict[str, Any]:
    assert to in STATES
    assert event in MICRO_EVENTS
    return {"endpoint": endpoint, "to": to, "event": event, "t_ns": T + round(ms * 1e6), **more}


def record(**changes: Any) -> dict[str, Any]:
    """A short connection, closed by the originator; `a.b=…` is given as `a__b`."""
    found: dict[str, Any] = {
        "v": 1,
        "type": "flow",
        "start_ns": T,
        "end_ns": T + 100_000_000,
        "end_reason": "end",
        "sensor": "web-01",
        "local": "orig",
        "local_how": "capture",
        "domain": 0,
        "orient": "syn",
        "orig": end("10.0.0.2", 40000, "TIME-WAIT"),
        "resp": end("10.0.0.1", 443, "CLOSED"),
        "handshake": {
            "kind": "three_way",
            "syn_rtt_ns": 10_000_000,
            "ack_rtt_ns": 1_000_000,
            "syn_count": 1,
            "synack_count": 1,
            "validated": True,
            "isn_orig": ISN["orig"],
            "isn_resp": ISN["resp"],
            "options": {"orig": None, "resp": None},
        },
        "teardown": {
            "kind": "orderly",
            "segments": "four",
            "active_closer": "orig",
            "by": None,
            "rst_form": None,
            "cause": [],
        },
        "transitions": [
            step(0, "orig", "SYN-SENT", "TX_SYN"),
            step(0, "resp", "LISTEN", "RX_SYN", certainty="presumed"),
            step(10, "resp", "SYN-RECEIVED", "TX_SYNACK", lag_ns=10_000_000),
            step(10, "orig", "ESTABLISHED", "RX_SYNACK"),
            step(41, "resp", "ESTABLISHED", "RX_ACKSYN", certainty="assumed", packet_ns=T + 11_000_000),
            step(50, "orig", "FIN-WAIT-1", "TX_FIN"),
            step(60, "resp", "CLOSE-WAIT", "RX_FIN", certainty="inferred", lag_ns=10_000_000),
            step(60, "orig", "FIN-WAIT-2", "RX_ACKFIN"),
            step(70, "resp", "LAST-ACK", "TX_FIN"),
            step(70, "orig", "TIME-WAIT", "RX_FIN"),
            step(100, "resp", "CLOSED", "RX_ACKFIN", certainty="assumed", packet_ns=T + 71_000_000),
        ],
        "conn_state": "SF",
        "history": "ShADadFf",
        "completeness": 31,
        "tampering": None,
        "ipfix_end_reason": 3,
        "capture_loss": {"dropped": 0, "gap_bytes": 0},
        "alerts": [],
    }
    for name, value in changes.items():
        *path, last = name.split("__")
        place = found
        for key in path:
            place = place[key]
        assert last in place
        place[last] = value
    return found


WHOLE: Final = (  # ms, sender, flags, seq, ack, len
    (0, "orig", "S", 0, 0, 0),
    (10, "resp", "S.", 0, 1, 0),
    (11, "orig", ".", 1, 1, 0),
    (20, "orig", "P.", 1, 1, 18),
    (30, "resp", ".", 1, 19, 0),
    (31, "resp", "P.", 1, 19, 27),
    (32, "orig", ".", 19, 28, 0),
    (50, "orig", "F.", 19, 28, 0),
    (60, "resp", ".", 28, 20, 0),
    (70, "resp", "F.", 28, 20, 0),
    (71, "orig", ".", 20, 29, 0),
)


def flows() -> np.ndarray:
    """Dictionary of a capture: another connection, and that of `record`."""
    rows = np.zeros(2, FLOW)
    rows["lower_ip"][:, 1], rows["higher_ip"][:, 1] = 0xFFFF_0A00_0001, 0xFFFF_0A00_0002
    rows["lower_port"], rows["higher_port"], rows["family"] = 443, (39999, 40000), 4
    return rows


def segments(packets: Any = WHOLE, **columns: Any) -> np.ndarray:
    """Rows of packets with relative numbers; the originator is the higher end."""
    rows = np.zeros(len(packets), SEGMENT)
    for row, (ms, sender, flags, seq, ack, length) in zip(rows, packets, strict=True):
        peer = "resp" if sender == "orig" else "orig"
        row["t_ns"], row["flow"], row["len"], row["window"] = T + round(ms * 1e6), 1, length, 500
        row["sender"] = HIGHER if sender == "orig" else LOWER
        row["flags"] = sum(1 << _LETTERS.index(letter) for letter in flags)
        row["seq"] = (ISN[sender] + seq) % 2**32
        row["ack"] = (ISN[peer] + ack) % 2**32 if "." in flags else 0
    for name, value in columns.items():
        rows[name] = value
    return rows
