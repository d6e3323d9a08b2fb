"""Kernel that writes flow records as JSON lines, in the order of keys of the schema (schema/flow.v1.json)."""

from typing import Any, Final

import numpy as np

from synfin.compiled import compiled
from synfin.wire.event import (
    CERTAINTIES,
    CONN_STATES,
    END_REASONS,
    ENDPOINTS,
    EVENT_KINDS,
    HANDSHAKES,
    HISTORY_BITS,
    HISTORY_TEXT,
    HISTORY_WORDS,
    LOCAL,
    LOCAL_HOW,
    MICRO_EVENTS,
    ORIENT,
    RST_FORMS,
    SEGMENTS,
    SIDES,
    SIGNATURES,
    STATES,
    TEARDOWNS,
)
from synfin.wire.json_parts import FLAG_BITS, cause, enumeration, ip_and_port, seen_flags, sensor_name
from synfin.wire.segment import SYN
from synfin.wire.text import base64_160, hex_128, nullable, number, pieces, put, put_char, signed

# Longest line without transitions and sensor name, and longest transition; a test holds both against extreme rows.
FLOW_MAX: Final = 2560
TRANSITION_MAX: Final = 192

_KEYS: Final = pieces(
    [
        '{"v":1,"type":"flow","flow_id":"',
        '","gen":',
        ',"community_id":"1:',
        '","start_ns":',
        ',"end_ns":',
        '","sensor":',
        '},"resp":{"ip":"',
        ',"ip_bytes":',
        ',"packets":',
        ',"retransmits":',
        ',"last_ns":',
        ',"ack_rtt_ns":',
        ',"syn_count":',
        ',"synack_count":',
        ',"isn_resp":',
        ',"options":{"orig":',
        ',"resp":',
        '{"mss":',
        ',"wscale":',
        "null",
        ',"transitions":[',
        ',"lag_ns":',
        ',"packet_ns":',
        ',"revised_ns":',
        '],"revised":[',
        "}",
        "},",
        '","completeness":',
        ',"gap_bytes":',
        '},"alerts":[',
        ",",
        "]}\n",
    ]
)
(
    (_HEAD, _GEN, _COMMUNITY, _START, _END, _SENSOR, _RESP, _IP_BYTES, _PACKETS, _RETRANSMITS, _LAST, _ACK_RTT),
    (_SYNS, _SYNACKS, _ISN_RESP, _OPTIONS, _OPTIONS_RESP, _MSS, _WSCALE, _NULL, _TRANSITIONS, _LAG, _PACKET, _AGAIN),
    (_REVISED, _CLOSE, _NEXT, _COMPLETENESS, _GAP, _ALERTS, _COMMA, _TAIL),
) = (tuple(np.uint64(n) for n in part) for part in (range(12), range(12, 24), range(24, 32)))
_END_REASON: Final = enumeration(',"end_reason":', END_REASONS, ',"view_id":"')
_LOCAL: Final = enumeration(',"local":', LOCAL, "")
_LOCAL_HOW: Final = enumeration(',"local_how":', LOCAL_HOW, ',"domain":')
_ORIENT: Final = enumeration(',"orient":', ORIENT, ',"orig":{"ip":"')
_STATE: Final = enumeration(',"state":', STATES, ',"bytes":')
_FLAGS: Final = enumeration(',"flags":', [seen_flags(bits) for bits in range(FLAG_BITS + 1)], ',"first_ns":')
_HANDSHAKE: Final = enumeration('},"handshake":{"kind":', HANDSHAKES, ',"syn_rtt_ns":')
_VALIDATED: Final = pieces([',"validated":false,"isn_orig":', ',"validated":true,"isn_orig":'])
_SACK: Final = pieces([',"sack":false,"timestamps":', ',"sack":true,"timestamps":'])
_TIMESTAMPS: Final = pieces(["false}", "true}"])
_TEARDOWN: Final = enumeration('}},"teardown":{"kind":', TEARDOWNS, ',"segments":')
_SEGMENTS: Final = enumeration("", SEGMENTS, ',"active_closer":')
_ACTIVE: Final = enumeration("", SIDES, ',"by":')
_BY: Final = enumeration("", SIDES, ',"rst_form":')
_RST_FORM: Final = enumeration("", RST_FORMS, "")
_ENDPOINT: Final = enumeration('{"endpoint":', ENDPOINTS, ',"to":')
_TO: Final = enumeration("", STATES, "")
_EVENT: Final = enumeration(',"event":', MICRO_EVENTS, ',"t_ns":')
_CERTAINTY: Final = enumeration(',"certainty":', CERTAINTIES, "")
_CONN_STATE: Final = enumeration('],"conn_state":', CONN_STATES, ',"history":"')
_SIGNATURE: Final = enumeration(',"tampering":', SIGNATURES, "")
_END_CODE: Final = pieces([f',"ipfix_end_reason":{code},"capture_loss":{{"dropped":' for code in range(6)], 256)
_HISTORY: Final = np.frombuffer(HISTORY_TEXT.encode(), np.uint8).astype(np.uint64)
_ALERT: Final = enumeration("", EVENT_KINDS, "")
_ALERT_BITS: Final = np.uint64(sum(1 << i for i, kind in enumerate(EVENT_KINDS) if kind.startswith("alert.")))
_KINDS: Final = np.uint64(len(EVENT_KINDS))
_FLAG_BITS: Final = np.uint64(FLAG_BITS)
_ORIG_END, _RESP_END = np.uint64(0), np.uint64(1)
_U1: Final = np.uint64(1)
_WORDS: Final = np.uint64(HISTORY_WORDS)
_SLOTS: Final = np.uint64(32 // HISTORY_BITS)
_BITS: Final = np.uint64(HISTORY_BITS)
_LETTER: Final = np.uint64((1 << HISTORY_BITS) - 1)


@compiled
def _who(out: Any, at: Any, row: Any, ids: Any, sensor: Any) -> Any:
    """From the beginning to `orient`: ids, time, vantage. Also returns where the view_id begins."""
    at += put(out[at], _KEYS[_HEAD])
    at += hex_128(out[at], ids["flow"])
    at += put(out[at], _KEYS[_GEN])
    at += number(out[at], np.uint64(row["gen"]))
    at += put(out[at], _KEYS[_COMMUNITY])
    at += base64_160(out[at], ids["community"])
    at += put(out[at], _KEYS[_START])
    at += signed(out[at], row["start_ns"])
    at += put(out[at], _KEYS[_END])
    at += signed(out[at], row["end_ns"])
    at += put(out[at], _END_REASON[np.uint64(row["end_reason"])])
    view = at
    at += hex_128(out[at], ids["view"])
    at += put(out[at], _KEYS[_SENSOR])
    at += sensor_name(out, at, sensor)
    at += put(out[at], _LOCAL[np.uint64(row["local"])])
    at += put(out[at], _LOCAL_HOW[np.uint64(row["local_how"])])
    at += number(out[at], np.uint64(row["domain"]))
    return at + put(out[at], _ORIENT[np.uint64(row["orient"])]), view


@compiled
def _endpoint(out: Any, at: Any, row: Any, i: Any) -> Any:
    """What one end did, from its address to `last_ns`."""
    end = row["ends"][i]
    at = ip_and_port(out, at, row, i)
    at += put(out[at], _STATE[np.uint64(end["state"])])
    at += number(out[at], end["bytes"])
    at += put(out[at], _KEYS[_IP_BYTES])
    at += number(out[at], end["ip_bytes"])
    at += put(out[at], _KEYS[_PACKETS])
    at += number(out[at], end["packets"])
    at += put(out[at], _KEYS[_RETRANSMITS])
    at += number(out[at], end["retransmits"])
    at += put(out[at], _FLAGS[np.uint64(end["flags"]) & _FLAG_BITS])
    at += nullable(out[at], end["first_ns"])
    at += put(out[at], _KEYS[_LAST])
    return at + nullable(out[at], end["last_ns"])


@compiled
def _options(out: Any, at: Any, end: Any) -> Any:
    """Options of an end's SYN; `null` when its SYN was not seen."""
    if end["flags"] & SYN == 0:
        return at + put(out[at], _KEYS[_NULL])
    at += put(out[at], _KEYS[_MSS])
    at += nullable(out[at], np.int64(end["mss"]))
    at += put(out[at], _KEYS[_WSCALE])
    at += nullable(out[at], np.int64(end["wscale"]))
    at += put(out[at], _SACK[np.uint64(end["sack_permitted"] != 0)])
    return at + put(out[at], _TIMESTAMPS[np.uint64(end["timestamps"] != 0)])


@compiled
def _handshake(out: Any, at: Any, row: Any) -> Any:
    at += put(out[at], _HANDSHAKE[np.uint64(row["handshake"])])
    at += nullable(out[at], row["syn_rtt_ns"])
    at += put(out[at], _KEYS[_ACK_RTT])
    at += nullable(out[at], row["ack_rtt_ns"])
    at += put(out[at], _KEYS[_SYNS])
    at += number(out[at], np.uint64(row["syn_count"]))
    at += put(out[at], _KEYS[_SYNACKS])
    at += number(out[at], np.uint64(row["synack_count"]))
    at += put(out[at], _VALIDATED[np.uint64(row["validated"] != 0)])
    at += nullable(out[at], row["ends"][_ORIG_END]["isn"])
    at += put(out[at], _KEYS[_ISN_RESP])
    at += nullable(out[at], row["ends"][_RESP_END]["isn"])
    at += put(out[at], _KEYS[_OPTIONS])
    at = _options(out, at, row["ends"][_ORIG_END])
    at += put(out[at], _KEYS[_OPTIONS_RESP])
    return _options(out, at, row["ends"][_RESP_END])


@compiled
def _teardown(out: Any, at: Any, row: Any) -> Any:
    at += put(out[at], _TEARDOWN[np.uint64(row["teardown"])])
    at += put(out[at], _SEGMENTS[np.uint64(row["segments"])])
    at += put(out[at], _ACTIVE[np.uint64(row["active_closer"])])
    at += put(out[at], _BY[np.uint64(row["by"])])
    at += put(out[at], _RST_FORM[np.uint64(row["rst_form"])])
    at = cause(out, at, np.uint64(row["cause"]))
    return at + put(out[at], _KEYS[_CLOSE])


@compiled
def _transitions(out: Any, at: Any, row: Any, table: Any) -> Any:
    """All transitions, in one loop: for numba, a function that takes an array counts references at each call."""
    at += put(out[at], _KEYS[_TRANSITIONS])
    first, n = np.uint64(row["log"]), np.uint64(row["log_n"])
    end = first + n + np.uint64(row["revised_n"])
    for i in range(first, end):
        step = table[i]
        if i == first + n:
            at += put(out[at], _KEYS[_REVISED])
        at += put(out[at], _ENDPOINT[np.uint64(step["endpoint"])])
        at += put(out[at], _TO[np.uint64(step["to"])])
        at += put(out[at], _EVENT[np.uint64(step["event"])])
        at += signed(out[at], step["t_ns"])
        if step["lag_ns"] != 0:
            at += put(out[at], _KEYS[_LAG])
            at += signed(out[at], step["lag_ns"])
        if i >= first + n or step["packet_ns"] != step["t_ns"]:
            at += put(out[at], _KEYS[_PACKET if i < first + n else _AGAIN])
            at += signed(out[at], step["packet_ns"])
        if step["certainty"] != 0:
            at += put(out[at], _CERTAINTY[np.uint64(step["certainty"])])
        at += put(out[at], _KEYS[_CLOSE if i + _U1 in (first + n, end) else _NEXT])
    return at


@compiled
def _history(out: Any, at: Any, row: Any) -> Any:
    at += put(out[at], _CONN_STATE[np.uint64(row["conn_state"])])
    for i in range(_WORDS):
        word = np.uint64(row["history"][i])
        for slot in range(_SLOTS):
            letter = (word >> (_BITS * (_SLOTS - _U1 - slot))) & _LETTER
            if letter:
                at += put_char(out[at], _HISTORY[letter])
    return at


@compiled
def _quality(out: Any, at: Any, row: Any) -> Any:
    """From `conn_state` to the end of the line."""
    at = _history(out, at, row)
    at += put(out[at], _KEYS[_COMPLETENESS])
    at += number(out[at], np.uint64(row["completeness"]))
    at += put(out[at], _SIGNATURE[np.uint64(row["signature"])])
    at += put(out[at], _END_CODE[np.uint64(row["end_code"])])
    at += number(out[at], row["dropped"])
    at += put(out[at], _KEYS[_GAP])
    at += number(out[at], row["ends"][_ORIG_END]["gap_bytes"] + row["ends"][_RESP_END]["gap_bytes"])
    at += put(out[at], _KEYS[_ALERTS])
    raised = row["alerts"] & _ALERT_BITS
    more = False
    if raised != np.uint64(0):
        for i in range(_KINDS):
            if (raised >> i) & _U1 != np.uint64(0):
                if more:
                    at += put(out[at], _KEYS[_COMMA])
                at += put(out[at], _ALERT[i])
                more = True
    return at + put(out[at], _KEYS[_TAIL])


@compiled
def write_flows(out: Any, rows: Any, transitions: Any, ids: Any, sensors: Any, spans: Any) -> None:
    """Write a line for each FLOW_RECORD and note in `spans` (SPAN[]) where it and its view_id lie."""
    at = np.uint64(0)
    for i in range(np.uint64(len(rows))):
        row, span, start = rows[i], spans[i], at
        at, view = _who(out, at, row, ids[i], sensors[np.uint64(row["sensor"])])
        at = _endpoint(out, at, row, _ORIG_END)
        at += put(out[at], _KEYS[_RESP])
        at = _endpoint(out, at, row, _RESP_END)
        at = _handshake(out, at, row)
        at = _teardown(out, at, row)
        at = _transitions(out, at, row, transitions)
        at = _quality(out, at, row)
        span["start"], span["end"] = start, at
        span["id_at"], span["id_n"] = view, np.uint64(32)
        span["key_at"], span["key_n"] = view, np.uint64(32)
