"""Rows of the output: a finished view as a flow record, and what happens to one as events."""

from typing import Any, Final

import numpy as np

from processor.tcp.layout import (
    ISS_KNOWN,
    LOG_ROWS,
    NO_WSCALE,
    PACKET_ROWS,
    RST_TAKEN,
    SACK_OK,
    STRUCK_OUT,
    TS_OK,
    VIEW_VALID,
    VIEW_WANTED,
)
from processor.tcp.seqnum import distance, plus
from processor.tcp.signature import signature
from processor.tcp.story import (
    TD_ORDERLY,
    TD_SIMULTANEOUS,
    close_segments,
    end_code,
    handshake,
    originator,
    role_of,
    teardown,
)
from processor.tcp.zeek import conn_state
from synfin.compiled import inner
from synfin.wire.event import CAUSES, EVENT_KINDS, HISTORY_WORDS, TALLIES
from synfin.wire.kinds import SEVERITY_OF_KIND
from synfin.wire.segment import BOTH, HIGHER, LOWER

SEVERITY: Final = np.array(SEVERITY_OF_KIND, np.uint8)
KIND_TAMPER: Final = EVENT_KINDS.index("alert.tamper")
TAMPER: Final = 1 << CAUSES.index("tamper")
ROLE_SYN: Final = 1  # as in event.ROLES
ROLE_SYNACK: Final = 2
ROLE_ACK: Final = 3
ROLE_FIN_ORIG: Final = 4
ROLE_RST: Final = 6
ROLE_CONTRADICTION: Final = 8
TALLY_SYN: Final = TALLIES.index("syn")
TALLY_ANSWERED: Final = TALLIES.index("answered")
TALLY_STRAY_SYNACK: Final = TALLIES.index("stray_synack")
TALLY_STRAY_RST: Final = TALLIES.index("stray_rst")
_NONE: Final = np.uint64(0)
_ONE: Final = np.uint64(1)


@inner
def _identify(record: Any, view: Any, lane: Any) -> None:
    record["hash"] = view["hash"]
    for half in range(2):
        record["lower_ip"][half] = view["lower_ip"][half]
        record["higher_ip"][half] = view["higher_ip"][half]
    record["lower_port"] = view["lower_port"]
    record["higher_port"] = view["higher_port"]
    record["domain"] = view["domain"]
    record["start_ns"] = view["start_ns"]
    record["id_isn"] = view["id_isn"]
    record["first_seq"] = view["first_seq"]
    record["sensor"] = lane["sensor"]
    record["gen"] = view["gen"]
    record["orig"] = view["orig"]
    record["family"] = view["family"]


@inner
def _summarise(summary: Any, me: Any) -> None:
    summary["bytes"] = me["bytes"]
    summary["ip_bytes"] = me["ip_bytes"]
    summary["packets"] = me["packets"]
    summary["retransmits"] = me["retransmits"]
    summary["gap_bytes"] = me["gap_bytes"]
    summary["first_ns"] = me["first_ns"] if me["packets"] else -1
    summary["last_ns"] = me["last_ns"] if me["packets"] else -1
    summary["isn"] = np.int64(me["iss"]) if me["bits"] & ISS_KNOWN else -1
    summary["mss"] = np.int64(me["mss"]) if me["mss"] else -1
    summary["wscale"] = np.int64(me["wscale"]) if me["wscale"] != NO_WSCALE and me["syn_count"] else -1
    summary["flags"] = me["flags"]
    summary["state"] = me["state"]
    summary["sack_permitted"] = 1 if me["bits"] & SACK_OK else 0
    summary["timestamps"] = 1 if me["bits"] & TS_OK else 0


@inner
def _local(view: Any) -> Any:
    """Index of LOCAL: which end, by role, is the capturing host's."""
    local = np.int64(view["local"])
    if local in (LOWER, HIGHER):
        return 1 if local == np.int64(view["orig"]) else 2
    return 3 if local == BOTH else 0


