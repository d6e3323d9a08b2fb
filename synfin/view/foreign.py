"""Flow records in the terms of others: Zeek's conn.log, the Elastic Common Schema, OCSF's Network Activity.

Each takes the record of `synfin schema flow` and loses what has no name there; ECS and OCSF keep that under our names.
Sources: docs.zeek.org (conn.log, the ASCII writer), Elastic's ECS 8.17, OCSF 1.7 (class 4001).
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from synfin.view.words import Record

_NS: Final = 1_000_000_000
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_UID_DIGITS: Final = 17
_TCP: Final = 6
_FLAGS: Final = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "W": 128}
# Zeek's columns, their types, and what is in them; None is unset.
_ZEEK: Final[tuple[tuple[str, str, Callable[[Record], Any]], ...]] = (
    ("ts", "time", lambda flow: _seconds(flow["start_ns"])),
    ("uid", "string", lambda flow: _uid(flow["view_id"])),
    ("id.orig_h", "addr", lambda flow: flow["orig"]["ip"]),
    ("id.orig_p", "port", lambda flow: flow["orig"]["port"]),
    ("id.resp_h", "addr", lambda flow: flow["resp"]["ip"]),
    ("id.resp_p", "port", lambda flow: flow["resp"]["port"]),
    ("proto", "enum", lambda _: "tcp"),
    ("service", "string", lambda _: None),
    ("duration", "interval", lambda flow: _seconds(_span_ns(flow)) if _span_ns(flow) else None),
    ("orig_bytes", "count", lambda flow: flow["orig"]["bytes"]),
    ("resp_bytes", "count", lambda flow: flow["resp"]["bytes"]),
    ("conn_state", "string", lambda flow: flow["conn_state"]),
    ("local_orig", "bool", lambda flow: _local(flow, "orig")),
    ("local_resp", "bool", lambda flow: _local(flow, "resp")),
    ("missed_bytes", "count", lambda flow: flow["capture_loss"]["gap_bytes"]),
    ("history", "string", lambda flow: flow["history"].rstrip("+") or None),
    ("orig_pkts", "count", lambda flow: flow["orig"]["packets"]),
    ("orig_ip_bytes", "count", lambda flow: flow["orig"]["ip_bytes"]),
    ("resp_pkts", "count", lambda flow: flow["resp"]["packets"]),
    ("resp_ip_bytes", "count", lambda flow: flow["resp"]["ip_bytes"]),
    ("tunnel_parents", "set[string]", lambda _: None),
    ("community_id", "string", lambda flow: flow["community_id"]),
)


def _span_ns(flow: Record) -> int:
    """From the first packet to the last."""
    last = [flow[end]["last_ns"] for end in ("orig", "resp") if flow[end]["last_ns"] is not None]
    return max(0, int(max(last, default=flow["start_ns"])) - int(flow["start_ns"]))


def _seconds(ns: int) -> str:
    """Zeek's times: six digits, cut and not rounded, so that no packet comes to lie behind its connection's end."""
    return f"{ns // _NS}.{ns % _NS // 1000:06}"


def _uid(view_id: str) -> str:
    """As Zeek's look: C and 17 digits to the base 62; the same for the same view."""
    number, digits = int(view_id, 16), ""
    for _ in range(_UID_DIGITS):
        number, digit = divmod(number, len(_BASE62))
        digits += _BASE62[digit]
    return "C" + digits


def _local(flow: Record, end: str) -> bool | None:
    """Whether an end is the capturing host's, which is all that we know of what is local; else unset."""
    return True if flow["local"] in (end, "both") else None


def zeek_json(flow: Record) -> dict[str, Any]:
    """A line of conn.log as Zeek writes JSON: times are numbers, and what is unset has no key."""
    values = ((name, kind, value(flow)) for name, kind, value in _ZEEK)
    return {
        name: float(value) if kind in ("time", "interval") else value
        for name, kind, value in values
        if value is not None
    }


def zeek_tsv(flow: Record) -> str:
    """A line of conn.log as Zeek writes text."""
    return "\t".join(_zeek_text(value(flow)) for _, _, value in _ZEEK)


def _zeek_text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "T" if value else "F"
    return "".join(letter if letter.isprintable() and letter != "\\" else _escaped(letter) for letter in str(value))


def _escaped(letter: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in letter.encode())


def zeek_head(now: datetime) -> Iterator[str]:
    """The lines above those of conn.log."""
    yield "#separator \\x09"
    for name, value in (("set_separator", ","), ("empty_field", "(empty)"), ("unset_field", "-"), ("path", "conn")):
        yield f"#{name}\t{value}"
    yield f"#open\t{now:%Y-%m-%d-%H-%M-%S}"
    yield "\t".join(["#fields", *(name for name, _, _ in _ZEEK)])
    yield "\t".join(["#types", *(kind for _, kind, _ in _ZEEK)])


def zeek_foot(now: datetime) -> str:
    """The line below them."""
    return f"#close\t{now:%Y-%m-%d-%H-%M-%S}"


