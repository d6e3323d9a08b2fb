"""Kernel that writes flow records as JSON lines, in the order of keys of the schema (schema/flow.v1.json)."""

from typing import Any, Final

import numpy as np

from synfin.compiled import compiled
from synfin.wire.event import (
    CERTAINTIES,
    END_REASONS,
    ENDPOINTS,
    EVENT_KINDS,
    HANDSHAKES,
    LOCAL,
    LOCAL_HOW,
    MICRO_EVENTS,
    ORIENT,
    RST_FORMS,
    SEGMENTS,
    SIDES,
    STATES,
    TEARDOWNS,
)
from synfin.wire.json_parts import FLAG_BITS, cause, enumeration, ip_and_port, seen_flags
from synfin.wire.segment import SYN
from synfin.wire.text import base64_160, hex_128, nullable, number, pieces, put, signed

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
        "}",
        "},",
        '],"completeness":',
        ',"capture_loss":{"dropped":',
        ',"gap_bytes":',
        '},"alerts":[',
        ",",
        "]}\n",
    ]
)
(
    (_HEAD, _GEN, _COMMUNITY, _START, _END, _SENSOR, _RESP, _IP_BYTES, _PACKETS, _RETRANSMITS, _LAST, _ACK_RTT),
    (_SYNS, _SYNACKS, _ISN_RESP, _OPTIONS, _OPTIONS_RESP, _MSS, _WSCALE, _NULL, _TRANSITIONS, _LAG, _PACKET),
    (_CLOSE, _NEXT, _COMPLETENESS, _DROPPED, _GAP, _ALERTS, _COMMA, _TAIL),
) = (tuple(np.uint64(n) for n in part) for part in (range(12), range(12, 23), range(23, 31)))
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
_ALERT: Final = enumeration("", EVENT_KINDS, "")
_ALERT_BITS: Final = np.uint64(sum(1 << i for i, kind in enumerate(EVENT_KINDS) if kind.startswith("alert.")))
_KINDS: Final = np.uint64(len(EVENT_KINDS))
_FLAG_BITS: Final = np.uint64(FLAG_BITS)
_ORIG_END, _RESP_END = np.uint64(0), np.uint64(1)
_U1: Final = np.uint64(1)


@compiled
def _who(words: Any, at: Any, row: Any, ids: Any, sensor: Any) -> Any:
    """From the beginning to `orient`: ids, time, vantage. Also returns where the view_id begins."""
    at = put(words, at, _KEYS, _HEAD)
    at = hex_128(words, at, ids["flow"])
    at = put(words, at, _KEYS, _GEN)
    at = number(words, at, np.uint64(row["gen"]))
    at = put(words, at, _KEYS, _COMMUNITY)
    at = base64_160(words, at, ids["community"])
    at = put(words, at, _KEYS, _START)
    at = signed(words, at, row["start_ns"])
    at = put(words, at, _KEYS, _END)
    at = signed(words, at, row["end_ns"])
    view = put(words, at, _END_REASON, np.uint64(row["end_reason"]))
    at = hex_128(words, view, ids["view"])
    at = put(words, at, _KEYS, _SENSOR)
    for i in range((sensor["n"] + np.uint64(7)) >> np.uint64(3)):
        words[at + (i << np.uint64(3))]["w"] = sensor["w"][i]
    at = put(words, at + sensor["n"], _LOCAL, np.uint64(row["local"]))
    at = put(words, at, _LOCAL_HOW, np.uint64(row["local_how"]))
    at = number(words, at, np.uint64(row["domain"]))
    return put(words, at, _ORIENT, np.uint64(row["orient"])), view


@compiled
def _endpoint(words: Any, at: Any, row: Any, i: Any) -> Any:
    """What one end did, from its address to `last_ns`."""
    end = row["ends"][i]
    at = ip_and_port(words, at, row, i)
    at = put(words, at, _STATE, np.uint64(end["state"]))
    at = number(words, at, end["bytes"])
    at = put(words, at, _KEYS, _IP_BYTES)
    at = number(words, at, end["ip_bytes"])
    at = put(words, at, _KEYS, _PACKETS)
    at = number(words, at, end["packets"])
    at = put(words, at, _KEYS, _RETRANSMITS)
    at = number(words, at, end["retransmits"])
    at = put(words, at, _FLAGS, np.uint64(end["flags"]) & _FLAG_BITS)
    at = nullable(words, at, end["first_ns"])
    at = put(words, at, _KEYS, _LAST)
    return nullable(words, at, end["last_ns"])


@compiled
def _options(words: Any, at: Any, end: Any) -> Any:
    """Options of an end's SYN; `null` when its SYN was not seen."""
    if end["flags"] & SYN == 0:
        return put(words, at, _KEYS, _NULL)
    at = put(words, at, _KEYS, _MSS)
    at = nullable(words, at, end["mss"])
    at = put(words, at, _KEYS, _WSCALE)
    at = nullable(words, at, end["wscale"])
    at = put(words, at, _SACK, np.uint64(end["sack_permitted"] != 0))
    return put(words, at, _TIMESTAMPS, np.uint64(end["timestamps"] != 0))


