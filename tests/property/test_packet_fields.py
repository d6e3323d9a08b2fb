"""Whatever stands in a frame, its fields are read from within it, and filters are answered."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

from sensor.pcapfile import CaptureFile
from synfin.filter.check import understand
from synfin.filter.fields import FIELDS, Flow
from synfin.filter.masks import mask
from synfin.filter.values import Octets
from synfin.packets.table import Context
from tests.support.capture_files import pcap, read_all, written

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
PACKET_FIELDS = [field for field in FIELDS.values() if not isinstance(field.source, Flow)]
FILTERS = [understand(f"{field.name} || count({field.name}) > 1 || len({field.name}) == 3") for field in PACKET_FIELDS]
SLICED = [
    understand(text) for text in ('tcp[12:4,-1] matches "a"', "ip#2", "ip[-30:] > 00", 'eth contains "\\x00\\x01"')
]


def damaged(chance, data):
    """The frame with some bytes changed, some left out, or cut."""
    data = bytearray(data)
    for _ in range(chance.randrange(6)):
        data[chance.randrange(len(data))] = chance.choice([0, 0xFF, chance.randrange(256)])
    if chance.random() < 0.3:
        del data[chance.randrange(len(data)) :]
    if chance.random() < 0.2:
        at = chance.randrange(len(data) + 1)
        data[at:at] = chance.choice([b"\x81\x00\x00\x05", bytes(chance.randrange(30)), data[14:34]])
    return bytes(data) or b"\x00"


@pytest.mark.parametrize("seed", range(4))
def test_damaged_frames_have_no_value_from_outside_of_them(tmp_path, seed):
    chance = Random(seed)
    sources = sorted(CAPTURES.glob("*/a.pcap"))
    read = [frame for path in chance.sample(sources, 8) for frame in read_all(path)[1]]
    link = read[0][3]
    frames = [damaged(chance, data) for _, data, _, kind, _ in read if kind == link]
    path = written(tmp_path, pcap([(1000 + i, 0, data) for i, data in enumerate(frames)], link=link))
    context = Context()
    for block in CaptureFile(path).blocks():
        table = context.table(block, streams=True)
        first = block.frames["offset"].astype(np.int64)
        for field in PACKET_FIELDS:
            for found in (table.values(field), table.octets(field)):
                assert (np.diff(found.rows) >= 0).all()
                if isinstance(found.data, Octets) and field.kind.name in ("BYTES", "PROTOCOL"):
                    assert (found.data.first >= first[found.rows]).all(), field.name
                    assert (found.data.end <= (first + block.frames["caplen"])[found.rows]).all(), field.name
            table.texts(field)
        for made in [*FILTERS, *SLICED]:
            assert len(mask(made, table)) == len(block)
