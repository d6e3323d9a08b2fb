"""What JSON lines must hold, said with dicts and orjson: the plain meaning of the kernels in synfin/wire/jsonl.py.

Also makes records from random bytes, over all enumerations, for the tests that compare the two.
"""

import base64
import functools
import hashlib
import ipaddress
import struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from synfin.wire import event as ev
from synfin.wire import segment as sg
from synfin.wire.event import Records

SEEN_ORDER: Final = {"S": 2, "A": 16, "P": 8, "F": 1, "R": 4, "U": 32, "E": 64, "W": 128, "e": 256}
HISTORY: Final = " SHADFRIQCGTW^?? shadfriqcgtw??+"
PACKET_ORDER: Final = {"F": 1, "S": 2, "R": 4, "P": 8, ".": 16, "U": 32, "E": 64, "W": 128, "e": 256}


def none_if_missing(value: Any) -> int | None:
    return None if value == -1 else int(value)


def letters(flags: int, order: dict[str, int]) -> str:
    return "".join(letter for letter, bit in order.items() if flags & bit)


def packed(halves: Any) -> bytes:
    return struct.pack(">2Q", *halves.tolist())


def address(halves: Any, family: int) -> str:
    raw = packed(halves)
    if family == 4:
        return str(ipaddress.IPv4Address(raw[12:]))
    ip = ipaddress.IPv6Address(raw)
    # Python before 3.13 writes a mapped address in hexadecimal.
    return str(ip) if ip.ipv4_mapped is None else f"::ffff:{ip.ipv4_mapped}"


def ids(row: Any, sensors: tuple[str, ...]) -> tuple[str, str, str]:
    """flow_id, view_id and Community ID by hashlib."""
    sensor = hashlib.sha1(sensors[row["sensor"]].encode()).digest()
    lower, higher = packed(row["lower_ip"]), packed(row["higher_ip"])
    ports = struct.pack(">HH", row["lower_port"], row["higher_port"])
    message = lower + higher + ports + struct.pack(">I", row["domain"])
    if row["id_isn"] >= 0:
        message += struct.pack(">I", row["id_isn"])
    else:
        message += sensor + struct.pack(">qI", row["start_ns"], row["first_seq"])
    flow = hashlib.sha1(message).digest()[:16]
    view = hashlib.sha1(flow + sensor + struct.pack(">q", row["start_ns"])).digest()[:16]
    if row["family"] == 4:
        lower, higher = lower[12:], higher[12:]
    community = hashlib.sha1(b"\0\0" + lower + higher + b"\6\0" + ports).digest()
    return flow.hex(), view.hex(), "1:" + base64.b64encode(community).decode()


def endpoint(row: Any, i: int) -> dict[str, Any]:
    side = "lower" if (row["orig"] == sg.LOWER) == (i == 0) else "higher"
    return {"ip": address(row[f"{side}_ip"], row["family"]), "port": int(row[f"{side}_port"])}


def causes(bits: int) -> list[str]:
    return [name for i, name in enumerate(ev.CAUSES) if bits >> i & 1]


def endpoint_summary(row: Any, i: int) -> dict[str, Any]:
    end = row["ends"][i]
    return {
        **endpoint(row, i),
        "state": ev.STATES[end["state"]],
        "bytes": int(end["bytes"]),
        "ip_bytes": int(end["ip_bytes"]),
        "packets": int(end["packets"]),
        "retransmits": int(end["retransmits"]),
        "flags": letters(end["flags"], SEEN_ORDER),
        "first_ns": none_if_missing(end["first_ns"]),
        "last_ns": none_if_missing(end["last_ns"]),
    }


def options(end: Any) -> dict[str, Any] | None:
    if not end["flags"] & sg.SYN:
        return None
    return {
        "mss": none_if_missing(end["mss"]),
        "wscale": none_if_missing(end["wscale"]),
        "sack": bool(end["sack_permitted"]),
        "timestamps": bool(end["timestamps"]),
    }


def transition(step: Any, *, revised: bool = False) -> dict[str, Any]:
    result = {
        "endpoint": ev.ENDPOINTS[step["endpoint"]],
        "to": ev.STATES[step["to"]],
        "event": ev.MICRO_EVENTS[step["event"]],
        "t_ns": int(step["t_ns"]),
    }
    if step["lag_ns"]:
        result["lag_ns"] = int(step["lag_ns"])
    if revised or step["packet_ns"] != step["t_ns"]:
        result["revised_ns" if revised else "packet_ns"] = int(step["packet_ns"])
    if step["certainty"]:
        result["certainty"] = ev.CERTAINTIES[step["certainty"]]
    return result


def handshake(row: Any) -> dict[str, Any]:
    return {
        "kind": ev.HANDSHAKES[row["handshake"]],
        "syn_rtt_ns": none_if_missing(row["syn_rtt_ns"]),
        "ack_rtt_ns": none_if_missing(row["ack_rtt_ns"]),
        "syn_count": int(row["syn_count"]),
        "synack_count": int(row["synack_count"]),
        "validated": bool(row["validated"]),
        "isn_orig": none_if_missing(row["ends"][0]["isn"]),
        "isn_resp": none_if_missing(row["ends"][1]["isn"]),
        "options": {"orig": options(row["ends"][0]), "resp": options(row["ends"][1])},
    }


