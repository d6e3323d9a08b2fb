"""A filter says the same of records in memory, as JSON tells them, and in stored files by SQL."""

import json
import random

import numpy as np
import pytest

from synfin.filter.askable import by_records
from synfin.filter.check import understand
from synfin.filter.errors import FilterError
from synfin.filter.fields import FIELDS
from synfin.filter.masks import mask
from synfin.filter.records import RecordTable
from synfin.filter.told import ToldTable
from synfin.query.sql import where
from synfin.query.store import KEYS, Place, Store
from synfin.wire.event import EVENT_RECORD, EVIDENCE, FLOW_RECORD, TRANSITION
from synfin.wire.jsonl import event_lines, flow_lines
from tests.support.filter_maker import Maker
from tests.support.json_records import records_from

ROWS = 60
FILTERS = 900
OF_RECORDS = [field for field in FIELDS.values() if field.flow]
OF_EVENTS_TOO = {"v4", "v6", "all", "v4_ends", "v6_ends", "ports", "flow_id"}
OF_EVENTS = [field for field in OF_RECORDS if field.flow in OF_EVENTS_TOO]


@pytest.fixture(scope="module")
def records():
    """Random flows and events, over all enumerations and both families; some pairs of ends with one address."""
    chance = random.Random(6)
    sizes = ((FLOW_RECORD, ROWS), (TRANSITION, 3 * ROWS), (EVENT_RECORD, ROWS), (EVIDENCE, 2 * ROWS))
    made = records_from(tuple(chance.randbytes(dtype.itemsize * n) for dtype, n in sizes), ("web", "db"))
    for rows in (made.flows, made.events):
        rows["higher_ip"][::7] = rows["lower_ip"][::7]
        rows["higher_port"][::5] = rows["lower_port"][::5]
    made.flows["dropped"] %= np.uint64(1 << 62)
    for name in ("bytes", "ip_bytes", "packets"):  # a count of 2**63 is none that can be
        made.flows["ends"][name] %= np.uint64(1 << 62)
    return made


@pytest.fixture(scope="module")
def store(records, tmp_path_factory):
    path = tmp_path_factory.mktemp("query") / "records.jsonl"
    lines = [*flow_lines(records).values(), *event_lines(records).values()]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return Store([Place(path)])


def by_mask(made, records, events):
    """Whether each record passes, by its key, in memory."""
    lines = (event_lines if events else flow_lines)(records).values()
    keys = [json.loads(line)["id" if events else "view_id"] for line in lines]
    passes = mask(made, RecordTable(records.events if events else records.flows, records.sensors)).tolist()
    return sorted(zip(keys, passes, strict=True))


def by_telling(made, records, events):
    """The same of what JSON tells."""
    lines = (event_lines if events else flow_lines)(records).values()
    told = [json.loads(line) for line in lines]
    passes = mask(made, ToldTable(told)).tolist()
    return sorted((record["id" if events else "view_id"], keep) for record, keep in zip(told, passes, strict=True))


def by_sql(made, store, events):
    """The same from the files."""
    condition, relation = where(made, events=events), "events" if events else "flows"
    answer = store.ask(f"SELECT {KEYS[relation][1]}, {condition.sql} FROM {relation}", condition.parameters)
    return sorted(answer.rows)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("events", [False, True], ids=["flows", "events"])
def test_sql_takes_the_records_that_the_mask_takes(store, records, seed, events):
    table = RecordTable(records.events if events else records.flows, records.sensors)
    maker = Maker(random.Random(seed), [table], OF_EVENTS if events else OF_RECORDS)
    compared = mixed = 0
    for _ in range(FILTERS // 12):
        try:
            text = maker.condition()
            made = understand(text)
        except (FilterError, IndexError):
            continue  # as arithmetic on a text, or a kind of which records have no field
        if not by_records(made):
            continue
        wanted = by_mask(made, records, events)
        assert by_sql(made, store, events) == wanted, text
        assert by_telling(made, records, events) == wanted, text
        compared += 1
        mixed += len({passes for _, passes in wanted}) == 2
    assert compared > FILTERS // 40
    assert mixed > FILTERS // 120


@pytest.mark.parametrize(
    "text",
    [
        "ip.addr == 10.0.0.0/8",
        "ipv6.addr == ::ffff:0:0/96",
        "all ipv6.addr > 8000::",
        "tcp.port / -3 == -1 || -tcp.port % 7 == 3",
        "tcp.port % {tcp.port - tcp.port} == 0",
        "tcp.port == 1 xor ip",
        'synfin.history matches "(?-i)^s"',
        'not synfin.rst_form and synfin.state.orig >= "F"',
        "any tcp.port in {0..20000, 40000..50000}",
        "all tcp.port in {0..40000}",
        "count(ip.addr) == 2 && max(tcp.port, 3) > 30000",
        'upper(synfin.teardown) == "ABORT"',
    ],
)
def test_these_too(store, records, text):
    made = understand(text)
    wanted = by_mask(made, records, events=False)
    assert by_sql(made, store, events=False) == wanted
    assert by_telling(made, records, events=False) == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("frame.len > 3", "frame.len is not known of a connection's record"),
        ("tcp[13] & 2", "there are no bytes of a connection's record"),
        ('synfin.history matches "(?x) S h"', "RE2, which has no"),
    ],
)
def test_what_records_do_not_hold_is_refused_in_words(text, says):
    with pytest.raises(FilterError, match=says.replace("(", r"\(")):
        where(understand(text))


def test_nothing_of_a_filter_s_text_stands_in_the_sql():
    condition = where(understand('synfin.history == "\');--" and tcp.port == 4711'))
    assert "4711" not in condition.sql
    assert "--" not in condition.sql
    assert set(condition.parameters.values()) == {"');--", 4711}
