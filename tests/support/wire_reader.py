"""A second decoder of batches, written from docs/wire-format.md alone: plain integers, and nothing of synfin.

It is slow and takes good bytes for granted. That it agrees with synfin's decoder proves that the page says enough.
"""

import struct

import crc32c
import zstandard

HEADER = struct.Struct("<8sII QHHHBBQIIqqQQIIHH")
M32 = 0xFFFFFFFF


def unfold(number):
    return number // 2 if number % 2 == 0 else -(number + 1) // 2


def read_columns(data):
    (_, length, checksum, boot, lane, partition, partitions, end, name_bytes, number, epoch, rows, first, last) = (
        HEADER.unpack_from(data)[:14]
    )
    captured, dropped, flows, unit, columns, blocks = HEADER.unpack_from(data)[14:]
    assert data[:8] == b"synfin\x00\x01"
    assert length == len(data)
    assert checksum == crc32c.crc32c(data[16:])
    at = HEADER.size
    head = {
        "sensor": data[at : at + name_bytes].decode(),
        "boot": boot,
        "lane": lane,
        "partition": partition,
        "partitions": partitions,
        "end": end,
        "number": number,
        "clock_epoch": epoch,
        "first_ns": first,
        "last_ns": last,
        "captured": captured,
        "dropped": dropped,
        "rows": rows,
        "flows": flows,
        "unit_ns": unit,
    }
    at += name_bytes
    table = [struct.unpack_from("<II", data, at + 8 * i) for i in range(blocks)]
    at += 8 * blocks
    body = b""
    for stored, raw in table:
        block = data[at : at + stored]
        body += block if stored == raw else zstandard.ZstdDecompressor().decompress(block, max_output_size=raw)
        at += stored
    found, at, directory = {}, 0, len(body) - 6 * columns
    for i in range(columns):
        column, mask, count = struct.unpack_from("<BBI", body, directory + 6 * i)
        numbers = [0] * count
        for k in range(8):
            if mask >> k & 1:
                for j in range(count):
                    numbers[j] |= body[at + j] << 8 * k
                at += count
        found[column] = numbers
    return head, found


def read_flows(columns, m):
    high, low = columns.get(0x01, []), columns.get(0x02)
    addresses = [h << 64 | lo for h, lo in zip(high, low or [0] * len(high), strict=True)]
    zeros = [0] * m
    lower, higher, lower_port, higher_port, domain, family = (columns.get(0x03 + k, zeros) for k in range(6))
    known, flows = 0, []
    for i in range(m):
        ends = []
        for token in (lower[i], higher[i]):
            row = known if token == 0 else token - 1
            known = max(known, row + 1)
            ends.append(row)
        flows.append(
            (ends, addresses[ends[0]], addresses[ends[1]], lower_port[i], higher_port[i], domain[i], family[i])
        )
    return flows


def read_kin(flows):
    kin, pairs = [], {}
    for i, (ends, *_) in enumerate(flows):
        later, other = max(ends), min(ends)
        kin.append(pairs[later][0] if later in pairs and pairs[later][1] == other else None)
        pairs[later] = (i, other)
    return kin


class End:
    def __init__(self):
        self.next = self.ack = self.step = self.size = self.tsval = self.tsecr = self.window = self.ip_id = self.ttl = 0
        self.seen, self.clock, self.known = False, None, False


