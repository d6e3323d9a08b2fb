"""The captures that other projects test with: all read to their end, and as many TCP segments as tshark counts."""

import csv
from pathlib import Path

import numpy as np
import pytest

from sensor.dissect import Dissector
from sensor.pcapfile import CaptureFile

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "captures"
MANIFEST = FOLDER / "public-reference" / "manifest.csv"

# Where tshark counts others than we, and why.
OTHERWISE = {
    "ndpi__alexa-app.pcapng": "two ICMP redirects, whose quoted segments tshark counts",
    "ndpi__fuzz-2006-06-26-2594.pcap": "an IPv4 header of 28 bytes, which leaves 12 for TCP",
    "ndpi__reasm_crash_anon.pcapng": "a data offset below 5",
    "suri__bug-76__input.pcap": "a data offset beyond the packet",
    "suri__drop-protocol-change__input.pcap": "a data offset below 5",
    "suri__defrag__frag-ip-tcp-syn.pcap": "fragments of 8 bytes, which tshark puts together",
    "tcpdump__bgp_vpn_attrset.pcap": "link type 9, PPP",
    "zeek__cisco-fabric-path.pcap": "a link header of its own inside Ethernet",
}

pytestmark = pytest.mark.skipif(not MANIFEST.is_file(), reason="needs the captures beside the repository")


def manifest():
    if not MANIFEST.is_file():
        return []
    with MANIFEST.open(newline="") as file:
        return [row for row in csv.DictReader(file) if (FOLDER / "public" / row["file"]).is_file()]


def test_they_are_there():
    assert len(manifest()) > 100


@pytest.mark.parametrize("told", manifest(), ids=lambda told: told["file"])
def test_a_public_capture(told):
    file, dissector = CaptureFile(FOLDER / "public" / told["file"]), Dissector(verify=True)
    for block in file.blocks():
        segments, flows = dissector.dissect(block)
        assert len(segments) == 0 or segments["flow"].max() < len(flows)
        assert (np.diff(segments["frame"].astype(np.int64)) > 0).all()
    counters = dissector.counters
    assert counters.frames == file.frames == int(told["packets"])
    assert (file.torn is None) == (not told["tshark_error"])
    assert (counters.tcp == int(told["tcp_packets_tshark"])) == (told["file"] not in OTHERWISE)