def _iso(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // _NS, UTC):%Y-%m-%dT%H:%M:%S}.{ns % _NS:09}Z"


def ecs(flow: Record) -> dict[str, Any]:
    """A document of the Elastic Common Schema; what ECS has no name for stands under `synfin`."""
    orig, resp, span_ns = flow["orig"], flow["resp"], _span_ns(flow)
    refused = flow["handshake"]["kind"] in ("rejected", "rejected_icmp")
    closed = [] if flow["end_reason"] in ("eof", "stopped") else ["end"]
    return {
        "@timestamp": _iso(flow["start_ns"]),
        "ecs": {"version": "8.17.0"},
        "event": {
            "kind": "event",
            "category": ["network"],
            "type": ["connection", "start", *closed, *(["denied"] if refused else [])],
            "dataset": "synfin.flow",
            "id": flow["view_id"],
            "start": _iso(flow["start_ns"]),
            "end": _iso(flow["start_ns"] + span_ns),
            "duration": span_ns,
        },
        "source": _ecs_end(orig),
        "destination": _ecs_end(resp),
        "network": {
            "type": "ipv6" if ":" in orig["ip"] else "ipv4",
            "transport": "tcp",
            "iana_number": str(_TCP),
            "community_id": flow["community_id"],
            "bytes": orig["ip_bytes"] + resp["ip_bytes"],
            "packets": orig["packets"] + resp["packets"],
        },
        "observer": {"name": flow["sensor"], "product": "synfin", "type": "sensor"},
        "synfin": _beside(flow),
    }


def _ecs_end(end: Record) -> dict[str, Any]:
    return {
        "ip": end["ip"],
        "address": end["ip"],
        "port": end["port"],
        "bytes": end["ip_bytes"],
        "packets": end["packets"],
    }


def _beside(flow: Record) -> dict[str, Any]:
    """What only we know."""
    return {
        "flow_id": flow["flow_id"],
        "conn_state": flow["conn_state"],
        "history": flow["history"],
        "handshake": flow["handshake"]["kind"],
        "teardown": flow["teardown"],
        "state": {"orig": flow["orig"]["state"], "resp": flow["resp"]["state"]},
        "end_reason": flow["end_reason"],
        "alerts": flow["alerts"],
    }


# activity_id of OCSF's class 4001.
_OPEN, _CLOSE, _RESET, _FAIL, _REFUSE, _TRAFFIC = range(1, 7)
_CLASS: Final = 4001
_INFORMATIONAL, _MEDIUM = 1, 3  # severity_id
_LOCAL_DIRECTION, _UNKNOWN_DIRECTION = 4, 0


def _activity(flow: Record) -> int:
    opening, end = flow["handshake"]["kind"], flow["teardown"]["kind"]
    if opening == "rejected":
        return _REFUSE
    if opening in ("rejected_icmp", "unanswered", "half_open", "invalid", "aborted"):
        return _FAIL
    if end in ("abort", "fin_then_rst"):
        return _RESET
    if end in ("orderly", "simultaneous"):
        return _CLOSE
    return _TRAFFIC


def ocsf(flow: Record) -> dict[str, Any]:
    """An event of OCSF's class 4001, Network Activity; `unmapped` holds what OCSF has no name for."""
    orig, resp, activity = flow["orig"], flow["resp"], _activity(flow)
    end_ms = (flow["start_ns"] + _span_ns(flow)) // 1_000_000
    flags = sum(bit for letter, bit in _FLAGS.items() if letter in orig["flags"] + resp["flags"])
    return {
        "activity_id": activity,
        "category_uid": 4,
        "class_uid": _CLASS,
        "type_uid": _CLASS * 100 + activity,
        "severity_id": _MEDIUM if flow["alerts"] else _INFORMATIONAL,
        "time": end_ms,
        "start_time": flow["start_ns"] // 1_000_000,
        "end_time": end_ms,
        "duration": end_ms - flow["start_ns"] // 1_000_000,
        "metadata": {
            "version": "1.7.0",
            "product": {"name": "synfin", "vendor_name": "synfin"},
            "uid": flow["view_id"],
            "log_name": "flow",
        },
        "src_endpoint": {"ip": orig["ip"], "port": orig["port"]},
        "dst_endpoint": {"ip": resp["ip"], "port": resp["port"]},
        "is_src_dst_assignment_known": flow["orient"] in ("syn", "synack"),
        "connection_info": {
            "uid": flow["flow_id"],
            "community_uid": flow["community_id"],
            "direction_id": _LOCAL_DIRECTION if flow["local"] == "both" else _UNKNOWN_DIRECTION,
            "protocol_num": _TCP,
            "protocol_name": "tcp",
            "protocol_ver_id": 6 if ":" in orig["ip"] else 4,
            "tcp_flags": flags,
            "flag_history": flow["history"],
        },
        "traffic": {
            "bytes": orig["ip_bytes"] + resp["ip_bytes"],
            "bytes_in": resp["ip_bytes"],
            "bytes_out": orig["ip_bytes"],
            "packets": orig["packets"] + resp["packets"],
            "packets_in": resp["packets"],
            "packets_out": orig["packets"],
        },
        "observables": [
            {"name": "src_endpoint.ip", "type_id": 2, "value": orig["ip"]},
            {"name": "dst_endpoint.ip", "type_id": 2, "value": resp["ip"]},
        ],
        "unmapped": {"sensor": flow["sensor"], **_beside(flow)},
    }


FORMS: Final = ("zeek-tsv", "zeek-json", "ecs", "ocsf")


def lines(flows: Iterable[Record], form: str) -> Iterator[str]:
    """Lines of flow records in one of FORMS, with what stands above and below them."""
    import orjson  # noqa: PLC0415  --help of those who offer the forms has no need of it

    if form == "zeek-tsv":
        yield from zeek_head(datetime.now(UTC))
        yield from map(zeek_tsv, flows)
        yield zeek_foot(datetime.now(UTC))
        return
    made = {"zeek-json": zeek_json, "ecs": ecs, "ocsf": ocsf}[form]
    for flow in flows:
        yield orjson.dumps(made(flow)).decode()
