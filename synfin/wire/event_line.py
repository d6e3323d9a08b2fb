"""Kernel that writes event records as JSON lines, in the order of keys of the schema (schema/event.v1.json)."""

from typing import Any, Final

import numpy as np

from synfin.compiled import compiled
from synfin.wire.event import (
    CERTAINTIES,
    ENDPOINTS,
    EVENT_KINDS,
    ROLES,
    RST_FORMS,
    SEVERITIES,
    SIDES,
    TAMPER_TESTS,
)
from synfin.wire.json_parts import FLAG_BITS, cause, enumeration, ip_and_port, packet_flags, sensor_name, step_of
from synfin.wire.text import base64_160, hex_128, nullable, number, pieces, put, signed

# Longest line without evidence and sensor name, and longest piece of evidence; a test holds both against extreme rows.
EVENT_MAX: Final = 1280
EVIDENCE_MAX: Final = 192

_KEYS: Final = pieces(
    [
        '{"v":1,"type":"event","id":"',
        "/",
        '","view_id":"',
        '","gen":',
        ',"community_id":"1:',
        '","sensor":',
        ',"domain":',
        ',"orig":{"ip":"',
        '},"resp":{"ip":"',
        "}",
        ',"lag_ns":',
        ',"corrects":"',
        '"',
        ',"syn_rtt_ns":',
        ',"duration_ns":',
        ',"by":',
        ',"evidence":[',
        '{"t_ns":',
        ',"ack":',
        ',"len":',
        "},",
        "]}\n",
        ',"score":',
        ',"tests":[',
        "]",
        ",",
    ]
)
(
    (_HEAD, _SLASH, _VIEW, _GEN, _COMMUNITY, _SENSOR, _DOMAIN, _ORIG, _RESP, _CLOSE, _LAG),
    (_CORRECTS, _QUOTE, _SYN_RTT, _DURATION, _BY, _EVIDENCE, _EVIDENCE_T, _ACK, _LEN, _NEXT, _TAIL),
    (_SCORE, _TESTS, _END, _COMMA),
) = (tuple(np.uint64(n) for n in part) for part in (range(11), range(11, 22), range(22, 26)))
_KIND_ROWS: Final = 256
_ID_KIND: Final = pieces([f"/{kind}/" for kind in EVENT_KINDS], _KIND_ROWS)
_KIND: Final = enumeration('","kind":', EVENT_KINDS, ',"ts_ns":')
_CERTAINTY: Final = enumeration(',"certainty":', CERTAINTIES, ',"severity":')
_SEVERITY: Final = enumeration("", SEVERITIES, ',"flow_id":"')
_SIDE: Final = enumeration("", SIDES, ',"rst_form":')
_RST_FORM: Final = enumeration("", RST_FORMS, "")
_FROM: Final = enumeration(',"from":', ENDPOINTS, ',"flags":')
_FLAGS: Final = enumeration("", [packet_flags(bits) for bits in range(FLAG_BITS + 1)], ',"seq":')
_ROLE: Final = enumeration(',"role":', ROLES, "")
_TEST: Final = enumeration("", list(TAMPER_TESTS), "")
_TESTS_N: Final = np.uint64(len(TAMPER_TESTS))

# What an event tells besides who and when, by its kind.
TELLS_STEP, TELLS_CORRECTION, TELLS_HANDSHAKE, TELLS_TEARDOWN, TELLS_TESTS = 0, 1, 2, 3, 4


def tells(kind: str) -> int:
    """Which group of keys an event of this kind has."""
    if kind in {"transition", "revised"}:
        return TELLS_STEP if kind == "transition" else TELLS_CORRECTION
    if kind == "alert.tamper":
        return TELLS_TESTS
    return TELLS_HANDSHAKE if kind == "established" or kind.startswith("handshake.") else TELLS_TEARDOWN


_TELLS: Final = np.array([tells(kind) for kind in EVENT_KINDS] + [0] * (_KIND_ROWS - len(EVENT_KINDS)), np.uint8)
_ORIG_END, _RESP_END = np.uint64(0), np.uint64(1)
_FLAG_BITS: Final = np.uint64(FLAG_BITS)


@compiled
def _event_id(out: Any, at: Any, view: Any, kind: Any, k: Any) -> Any:
    at += hex_128(out[at], view)
    at += put(out[at], _ID_KIND[np.uint64(kind)])
    return at + number(out[at], np.uint64(k))


@compiled
def _head(out: Any, at: Any, row: Any, ids: Any) -> Any:
    """From behind the id to `gen`."""
    at += put(out[at], _KIND[np.uint64(row["kind"])])
    at += signed(out[at], row["ts_ns"])
    at += put(out[at], _CERTAINTY[np.uint64(row["certainty"])])
    at += put(out[at], _SEVERITY[np.uint64(row["severity"])])
    at += hex_128(out[at], ids["flow"])
    at += put(out[at], _KEYS[_VIEW])
    at += hex_128(out[at], ids["view"])
    at += put(out[at], _KEYS[_GEN])
    return at + number(out[at], np.uint64(row["gen"]))


