"""Which packets of a capture pass a filter, by frame numbers."""

import numpy as np

from sensor.pcapfile import CaptureFile
from synfin.filter.check import understand
from synfin.filter.masks import mask
from synfin.packets.table import Context


def tables(path):
    """The tables of a capture's blocks, after a reading before, each with the number of its first frame."""
    before = Context()
    for block in CaptureFile(path).blocks():
        before.table(block, streams=True)
    context = Context(before.streams)
    for block in CaptureFile(path).blocks():
        yield context.table(block, streams=True), block.first_frame + 1


def numbers(path, filters):
    """Frame numbers by filter, of several filters at once."""
    made = [understand(text) if isinstance(text, str) else text for text in filters]
    found = [[] for _ in made]
    for table, first in tables(path):
        for hits, one in zip(found, made, strict=True):
            hits.extend((np.flatnonzero(mask(one, table)) + first).tolist())
    return found


def passing(path, text):
    """Frame numbers of one filter."""
    return numbers(path, [text])[0]
