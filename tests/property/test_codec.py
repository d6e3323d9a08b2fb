"""Batches come back as they were, compiled or not; from any bytes but whole ones comes a ContractError."""

import hashlib
import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import crc32c
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.compiled import ENABLED
from synfin.errors import ContractError
from synfin.wire.codec import decode, encode
from synfin.wire.key import tuple_hash
from synfin.wire.segment import SEGMENT
from tests.support.batches import any_batch, cut_batches, same
from tests.support.wire_reader import read

MANY = settings(deadline=None, max_examples=100 if ENABLED else 10)
batches = st.builds(
    any_batch,
    seed=st.integers(0, 2**32),
    rows=st.sampled_from((1, 2, 7, 30, 90)),
    flows=st.sampled_from((1, 2, 5, 40)),
    kind=st.sampled_from(("likely", "likely", "wild")),
)
silent = st.builds(any_batch, seed=st.integers(0, 2**32), rows=st.just(0), flows=st.sampled_from((0, 3)))


@MANY
@given(st.one_of(batches, batches, silent))
def test_a_batch_comes_back_as_it_was(batch):
    assert same(decode(encode(batch)), batch)


@MANY
@given(batches)
def test_frame_numbers_stay_behind_and_change_nothing(batch):
    numbered = batch.segments.copy()
    numbered["frame"] = np.arange(len(numbered)) * 77 + 5
    assert encode(replace(batch, segments=numbered)) == encode(batch)


@MANY
@given(batches, st.lists(st.integers(1, 90), min_size=1, max_size=9))
def test_the_same_rows_come_back_however_they_are_cut(batch, sizes):
    parts = [decode(encode(part)) for part in cut_batches(batch.segments, batch.flows, sizes)]
    rows = np.concatenate([part.segments for part in parts])
    flows = np.concatenate([part.flows[part.segments["flow"]] for part in parts])
    assert flows.tobytes() == batch.flows[batch.segments["flow"]].tobytes()
    rows["flow"] = batch.segments["flow"]
    assert rows.tobytes() == batch.segments.tobytes()


@settings(deadline=None, max_examples=60 if ENABLED else 10)
@given(batches)
def test_a_reader_written_from_the_documentation_reads_the_same(batch):
    head, flows, rows = read(encode(batch))
    assert (head["sensor"], head["boot"], head["lane"]) == (batch.lane.sensor, batch.lane.boot, batch.lane.lane)
    for name in (
        "first_ns",
        "last_ns",
        "partition",
        "partitions",
        "number",
        "clock_epoch",
        "captured",
        "dropped",
        "end",
    ):
        assert head[name] == getattr(batch, name)
    assert np.array(rows, SEGMENT).tobytes() == batch.segments.tobytes()
    for row, flow in zip(flows, batch.flows, strict=True):
        ips = [int(flow[end][0]) << 64 | int(flow[end][1]) for end in ("lower_ip", "higher_ip")]
        assert row == (*ips, *(int(flow[name]) for name in ("lower_port", "higher_port", "domain", "family")))


@MANY
@given(batches, st.data())
def test_a_changed_missing_or_added_byte_is_refused(batch, data):
    good = encode(batch)
    at = data.draw(st.integers(0, len(good) - 1))
    changed = bytearray(good)
    changed[at] ^= data.draw(st.integers(1, 255))
    extra = bytes([data.draw(st.integers(0, 255))])
    for wrong in (bytes(changed), good[:at] + good[at + 1 :], good[:at] + extra + good[at:], good[:at], good + extra):
        with pytest.raises(ContractError):
            decode(wrong)


@pytest.mark.parametrize("kind", ["likely", "wild"])
def test_every_single_byte_counts(kind):
    good = encode(any_batch(5, 40, 6, kind))
    for at in range(len(good)):
        for flip in (0x01, 0x80, 0xFF):
            changed = bytearray(good)
            changed[at] ^= flip
            with pytest.raises(ContractError):
                decode(bytes(changed))
        with pytest.raises(ContractError):
            decode(good[:at])


def _signed(data):
    """The bytes with a length and a checksum that hold."""
    data = data[:8] + struct.pack("<I", len(data)) + data[12:]
    return data[:12] + struct.pack("<I", crc32c.crc32c(data[16:])) + data[16:]


def _taken_apart(data):
    """Header and name, and the body decompressed."""
    name_bytes, blocks = data[31], struct.unpack_from("<H", data, 90)[0]
    at = 92 + name_bytes
    table = [struct.unpack_from("<II", data, at + 8 * i) for i in range(blocks)]
    begin, body = at + 8 * blocks, b""
    for stored, raw in table:
        block = data[begin : begin + stored]
        body += block if stored == raw else zstandard.decompress(block)
        begin += stored
    return data[:at], body