@inner
def _copy_log(core: Any, view: Any, struck_out: Any) -> Any:
    """Write the view's transitions, or (STRUCK_OUT) those of them that were told and taken back; how many."""
    control = core.control[_NONE]
    at = control["transitions_n"]
    orig = originator(view)
    block, place = np.uint64(view["log_head"]), _NONE
    n = _NONE
    for _ in range(np.int64(view["steps"])):
        if place == np.uint64(LOG_ROWS):
            block, place = np.uint64(core.log[block]["next"]), _NONE
        row = core.log[block]["rows"][place]
        place += _ONE
        if row["to"] and row["to"] & STRUCK_OUT == struck_out:
            written = core.transitions[at + n]
            written["t_ns"] = row["t_ns"]
            written["lag_ns"] = row["lag_ns"]
            written["packet_ns"] = row["packet_ns"]
            written["endpoint"] = 0 if np.uint64(row["side"]) == orig else 1
            written["to"] = row["to"] ^ struck_out
            written["event"] = row["event"]
            written["certainty"] = row["certainty"]
            written["from"] = 0
            n += _ONE
    control["transitions_n"] = at + n
    return n


@inner
def write_flow(core: Any, view: Any, reason: Any) -> None:
    """Write the record of a view that ends."""
    control = core.control[_NONE]
    queue = core.queues[np.uint64(view["queue"])]
    lane = core.lanes[np.uint64(view["lane"])]
    own = core.slices[np.uint64(queue["own"])]
    record = core.flows[control["flows_n"]]
    control["flows_n"] += _ONE
    own["n_flows"] += _ONE
    _identify(record, view, lane)
    record["slice"] = queue["slice"]
    record["n"] = own["n_flows"]
    record["end_ns"] = view["last_ns"]
    record["syn_rtt_ns"] = view["syn_rtt_ns"]
    record["ack_rtt_ns"] = view["ack_rtt_ns"]
    began = view["dropped"] if view["dropped"] <= lane["dropped"] else _NONE  # the sensor may have begun anew
    record["dropped"] = lane["dropped"] - began
    record["log"] = control["transitions_n"]
    record["log_n"] = _copy_log(core, view, np.uint8(0))
    record["revised_n"] = _copy_log(core, view, np.uint8(STRUCK_OUT)) if view["revisions"] else 0
    record["end_reason"] = reason
    record["local"] = _local(view)
    record["local_how"] = view["local_how"]
    record["orient"] = view["orient"]
    record["handshake"] = handshake(view)
    record["validated"] = 1 if view["marks"] & VIEW_VALID else 0
    kind = teardown(view, reason)
    record["teardown"] = kind
    record["segments"] = close_segments(view) if kind == TD_ORDERLY else 0
    record["active_closer"] = 3 if kind == TD_SIMULTANEOUS else role_of(view, np.int64(view["first_closer"]))
    record["by"] = role_of(view, np.int64(view["reset_by"]))
    record["rst_form"] = view["rst_form"]
    record["cause"] = cause_of(view)
    record["conn_state"] = conn_state(view)
    for i in range(HISTORY_WORDS):
        record["history"][i] = view["zeek"]["history"][i]
    record["completeness"] = view["completeness"]
    record["signature"] = signature(view, reason)
    record["end_code"] = end_code(reason, np.int64(record["handshake"]))
    record["alerts"] = view["alerts"]
    record["wanted"] = 1 if view["marks"] & VIEW_WANTED else 0
    orig = originator(view)
    o, r = view["ends"][orig], view["ends"][_ONE - orig]
    record["syn_count"] = o["syn_count"]
    record["synack_count"] = r["syn_count"]
    _summarise(record["ends"][_NONE], o)
    _summarise(record["ends"][_ONE], r)


@inner
def write_tally(core: Any, tuple_row: Any, queue: Any, t_ns: Any, sender: Any, kind: Any) -> None:
    """Count what an end (LOWER or HIGHER) of the tuple of a FLOW or a VIEW did, before anything can make way for it."""
    control = core.control[_NONE]
    tally = core.tallies[control["tallies_n"]]
    control["tallies_n"] += _ONE
    tally["t_ns"] = t_ns
    for half in range(2):
        tally["lower_ip"][half] = tuple_row["lower_ip"][half]
        tally["higher_ip"][half] = tuple_row["higher_ip"][half]
    tally["lower_port"] = tuple_row["lower_port"]
    tally["higher_port"] = tuple_row["higher_port"]
    tally["domain"] = tuple_row["domain"]
    tally["family"] = tuple_row["family"]
    tally["sensor"] = core.lanes[np.uint64(queue["lane"])]["sensor"]
    tally["slice"] = queue["slice"]
    tally["kind"] = kind
    tally["sender"] = HIGHER if sender == HIGHER else LOWER


