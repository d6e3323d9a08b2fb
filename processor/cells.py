"""The kernel that adds to the open cells of the first stage what the core wrote.

Cells lie in the order in which they were begun, and a hash table finds them by their key. It is keyed at random, so
that nobody can aim collisions, and no record depends on it.
"""

from typing import Any, Final

import numpy as np

from processor.cell import NEVER_NS, NOBODY, ROOM, SERVICE, SLOTS, SOURCE, STRAY, SUMS_MAX, open_cells
from synfin.compiled import compiled, inner
from synfin.wire.counts import MEMBERS_MAX, SUMS, TARGETS_MAX, WINDOW_NS
from synfin.wire.event import ENDPOINTS, EVENT_KINDS, ROLES, RST_FORMS, SIDES, TALLIES
from synfin.wire.segment import HIGHER

_OF_SERVICE: Final = tuple(SUMS["service"])
_SYNS: Final = _OF_SERVICE.index("syns")
_ANSWERED: Final = _OF_SERVICE.index("answered")
_OPENED: Final = _OF_SERVICE.index("opened")
_ABORTED_ORIG: Final = _OF_SERVICE.index("aborted_orig")
_ABORTED_RESP: Final = _OF_SERVICE.index("aborted_resp")
_KILLED: Final = _OF_SERVICE.index("killed")
_STUCK: Final = _OF_SERVICE.index("stuck")
_SOURCE_OPENED: Final = tuple(SUMS["source"]).index("opened")
_SOURCE_FAILED: Final = tuple(SUMS["source"]).index("failed")

# What an event of each kind counts as: _FAILED and the number of a service's sum where that has one.
_NOTHING: Final = 0
_HANDSHAKE: Final = 1
_ABORT: Final = 2
_CLOSE_WAIT: Final = 3
_IN_VAIN: Final = 4
_FAILED: Final = 5
_EVENTS: Final = {
    **{f"handshake.{kind}": _HANDSHAKE for kind in ("three_way", "simultaneous", "split", "tfo")},
    "handshake.rejected": _FAILED + _OF_SERVICE.index("refused"),
    "handshake.rejected_icmp": _FAILED + _OF_SERVICE.index("refused"),
    "handshake.unanswered": _FAILED + _OF_SERVICE.index("unanswered"),
    "handshake.aborted": _IN_VAIN,
    "teardown.abort": _ABORT,
    "stuck.close_wait": _CLOSE_WAIT,
}
_COUNTS_AS: Final = np.array([_EVENTS.get(kind, _NOTHING) for kind in EVENT_KINDS], np.uint8)
_ORIG: Final = SIDES.index("orig")
_RESP: Final = SIDES.index("resp")
_BY_RESP: Final = ENDPOINTS.index("resp")
_ROLE_RST: Final = ROLES.index("rst")
_ABORT_FORM: Final = RST_FORMS.index("abort")
_TALLY_SYN: Final = TALLIES.index("syn")
_TALLY_ANSWERED: Final = TALLIES.index("answered")

_NONE: Final = np.uint64(0)
_U1: Final = np.uint64(1)
_U11: Final = np.uint64(11)
_U27: Final = np.uint64(27)
_U30: Final = np.uint64(30)
_U31: Final = np.uint64(31)
_U32: Final = np.uint64(32)
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_M0: Final = np.uint64(0xBF58476D1CE4E5B9)
_M1: Final = np.uint64(0x94D049BB133111EB)


@inner
def _high(row: Any, of_higher: Any) -> Any:
    return np.uint64(row["higher_ip"][_NONE]) if of_higher else np.uint64(row["lower_ip"][_NONE])


@inner
def _low(row: Any, of_higher: Any) -> Any:
    return np.uint64(row["higher_ip"][_U1]) if of_higher else np.uint64(row["lower_ip"][_U1])


@inner
def _port(row: Any, of_higher: Any) -> Any:
    return np.uint64(row["higher_port"]) if of_higher else np.uint64(row["lower_port"])


@inner
def _mixed(h: Any, word: Any) -> Any:
    """One word more into a hash, by the finaliser of SplitMix64, by Steele, Lea and Flood."""
    h = h + np.uint64(word) + _GOLDEN
    h = (h ^ (h >> _U30)) * _M0
    h = (h ^ (h >> _U27)) * _M1
    return h ^ (h >> _U31)


@inner
def _member(row: Any, of_higher: Any, with_port: Any) -> Any:
    """Hash of an end of a row: the same in all slices, and 53 bits, which every reader of JSON keeps."""
    h = _mixed(_mixed(_NONE, _high(row, of_higher)), _low(row, of_higher))
    return _mixed(h, _port(row, of_higher) if with_port else _NONE) >> _U11


