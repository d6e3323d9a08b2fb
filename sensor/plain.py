"""The short way of nearly all frames: Ethernet, IPv4 without options, a TCP header that is wholly there.

It takes whole words where headers.py takes field after field with all their exceptions, and keeps nothing on the way.
What it writes is what the long way writes; what it buys is in docs/decisions/a-short-way.md.
"""

from typing import Any

import numpy as np

from sensor.addresses import capture_says
from sensor.duplicates import note_segment
from sensor.flowindex import want_ipv4
from sensor.frames import CHECKSUM_VALID, LINK_ETHERNET
from sensor.headers import ONE_PACKET_MAX
from sensor.octets import load32, load64
from sensor.options import no_options, read_options
from synfin.compiled import leaf
from synfin.wire.segment import ACK, CSUM_OK, CSUM_UNKNOWN, MARK_GSO, TCP

_U0, _U8, _U12, _U16, _U20, _U32 = (np.uint64(n) for n in (0, 8, 12, 16, 20, 32))
_U26, _U34, _U42, _U48, _U54 = (np.uint64(n) for n in (26, 34, 42, 48, 54))
_ETHERNET = np.uint64(LINK_ETHERNET)
_BYTE, _WORD, _FLAGS, _HEADER, _LOW_HALF = (np.uint64(n) for n in (0xFF, 0xFFFF, 0x0FFF, 0x3C, 0xFFFFFFFF))
_ADDRESS = np.uint64(0xFFFFFFFF0000)  # of an end as address << 16 | port
_IPV4_NO_OPTIONS = np.uint64(0x080045)  # EtherType, version and header length
_FRAGMENT_PROTOCOL, _WHOLE_TCP = np.uint64(0x3FFF00FF), np.uint64(0x00000006)


@leaf
def plain_segment(buffer: Any, frame: Any, row: Any, memory: Any, wanted: Any) -> Any:
    """Write the row of such a frame, all but its flow, and its tuple into `wanted`; False, and nothing, for others."""
    at, caplen = np.uint64(frame["offset"]), np.uint64(frame["caplen"])
    if np.uint64(frame["link"]) != _ETHERNET or caplen < _U54:
        return False
    versions = load32(buffer, at + _U12)  # EtherType, version and header length, type of service
    lengths = load64(buffer, at + _U16)  # total length, identification, fragment, time to live, protocol
    numbers = load64(buffer, at + _U42)  # acknowledgment, data offset and flags, window
    ip_len, header = lengths >> _U48, (numbers >> np.uint64(26)) & _HEADER
    if (
        versions >> _U8 != _IPV4_NO_OPTIONS
        or lengths & _FRAGMENT_PROTOCOL != _WHOLE_TCP
        or header < _U20
        or _U20 + header > ip_len
        or _U34 + header > caplen
    ):
        return False
    addresses = load64(buffer, at + _U26)
    ports = load64(buffer, at + _U34)  # both ports, sequence number
    flags = (numbers >> _U16) & _FLAGS
    row["t_ns"] = frame["t_ns"]
    row["seq"] = ports & _LOW_HALF
    row["ack"] = numbers >> _U32 if flags & np.uint64(ACK) != _U0 else _U0
    row["len"] = ip_len - _U20 - header
    row["ip_len"] = ip_len
    row["window"] = numbers & _WORD
    row["flags"] = flags
    row["ip_id"] = (lengths >> _U32) & _WORD
    row["ttl"] = (lengths >> _U8) & _BYTE
    row["tos"] = versions & _BYTE
    row["kind"] = np.uint64(TCP)
    row["checksum"] = np.uint64(CSUM_OK if frame["checksum"] == np.uint64(CHECKSUM_VALID) else CSUM_UNKNOWN)
    row["marks"] = np.uint64(MARK_GSO if ip_len > np.uint64(ONE_PACKET_MAX) else 0)
    no_options(row)
    if header != _U20:
        read_options(buffer, at + _U54, at + _U34 + header, row)
    source = ((addresses >> _U16) & _ADDRESS) | (ports >> _U48)
    target = ((addresses << _U16) & _ADDRESS) | ((ports >> _U32) & _WORD)
    sender = want_ipv4(source, target, memory[0], wanted)
    direction = np.uint64(frame["direction"])
    capture_says(direction, sender, (source ^ target) & _ADDRESS == _U0, row)
    note_segment(buffer, (at + _U34, header), direction, row, wanted, memory)
    return True
