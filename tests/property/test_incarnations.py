"""The connections of one tuple that may have a packet in a stretch of time, beside a look at each of them."""

from hypothesis import given
from hypothesis import strategies as st

from synfin.packets.connections import Connection, Tuple

TIMES = st.tuples(st.integers(0, 30), st.integers(0, 10))


@given(st.lists(TIMES, max_size=12), st.integers(0, 40), st.integers(0, 10))
def test_none_that_may_have_a_packet_is_left_out_and_those_at_the_edges_do(spans, first, length):
    connections = [Connection({"start_ns": start, "end_ns": start + size}, True, []) for start, size in spans]
    found = Tuple.of(connections).between(first, first + length)
    meet = [one for one in connections if one.record["end_ns"] >= first and one.record["start_ns"] <= first + length]
    assert all(any(one is other for other in found) for one in meet)
    if found:
        assert found[-1].record["start_ns"] <= first + length
        assert (
            max(one.record["end_ns"] for one in connections if one.record["start_ns"] <= found[0].record["start_ns"])
            >= first
        )