@inner
def _ask(tables: Any, of: Any, row: Any, of_higher: Any, t_ns: Any) -> Any:
    """Number of the cell about an end of a row, begun where there is none."""
    wanted = tables.wanted[_NONE]
    wanted["of"] = of
    wanted["window"] = np.int64(t_ns) // WINDOW_NS
    wanted["sensor"] = tables.numbers[np.uint64(row["sensor"])]
    wanted["domain"] = row["domain"]
    wanted["family"] = row["family"]
    wanted["high"] = _high(row, of_higher)
    wanted["low"] = _low(row, of_higher)
    wanted["port"] = _NONE if of == SOURCE else _port(row, of_higher)
    return _found(tables, wanted)


@inner
def _key_hash(control: Any, key: Any) -> Any:
    h = _mixed(control["key"] ^ np.uint64(key["high"]), key["low"])
    h = _mixed(h, (np.uint64(key["domain"]) << _U32) | np.uint64(key["sensor"]))
    return _mixed(h, (np.uint64(key["window"]) << _U32) | (np.uint64(key["port"]) << _U11) | np.uint64(key["of"]))


@inner
def _same(cell: Any, key: Any) -> Any:
    return (
        cell["hash"] == key["hash"]
        and cell["high"] == key["high"]
        and cell["low"] == key["low"]
        and cell["window"] == key["window"]
        and cell["port"] == key["port"]
        and cell["sensor"] == key["sensor"]
        and cell["domain"] == key["domain"]
        and cell["of"] == key["of"]
        and cell["family"] == key["family"]
    )


@inner
def _slot(tables: Any, key: Any) -> Any:
    """Slot of the key's cell, or the empty one where it would be."""
    slots = np.uint64(SLOTS) * tables.control[_NONE]["room"]
    slot = np.uint64(key["hash"]) % slots
    while True:
        number = np.uint64(tables.slots[slot])
        if not number or _same(tables.cells[number - _U1], key):
            return slot
        slot = (slot + _U1) % slots


@inner
def _found(tables: Any, key: Any) -> Any:
    """Number of the key's cell. A source whose targets are full begins another one."""
    key["hash"] = _key_hash(tables.control[_NONE], key)
    slot = _slot(tables, key)
    number = np.uint64(tables.slots[slot])
    if number and not (key["of"] == SOURCE and tables.cells[number - _U1]["members_n"] == TARGETS_MAX):
        return number - _U1
    return _begun(tables, key, slot)


@inner
def _begun(tables: Any, key: Any, slot: Any) -> Any:
    control = tables.control[_NONE]
    number = np.uint64(control["cells_n"])
    control["cells_n"] = number + _U1
    tables.slots[slot] = np.uint32(number + _U1)
    cell = tables.cells[number]
    cell["hash"] = key["hash"]
    cell["window"] = key["window"]
    cell["high"] = key["high"]
    cell["low"] = key["low"]
    cell["sensor"] = key["sensor"]
    cell["domain"] = key["domain"]
    cell["port"] = key["port"]
    cell["of"] = key["of"]
    cell["family"] = key["family"]
    cell["killed_first_ns"] = NEVER_NS
    cell["killed_last_ns"] = NEVER_NS
    cell["members_n"] = 0
    for i in range(SUMS_MAX):
        cell["sums"][i] = 0
    return number


@inner
def _add(cell: Any, what: Any) -> None:
    cell["sums"][np.uint64(what)] += np.uint32(1)


@inner
def _add_member(cell: Any, member: Any) -> None:
    """Keep the least hashes, in their order."""
    members, n = cell["members"], np.int64(cell["members_n"])
    if n == MEMBERS_MAX and member >= members[np.uint64(n - 1)]:
        return
    low, high = np.int64(0), n
    while low < high:
        middle = (low + high) // 2
        if members[np.uint64(middle)] < member:
            low = middle + 1
        else:
            high = middle
    if low < n and members[np.uint64(low)] == member:
        return
    if n < MEMBERS_MAX:
        n += 1
        cell["members_n"] = n
    for i in range(n - 1, low, -1):
        members[np.uint64(i)] = members[np.uint64(i - 1)]
    members[np.uint64(low)] = member


@inner
def _add_target(tables: Any, number: Any, row: Any, of_higher: Any) -> None:
    high, low, port = _high(row, of_higher), _low(row, of_higher), _port(row, of_higher)
    cell = tables.cells[number]
    first = number * np.uint64(TARGETS_MAX)
    n = np.uint64(cell["members_n"])
    for i in range(n):
        target = tables.targets[first + np.uint64(i)]
        if target["port"] == port and target["low"] == low and target["high"] == high:
            return
    target = tables.targets[first + n]
    target["high"] = high
    target["low"] = low
    target["port"] = port
    cell["members_n"] = n + _U1


@inner
def _add_tally(tables: Any, row: Any) -> None:
    by_higher, kind = row["sender"] == HIGHER, row["kind"]
    if kind == _TALLY_SYN:
        cell = tables.cells[_ask(tables, SERVICE, row, not by_higher, row["t_ns"])]
        _add(cell, _SYNS)
        _add_member(cell, _member(row, by_higher, False))
    elif kind == _TALLY_ANSWERED:
        _add(tables.cells[_ask(tables, SERVICE, row, by_higher, row["t_ns"])], _ANSWERED)
    else:
        cell = tables.cells[_ask(tables, STRAY, row, by_higher, row["t_ns"])]
        _add(cell, 0)
        _add_member(cell, _member(row, not by_higher, True))