@compiled
def _who(out: Any, at: Any, row: Any, sensor: Any) -> Any:
    """From behind the community id to both addresses."""
    at += put(out[at], _KEYS[_SENSOR])
    at += sensor_name(out, at, sensor)
    at += put(out[at], _KEYS[_DOMAIN])
    at += number(out[at], np.uint64(row["domain"]))
    at += put(out[at], _KEYS[_ORIG])
    at = ip_and_port(out, at, row, _ORIG_END)
    at += put(out[at], _KEYS[_RESP])
    at = ip_and_port(out, at, row, _RESP_END)
    return at + put(out[at], _KEYS[_CLOSE])


@compiled
def _told(out: Any, at: Any, row: Any, ids: Any) -> Any:
    """Write the keys that events of this kind have of their own."""
    group = _TELLS[np.uint64(row["kind"])]
    if group <= TELLS_CORRECTION:
        at = step_of(out, at, row)
        if row["value_ns"] > 0:
            at += put(out[at], _KEYS[_LAG])
            at += signed(out[at], row["value_ns"])
        if group == TELLS_CORRECTION:
            at += put(out[at], _KEYS[_CORRECTS])
            at = _event_id(out, at, ids["view"], row["corrects"], row["corrects_k"])
            at += put(out[at], _KEYS[_QUOTE])
        return at
    at += put(out[at], _KEYS[_SYN_RTT if group == TELLS_HANDSHAKE else _DURATION])
    at += nullable(out[at], row["value_ns"])
    at += put(out[at], _KEYS[_BY])
    at += put(out[at], _SIDE[np.uint64(row["by"])])
    at += put(out[at], _RST_FORM[np.uint64(row["rst_form"])])
    if group >= TELLS_TEARDOWN:
        at = cause(out, at, np.uint64(row["cause"]))
    return _tests(out, at, row) if group == TELLS_TESTS else at


@compiled
def _tests(out: Any, at: Any, row: Any) -> Any:
    """Write which tests a RST failed, and their weight."""
    at += put(out[at], _KEYS[_SCORE])
    at += number(out[at], np.uint64(row["score"]))
    at += put(out[at], _KEYS[_TESTS])
    tests, more = np.uint64(row["tests"]), False
    for i in range(_TESTS_N):
        if (tests >> i) & np.uint64(1) != np.uint64(0):
            if more:
                at += put(out[at], _KEYS[_COMMA])
            at += put(out[at], _TEST[i])
            more = True
    return at + put(out[at], _KEYS[_END])


@compiled
def _evidence(out: Any, at: Any, row: Any, table: Any) -> Any:
    at += put(out[at], _KEYS[_EVIDENCE])
    first, n = np.uint64(row["evidence"]), np.uint64(row["evidence_n"])
    for i in range(first, first + n):
        packet = table[i]
        at += put(out[at], _KEYS[_EVIDENCE_T])
        at += signed(out[at], packet["t_ns"])
        at += put(out[at], _FROM[np.uint64(packet["from"])])
        at += put(out[at], _FLAGS[np.uint64(packet["flags"]) & _FLAG_BITS])
        at += signed(out[at], packet["seq"])
        at += put(out[at], _KEYS[_ACK])
        at += nullable(out[at], packet["ack"])
        at += put(out[at], _KEYS[_LEN])
        at += number(out[at], np.uint64(packet["len"]))
        at += put(out[at], _ROLE[np.uint64(packet["role"])])
        at += put(out[at], _KEYS[_NEXT if i + np.uint64(1) < first + n else _CLOSE])
    return at + put(out[at], _KEYS[_TAIL])


@compiled
def write_events(out: Any, rows: Any, evidence: Any, ids: Any, sensors: Any, spans: Any) -> None:
    """Write a line for each EVENT_RECORD and note in `spans` (SPAN[]) where it, its id and its Community ID lie."""
    at = np.uint64(0)
    for i in range(np.uint64(len(rows))):
        row, span, start = rows[i], spans[i], at
        at += put(out[at], _KEYS[_HEAD])
        event = at
        at = _event_id(out, at, ids[i]["view"], row["kind"], row["k"])
        span["id_at"], span["id_n"] = event, at - event
        at = _head(out, at, row, ids[i])
        at += put(out[at], _KEYS[_COMMUNITY])
        span["key_at"], span["key_n"] = at - np.uint64(2), np.uint64(30)
        at += base64_160(out[at], ids[i]["community"])
        at = _who(out, at, row, sensors[np.uint64(row["sensor"])])
        at = _told(out, at, row, ids[i])
        at = _evidence(out, at, row, evidence)
        span["start"], span["end"] = start, at
