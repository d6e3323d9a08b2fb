"""Which connection each packet belongs to, and what follows from those before it, counted as Wireshark counts.

That is simpler than the core: a connection begins anew with a SYN of another number, and nothing ever times out.
Numbers are relative to the first of their direction, or to one before the first number seen where there was no SYN.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from synfin.compiled import compiled, leaf
from synfin.packets.analysis import ANALYSED, FLIGHT, FREE, REUSED_PORTS, SENT, analyse, begin_flight

SEEN: Final = np.dtype(  # of a TCP header, what this page needs
    [
        ("t_ns", "<i8"),
        ("tuple", "<u8"),  # number of its addresses and ports
        ("seq", "<u8"),
        ("ack", "<u8"),
        ("flags", "<u8"),
        ("window", "<u8"),
        ("len", "<u8"),
        ("shift", "<i8"),  # of its window scale option, -1 without
        ("cookie", "<u8"),  # whether it has one for fast open
        ("sacked", "<u8"),  # bytes in its SACK blocks
        ("frame", "<u8"),
        ("side", "<u8"),  # 0 the lower end sent it, 1 the higher
        ("quoted", "<u8"),  # an ICMP error has it
    ]
)
TOLD: Final = np.dtype(  # the answer
    [
        ("stream", "<i8"),
        ("seq", "<i8"),
        ("nxtseq", "<i8"),
        ("ack", "<i8"),
        ("window_size", "<i8"),
        ("scale_factor", "<i8"),
        ("time_relative", "<i8"),  # ns
        ("time_delta", "<i8"),
        ("completeness", "<i8"),  # so far
        ("round_trip", "<i8"),  # of the handshake, ns, so far; 0 for none
        ("fin_order", "<i8"),  # 1 the first end's FIN, 2 the other's, 0 none
        ("sack_base", "<i8"),  # what its SACK blocks are relative to
    ]
)
END: Final = np.dtype([("base", "<u8"), ("known", "<u8"), ("shift", "<i8")])
STREAM: Final = np.dtype(
    [
        ("first_ns", "<i8"),
        ("last_ns", "<i8"),
        ("syn_ns", "<i8"),  # of the last SYN
        ("round_trip_ns", "<i8"),  # from it to the first acknowledgment of its SYN,ACK
        ("completeness", "<u8"),
        ("closer", "<u8"),
        ("ends", END, (2,)),
        ("flights", FLIGHT, (2,)),
    ]
)
UNKNOWN_SHIFT: Final = -1
NO_SCALING: Final = -2
SHIFT_MAX: Final = 14  # RFC 7323 section 2.3

_U0, _U1, _U2 = np.uint64(0), np.uint64(1), np.uint64(2)
_FIN, _SYN, _RST, _ACK = (np.uint64(n) for n in (0x01, 0x02, 0x04, 0x10))
_LOW: Final = np.uint64(0xFFFFFFFF)
_C_SYN, _C_SYNACK, _C_ACK, _C_DATA, _C_FIN, _C_RST = (np.uint64(n) for n in (1, 2, 4, 8, 16, 32))


@leaf
def _completeness(x: Any) -> Any:
    """Bits of one segment, as in processor/tcp/labels.py."""
    flags = x["flags"]
    bits = _C_DATA if x["len"] != _U0 else _U0
    if flags & _SYN != _U0:
        bits |= _C_SYNACK if flags & _ACK != _U0 else _C_SYN
    elif flags & _ACK != _U0 and x["len"] == _U0:
        bits |= _C_ACK
    if flags & _FIN != _U0 and flags & _ACK != _U0:
        bits |= _C_FIN
    if flags & _RST != _U0:
        bits |= _C_RST
    return bits


@leaf
def _begin(streams: Any, s: Any, x: Any) -> None:
    stream = streams[s]
    stream["first_ns"] = x["t_ns"]
    stream["last_ns"] = x["t_ns"]
    stream["completeness"] = _U0
    stream["closer"] = _U0
    stream["syn_ns"] = 0
    stream["round_trip_ns"] = 0
    for i in range(2):
        begin_flight(stream["flights"][np.uint64(i)])
        end = stream["ends"][np.uint64(i)]
        end["base"] = _U0
        end["known"] = _U0
        end["shift"] = UNKNOWN_SHIFT


@leaf
def _anew(stream: Any, x: Any) -> Any:
    """Whether a SYN begins another connection."""
    if x["flags"] & (_SYN | _ACK) != _SYN or x["quoted"] != _U0:
        return False
    me = stream["ends"][x["side"]]
    if me["known"] == _U0:
        return False
    return me["base"] != x["seq"]


@leaf
def _learn(stream: Any, x: Any) -> None:
    """Take first numbers, window scales and completeness from a segment."""
    me, peer = stream["ends"][x["side"]], stream["ends"][_U1 - x["side"]]
    syn, ack = x["flags"] & _SYN != _U0, x["flags"] & _ACK != _U0
    if me["known"] == _U0:
        me["known"] = _U1
        me["base"] = x["seq"] if syn else (x["seq"] - _U1) & _LOW
    if peer["known"] == _U0 and ack:
        peer["known"] = _U1
        peer["base"] = (x["ack"] - _U1) & _LOW
    if syn and x["shift"] >= 0:
        me["shift"] = min(x["shift"], np.int64(SHIFT_MAX))
    if syn and ack and (me["shift"] == UNKNOWN_SHIFT or peer["shift"] == UNKNOWN_SHIFT):
        me["shift"] = NO_SCALING
        peer["shift"] = NO_SCALING
    stream["completeness"] |= _completeness(x)
    if syn and not ack:
        stream["syn_ns"] = x["t_ns"]
    elif ack and not syn and not stream["round_trip_ns"] and stream["syn_ns"]:
        stream["round_trip_ns"] = x["t_ns"] - stream["syn_ns"]


@leaf
def _tell(stream: Any, x: Any, told: Any) -> None:
    me, peer = stream["ends"][x["side"]], stream["ends"][_U1 - x["side"]]
    flags = x["flags"]
    seq = (x["seq"] - me["base"]) & _LOW
    told["seq"] = seq
    told["nxtseq"] = (seq + x["len"] + (flags & _FIN) + ((flags & _SYN) >> _U1)) & _LOW
    told["ack"] = (x["ack"] - peer["base"]) & _LOW if flags & _ACK != _U0 else x["ack"]
    told["sack_base"] = peer["base"]
    shift = me["shift"]
    told["window_size"] = x["window"]
    told["scale_factor"] = shift
    if shift >= 0:
        told["scale_factor"] = np.int64(1) << shift
        if flags & _SYN == _U0:
            told["window_size"] = x["window"] << np.uint64(shift)
    told["fin_order"] = 0
    if flags & _FIN != _U0:
        if stream["closer"] == _U0:
            stream["closer"] = _U1 + x["side"]
        told["fin_order"] = 1 if stream["closer"] == _U1 + x["side"] else 2


@compiled
def follow(seen: Any, answers: Any, current: Any, streams: Any, waiting: Any, n: Any) -> Any:
    """Answer a TOLD and an ANALYSED for each SEEN; how many streams there are then, of which there were n.

    `current` holds 1 + the stream of each tuple, 0 for none yet; `streams` and the SENT of `waiting` (SENT[], FREE[1])
    have room for one more with each row.
    """
    told, analysed = answers
    sent, free = waiting
    for k in range(len(seen)):
        i = np.uint64(k)
        x, answer = seen[i], told[i]
        s = current[x["tuple"]]
        if s == _U0 or _anew(streams[s - _U1], x):
            analysed[i]["flags"] = REUSED_PORTS if s != _U0 else _U0
            _begin(streams, n, x)
            n += _U1
            s = n
            current[x["tuple"]] = s
        stream = streams[s - _U1]
        answer["stream"] = s - _U1
        answer["time_relative"] = x["t_ns"] - stream["first_ns"]
        answer["time_delta"] = x["t_ns"] - stream["last_ns"]
        stream["last_ns"] = x["t_ns"]
        if x["quoted"] == _U0:
            _learn(stream, x)
            _tell(stream, x, answer)
            me, peer = stream["flights"][x["side"]], stream["flights"][_U1 - x["side"]]
            known = stream["ends"][_U1 - x["side"]]["shift"], stream["round_trip_ns"]
            analyse(me, peer, known, x, analysed[i], (sent, free[_U0]))
        else:
            answer["seq"] = x["seq"]
            answer["nxtseq"] = x["seq"]
            answer["ack"] = x["ack"]
            answer["window_size"] = x["window"]
            answer["scale_factor"] = 0
            answer["fin_order"] = 0
            answer["sack_base"] = 0
        answer["completeness"] = stream["completeness"]
        answer["round_trip"] = stream["round_trip_ns"]
    return n


class Streams:
    """The connections of a capture, block after block."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._current = np.zeros(64, np.uint64)
        self._streams = np.zeros(64, STREAM)
        self._sent, self._free = np.zeros(64, SENT), np.zeros(1, FREE)
        self._free["head"] = 1
        self._n = 0

    def follow(
        self, keys: npt.NDArray[np.uint8], seen: npt.NDArray[np.void]
    ) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void]]:
        """TOLD and ANALYSED of each SEEN, whose `tuple` is filled in here.

        `keys` are uint8[n, 36], both ends in a fixed order.
        """
        whole = np.ascontiguousarray(keys).view(np.dtype((np.void, keys.shape[1]))).ravel()
        found, places = np.unique(whole, return_inverse=True)
        octets, size = found.tobytes(), keys.shape[1]
        ends = (octets[i : i + size] for i in range(0, len(octets), size))
        numbers = [self._numbers.setdefault(key, len(self._numbers)) for key in ends]
        seen["tuple"] = np.array(numbers, np.uint64)[places] if len(found) else 0
        self._current = _with_room(self._current, len(self._numbers))
        self._streams = _with_room(self._streams, self._n + len(seen))
        self._sent = _with_room(self._sent, int(self._free["used"][0]) + len(seen) + 2)
        answers = np.zeros(len(seen), TOLD), np.zeros(len(seen), ANALYSED)
        self._n = int(follow(seen, answers, self._current, self._streams, (self._sent, self._free), np.uint64(self._n)))
        return answers

    @property
    def round_trips(self) -> npt.NDArray[np.int64]:
        """Of each stream's handshake, in ns; 0 where there was none."""
        return self._streams["round_trip_ns"][: self._n].copy()

    @property
    def completeness(self) -> npt.NDArray[np.int64]:
        """Of each stream, after all that came so far."""
        return self._streams["completeness"][: self._n].astype(np.int64)


def _with_room(rows: npt.NDArray[Any], wanted: int) -> npt.NDArray[Any]:
    if len(rows) >= wanted:
        return rows
    more = np.zeros(max(wanted, 2 * len(rows)), rows.dtype)
    more[: len(rows)] = rows
    return more
