"""The connection that a worker warms its kernels with is a real one, and leaves nothing behind."""

import pytest

from processor.partition import misplaced
from processor.slices import open_partition
from processor.warm import made_up_batch, warm
from synfin.wire.codec import decode, encode


@pytest.mark.parametrize("partitions", [1, 24, 384])
def test_it_goes_the_way_of_every_batch_and_gives_its_records(partitions):
    opened = []

    def open_state(number, values):
        opened.append((number, len(values)))
        return open_partition(number, partitions, None, values)

    batch = made_up_batch(partitions)
    assert misplaced(decode(encode(batch)), batch.partition, partitions) is None
    # a flow, and of events: the handshake, the connection established, the teardown
    # counts of the service and of the source, and for each partition that the capture ended
    assert warm(partitions, open_state, decode) == 4 + 2 + partitions
    assert opened == [(batch.partition, 0), (batch.partition, 1 + 384 // partitions)]  # and the counts
