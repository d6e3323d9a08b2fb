"""The columns of version 1: their ids and names, and the words that rows are moved by.

An id is never used for anything else; a reader skips the ids that it does not know.
"""

from typing import Final

from synfin.wire.segment import SEGMENT

# The table of addresses and the flow dictionary.
ADDRESS_HIGH: Final = 0x01  # 16 bytes in network order as two numbers
ADDRESS_LOW: Final = 0x02
FLOW_LOWER: Final = 0x03  # address of the lower end: 0 the next new one, else 1 + its row in the table
FLOW_HIGHER: Final = 0x04
FLOW_LOWER_PORT: Final = 0x05
FLOW_HIGHER_PORT: Final = 0x06
FLOW_DOMAIN: Final = 0x07
FLOW_FAMILY: Final = 0x08
FLOW_FIELDS: Final = (FLOW_LOWER, FLOW_HIGHER, FLOW_LOWER_PORT, FLOW_HIGHER_PORT, FLOW_DOMAIN, FLOW_FAMILY)
FLOW_BITS: Final = (32, 32, 16, 16, 32, 8)
ADDRESS_BITS: Final = (64, 64)

# The table of shapes: what many rows have in common.
SHAPE_FLAGS: Final = 0x10  # flags 16 bits, mss 16
SHAPE_HEADER: Final = 0x11  # tos, sender, local, kind, checksum, marks, options: 8 bits each
SHAPE_OPTIONS: Final = 0x12  # wscale, sack_n, tfo_len, mptcp, mptcp_reason, icmp_type, icmp_code, local_how
SHAPE_MODES: Final = 0x13  # how the row's values are written (values.py), and from bit 32 the bytes of its headers
SHAPE_WORDS: Final = (SHAPE_FLAGS, SHAPE_HEADER, SHAPE_OPTIONS, SHAPE_MODES)

# One number a row.
ROW_GAP: Final = 0x20  # time since the row before, in units
ROW_FLOW: Final = 0x21  # 0 as the row before, 1 the flow behind the newest so far, 2 + k the k-th before the newest
ROW_SHAPE: Final = 0x22  # 0 the expected one, else 1 + its row in the table of shapes

# One number for each row whose shape asks for it: VALUE + index.
VALUE: Final = 0x40
SEQ_NEAR, SEQ_FAR, ACK_NEAR, ACK_FAR, LEN, WINDOW_NEAR, WINDOW_FAR, IP_ID_NEAR, IP_ID_FAR = range(9)
TTL, TSVAL_NEAR, TSVAL_FAR, TSECR_NEAR, TSECR_FAR, HEADERS, SACK = range(9, 16)
VALUES: Final = 16
SHAPE_BITS: Final = (64, 64, 64, 64)
GAP_BITS: Final = (64,)
ROW_BITS: Final = (32, 32)
VALUE_BITS: Final = (16, 32, 16, 32, 32, 8, 16, 8, 16, 8, 8, 32, 16, 32, 32, 32)
SACK_WORDS_MAX: Final = 8  # numbers that one row may have in the column SACK

NAMES: Final = dict(
    zip(
        (
            ADDRESS_HIGH,
            ADDRESS_LOW,
            *FLOW_FIELDS,
            *SHAPE_WORDS,
            ROW_GAP,
            ROW_FLOW,
            ROW_SHAPE,
            *range(VALUE, VALUE + VALUES),
        ),
        (
            *("address high", "address low", "lower", "higher", "lower port", "higher port", "domain", "family"),
            *("shape flags", "shape header", "shape options", "shape modes", "gap", "flow", "shape"),
            *(
                "seq near",
                "seq far",
                "ack near",
                "ack far",
                "len",
                "window near",
                "window far",
                "ip.id near",
                "ip.id far",
            ),
            *("ttl", "tsval near", "tsval far", "tsecr near", "tsecr far", "headers", "sack"),
        ),
        strict=True,
    )
)

# The kernels move rows as words of 64 bits; here is what each holds, lowest bits first, and that SEGMENT still says so.
WORD_TIME: Final = 0
WORD_FLOW: Final = 1  # flow, frame
WORD_NUMBERS: Final = 2  # seq, ack
WORD_STAMPS: Final = 3  # tsval, tsecr
WORD_SACK: Final = 4  # and the three behind it
WORD_LENGTHS: Final = 8  # len, ip_len
WORD_WINDOW: Final = 9  # window, flags, mss, ip_id
WORD_HEADER: Final = 10  # ttl, tos, sender, local, kind, checksum, marks, options
WORD_OPTIONS: Final = 11  # as SHAPE_OPTIONS
WORDS: Final = 12
_LAYOUT: Final = (  # offset of each field
    *(("t_ns", 0), ("flow", 8), ("frame", 12), ("seq", 16), ("ack", 20), ("tsval", 24), ("tsecr", 28), ("sack", 32)),
    *(("len", 64), ("ip_len", 68), ("window", 72), ("flags", 74), ("mss", 76), ("ip_id", 78), ("ttl", 80), ("tos", 81)),
    *(("sender", 82), ("local", 83), ("kind", 84), ("checksum", 85), ("marks", 86), ("options", 87), ("wscale", 88)),
    *(("sack_n", 89), ("tfo_len", 90), ("mptcp", 91), ("mptcp_reason", 92), ("icmp_type", 93), ("icmp_code", 94)),
    ("local_how", 95),
)
assert SEGMENT.fields is not None
assert tuple((name, field[1]) for name, field in SEGMENT.fields.items()) == _LAYOUT
assert SEGMENT.itemsize == 8 * WORDS