@inner
def _note_opened(sensor: Any, window: Any) -> None:
    """Remember that a handshake was seen in the window."""
    ahead = window - sensor["opened_at"]
    if ahead > 0:
        sensor["opened"] = (np.uint64(sensor["opened"]) << np.uint64(ahead)) | _U1 if ahead < 64 else _U1
        sensor["opened_at"] = window
    elif ahead > -64:
        sensor["opened"] = np.uint64(sensor["opened"]) | (_U1 << np.uint64(-ahead))


@inner
def _sent_nothing(evidence: Any, row: Any) -> Any:
    """Whether the responder's RST stands behind its SYN+ACK: it had sent no data."""
    first = np.uint64(row["evidence"])
    for i in range(row["evidence_n"]):
        packet = evidence[first + np.uint64(i)]
        if packet["role"] == _ROLE_RST and packet["from"] == _BY_RESP:
            return packet["seq"] == 1
    return False


@inner
def _add_abort(cell: Any, row: Any, evidence: Any) -> None:
    if row["by"] == _ORIG:
        _add(cell, _ABORTED_ORIG)
    elif row["by"] == _RESP:
        _add(cell, _ABORTED_RESP)
        if row["rst_form"] == _ABORT_FORM and _sent_nothing(evidence, row):
            _add(cell, _KILLED)
            t_ns = row["ts_ns"]
            first = cell["killed_first_ns"]
            cell["killed_first_ns"] = t_ns if first == NEVER_NS else min(first, t_ns)
            cell["killed_last_ns"] = max(cell["killed_last_ns"], t_ns)


@inner
def _add_event(tables: Any, row: Any, way: Any, evidence: Any) -> None:
    orig_higher, t_ns = row["orig"] == HIGHER, row["ts_ns"]
    if way == _HANDSHAKE:
        _add(tables.cells[_ask(tables, SERVICE, row, not orig_higher, t_ns)], _OPENED)
        cell = tables.cells[_ask(tables, SOURCE, row, orig_higher, t_ns)]
        _add(cell, _SOURCE_OPENED)
        _note_opened(tables.sensors[np.uint64(cell["sensor"])], cell["window"])
    elif way == _ABORT:
        _add_abort(tables.cells[_ask(tables, SERVICE, row, not orig_higher, t_ns)], row, evidence)
    elif way == _CLOSE_WAIT:
        if row["by"] == _RESP:
            _add(tables.cells[_ask(tables, SERVICE, row, not orig_higher, t_ns)], _STUCK)
    else:
        if way >= _FAILED:
            _add(tables.cells[_ask(tables, SERVICE, row, not orig_higher, t_ns)], way - _FAILED)
        number = _ask(tables, SOURCE, row, orig_higher, t_ns)
        _add(tables.cells[number], _SOURCE_FAILED)
        _add_target(tables, number, row, not orig_higher)


@inner
def _ready(tables: Any, sensor: Any) -> Any:
    """Whether a row of the core's records can be added: there is room, and its sensor is known."""
    control = tables.control[_NONE]
    control["sensor"] = sensor
    known = tables.numbers[np.uint64(sensor)] != NOBODY
    return known and control["cells_n"] + np.uint64(ROOM) <= control["room"]


@compiled
def count(addresses: Any, tallies: Any, events: Any, evidence: Any) -> bool:
    """Add rows from where `control` says; false when its sensor must be given a row first, or the cells be emptied."""
    tables = open_cells(addresses)
    control = tables.control[_NONE]
    at = np.uint64(control["tallies_at"])
    while at < np.uint64(len(tallies)):
        if not _ready(tables, tallies[at]["sensor"]):
            control["tallies_at"] = at
            return False
        _add_tally(tables, tallies[at])
        at += _U1
    control["tallies_at"] = at
    at = np.uint64(control["events_at"])
    while at < np.uint64(len(events)):
        row = events[at]
        way = _COUNTS_AS[np.uint64(row["kind"])]
        if way != _NOTHING and not row["k"]:  # what was taken back and is told again has been counted
            if not _ready(tables, row["sensor"]):
                control["events_at"] = at
                return False
            _add_event(tables, row, way, evidence)
        at += _U1
    control["events_at"] = at
    return True


@compiled
def index(addresses: Any) -> None:
    """Fill an empty hash table with the cells that there are."""
    tables = open_cells(addresses)
    control = tables.control[_NONE]
    for i in range(control["cells_n"]):
        cell = tables.cells[np.uint64(i)]
        cell["hash"] = _key_hash(control, cell)
        tables.slots[_slot(tables, cell)] = np.uint32(np.uint64(i) + _U1)  # of equals the last, which has room