def teardown(row: Any) -> dict[str, Any]:
    return {
        "kind": ev.TEARDOWNS[row["teardown"]],
        "segments": ev.SEGMENTS[row["segments"]],
        "active_closer": ev.SIDES[row["active_closer"]],
        "by": ev.SIDES[row["by"]],
        "rst_form": ev.RST_FORMS[row["rst_form"]],
        "cause": causes(row["cause"]),
    }


def history(words: Any) -> str:
    """Zeek's letters: the words are digits to the base 32, six each, the first on top."""
    digits = [int(word) // 32**place % 32 for word in words for place in range(5, -1, -1)]
    return "".join(HISTORY[digit] for digit in digits if digit)


def flow(row: Any, records: Records) -> dict[str, Any]:
    flow_id, view_id, community_id = ids(row, records.sensors)
    steps = records.transitions[row["log"] :][: int(row["log_n"]) + int(row["revised_n"])]
    holds, revised = steps[: row["log_n"]], steps[row["log_n"] :]
    gaps = [int(end["gap_bytes"]) for end in row["ends"]]
    kinds = [kind for i, kind in enumerate(ev.EVENT_KINDS) if int(row["alerts"]) >> i & 1]
    return {
        "v": 1,
        "type": "flow",
        "flow_id": flow_id,
        "gen": int(row["gen"]),
        "community_id": community_id,
        "start_ns": int(row["start_ns"]),
        "end_ns": int(row["end_ns"]),
        "end_reason": ev.END_REASONS[row["end_reason"]],
        "view_id": view_id,
        "sensor": records.sensors[row["sensor"]],
        "local": ev.LOCAL[row["local"]],
        "local_how": ev.LOCAL_HOW[row["local_how"]],
        "domain": int(row["domain"]),
        "orient": ev.ORIENT[row["orient"]],
        "orig": endpoint_summary(row, 0),
        "resp": endpoint_summary(row, 1),
        "handshake": handshake(row),
        "teardown": teardown(row),
        "transitions": [transition(step) for step in holds],
        **({"revised": [transition(step, revised=True) for step in revised]} if len(revised) else {}),
        "conn_state": ev.CONN_STATES[row["conn_state"]],
        "history": history(row["history"]),
        "completeness": int(row["completeness"]),
        "tampering": ev.SIGNATURES[row["signature"]],
        "ipfix_end_reason": int(row["end_code"]),
        "capture_loss": {"dropped": int(row["dropped"]), "gap_bytes": sum(gaps) % 2**64},
        "alerts": [kind for kind in kinds if kind.startswith("alert.")],
    }


def evidence(packet: Any) -> dict[str, Any]:
    return {
        "t_ns": int(packet["t_ns"]),
        "from": ev.ENDPOINTS[packet["from"]],
        "flags": letters(packet["flags"], PACKET_ORDER) or "none",
        "seq": int(packet["seq"]),
        "ack": none_if_missing(packet["ack"]),
        "len": int(packet["len"]),
        "role": ev.ROLES[packet["role"]],
    }


def told(row: Any, kind: str, view_id: str) -> dict[str, Any]:
    if kind in {"transition", "revised"}:
        result: dict[str, Any] = {
            "endpoint": ev.ENDPOINTS[row["endpoint"]],
            "from": ev.STATES[row["from"]],
            "to": ev.STATES[row["to"]],
            "event": ev.MICRO_EVENTS[row["event"]],
        }
        if row["value_ns"] > 0:
            result["lag_ns"] = int(row["value_ns"])
        if kind == "revised":
            result["corrects"] = f"{view_id}/{ev.EVENT_KINDS[row['corrects']]}/{row['corrects_k']}"
        return result
    opening = kind == "established" or kind.startswith("handshake.")
    result = {
        "syn_rtt_ns" if opening else "duration_ns": none_if_missing(row["value_ns"]),
        "by": ev.SIDES[row["by"]],
        "rst_form": ev.RST_FORMS[row["rst_form"]],
    }
    if not opening:
        result["cause"] = causes(row["cause"])
    if kind == "alert.tamper":
        result["score"] = int(row["score"])
        result["tests"] = [name for i, name in enumerate(ev.TAMPER_TESTS) if int(row["tests"]) >> i & 1]
    return result


def event(row: Any, records: Records) -> dict[str, Any]:
    flow_id, view_id, community_id = ids(row, records.sensors)
    kind = ev.EVENT_KINDS[row["kind"]]
    packets = records.evidence[row["evidence"] : row["evidence"] + row["evidence_n"]]
    return {
        "v": 1,
        "type": "event",
        "id": f"{view_id}/{kind}/{row['k']}",
        "kind": kind,
        "ts_ns": int(row["ts_ns"]),
        "certainty": ev.CERTAINTIES[row["certainty"]],
        "severity": ev.SEVERITIES[row["severity"]],
        "flow_id": flow_id,
        "view_id": view_id,
        "gen": int(row["gen"]),
        "community_id": community_id,
        "sensor": records.sensors[row["sensor"]],
        "domain": int(row["domain"]),
        "orig": endpoint(row, 0),
        "resp": endpoint(row, 1),
        **told(row, kind, view_id),
        "evidence": [evidence(packet) for packet in packets],
    }


def lines(records: Records) -> tuple[list[bytes], list[bytes]]:
    """Flow lines and event lines."""
    return (
        [orjson.dumps(flow(row, records)) for row in records.flows],
        [orjson.dumps(event(row, records)) for row in records.events],
    )


_LIMITS: Final = {
    "family": (4, 6),
    "orig": (sg.LOWER, sg.HIGHER),
    "endpoint": 2,
    "kind": len(ev.EVENT_KINDS),
    "corrects": len(ev.EVENT_KINDS),
    "certainty": len(ev.CERTAINTIES),
    "severity": len(ev.SEVERITIES),
    "role": len(ev.ROLES),
    "to": len(ev.STATES),
    "state": len(ev.STATES),
    "event": len(ev.MICRO_EVENTS),
    "by": len(ev.SIDES),
    "active_closer": len(ev.SIDES),
    "rst_form": len(ev.RST_FORMS),
    "local": len(ev.LOCAL),
    "local_how": len(ev.LOCAL_HOW),
    "orient": len(ev.ORIENT),
    "end_reason": len(ev.END_REASONS),
    "handshake": len(ev.HANDSHAKES),
    "teardown": len(ev.TEARDOWNS),
    "segments": len(ev.SEGMENTS),
    "conn_state": len(ev.CONN_STATES),
    "signature": len(ev.SIGNATURES),
    "end_code": (1, 5),
}


def _spread(column: npt.NDArray[Any], name: str) -> None:
    """Turn random integers into ones of all lengths, with -1 and both ends of the range among them; in place."""
    info = np.iinfo(column.dtype)
    raw = column.astype(object)
    for i in np.ndindex(column.shape):
        value = int(raw[i])
        if name in _LIMITS:
            limit = _LIMITS[name]
            raw[i] = limit[value % 2] if isinstance(limit, tuple) else value % limit
        elif value % 16 == 7:
            raw[i] = info.max if value % 32 == 7 else max(info.min, -1)
        else:
            raw[i] = value >> (value // 32) % info.bits
    column[...] = raw.astype(column.dtype)


def rows_from(data: bytes, dtype: np.dtype[Any]) -> npt.NDArray[np.void]:
    """Rows from random bytes: every enumeration in its bounds, numbers of every length."""
    rows = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype).copy()
    for name in dtype.names or ():
        if name == "ends":
            for part in ev.ENDPOINT_SUMMARY.names or ():
                if not part.startswith("pad"):
                    _spread(rows["ends"][part], part)
        elif "pad" not in name:
            meaning = name
            if name == "from":  # of evidence an endpoint, else a state
                meaning = "endpoint" if dtype == ev.EVIDENCE else "to"
            _spread(rows[name], meaning)
    return rows


def _a_history(words: npt.NDArray[np.uint32]) -> None:
    """Turn random words into letters that a history can have; in place."""
    for i in np.ndindex(words.shape):
        digits = [int(words[i]) // 32**place % 32 for place in range(5, -1, -1)]
        letters = [digit for digit in digits if HISTORY[digit] not in "?+ "]
        words[i] = functools.reduce(lambda word, digit: word * 32 + digit, letters, 0)


def _mapped(rows: npt.NDArray[np.void]) -> None:
    """Give IPv4 rows mapped addresses."""
    four = rows["family"] == 4
    for end in ("lower_ip", "higher_ip"):
        rows[end][four, 0] = 0
        rows[end][four, 1] = 0xFFFF << 32 | rows[end][four, 1] & np.uint64(0xFFFFFFFF)


def _deal(rows: npt.NDArray[np.void], first: str, n: str, total: int) -> None:
    """Share the rows of another table among these."""
    bounds = np.linspace(0, total, len(rows) + 1).astype(np.int64)
    rows[first], rows[n] = bounds[:-1], np.diff(bounds)


def records_from(tables: tuple[bytes, bytes, bytes, bytes], sensors: tuple[str, ...]) -> Records:
    """Records from random bytes: of flows, transitions, events and evidence."""
    dtypes = (ev.FLOW_RECORD, ev.TRANSITION, ev.EVENT_RECORD, ev.EVIDENCE)
    records = Records(*(rows_from(data, dtype) for data, dtype in zip(tables, dtypes, strict=True)), sensors)
    for rows in (records.flows, records.events):
        _mapped(rows)
        rows["sensor"] %= max(len(sensors), 1)
        rows["id_isn"] = np.where(rows["id_isn"] < 0, -1, rows["id_isn"] & 0xFFFFFFFF)
        rows["slice"] %= 384
    _a_history(records.flows["history"])
    _deal(records.flows, "log", "log_n", len(records.transitions))
    records.flows["revised_n"] = np.minimum(records.flows["log_n"] // 3, 255)
    records.flows["log_n"] -= records.flows["revised_n"]
    _deal(records.events, "evidence", "evidence_n", len(records.evidence))
    return records
