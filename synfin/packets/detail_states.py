"""What synfin itself says of a packet: who sent it, and the states of both ends before and behind it."""

from typing import Final

from synfin.packets.lines import Said
from synfin.packets.tree import Item
from synfin.view.ladder import ENDS
from synfin.view.ladder_words import long_flags
from synfin.view.style import Style
from synfin.view.words import WHO, ended, opened

_ROLES: Final = {"orig": "Originator", "resp": "Responder"}


def states_item(said: Said, style: Style) -> Item:
    """A layer of our own behind those of the packet."""
    packet, record = said.packet, said.record
    lines = [
        Item(f"[Connection: {_connection(said)}]", "synfin.flow_id", str(record["flow_id"])),
        Item("", "synfin.gen", str(record["gen"])),
        Item(f"[Sent by: {WHO[packet.sender]}]", "synfin.sender", packet.sender),
    ]
    for i, end in enumerate(ENDS):
        below = (
            Item("", f"synfin.{end}.before", said.before[i]),
            *(
                Item("", f"synfin.{end}.{name}", value)
                for change in said.changes
                if change.endpoint == end
                for name, value in (("event", change.event), ("certainty", change.certainty))
            ),
        )
        lines.append(Item(f"{_ROLES[end]}: {_way(said, i, style)}", f"synfin.{end}.state", said.states[i], below))
    lines += [Item(f"[{mark.capitalize()}]", "synfin.mark", mark) for mark in packet.marks]
    states = f"{said.states[0]} / {said.states[1]}"
    head = f"synfin, {long_flags(packet.flags)} of the {WHO[packet.sender]}, behind it {states}"
    return Item(head, "synfin", "", tuple(lines), layer=True)


def _connection(said: Said) -> str:
    words = [str(said.record["flow_id"]), opened(said.record), ended(said.record)]
    return ", ".join(word for word in words if word)


def _way(said: Said, i: int, style: Style) -> str:
    """`FIN-WAIT-1 → FIN-WAIT-2 (RX_ACKFIN) → TIME-WAIT (RX_FIN, inferred)`; one state where nothing changed."""
    parts = [said.before[i]]
    for change in said.changes:
        if change.endpoint == ENDS[i]:
            sure = "" if change.certainty == "observed" else f", {change.certainty}"
            parts.append(f"{change.to} ({change.event}{sure})")
    return f" {style.sign('→', '->')} ".join(parts)
