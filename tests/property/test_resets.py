"""Real RSTs raise no alert of tampering under loss, repetition and disorder at the tap; forged ones do."""

from functools import cache
from random import Random

import numpy as np
import pytest

from processor.tcp.machine import Limits, Machine
from synfin.compiled import ENABLED
from synfin.wire.event import EVENT_KINDS
from synfin.wire.segment import HIGHER, LOWER, RST
from tests.oracle.test_recordings import NAMES, meta
from tests.support.core import KEY, batches_of, rows_of
from tests.support.tile import CAPTURES

SEEDS = 4 if ENABLED else 1
MS = 1_000_000
RESET = [(name, host) for name in NAMES for host in "ab"]


@cache
def recorded(name, host, vantage):
    """Rows and flows, read as at the host or as in the middle."""
    return rows_of(CAPTURES / name / f"{host}.pcap", ",".join(meta(name)[host]) if vantage == "host" else None)


def kinds(rows, flows):
    machine, found = Machine(Limits(), KEY), []
    for batch in batches_of(rows[np.argsort(rows["t_ns"], kind="stable")], flows):
        found += [EVENT_KINDS[kind] for kind in machine.apply(batch).events["kind"]]
    return found


def some(rows, chance, share):
    return np.array([chance.random() < share for _ in range(len(rows))], bool)


def lossy(rows, chance):
    return rows[~some(rows, chance, 0.05)]


def repeated(rows, chance):
    again = rows[some(rows, chance, 0.1)].copy()
    again["t_ns"] += chance.randrange(1, 3 * MS)
    return np.concatenate([rows, again])


def disordered(rows, chance):
    rows, late = rows.copy(), some(rows, chance, 0.2)
    rows["t_ns"][late] += np.array([chance.randrange(3 * MS) for _ in range(late.sum())], np.int64)
    return rows


def all_of_it(rows, chance):
    return disordered(repeated(lossy(rows, chance), chance), chance)


@pytest.mark.parametrize("change", [lossy, repeated, disordered, all_of_it])
@pytest.mark.parametrize("vantage", ["host", "middle"])
def test_no_capture_makes_a_forgery_of_a_real_rst(change, vantage):
    resets = 0
    for name, host in RESET:
        rows, flows = recorded(name, host, vantage)
        resets += bool((rows["flags"] & RST).any())
        for seed in range(SEEDS):
            changed = change(rows, Random(f"{seed} {name} {host}"))
            assert not len(changed) or "alert.tamper" not in kinds(changed, flows), (name, host, seed)
    assert resets > 15


def forged(rows, at, number):
    """A RST in the name of who sent row `at`, 1 ms after it, as a box nearer by writes it."""
    rst = rows[at : at + 1].copy()
    for name, value in {
        "flags": RST,
        "len": 0,
        "ack": 0,
        "options": 0,
        "window": 8192,
        "ip_id": 0,
        "ip_len": 40,
    }.items():
        rst[name] = value
    rst["ttl"] -= 20
    rst["t_ns"] += MS
    rst["seq"] = number
    return rst


BOTH_WAYS = ["client_closes", "server_closes", "half_close", "client_closes_ipv6"]


@pytest.mark.parametrize(("name", "host"), [*((name, host) for name in BOTH_WAYS for host in "ab"), ("bulk", "b")])
def test_a_rst_from_between_raises_the_alert_at_the_host_that_it_goes_to(name, host):
    rows, flows = recorded(name, host, "host")
    local = int(rows["local"][0])
    remote = LOWER if local == HIGHER else HIGHER
    data = np.flatnonzero((rows["sender"] == remote) & (rows["len"] > 0))
    assert len(data)
    for at in data[:3].tolist():
        end = int(rows["seq"][at]) + int(rows["len"][at]) & 0xFFFFFFFF
        assert "alert.tamper" in kinds(np.concatenate([rows, forged(rows, at, end)]), flows), at


def test_a_rst_that_the_host_itself_sends_raises_none():
    rows, flows = recorded("client_closes", "a", "host")
    own = np.flatnonzero((rows["sender"] == rows["local"]) & (rows["len"] > 0)).tolist()
    assert own
    for at in own[:3]:
        end = int(rows["seq"][at]) + int(rows["len"][at]) & 0xFFFFFFFF
        assert "alert.tamper" not in kinds(np.concatenate([rows, forged(rows, at, end)]), flows)
