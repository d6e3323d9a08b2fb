"""The display-filter language: what each form means on one connection, and how a wrong filter is refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from synfin.filter.check import understand
from synfin.filter.errors import FilterError
from synfin.filter.fields import FIELDS
from synfin.filter.kinds import Kind
from tests.support.filters import passing

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
CLOSES = (
    CAPTURES / "client_closes" / "a.pcap"
)  # 11 frames: SYN, SYN+ACK, ACK, GET, ACK, answer, ACK, FIN, ACK, FIN, ACK
RAW = CAPTURES / "rejected_by_router" / "a.pcap"  # raw IP: SYN, and an ICMP error that quotes it
ALL = list(range(1, 12))

MEANINGS = [  # on CLOSES: the client 10.77.0.1:20081, the server 10.77.0.2:20080
    ("tcp.port == 20081", ALL),  # any value
    ("tcp.port != 20081", []),  # all values
    ("tcp.port ~= 20081", ALL),
    ("tcp.port !== 20081", ALL),
    ("any tcp.port != 20081", ALL),
    ("tcp.port === 20081", []),
    ("all tcp.port > 1", ALL),
    ("!(tcp.port == 20081)", []),
    ("tcp.port not in {20081}", []),
    ("udp.port != 53", []),  # != needs the field
    ("!(udp.port == 53)", ALL),
    ("tcp.flags.syn", ALL),  # existence
    ("tcp.flags.syn == 1", [1, 2]),
    ("tcp.flags.syn == True", [1, 2]),
    ('tcp.flags.syn == "Set"', [1, 2]),
    ("tcp.flags & 0x02", [1, 2]),
    ("tcp.flags == 0x012", [2]),
    ("tcp.len", ALL),
    ("tcp.port in {20080..20081, 80}", ALL),
    ("tcp.port in {80 20081}", ALL),
    ("tcp.port in {5..2}", []),
    ("tcp.port > 20080", ALL),
    ("ip.addr == 10.77.0.0/24", ALL),
    ("ip.addr != 10.77.0.0/24", []),
    ("ip.src in {10.77.0.0/31}", [1, 3, 4, 7, 8, 11]),
    ("ip.src in {10.77.0.0 .. 10.77.0.1}", [1, 3, 4, 7, 8, 11]),
    ("ip.src & 255.255.255.0 == 10.77.0.0", ALL),
    ("ip[0:1] == 45", ALL),  # bytes are hexadecimal
    ("ip[0] == 0x45", ALL),
    ("ip[0] == 'E'", ALL),
    ("ip[0-1] == 45:00", ALL),
    ("ip[0,9] == 4506", ALL),
    ("ip[0:2][0:1] == 45", ALL),
    ("frame[100000:1]", []),
    ("frame[0:2] > 44", ALL),  # the longer is greater
    ("frame[0:2] == 02", []),
    ("tcp.payload[-1] == 0a", [4, 6]),
    ("eth.src[0:3] == 02:00:00", ALL),
    ("tcp[13] & 2", [1, 2]),
    ("tcp[13] == 02", [1]),
    ('frame contains "GET"', [4]),
    ('frame contains "get"', []),
    ('frame contains "\\x47ET"', [4]),
    ("tcp.payload contains 47:45:54", [4]),
    ('frame matches "(?i)get"', [4]),
    ('frame matches "get"', [4]),  # without case
    ('frame ~ r"G\\x45T"', [4]),
    ('tcp.payload matches "^http"', [6]),
    ('tcp.payload[0:3] == "GET"', [4]),
    ("tcp.seq == 0", [1, 2]),
    ("tcp.seq_raw == 1955059199", [1]),
    ("tcp.ack == 28", [7, 8]),
    ("tcp.nxtseq == 20", [8, 11]),
    ("tcp.window_size == 64512", [3, 4, 7, 8, 11]),  # 63 << 10
    ("tcp.window_size_value == 64240", [1]),  # of a SYN nothing is scaled
    ("tcp.window_size_scalefactor == 1024", [3, 4, 5, 6, 7, 8, 9, 10, 11]),
    ("tcp.port == 20081 and tcp.port == 20080", ALL),
    ("tcp.port == 20081 xor tcp", []),
    ("tcp.flags.syn == 1 ^^ tcp.flags.ack == 1", [1, *range(3, 12)]),
    ("tcp.len > 0 or tcp.flags.fin == 1 and ip.src == 10.77.0.1", [4, 6, 8]),
    ("!tcp.len == 0 && ip", [4, 6]),
    ("tcp.srcport == 1 + 20080", [1, 3, 4, 7, 8, 11]),
    ("tcp.srcport - 1 == tcp.dstport", [1, 3, 4, 7, 8, 11]),
    ("{tcp.srcport + 1} * 2 > 40163", [1, 3, 4, 7, 8, 11]),
    ("tcp.srcport % 2 == 1", [1, 3, 4, 7, 8, 11]),
    ("ip.ttl / 0 == 1", []),
    ("20080 < tcp.srcport < 20082", [1, 3, 4, 7, 8, 11]),
    ("-ip.ttl == -64", ALL),
    ("max(tcp.srcport, tcp.dstport) == 20081", ALL),
    ("min(tcp.srcport, 5) == 5", ALL),
    ("abs(ip.ttl) == 64", ALL),
    ("count(tcp.port) == 2", ALL),
    ("count(udp.port) == 0", []),
    ("len(tcp.payload) == 27", [6]),
    ("len(tcp) == 40", [1, 2]),  # its header, though contains looks into what it carries
    ('tcp contains "GET"', [4]),
    ('lower(tcp.flags.str) contains "s"', [1, 2]),
    ('string(tcp.dstport) matches "80$"', [1, 3, 4, 7, 8, 11]),
    ("ip.src#1 == 10.77.0.1", [1, 3, 4, 7, 8, 11]),
    ("ip.src#2", []),
    ("frame.number <= 3", [1, 2, 3]),
    ("frame.time_relative in {0 .. 0.06}", [1, 2, 3]),
    ('frame.time > "2001-09-09 01:46:40"', ALL),
    ("tcp.time_delta > 0.04", [4, 9]),
    ("tcp.completeness == 31", ALL),
    ("tcp.stream == 0", ALL),
    ("tcp.options.mss_val == 1460", [1, 2]),
    ("tcp.options.timestamp.tsecr == 0", [1]),
    ("tcp.connection.fin_active", [8]),
    ("tcp.connection.fin_passive", [10]),
    ("eth.addr == 02-00-00-00-00-0a", ALL),
]


@pytest.mark.parametrize(("text", "frames"), MEANINGS, ids=[text for text, _ in MEANINGS])
def test_a_filter_takes_these_frames(text, frames):
    assert passing(CLOSES, text) == frames


def test_a_field_that_is_not_there_is_no_error():
    assert passing(RAW, "eth.addr") == []


def test_a_quoted_segment_has_fields_too_and_its_number_is_raw():
    assert passing(RAW, "tcp.srcport == 20041") == [1, 2]
    assert passing(RAW, "icmp.type == 3 && ip.src#2 == 10.77.0.1") == [2]
    assert passing(RAW, "tcp.seq == 0") == [1]


ERRORS = [
    ("tcp.flags.rst == 1", "tcp.flags.rst", "did you mean tcp.flags.reset?"),
    ("tcp.prot == 1", "tcp.prot", "did you mean tcp.port?"),
    ("ip.adr == 10.0.0.1", "ip.adr", "did you mean ip.addr?"),
    ("tcp.pdu.size == 1", "tcp.pdu.size", "Wireshark's"),
    ("tcp.flags.syn == true", "true", "True, False"),
    ("tcp.port == 70000", "70000", "65535"),
    ("tcp.port == -1", "-1", "lowest value is 0"),
    ('tcp.port == "80"', '"80"', "a number is wanted"),
    ("tcp.port == http", "http", "a number is wanted"),
    ('ip.src == "10.9.0.1"', '"10.9.0.1"', "without quotes"),
    ("ip.src == localhost", "localhost", "names are not looked up"),
    ("ip.src == 10.0.0.1/33", "10.0.0.1/33", "32"),
    ("ip.src == 10.0.0.1/11111", "10.0.0.1/11111", "32"),
    ("frame.time_relative > 1e999999", "1e999999", "seconds are wanted"),
    ('frame.time == "9999-12-31 23:59:59-23:59"', '"9999-12-31 23:59:59-23:59"', "a time is wanted"),
    ("tcp[99999999999999999999:1] == 1", "[99999999999999999999:1]", "no packet has"),
    ("ip.src == tcp.port", "ip.src == tcp.port", "cannot meet"),
    ("tcp.port in {50000..}", "}", "both ends"),
    ("tcp.port in {}", "}", "at least one"),
    ('tcp.port matches "1"', "tcp.port", "string(…)"),
    ('ip.src contains "a"', "ip.src", "bytes and texts"),
    ("frame matches GET", "GET", "double quotes"),
    ('frame matches "("', '"("', "pattern"),
    ("tcp.payload contains GET", "GET", "hexadecimal"),
    ('frame contains "GET', '"', "does not end"),
    ("tcp.port[0] == 1", "tcp.port", "no bytes to slice"),
    ("frame[0:0]", "[0:0]", "above 0"),
    ("frame[5-2]", "[5-2]", "not below"),
    ("frame[] == 1", "[]", "no slice"),
    ("count(tcp.port)", "count(tcp.port)", "compare it"),
    ("length(tcp) == 1", "length(tcp)", "no function"),
    ('len("abc") == 3', 'len("abc")', "takes one field"),
    ("1 == 1", "1 == 1", "without a field"),
    ("80", "80", "a field is wanted"),
    ("tcp.port = 80", "=", "it takes two"),
    ("tcp.port ==", " ", "missing"),
    ("(tcp.port == 80", " ", "missing"),
    ("tcp port 80", "port", "capture filter"),
    ("${tcp.srcport}", "$", "not supported"),
    ("@tcp.srcport", "@", "not supported"),
    ("ip.src + 1 == 10.0.0.1", "1", "IPv4"),
    ("tcp.connection.syn == 1", "1", "there or not"),
    ('synfin.conn_state == "SF" && tcp.seq == 0', "tcp.seq", "cannot meet"),
    (" ", " ", "empty"),
]


@pytest.mark.parametrize(("text", "place", "says"), ERRORS, ids=[text for text, _, _ in ERRORS])
def test_a_wrong_filter_is_refused_with_a_caret_under_the_place(text, place, says):
    with pytest.raises(FilterError) as caught:
        understand(text)
    said, shown, carets = str(caught.value).split("\n")
    assert says in said
    assert shown == f"  {text}"
    first = len(carets) - len(carets.lstrip())
    assert (text + " ")[first - 2 : len(carets) - 2] == place


def test_values_of_a_set_without_commas_are_taken_with_a_hint_and_refused_where_commas_are_asked_for():
    text = "ip.addr == 10.0.0.1 and not tcp.port in {3306 25 443}"
    assert understand(text).hints == ("Wireshark 4 wants commas between the values of a set: {3306, 25, 443}",)
    with pytest.raises(FilterError, match="wants commas between the values of a set: 3306, 25"):
        understand(text, commas=True)
    assert understand("tcp.port in {3306, 25,443}", commas=True).hints == ()


def test_a_bare_flag_is_taken_with_a_hint_that_it_asks_for_existence():
    (hint,) = understand("tcp.flags.syn && !tcp.flags.ack == 1").hints
    assert "tcp.flags.syn == 1" in hint
    assert understand("tcp.len").hints == ()


SEED = [  # the filters of the first exercise, on a connection to this address and port
    ("ip.addr==47.95.216.170", ALL),
    ("tcp.port==443", ALL),
    ("ip.addr==47.95.216.170 and tcp.port==443", ALL),
    ("ip.addr == 47.95.216.170 and not tcp.port in {3306 25 443}", []),
    ("ip.src == 47.95.216.170", [2, 5, 6, 9, 10]),
    ("ip.dst == 47.95.216.170", [1, 3, 4, 7, 8, 11]),
    ("!(ip.addr==47.95.216.170)", []),
]


@pytest.mark.parametrize(("text", "frames"), SEED)
def test_the_filters_that_everybody_begins_with(tmp_path, text, frames):
    there = bytes([47, 95, 216, 170])
    data = CLOSES.read_bytes().replace(bytes([10, 77, 0, 2]), there).replace(b"\x4e\x70", b"\x01\xbb")
    path = tmp_path / "x.pcap"
    path.write_bytes(data)
    assert passing(path, text) == frames


@pytest.mark.parametrize(
    "text",
    ["(" * 5000 + "tcp" + ")" * 5000, "!" * 5000 + "tcp", "tcp" + "&&tcp" * 50_000, "tcp.port in {" + "1," * 40_000],
)
def test_a_filter_without_bounds_is_refused_and_not_followed(text):
    with pytest.raises(FilterError):
        understand(text)


def test_what_is_within_the_bounds_is_followed():
    depth = 50
    assert passing(RAW, "(" * depth + "tcp" + ")" * depth) == [1, 2]
    assert passing(RAW, "!" * depth + "tcp") == [1, 2]
    assert passing(RAW, " || ".join(["udp"] * 1000 + ["icmp"])) == [2]


def test_every_field_can_be_asked_for_and_has_a_name_of_its_protocol():
    for name in FIELDS:
        understand(name)
        assert name.partition(".")[0] in {
            "frame",
            "eth",
            "vlan",
            "sll",
            "null",
            "ip",
            "ipv6",
            "icmp",
            "icmpv6",
            "tcp",
            "udp",
            "synfin",
        }


def test_the_parser_is_imported_for_a_filter_alone():
    code = "import sys, synfin.read_cli, synfin.embedded; sys.exit('lark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_page_of_filters_has_every_field():
    page = (CAPTURES.parents[1] / "docs" / "filters.md").read_text(encoding="utf-8")
    assert [name for name, field in FIELDS.items() if field.kind is not Kind.PROTOCOL and f"`{name}`" not in page] == []