@inner
def cause_of(view: Any) -> Any:
    """Why a RST that counted was sent, bits by index of CAUSES: perhaps not by the endpoint that it names."""
    counted = view["reset_by"] or (view["ends"][_NONE]["bits"] | view["ends"][_ONE]["bits"]) & RST_TAKEN
    forged = counted and view["alerts"] & np.uint64(1 << KIND_TAMPER)
    return np.int64(view["cause"]) | (TAMPER if forged else 0)


@inner
def write_event(core: Any, view: Any, kind: Any, ts_ns: Any, k: Any) -> Any:
    """Begin an event of a view; the row, for the caller to fill in the rest."""
    control = core.control[_NONE]
    queue = core.queues[np.uint64(view["queue"])]
    own = core.slices[np.uint64(queue["own"])]
    event = core.events[control["events_n"]]
    control["events_n"] += _ONE
    own["n_events"] += _ONE
    _identify(event, view, core.lanes[np.uint64(view["lane"])])
    event["slice"] = queue["slice"]
    event["n"] = own["n_events"]
    event["kind"] = kind
    event["ts_ns"] = ts_ns
    event["k"] = k
    event["value_ns"] = -1
    event["certainty"] = 0
    event["severity"] = SEVERITY[np.uint64(kind)]
    event["by"] = 0
    event["endpoint"] = 0
    event["from"] = 0
    event["to"] = 0
    event["event"] = 0
    event["rst_form"] = 0
    event["cause"] = 0
    event["corrects"] = 0
    event["corrects_k"] = 0
    event["tests"] = 0
    event["score"] = 0
    event["evidence"] = control["evidence_n"]
    event["evidence_n"] = 0
    return event


@inner
def write_evidence(core: Any, view: Any, event: Any, closing: Any) -> None:
    """Name the packets that an event rests on: those of the opening, or those of the closing."""
    block, place = np.uint64(view["packets_head"]), _NONE
    for _ in range(np.int64(view["packets_n"])):
        if place == np.uint64(PACKET_ROWS):
            block, place = np.uint64(core.packets[block]["next"]), _NONE
        packet = core.packets[block]["rows"][place]
        place += _ONE
        if closing == (packet["role"] >= ROLE_FIN_ORIG):
            cite(core, view, event, packet, np.int64(packet["side"]), packet["role"])


@inner
def cite_last(core: Any, view: Any, event: Any) -> None:
    """Name the packet that came just now as what an event rests on, where there was room to keep it."""
    if not view["packets_n"]:
        return
    last = (np.uint64(view["packets_n"]) - _ONE) % np.uint64(PACKET_ROWS)
    packet = core.packets[np.uint64(view["packets_tail"])]["rows"][last]
    if packet["t_ns"] == event["ts_ns"]:
        cite(core, view, event, packet, np.int64(packet["side"]), ROLE_CONTRADICTION)


@inner
def cite(core: Any, view: Any, event: Any, packet: Any, side: Any, role: Any) -> None:
    """Name a packet (PACKET_SEEN or SEGMENT) of an end as what an event rests on."""
    control = core.control[_NONE]
    row = core.evidence[control["evidence_n"]]
    control["evidence_n"] += _ONE
    event["evidence_n"] += 1
    row["t_ns"] = packet["t_ns"]
    row["seq"] = _relative(view["ends"][np.uint64(side)], packet["seq"])
    row["ack"] = _relative(view["ends"][np.uint64(1 - side)], packet["ack"]) if packet["flags"] & 0x10 else 0
    row["len"] = packet["len"]
    row["flags"] = packet["flags"]
    row["from"] = 0 if np.uint64(side) == originator(view) else 1
    row["role"] = role


@inner
def _relative(me: Any, seq: Any) -> Any:
    if me["bits"] & ISS_KNOWN and distance(seq, me["iss"]) >= -1:
        return plus(seq, -np.int64(me["iss"]))
    return np.int64(seq)
