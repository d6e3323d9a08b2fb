"""Capture files made from their parts: pcap and pcapng, in either byte order."""

import struct
from pathlib import Path

from sensor.pcapfile import CaptureFile

PCAP_MICRO, PCAP_NANO, PCAP_MODIFIED = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34


def pcap(frames, order="<", magic=PCAP_NANO, link=1, snaplen=262144):
    """A pcap file of (seconds, fraction, bytes[, wire length])."""
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link)]
    more = bytes(8) if magic == PCAP_MODIFIED else b""
    for seconds, fraction, data, *wire in frames:
        out += [struct.pack(order + "IIII", seconds, fraction, len(data), *(wire or [len(data)])), more, data]
    return b"".join(out)


def ng_block(kind, body, order="<"):
    total = 12 + len(body) + -len(body) % 4
    length = struct.pack(order + "I", total)
    return struct.pack(order + "I", kind) + length + body + bytes(-len(body) % 4) + length


def ng_options(options, order="<"):
    out = b"".join(struct.pack(order + "HH", code, len(v)) + v + bytes(-len(v) % 4) for code, v in options)
    return out + bytes(4) if out else b""


def ng_section(order="<", version=1, options=()):
    body = struct.pack(order + "IHHq", 0x1A2B3C4D, version, 0, -1) + ng_options(options, order)
    return ng_block(0x0A0D0D0A, body, order)


def ng_interface(order="<", link=1, snaplen=0, resolution=None, offset_s=None):
    options = [] if resolution is None else [(9, bytes([resolution]))]
    if offset_s is not None:
        options.append((14, struct.pack(order + "q", offset_s)))
    return ng_block(1, struct.pack(order + "HHI", link, 0, snaplen) + ng_options(options, order), order)


def ng_packet(ticks, data, order="<", interface=0, flags=None, wire=None):
    """An enhanced packet block."""
    wire = len(data) if wire is None else wire
    body = struct.pack(order + "IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire)
    options = [] if flags is None else [(1, b"a comment"), (2, struct.pack(order + "I", flags))]
    return ng_block(6, body + data + bytes(-len(data) % 4) + ng_options(options, order), order)


def ng_simple(data, order="<", wire=None):
    return ng_block(3, struct.pack(order + "I", len(data) if wire is None else wire) + data, order)


def ng_old_packet(ticks, data, order="<", interface=0):
    """The packet block of pcapng's first years."""
    body = struct.pack(order + "HHIIII", interface, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return ng_block(2, body + data, order)


def written(folder, data, name="x.pcap"):
    path = Path(folder) / name
    path.write_bytes(data)
    return path


def read_all(path):
    """The file after its last block, and (t_ns, bytes, wire length, link, direction) of each frame."""
    file, frames = CaptureFile(path), []
    for block in file.blocks():
        assert len(block)
        assert block.first_frame == len(frames)
        for f in block.frames:
            assert f["offset"] + int(f["caplen"]) <= len(block.buffer)
            data = block.buffer[f["offset"] : f["offset"] + int(f["caplen"])].tobytes()
            frames.append((int(f["t_ns"]), data, int(f["wirelen"]), int(f["link"]), int(f["direction"])))
    assert file.frames == len(frames)
    return file, frames
