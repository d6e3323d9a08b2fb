"""`contains` and `matches` on bytes that strangers made."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.filter import search
from synfin.filter.check import understand
from synfin.filter.errors import FilterError
from synfin.filter.masks import mask
from synfin.filter.values import Octets
from synfin.packets.table import Context
from tests.support.frames import block, ipv4, tcp

stretches = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted), max_size=8)


@given(
    st.binary(min_size=40, max_size=40) | st.text("ab", min_size=40, max_size=40).map(str.encode), stretches, st.data()
)
def test_contains_finds_what_a_search_of_each_stretch_finds(buffer, places, data):
    wanted = data.draw(st.binary(max_size=3) | st.text("ab", min_size=1, max_size=4).map(str.encode))
    first, end = (np.array([place[i] for place in places], np.int64) for i in (0, 1))
    octets = Octets(np.frombuffer(buffer, np.uint8), first, end)
    assert search.contain(octets, wanted).tolist() == [wanted in buffer[a:b] for a, b in places]


def test_a_pattern_that_tries_without_end_is_refused_where_it_stands(monkeypatch):
    monkeypatch.setattr(search, "PATIENCE_S", 0.2)
    table = Context().table(block([ipv4(tcp(1, 2, payload=b"a" * 64 + b"!"))], link=101), streams=False)
    made = understand('tcp && tcp.payload matches "(a+)+$"')
    with pytest.raises(FilterError) as refused:
        mask(made, table)
    assert made.text[slice(*refused.value.at)] == '"(a+)+$"'
    assert mask(understand('tcp.payload matches "^a+!$"'), table).tolist() == [True]
