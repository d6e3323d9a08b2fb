"""A flow record in words: how it opened and how it ended, times and sizes as people write them.

A record is the JSON object of `synfin schema flow`: a connection reads the same from a capture, a file and Kafka.
"""

from collections.abc import Mapping
from typing import Any, Final

from synfin.view.style import safe

Record = Mapping[str, Any]

WHO: Final = {"orig": "originator", "resp": "responder", "both": "both ends"}
_UNITS: Final = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))
_SIZES: Final = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
_MINUTE_NS: Final = 60_000_000_000
HANDSHAKE_WORDS: Final = {
    "unseen": "seen midway",
    "three_way": "three-way",
    "simultaneous": "simultaneous",
    "split": "split handshake",
    "tfo": "fast open",
    "rejected": "refused",
    "rejected_icmp": "unreachable",
    "unanswered": "no answer",
    "half_open": "half-open",
    "invalid": "invalid",
    "aborted": "aborted opening",
}
TEARDOWN_WORDS: Final = {
    "simultaneous": "both closed at once",
    "silent": "gone without a word",
    "idle": "fell silent",
    "reused": "began anew",
}
END_REASON_WORDS: Final = {
    "eof": "open at the end",
    "stopped": "open when stopped",
    "evicted": "evicted",
    "sensor_lost": "sensor lost",
    "clock_step": "clock stepped",
    "idle": "fell silent",
    "reused": "began anew",
}
CLOSES: Final = {"four": "4 segments", "three": "3 segments", "half_close": "half-closed"}
NEVER_OPENED: Final = ("rejected", "rejected_icmp", "unanswered", "half_open", "aborted")
SUSPICIOUS: Final = ("split", "invalid")
PRESUMED: Final = ("presumed", "port")  # orientations that no SYN shows
CAUSE_WORDS: Final = {
    "keepalive": "keep-alive unanswered",
    "retrans_timeout": "retransmissions unanswered",
    "late_data": "data after close",
    "no_socket": "no such connection",
    "unread_data": "unread data",
    "linger0_or_kill": "linger 0 or killed",
    "tamper": "perhaps forged",
}


def duration(ns: int) -> str:
    """A time span to three significant digits: `31.5 µs`, `2 min 5 s`."""
    if ns >= _MINUTE_NS:
        minutes, seconds = divmod(ns // 1_000_000_000, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
    unit, name = next(((unit, name) for unit, name in _UNITS if ns >= unit), (1, "ns"))
    return f"{_significant(ns, unit)} {name}"


def size(count: int) -> str:
    """Bytes as a person writes them: `512 B`, `1.45 kB`."""
    unit, name = next(((unit, name) for unit, name in _SIZES if count >= unit), (1, "B"))
    return f"{_significant(count, unit)} {name}"


def _significant(count: int, unit: int) -> str:
    """A count in units to three significant digits, half a digit rounded up, without zeros at the end."""
    places = 0 if unit == 1 or count >= 100 * unit else 1 if count >= 10 * unit else 2
    digits = (2 * count * 10**places + unit) // (2 * unit)
    whole, fraction = divmod(digits, 10**places)
    return f"{whole}.{fraction:0{places}}".rstrip("0") if fraction else str(whole)


def socket_text(end: Record) -> str:
    """Address and port; an IPv6 address in brackets, as in a URL."""
    ip = safe(str(end["ip"]))
    return f"[{ip}]:{end['port']}" if ":" in ip else f"{ip}:{end['port']}"


def opened(record: Record) -> str:
    """How the connection opened, in few words."""
    shake = record["handshake"]
    words = HANDSHAKE_WORDS.get(shake["kind"], safe(str(shake["kind"])))
    if shake["kind"] in ("unanswered", "half_open"):
        count = shake["syn_count"] if shake["kind"] == "unanswered" else shake["synack_count"]
        what = "SYN" if shake["kind"] == "unanswered" else "SYN,ACK"
        return f"{words}, {count} {what}" if count > 1 else words
    return words if shake["syn_rtt_ns"] is None else f"{words} {duration(shake['syn_rtt_ns'])}"


def ended(record: Record) -> str:
    """How the connection ended and by whom, in few words; nothing where it never opened."""
    end = record["teardown"]
    kind, closer, by = end["kind"], end["active_closer"], end["by"]
    if kind == "orderly":
        how = CLOSES.get(end["segments"], "")
        return f"{closer or '?'} closed" + (f", {how}" if how else "")
    if kind == "abort":
        return f"{by or '?'} reset"
    if kind == "fin_then_rst":
        return f"{closer or '?'} closed, " + ("then reset" if closer == by else f"{by or '?'} reset")
    if kind in TEARDOWN_WORDS:
        return TEARDOWN_WORDS[kind]
    if record["handshake"]["kind"] in NEVER_OPENED:
        return ""
    return END_REASON_WORDS.get(record["end_reason"], "")


def causes(record: Record) -> str:
    """What may have made an endpoint reset; some causes look alike on the wire."""
    return " or ".join(CAUSE_WORDS.get(cause, safe(str(cause))) for cause in record["teardown"]["cause"])


def alert_words(kind: str) -> str:
    """An alert of a kind, which no reader shall miss."""
    return f"ALERT {kind.removeprefix('alert.').replace('_', ' ')}"


def abnormal(record: Record) -> list[str]:
    """What deserves a look: alerts first, then causes, losses and guesses."""
    notes = [alert_words(safe(str(kind))) for kind in record["alerts"]]
    if record["teardown"]["cause"]:
        notes.append(causes(record))
    repeats = record["orig"]["retransmits"] + record["resp"]["retransmits"]
    if repeats:
        notes.append(f"{repeats} retransmitted")
    loss = record["capture_loss"]
    if loss["gap_bytes"]:
        notes.append(f"{size(loss['gap_bytes'])} not captured")
    if loss["dropped"]:
        notes.append(f"sensor dropped {loss['dropped']}")
    if record["handshake"]["kind"] in SUSPICIOUS:
        notes.append("suspicious opening")
    if record["orient"] in PRESUMED:
        notes.append("direction presumed")
    return notes
