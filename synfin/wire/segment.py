"""One captured TCP segment as a row, and the flow that it belongs to as a row of a dictionary.

A block of rows always comes with the dictionary that its `flow` column points into: addresses are written, hashed and
looked up once a flow and not once a packet.
"""

from typing import Final

import numpy as np

FLOW: Final = np.dtype(
    [
        ("hash", "<u8"),  # XXH64 of the canonical tuple, see key.py
        ("lower_ip", "<u8", (2,)),  # 16 bytes in network order as two numbers, high half first; IPv4 mapped
        ("higher_ip", "<u8", (2,)),
        ("lower_port", "<u2"),
        ("higher_port", "<u2"),
        ("domain", "<u4"),  # overlay network (VNI, GRE key), 0 for none; not in the hash
        ("family", "u1"),  # 4 or 6
        ("pad", "u1", (7,)),
    ]
)
assert FLOW.itemsize == 56

SEGMENT: Final = np.dtype(
    [
        ("t_ns", "<i8"),  # capture time, ns since the epoch; never falls within a lane
        ("flow", "<u4"),  # row of the flow dictionary that comes with these rows
        ("frame", "<u4"),  # index of the frame in its block or file; stays in the sensor, not in a batch
        ("seq", "<u4"),
        ("ack", "<u4"),  # 0 without the ACK flag, as sent
        ("tsval", "<u4"),  # timestamps option (RFC 7323), when OPT_TS
        ("tsecr", "<u4"),
        ("sack", "<u4", (8,)),  # up to four (left, right); an ICMP row holds the router's 16 bytes in the first four
        ("len", "<u4"),  # payload bytes by the IP header, so padding is not counted; GSO frames as seen
        ("ip_len", "<u4"),  # IP header and all that follows it
        ("window", "<u2"),  # as sent, not scaled
        ("flags", "<u2"),  # data offset's low nibble and flags: AE 0x100 CWR 0x80 ECE 0x40 URG ACK PSH RST SYN FIN
        ("mss", "<u2"),  # when OPT_MSS
        ("ip_id", "<u2"),  # 0 for IPv6
        ("ttl", "u1"),
        ("tos", "u1"),  # DSCP and ECN
        ("sender", "u1"),  # UNKNOWN, LOWER, HIGHER
        ("local", "u1"),  # which end is the capturing host's: NONE, LOWER, HIGHER, BOTH
        ("kind", "u1"),  # TCP, ICMP (about the segment that it quotes)
        ("checksum", "u1"),  # CSUM_UNKNOWN, CSUM_OK, CSUM_BAD
        ("marks", "u1"),  # MARK_*
        ("options", "u1"),  # OPT_*, which of the option columns hold something
        ("wscale", "u1"),  # when OPT_WSCALE
        ("sack_n", "u1"),  # 0..4 blocks
        ("tfo_len", "u1"),  # fast-open cookie bytes, when OPT_TFO
        ("mptcp", "u1"),  # MPTCP subtype, when OPT_MPTCP
        ("mptcp_reason", "u1"),  # of MP_TCPRST
        ("icmp_type", "u1"),
        ("icmp_code", "u1"),
        ("local_how", "u1"),  # how `local` is known: HOW_*
    ]
)
assert SEGMENT.itemsize == 96

UNKNOWN: Final = 0
NONE: Final = 0
LOWER: Final = 1
HIGHER: Final = 2
BOTH: Final = 3

TCP: Final = 0
ICMP: Final = 1

CSUM_UNKNOWN: Final = 0
CSUM_OK: Final = 1
CSUM_BAD: Final = 2

FIN: Final = 0x001
SYN: Final = 0x002
RST: Final = 0x004
PSH: Final = 0x008
ACK: Final = 0x010
URG: Final = 0x020
ECE: Final = 0x040
CWR: Final = 0x080
AE: Final = 0x100

OPT_MSS: Final = 0x01
OPT_WSCALE: Final = 0x02
OPT_SACK_PERMITTED: Final = 0x04
OPT_TS: Final = 0x08
OPT_TFO: Final = 0x10
OPT_MPTCP: Final = 0x20

MARK_GSO: Final = 0x01  # longer than one wire packet can be: segmentation offload
MARK_FRAGMENT: Final = 0x02  # first fragment: flags hold, `len` does not
MARK_OPTIONS_CUT: Final = 0x04  # the capture's snap length cut the options
MARK_DUPLICATE: Final = 0x08  # the tap saw this packet twice
MARK_WANTED: Final = 0x10  # passes the filter of who reads: within one process, in no batch

HOW_UNKNOWN: Final = 0
HOW_CAPTURE: Final = 1  # the capture's own metadata says sent or received
HOW_ADDRESSES: Final = 2  # the sensor's list of local addresses
HOW_OPTION: Final = 3  # --local
