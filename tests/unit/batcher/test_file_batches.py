"""The batches of a capture depend on its frames alone: not on the blocks in which they are read."""

from dataclasses import replace

import pytest

from sensor.batcher import Batcher
from sensor.dissect import Dissector
from sensor.pcapfile import CaptureFile
from synfin.wire.batch import END_OF_FILE, Lane
from synfin.wire.codec import encode
from tests.support.tile import tile


def batches_of(blocks):
    batcher, dissector, found = Batcher(Lane("s", 1, 0), 6, max_age_ns=100_000_000), Dissector(), []
    for block in blocks:
        found += batcher.add(*dissector.dissect(block), 0)
    return [encode(batch) for batch in found + batcher.finish(END_OF_FILE)]


@pytest.mark.parametrize("size", [1, 37, 1000])
def test_frames_in_smaller_blocks_give_the_same_batches(tmp_path, size):
    tile(tmp_path / "tiled.pcapng", 1_500)
    whole = list(CaptureFile(tmp_path / "tiled.pcapng").blocks())
    cut = [
        replace(block, frames=block.frames[at : at + size], first_frame=block.first_frame + at)
        for block in whole
        for at in range(0, len(block), size)
    ]
    assert len(cut) > len(whole)
    batches = batches_of(whole)
    assert batches_of(cut) == batches
    assert len(batches) > 60
