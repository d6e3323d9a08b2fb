"""A flow record in whole sentences: how it opened, how it ended and why, and what to be careful about."""

from typing import Final

from synfin.view.style import safe
from synfin.view.words import WHO, Record, causes, duration, size

_REFUSALS: Final = {
    "rejected": "The responder refused: it answered the SYN with a RST, as a host does where nothing listens.",
    "rejected_icmp": "The network refused: an ICMP message said that the responder cannot be reached.",
    "half_open": "The responder answered, but the originator never completed the handshake.",
    "invalid": "The handshake was invalid: an acknowledgment number did not fit.",
    "aborted": "The opening was aborted by a RST before it was complete.",
    "unseen": "The capture began in mid-connection, so the opening was not seen.",
}
_OPENINGS: Final = {
    "three_way": "Opened by a three-way handshake",
    "simultaneous": "Opened from both ends at once",
    "split": "Opened by a split handshake, SYN and ACK of the responder apart, which servers do not send",
    "tfo": "Opened by TCP Fast Open, with data in the SYN",
}
_SEGMENTS: Final = {
    "four": "in four segments: FIN, ACK, FIN, ACK",
    "three": "in three segments: the second FIN carried the ACK of the first",
    "half_close": "and listened on: the other end still sent data before its own FIN",
}


def opening(record: Record) -> str:
    """How it opened."""
    shake = record["handshake"]
    kind = shake["kind"]
    if kind == "unanswered":
        often = f"{shake['syn_count']} times" if shake["syn_count"] > 1 else "once"
        return f"Never opened: the originator asked {often}, and nobody answered."
    if kind not in _OPENINGS:
        return _REFUSALS.get(kind, safe(str(kind)))
    times = [
        f"{duration(shake[key])} from {what}"
        for key, what in (("syn_rtt_ns", "SYN to SYN,ACK"), ("ack_rtt_ns", "SYN,ACK to ACK"))
        if shake[key] is not None
    ]
    return _OPENINGS[kind] + (f", {', '.join(times)}" if times else "") + "."


def ending(record: Record) -> str:
    """How it ended and by whom; empty where it never opened."""
    end = record["teardown"]
    kind, closer = end["kind"], WHO.get(end["active_closer"], "one end")
    by = WHO.get(end["by"], "one end")
    if kind == "orderly":
        return f"Closed by the {closer} (the active closer) {_SEGMENTS.get(end['segments'], '')}".rstrip() + "."
    if kind == "simultaneous":
        return "Closed by both ends at once: the two FINs crossed."
    if kind == "abort":
        return f"Aborted: the {by} sent RST{_why(record)}."
    if kind == "fin_then_rst":
        then = f"and then sent RST{_why(record)}" if closer == by else f"then the {by} sent RST{_why(record)}"
        return f"The {closer} closed, {then}."
    if kind == "silent":
        return "One end was gone without a word: a later packet met a host that knew nothing of the connection."
    if kind == "idle":
        return "Fell silent: no packet for so long that the connection was given up."
    if kind == "reused":
        return "Ended because the same ports began a new connection."
    return _open_end(record)


def _why(record: Record) -> str:
    form = {
        "reply": " as the answer of a host without that connection",
        "foreign": " in a form that fits neither stack",
    }
    how = form.get(record["teardown"]["rst_form"], "")
    known = record["teardown"]["cause"] and record["teardown"]["cause"] != ["no_socket"]  # the form has said that
    return how + (f" ({causes(record)})" if known else "")


def _open_end(record: Record) -> str:
    if record["handshake"]["kind"] in ("rejected", "rejected_icmp", "unanswered", "aborted"):
        return ""
    ends = {
        "eof": "Still open where the capture ends",
        "stopped": "Still open when the capture was stopped",
        "evicted": "Put away to make room",
        "sensor_lost": "The sensor was lost while it was open",
        "clock_step": "Cut here, because the sensor's clock was set back",
    }
    text = ends.get(record["end_reason"])
    states = f"the originator in {record['orig']['state']}, the responder in {record['resp']['state']}"
    return f"{text}: {states}." if text else ""


def cautions(record: Record) -> list[str]:
    """What the record cannot vouch for, and alerts."""
    told = [f"ALERT: {safe(str(kind)).removeprefix('alert.').replace('_', ' ')}." for kind in record["alerts"]]
    loss = record["capture_loss"]
    if loss["gap_bytes"]:
        told.append(f"{size(loss['gap_bytes'])} were acknowledged and never captured.")
    if loss["dropped"]:
        told.append(f"The sensor lost {loss['dropped']} packets, of this or other connections, meanwhile.")
    if record["orient"] in ("presumed", "port"):
        told.append("Who opened was not seen: originator and responder are presumed.")
    return told


def vantage(record: Record) -> str:
    """Where the packets were seen, which decides what is proved."""
    where = {
        "orig": "at the originator's host",
        "resp": "at the responder's host",
        "both": "on the host of both ends",
    }.get(record["local"], "between the hosts")
    if record["local"] != "none" and record["local_how"] == "inferred":
        where += ", to judge by the timing"
    return f"seen {where}"