def _put_together(head, body):
    """The body as one block, under header and name."""
    packed = zstandard.compress(body)
    block = packed if len(packed) < len(body) else body
    table = struct.pack("<II", len(block), len(body))
    return _signed(head[:90] + struct.pack("<H", 1) + head[92:] + table + block)


def _assert_sound(batch):
    """What the core relies on, whatever the bytes were: nothing points outside, times do not fall, hashes are right."""
    rows, flows = batch.segments, batch.flows
    assert not len(rows) or int(rows["flow"].max()) < len(flows)
    for name, most in (("sender", 2), ("local", 3), ("kind", 1), ("checksum", 2), ("sack_n", 4), ("local_how", 3)):
        assert not len(rows) or int(rows[name].max()) <= most
    times = [batch.first_ns, *rows["t_ns"].tolist(), batch.last_ns]
    assert times == sorted(times)
    assert batch.partition < batch.partitions
    assert 384 % batch.partitions == 0
    for flow in flows:
        words = (*flow["lower_ip"], flow["lower_port"], *flow["higher_ip"], flow["higher_port"])
        assert flow["hash"] == tuple_hash(*(np.uint64(word) for word in words))
        assert int(flow["hash"]) % 384 % batch.partitions == batch.partition
        ends = ((*flow["lower_ip"], flow["lower_port"]), (*flow["higher_ip"], flow["higher_port"]))
        assert ends[0] <= ends[1]
    assert not rows["frame"].any()


flips = st.lists(st.tuples(st.integers(0, 2**20), st.integers(1, 255)), min_size=1, max_size=3)


@settings(deadline=None, max_examples=200 if ENABLED else 20)
@given(batches, flips)
def test_changed_bytes_with_a_good_checksum_give_sound_rows_or_a_contract_error(batch, changes):
    data = bytearray(encode(batch))
    for at, flip in changes:
        data[8 + at % (len(data) - 8)] ^= flip
    try:
        found = decode(_signed(bytes(data)))
    except ContractError:
        return
    _assert_sound(found)


@settings(deadline=None, max_examples=200 if ENABLED else 20)
@given(batches, flips, st.integers(-3, 3))
def test_a_changed_body_with_a_good_checksum_gives_sound_rows_or_a_contract_error(batch, changes, more):
    head, body = _taken_apart(encode(batch))
    body = bytearray(body)
    for at, flip in changes:
        body[-1 - at % len(body)] ^= flip
    body = bytes(body) + b"\x01" * more if more > 0 else bytes(body[: len(body) + more])
    try:
        found = decode(_put_together(head, body))
    except ContractError:
        return
    _assert_sound(found)


@pytest.mark.parametrize("kind", ["likely", "wild"])
def test_thousands_of_changed_bodies_give_sound_rows_or_a_contract_error(kind):
    rng = np.random.default_rng(17)
    outcomes = {"sound": 0, "refused": 0}
    for seed in range(20 if ENABLED else 2):
        head, body = _taken_apart(encode(any_batch(seed, 60, 6, kind)))
        for _ in range(150):
            changed = np.frombuffer(body, np.uint8).copy()
            near_the_end = int(rng.integers(0, 200))  # where the directory is
            at = -1 - near_the_end % len(body) if rng.random() < 0.4 else int(rng.integers(0, len(body)))
            changed[at] ^= int(rng.integers(1, 256))
            try:
                _assert_sound(decode(_put_together(head, changed.tobytes())))
                outcomes["sound"] += 1
            except ContractError:
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 100 * (ENABLED or 0.2)


@settings(deadline=None, max_examples=500 if ENABLED else 30)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_refused(data, begin):
    whole = b"synfin\x00\x01" + data if begin else data
    with pytest.raises(ContractError):
        decode(whole)
    if len(whole) >= 92:
        with pytest.raises(ContractError):
            decode(_signed(b"synfin\x00\x01" + whole[8:]))


def digest(seed):
    """Hash of what encode and decode make of some batches."""
    found = hashlib.sha256()
    for kind in ("likely", "wild"):
        data = encode(any_batch(seed, 200, 20, kind))
        batch = decode(data)
        found.update(data + batch.segments.tobytes() + batch.flows.tobytes())
    return found.hexdigest()


@pytest.mark.skipif(not ENABLED, reason="this run is the plain one")
def test_plain_python_makes_the_same_bytes_and_rows():
    program = "from tests.property.test_codec import digest; print(*map(digest, range(4)))"
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "SYNFIN_COMPILED": "0"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == [digest(seed) for seed in range(4)]
