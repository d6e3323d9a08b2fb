"""A connection in words: how it opened, what it carried, how it ended, how sure that is; then the packets behind it.

Made of a flow record and its events, so it reads the same from a capture and from what was stored.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import groupby
from textwrap import wrap
from typing import Final

from synfin.view.ladder_words import named_flags
from synfin.view.sentences import cautions, ending, opening, vantage
from synfin.view.style import Style, safe
from synfin.view.words import WHO, Record, duration, size, socket_text

_SURE: Final = {
    "observed": "seen in the packets",
    "inferred": "proved by the packets, but not the moment",
    "assumed": "assumed: nothing contradicts it, nothing proves it",
    "presumed": "presumed, because the beginning was not seen",
    "timer": "concluded from silence, by a timer",
}
_ROLES: Final = {
    "syn": "the SYN",
    "synack": "the SYN,ACK",
    "ack": "the ACK that completes the handshake",
    "fin_orig": "the originator's FIN",
    "fin_resp": "the responder's FIN",
    "rst": "the RST",
    "trigger": "what called for it",
    "contradiction": "what contradicts it",
}
_UNTOLD: Final = ("transition", "established")  # the first stand in the record, the second says what a handshake says


def explain(
    flow: Record, events: Sequence[Record], style: Style, width: int, zone: tzinfo | None = None
) -> Iterator[str]:
    """Lines; `events` are those of the flow's view, in their order. Times are local without a zone."""
    start = datetime.fromtimestamp(flow["start_ns"] // 1_000_000_000, UTC).astimezone(zone)
    arrow = style.sign("→", ">")
    yield style.paint(f"{socket_text(flow['orig'])} {arrow} {socket_text(flow['resp'])}", "strong")
    when = f"{start:%Y-%m-%d %H:%M:%S}.{flow['start_ns'] % 1_000_000_000 // 1000:06}"
    span = duration(max(0, flow["end_ns"] - flow["start_ns"]))
    yield style.paint(f"{when}, {span}, {vantage(flow)} (sensor {safe(str(flow['sensor']))})", "faint")
    yield ""
    told = [opening(flow), _carried(flow), ending(flow), _how_sure(flow), *_taken_back(events), *cautions(flow)]
    yield from wrap(" ".join(sentence for sentence in told if sentence), width)
    for together in _by_evidence(events):
        yield ""
        yield from _resting(together, flow["start_ns"], style)


def _by_evidence(events: Sequence[Record]) -> Iterator[list[Record]]:
    """Events that rest on packets; those in a row that rest on the same together, as an end and its alert."""
    told = (event for event in events if event["kind"] not in (*_UNTOLD, "revised") and event["evidence"])
    for _, together in groupby(told, key=lambda event: (event["evidence"], event["certainty"])):
        yield list(together)


def _carried(flow: Record) -> str:
    """What each end sent."""
    parts = []
    for end in ("orig", "resp"):
        its = flow[end]
        if not its["packets"]:
            parts.append(f"of the {WHO[end]} no packet was seen")
            continue
        packets = f"{its['packets']} packet{'s' if its['packets'] > 1 else ''}"
        again = f", {its['retransmits']} of them again" if its["retransmits"] else ""
        what = size(its["bytes"]) if its["bytes"] else "no data"
        parts.append(f"the {WHO[end]} sent {what} in {packets}{again}")
    text = "; ".join(parts) + "."
    return text[0].upper() + text[1:]


def _how_sure(flow: Record) -> str:
    """What is known of the last state of each end."""
    parts = []
    for end in ("orig", "resp"):
        steps = [step for step in flow["transitions"] if step["endpoint"] == end]
        if not steps:
            continue
        sure = _SURE.get(steps[-1].get("certainty", "observed"), "")
        parts.append(f"the {WHO[end]} is last {steps[-1]['to']} ({sure})")
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _taken_back(events: Sequence[Record]) -> list[str]:
    kinds = [safe(str(event["corrects"]).split("/")[1]) for event in events if event["kind"] == "revised"]
    said = [kind for kind in dict.fromkeys(kinds) if kind not in _UNTOLD]
    return [f"Later packets took back what had been said before: {', '.join(said)}."] if said else []


def _resting(events: Sequence[Record], start_ns: int, style: Style) -> Iterator[str]:
    """Events and the packets that they rest on."""
    event = events[0]
    names = ", ".join(style.paint(safe(str(each["kind"])), "strong") for each in events)
    sure = _SURE.get(event["certainty"], safe(str(event["certainty"])))
    yield f"{names}  {style.paint(sure, 'faint')}"
    rows = []
    for packet in event["evidence"]:
        numbers = f"seq {packet['seq']}" + (f" ack {packet['ack']}" if "." in packet["flags"] else "")
        numbers += f" len {packet['len']}" if packet["len"] else ""
        after = packet["t_ns"] - start_ns
        sender = WHO.get(packet["from"], safe(str(packet["from"])))
        moment = f"+{duration(after)}" if after >= 0 else f"-{duration(-after)}"
        said = f"{named_flags(safe(packet['flags']))} {numbers}"
        rows.append((moment, sender, said, _ROLES.get(packet["role"] or "", "")))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for moment, sender, said, role in rows:
        yield f"  {moment:>{widths[0]}}  {sender:<{widths[1]}}  {said:<{widths[2]}}  {role}".rstrip()