@compiled
def _handshake(words: Any, at: Any, row: Any) -> Any:
    at = put(words, at, _HANDSHAKE, np.uint64(row["handshake"]))
    at = nullable(words, at, row["syn_rtt_ns"])
    at = put(words, at, _KEYS, _ACK_RTT)
    at = nullable(words, at, row["ack_rtt_ns"])
    at = put(words, at, _KEYS, _SYNS)
    at = number(words, at, np.uint64(row["syn_count"]))
    at = put(words, at, _KEYS, _SYNACKS)
    at = number(words, at, np.uint64(row["synack_count"]))
    at = put(words, at, _VALIDATED, np.uint64(row["validated"] != 0))
    at = nullable(words, at, row["ends"][_ORIG_END]["isn"])
    at = put(words, at, _KEYS, _ISN_RESP)
    at = nullable(words, at, row["ends"][_RESP_END]["isn"])
    at = put(words, at, _KEYS, _OPTIONS)
    at = _options(words, at, row["ends"][_ORIG_END])
    at = put(words, at, _KEYS, _OPTIONS_RESP)
    return _options(words, at, row["ends"][_RESP_END])


@compiled
def _teardown(words: Any, at: Any, row: Any) -> Any:
    at = put(words, at, _TEARDOWN, np.uint64(row["teardown"]))
    at = put(words, at, _SEGMENTS, np.uint64(row["segments"]))
    at = put(words, at, _ACTIVE, np.uint64(row["active_closer"]))
    at = put(words, at, _BY, np.uint64(row["by"]))
    at = put(words, at, _RST_FORM, np.uint64(row["rst_form"]))
    at = cause(words, at, np.uint64(row["cause"]))
    return put(words, at, _KEYS, _CLOSE)


@compiled
def _transition(words: Any, at: Any, step: Any) -> Any:
    """One transition without its closing brace."""
    at = put(words, at, _ENDPOINT, np.uint64(step["endpoint"]))
    at = put(words, at, _TO, np.uint64(step["to"]))
    at = put(words, at, _EVENT, np.uint64(step["event"]))
    at = signed(words, at, step["t_ns"])
    if step["lag_ns"] != 0:
        at = signed(words, put(words, at, _KEYS, _LAG), step["lag_ns"])
    if step["packet_ns"] != step["t_ns"]:
        at = signed(words, put(words, at, _KEYS, _PACKET), step["packet_ns"])
    if step["certainty"] != 0:
        at = put(words, at, _CERTAINTY, np.uint64(step["certainty"]))
    return at


@compiled
def _transitions(words: Any, at: Any, row: Any, table: Any) -> Any:
    at = put(words, at, _KEYS, _TRANSITIONS)
    first, n = np.uint64(row["log"]), np.uint64(row["log_n"])
    for i in range(first, first + n):
        at = _transition(words, at, table[i])
        at = put(words, at, _KEYS, _NEXT if i + _U1 < first + n else _CLOSE)
    return at


@compiled
def _quality(words: Any, at: Any, row: Any) -> Any:
    """From `completeness` to the end of the line."""
    at = put(words, at, _KEYS, _COMPLETENESS)
    at = number(words, at, np.uint64(row["completeness"]))
    at = put(words, at, _KEYS, _DROPPED)
    at = number(words, at, row["dropped"])
    at = put(words, at, _KEYS, _GAP)
    at = number(words, at, row["ends"][_ORIG_END]["gap_bytes"] + row["ends"][_RESP_END]["gap_bytes"])
    at = put(words, at, _KEYS, _ALERTS)
    raised = row["alerts"] & _ALERT_BITS
    more = False
    if raised != np.uint64(0):
        for i in range(_KINDS):
            if (raised >> i) & _U1 != np.uint64(0):
                at = put(words, at, _KEYS, _COMMA) if more else at
                at = put(words, at, _ALERT, i)
                more = True
    return put(words, at, _KEYS, _TAIL)


@compiled
def write_flows(words: Any, rows: Any, transitions: Any, ids: Any, sensors: Any, spans: Any) -> None:
    """Write a line for each FLOW_RECORD and note in `spans` (SPAN[]) where it and its view_id lie."""
    at = np.uint64(0)
    for i in range(np.uint64(len(rows))):
        row, span, start = rows[i], spans[i], at
        at, view = _who(words, at, row, ids[i], sensors[np.uint64(row["sensor"])])
        at = _endpoint(words, at, row, _ORIG_END)
        at = _endpoint(words, put(words, at, _KEYS, _RESP), row, _RESP_END)
        at = _handshake(words, at, row)
        at = _teardown(words, at, row)
        at = _transitions(words, at, row, transitions)
        at = _quality(words, at, row)
        span["start"], span["end"] = start, at
        span["id_at"], span["id_n"] = view, np.uint64(32)
        span["key_at"], span["key_n"] = view, np.uint64(32)
