"""`frame.protocols`: the names of a frame's layers from the outside in, as far as layers are known here."""

from typing import Final

import numpy as np
import numpy.typing as npt

from sensor.frames import FrameBlock
from sensor.layers import LAYERS
from synfin.packets.names import LINKS
from synfin.packets.stacks import Stacks

_UNDER_ETHERTYPE: Final = {  # what stands between an EtherType and the layer behind it
    0x8847: ("mpls",),
    0x8848: ("mpls",),
    0x8864: ("pppoes", "ppp"),
}
_TUNNEL_PORTS: Final = {4789: "vxlan", 6081: "geneve"}
_GRE: Final = 47
_TYPE_AT: Final = {"eth": 12, "vlan": 2, "sll": 14, "sll2": 0}  # place of the EtherType in a header
_NEXT_AT: Final = {"ip": 9, "ipv6": 6}
_NAMES: Final = {"sll2": "sll"}


def protocols_of(block: FrameBlock, stacks: Stacks) -> npt.NDArray[np.object_]:
    """A text for each frame: `eth:ethertype:ip:tcp`. What TCP and UDP carry is not named."""
    known: dict[tuple[str, ...], str] = {}
    firsts = (LINKS.get(link, ("", ""))[1] for link in block.frames["link"].tolist())
    names = [[first] if first == "raw" else [] for first in firsts]
    between: dict[int, tuple[str, ...]] = {}
    layers = stacks.layers
    for frame, kind, at, end in zip(*(layers[name].tolist() for name in ("frame", "kind", "at", "end")), strict=True):
        name = LAYERS[kind]
        names[frame] += between.get(frame, ())
        names[frame].append(_NAMES.get(name, name))
        between[frame] = _between(stacks, name, at, end)
        names[frame] += ["ethertype"] if name in _TYPE_AT and at + _TYPE_AT[name] + 2 <= end else []
    result = np.empty(len(block), object)
    for i, parts in enumerate(names):
        result[i] = known.setdefault(tuple(parts), ":".join(parts))
    return result


def _between(stacks: Stacks, name: str, at: int, end: int) -> tuple[str, ...]:
    """Names of the headers between a layer and the next that is known."""
    buffer = stacks.buffer
    if name in _TYPE_AT and at + _TYPE_AT[name] + 2 <= end:
        place = at + _TYPE_AT[name]
        return _UNDER_ETHERTYPE.get(int(buffer[place]) << 8 | int(buffer[place + 1]), ())
    if name in _NEXT_AT and at + _NEXT_AT[name] < end:
        return ("gre",) if buffer[at + _NEXT_AT[name]] == _GRE else ()
    if name == "udp" and at + 4 <= end:
        tunnel = _TUNNEL_PORTS.get(int(buffer[at + 2]) << 8 | int(buffer[at + 3]), "")
        return (tunnel, "eth", "ethertype") if tunnel else ()
    return ()
