"""Packets with all that they say: `synfin read -V` and `-T json`."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from sensor.frames import FrameBlock
from sensor.layers import LAYERS
from sensor.pcapfile import CaptureFile
from synfin.filter.fields import FIELDS
from synfin.filter.masks import mask
from synfin.filter.tree import Filter
from synfin.filter.values import Index
from synfin.packets.cells import Cells, Layer
from synfin.packets.detail import LAYER_ITEMS, frame_item
from synfin.packets.detail_http import http_item
from synfin.packets.detail_states import states_item
from synfin.packets.lines import Said
from synfin.packets.selection import Tables
from synfin.packets.table import PacketTable
from synfin.packets.tree import Item, hex_lines, text_lines
from synfin.view.style import Style

_QUOTING: Final = ("icmp", "icmpv6")
_ASKED: Final = (FIELDS["tcp.completeness"], FIELDS["tcp.seq"])  # for which connections are followed, to their end


class _Details:
    """The trees of some packets of a block."""

    def __init__(self, block: FrameBlock, table: PacketTable, keep: Index) -> None:
        self._block = block
        self._cells = Cells(table, keep)
        self._layers: npt.NDArray[np.void] = table.layers
        self._first = np.searchsorted(self._layers["frame"], np.arange(len(block) + 1))

    def of(self, row: int) -> list[Item]:
        """The layers of a packet from the outside in; what an ICMP error quotes is below it."""
        items = [frame_item(Layer(self._cells, row, 1), int(self._block.frames[row]["link"]))]
        quoting: list[int] = []
        for i in range(int(self._first[row]), int(self._first[row + 1])):
            kind = LAYERS[self._layers[i]["kind"]]
            layer = Layer(self._cells, row, int(self._layers[i]["number"]))
            items.append(LAYER_ITEMS[kind](layer))
            if kind in _QUOTING:
                quoting.append(len(items) - 1)
            items += _carried(layer) if kind == "tcp" else []
        for i in reversed(quoting):
            items[i:] = [replace(items[i], below=(*items[i].below, *items[i + 1 :]))]
        return items


def _carried(layer: Layer) -> list[Item]:
    """HTTP in a segment that is new."""
    payload = layer.raw("tcp.payload")
    again = layer.raw("tcp.analysis.retransmission") is not None
    http = http_item(payload) if payload and not again else None
    return [http] if http else []


@dataclass(frozen=True, slots=True)
class Detailed:
    """A packet, when it came, as a tree and as bytes."""

    t_ns: int
    items: list[Item]
    octets: bytes


def text_of(
    capture: CaptureFile, made: Filter | None, said: dict[int, Said], style: Style, *, octets: bool
) -> Iterator[str]:
    """The lines of each packet that passes, an empty one behind it; its bytes too if asked for."""
    for packet in detailed(capture, made, said, style):
        yield from text_lines(packet.items, style)
        yield ""
        if octets:
            yield from hex_lines(packet.octets)
            yield ""


def detailed(capture: CaptureFile, made: Filter | None, said: dict[int, Said], style: Style) -> Iterator[Detailed]:
    """Each packet that passes."""
    tables = Tables([*_ASKED, *(made.fields if made else ())])
    for block in capture.blocks():
        table = tables.of(capture.path, block)
        keep = np.flatnonzero(mask(made, table)) if made else np.arange(table.size)
        details = _Details(block, table, keep)
        for row in keep.tolist():
            states = said.get(row + block.first_frame)
            items = details.of(row) + ([states_item(states, style)] if states else [])
            yield Detailed(int(block.frames[row]["t_ns"]), items, block.octets(row))
