"""Kernel that writes event records as JSON lines, in the order of keys of the schema (schema/event.v1.json)."""

from typing import Any, Final

import numpy as np

from synfin.compiled import compiled
from synfin.wire.event import CERTAINTIES, ENDPOINTS, EVENT_KINDS, ROLES, RST_FORMS, SEVERITIES, SIDES
from synfin.wire.json_parts import FLAG_BITS, cause, enumeration, ip_and_port, packet_flags, step_of
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
    ]
)
(
    (_HEAD, _SLASH, _VIEW, _GEN, _COMMUNITY, _SENSOR, _DOMAIN, _ORIG, _RESP, _CLOSE, _LAG),
    (_CORRECTS, _QUOTE, _SYN_RTT, _DURATION, _BY, _EVIDENCE, _EVIDENCE_T, _ACK, _LEN, _NEXT, _TAIL),
) = (tuple(np.uint64(n) for n in part) for part in (range(11), range(11, 22)))
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

# What an event tells besides who and when, by its kind.
TELLS_STEP, TELLS_CORRECTION, TELLS_HANDSHAKE, TELLS_TEARDOWN = 0, 1, 2, 3


def tells(kind: str) -> int:
    """Which group of keys an event of this kind has."""
    if kind in {"transition", "revised"}:
        return TELLS_STEP if kind == "transition" else TELLS_CORRECTION
    return TELLS_HANDSHAKE if kind == "established" or kind.startswith("handshake.") else TELLS_TEARDOWN


_TELLS: Final = np.array([tells(kind) for kind in EVENT_KINDS] + [0] * (_KIND_ROWS - len(EVENT_KINDS)), np.uint8)
_ORIG_END, _RESP_END = np.uint64(0), np.uint64(1)
_FLAG_BITS: Final = np.uint64(FLAG_BITS)


@compiled
def _event_id(words: Any, at: Any, view: Any, kind: Any, k: Any) -> Any:
    at = hex_128(words, at, view)
    at = put(words, at, _ID_KIND, np.uint64(kind))
    return number(words, at, np.uint64(k))


@compiled
def _head(words: Any, at: Any, row: Any, ids: Any) -> Any:
    """From behind the id to `gen`."""
    at = put(words, at, _KIND, np.uint64(row["kind"]))
    at = signed(words, at, row["ts_ns"])
    at = put(words, at, _CERTAINTY, np.uint64(row["certainty"]))
    at = put(words, at, _SEVERITY, np.uint64(row["severity"]))
    at = hex_128(words, at, ids["flow"])
    at = put(words, at, _KEYS, _VIEW)
    at = hex_128(words, at, ids["view"])
    at = put(words, at, _KEYS, _GEN)
    return number(words, at, np.uint64(row["gen"]))


@compiled
def _who(words: Any, at: Any, row: Any, sensor: Any) -> Any:
    """From behind the community id to both addresses."""
    at = put(words, at, _KEYS, _SENSOR)
    for i in range((sensor["n"] + np.uint64(7)) >> np.uint64(3)):
        words[at + (i << np.uint64(3))]["w"] = sensor["w"][i]
    at = put(words, at + sensor["n"], _KEYS, _DOMAIN)
    at = number(words, at, np.uint64(row["domain"]))
    at = ip_and_port(words, put(words, at, _KEYS, _ORIG), row, _ORIG_END)
    at = ip_and_port(words, put(words, at, _KEYS, _RESP), row, _RESP_END)
    return put(words, at, _KEYS, _CLOSE)


@compiled
def _told(words: Any, at: Any, row: Any, ids: Any) -> Any:
    """Write the keys that events of this kind have of their own."""
    group = _TELLS[np.uint64(row["kind"])]
    if group <= TELLS_CORRECTION:
        at = step_of(words, at, row)
        if row["value_ns"] > 0:
            at = signed(words, put(words, at, _KEYS, _LAG), row["value_ns"])
        if group == TELLS_CORRECTION:
            at = put(words, at, _KEYS, _CORRECTS)
            at = _event_id(words, at, ids["view"], row["corrects"], row["corrects_k"])
            at = put(words, at, _KEYS, _QUOTE)
        return at
    at = put(words, at, _KEYS, _SYN_RTT if group == TELLS_HANDSHAKE else _DURATION)
    at = nullable(words, at, row["value_ns"])
    at = put(words, at, _KEYS, _BY)
    at = put(words, at, _SIDE, np.uint64(row["by"]))
    at = put(words, at, _RST_FORM, np.uint64(row["rst_form"]))
    if group == TELLS_TEARDOWN:
        at = cause(words, at, np.uint64(row["cause"]))
    return at


@compiled
def _evidence(words: Any, at: Any, row: Any, table: Any) -> Any:
    at = put(words, at, _KEYS, _EVIDENCE)
    first, n = np.uint64(row["evidence"]), np.uint64(row["evidence_n"])
    for i in range(first, first + n):
        packet = table[i]
        at = put(words, at, _KEYS, _EVIDENCE_T)
        at = signed(words, at, packet["t_ns"])
        at = put(words, at, _FROM, np.uint64(packet["from"]))
        at = put(words, at, _FLAGS, np.uint64(packet["flags"]) & _FLAG_BITS)
        at = signed(words, at, packet["seq"])
        at = nullable(words, put(words, at, _KEYS, _ACK), packet["ack"])
        at = number(words, put(words, at, _KEYS, _LEN), np.uint64(packet["len"]))
        at = put(words, at, _ROLE, np.uint64(packet["role"]))
        at = put(words, at, _KEYS, _NEXT if i + np.uint64(1) < first + n else _CLOSE)
    return put(words, at, _KEYS, _TAIL)


@compiled
def write_events(words: Any, rows: Any, evidence: Any, ids: Any, sensors: Any, spans: Any) -> None:
    """Write a line for each EVENT_RECORD and note in `spans` (SPAN[]) where it, its id and its Community ID lie."""
    at = np.uint64(0)
    for i in range(np.uint64(len(rows))):
        row, span, start = rows[i], spans[i], at
        event = put(words, at, _KEYS, _HEAD)
        at = _event_id(words, event, ids[i]["view"], row["kind"], row["k"])
        span["id_at"], span["id_n"] = event, at - event
        at = _head(words, at, row, ids[i])
        at = put(words, at, _KEYS, _COMMUNITY)
        span["key_at"], span["key_n"] = at - np.uint64(2), np.uint64(30)
        at = base64_160(words, at, ids[i]["community"])
        at = _who(words, at, row, sensors[np.uint64(row["sensor"])])
        at = _told(words, at, row, ids[i])
        at = _evidence(words, at, row, evidence)
        span["start"], span["end"] = start, at