class Rows:
    def __init__(self, columns, head, flows):
        self.n, self.m = head["rows"], head["flows"]
        self.columns, self.head = columns, head
        zeros = [0] * self.n
        self.gaps, self.flow_tokens, self.shape_tokens = (columns.get(k, zeros) for k in (0x20, 0x21, 0x22))
        words = [columns.get(k) for k in (0x10, 0x11, 0x12, 0x13)]
        count = len(words[0] or [])
        self.shapes = list(zip(*(word or [0] * count for word in words), strict=True))
        self.at = dict.fromkeys(range(0x40, 0x50), 0)
        self.kin = read_kin(flows)
        self.ends, self.openings = {}, {}

    def take(self, column):
        at = self.at[column]
        self.at[column] = at + 1
        return self.columns[column][at] if column in self.columns else 0

    def distance(self, near, is_near):
        return unfold(self.take(near if is_near else near + 1))

    def open(self, flow):
        self.ends[flow] = (End(), End())
        kin = self.kin[flow]
        if kin is not None and kin in self.ends:
            for mine, theirs in zip(self.ends[flow], self.ends[kin], strict=True):
                mine.ttl, mine.clock, mine.known = theirs.ttl, theirs.clock, theirs.known

    def read(self):
        out, t, flow, known, last, successor = [], self.head["first_ns"], None, 0, {}, {}
        for i in range(self.n):
            t += self.gaps[i] * self.head["unit_ns"]
            token = self.flow_tokens[i]
            if token:
                flow = known if token == 1 else (known - 1 - (token - 2)) % self.m
            known = max(known, flow + 1)
            before = last.get(flow)
            shape = successor[before] if self.shape_tokens[i] == 0 else self.shape_tokens[i] - 1
            successor[before], last[flow] = shape, shape
            if flow not in self.ends:
                self.open(flow)
            out.append(self.row(t, flow, self.shapes[shape]))
        return out

    def row(self, t, flow, shape):
        a, b, c, d = shape
        flags, mss = a & 0xFFFF, a >> 16
        tos, sender, local, kind, checksum, marks, options = b.to_bytes(7, "little")
        wscale, sack_n, tfo_len, mptcp, mptcp_reason, icmp_type, icmp_code, local_how = c.to_bytes(8, "little")
        places = ((0, 2), (2, 3), (5, 2), (7, 2), (9, 2), (11, 1), (12, 2), (14, 2), (16, 1))
        modes = [d >> at & (1 << bits) - 1 for at, bits in places]
        me, peer = self.ends[flow][sender == 2], self.ends[flow][sender != 2]
        opening = self.openings.get(flags & 31, (0, 0, 0))
        if not me.seen:
            me.window, me.ip_id = opening[0], opening[1]
            me.ttl = me.ttl if me.known else opening[2]
        seq, ack = self.numbers(modes, flags, me, peer)
        size = (0, me.size)[modes[2]] if modes[2] < 2 else self.take(0x44)
        window = me.window if modes[3] == 0 else (me.window + self.distance(0x45, modes[3] == 1)) & 0xFFFF
        ip_id = (
            (me.ip_id + 1, me.ip_id)[modes[4]] if modes[4] < 2 else me.ip_id + 1 + self.distance(0x47, modes[4] == 2)
        )
        ip_id &= 0xFFFF
        ttl = self.take(0x49) if modes[5] else me.ttl
        tsval, tsecr = self.stamps(modes, t, bool(options & 8), me, peer)
        headers = d >> 32
        ip_len = (size + (self.take(0x4E) if headers == 0xFFFF else headers)) & M32
        due = 8 if modes[8] else 4 if kind else 2 * sack_n
        sack = [0] * 8
        for k in range(due):
            base = 0 if kind else sack[k - 1] if k % 2 else ack
            sack[k] = (self.take(0x4F) + base) & M32
        if not me.seen:
            self.openings[flags & 31] = (window, ip_id, ttl)
        behind = (seq + size + (flags >> 1 & 1) + (flags & 1)) & M32
        if not me.seen or (behind - me.next) & M32 < 1 << 31:
            me.next = behind
        if ack != me.ack:
            me.step, me.ack = (ack - me.ack) & M32, ack
        me.size = size or me.size
        me.window, me.ip_id, me.ttl, me.seen, me.known = window, ip_id, ttl, True, True
        return (
            *(
                t,
                flow,
                0,
                seq,
                ack,
                tsval,
                tsecr,
                tuple(sack),
                size,
                ip_len,
                window,
                flags,
                mss,
                ip_id,
                ttl,
                tos,
                sender,
            ),
            *(local, kind, checksum, marks, options, wscale, sack_n, tfo_len, mptcp, mptcp_reason),
            *(icmp_type, icmp_code, local_how),
        )

    def numbers(self, modes, flags, me, peer):
        expected = me.next if me.seen else peer.ack
        seq = expected if modes[0] == 0 else (expected + self.distance(0x40, modes[0] == 1)) & M32
        last = me.ack if me.seen else peer.next
        if modes[1] == 0:
            return seq, peer.next if flags & 0x10 else 0
        if modes[1] < 3:
            return seq, (last + (0, me.step)[modes[1] - 1]) & M32
        return seq, (last + self.distance(0x42, modes[1] == 3)) & M32

    def stamps(self, modes, t, stamped, me, peer):
        expected, echo = 0, 0
        if stamped:
            echo = peer.tsval
            if me.clock is not None:
                expected = (me.clock[0] + (t - me.clock[1]) // 1_000_000) & M32
        tsval = (
            (expected, me.tsval)[modes[6]] if modes[6] < 2 else (expected + self.distance(0x4A, modes[6] == 2)) & M32
        )
        tsecr = (echo, me.tsecr)[modes[7]] if modes[7] < 2 else (echo + self.distance(0x4C, modes[7] == 2)) & M32
        if stamped:
            if tsval != expected or me.clock is None:
                me.clock = (tsval, t - 999_999 if (expected - tsval) & M32 == 1 else t)
            me.tsval, me.tsecr = tsval, tsecr
        return tsval, tsecr


def read(data):
    """Header fields, flows as (lower ip, higher ip, ports, domain, family), and rows as tuples in SEGMENT's order."""
    head, columns = read_columns(data)
    flows = read_flows(columns, head["flows"])
    return head, [flow[1:] for flow in flows], Rows(columns, head, flows).read()
