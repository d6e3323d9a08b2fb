"""Numbers that have names, in Wireshark's words: what the lines of a packet say behind `Protocol:` and the like."""

from collections.abc import Mapping
from typing import Final

LINKS: Final[Mapping[int, tuple[str, str]]] = {  # LINKTYPE_: (name and Wireshark's number, first protocol)
    0: ("NULL/Loopback (15)", "null"),
    1: ("Ethernet (1)", "eth"),
    12: ("Raw IP (7)", "raw"),
    14: ("Raw IP (7)", "raw"),
    101: ("Raw IP (7)", "raw"),
    108: ("OpenBSD loopback (174)", "null"),
    113: ("Linux cooked-mode capture v1 (25)", "sll"),
    228: ("Raw IPv4 (129)", ""),
    229: ("Raw IPv6 (130)", ""),
    276: ("Linux cooked-mode capture v2 (210)", "sll"),
}
ETHERTYPES: Final = {
    0x0800: "IPv4",
    0x0806: "ARP",
    0x86DD: "IPv6",
    0x8100: "802.1Q Virtual LAN",
    0x8847: "MPLS label switched packet",
    0x8863: "PPPoE Discovery",
    0x8864: "PPPoE Session",
    0x88A8: "802.1ad Provider Bridge (Q-in-Q)",
}
PROTOCOLS: Final = {
    0: "IPv6 Hop-by-Hop Option",
    1: "ICMP",
    2: "IGMP",
    4: "IPIP",
    6: "TCP",
    17: "UDP",
    41: "IPv6",
    43: "Routing Header for IPv6",
    44: "Fragment Header for IPv6",
    47: "Generic Routing Encapsulation",
    58: "ICMPv6",
    59: "No Next Header for IPv6",
    60: "Destination Options for IPv6",
    132: "SCTP",
}
_AF: Final = {8 * c + 2 * d: (f"AF{c}{d}", f"Assured Forwarding {c}{d}") for c in range(1, 5) for d in range(1, 4)}
_CS: Final = {8 * c: (f"CS{c}", f"Class Selector {c}") for c in range(1, 8)}
DSCPS: Final = {
    0: ("CS0", "Default"),
    **_CS,
    **_AF,
    44: ("VOICE-ADMIT", "Voice Admit"),
    46: ("EF PHB", "Expedited Forwarding"),
}
ECNS: Final = (
    ("Not-ECT", "Not ECN-Capable Transport"),
    ("ECT(1)", "ECN-Capable Transport codepoint '01'"),
    ("ECT(0)", "ECN-Capable Transport codepoint '10'"),
    ("CE", "Congestion Experienced"),
)
PRIORITIES: Final = (
    "Best Effort (default)",
    "Background",
    "Excellent Effort",
    "Critical Applications",
    "Video, < 100ms latency and jitter",
    "Voice, < 10ms latency and jitter",
    "Internetwork Control",
    "Network Control",
)
PACKET_TYPES: Final = {
    0: "Unicast to us",
    1: "Broadcast",
    2: "Multicast",
    3: "Unicast to another host",
    4: "Sent by us",
}
HARDWARE: Final = {1: "Ethernet", 772: "Loopback"}
FAMILIES: Final = {2: "IP", 24: "IPv6", 28: "IPv6", 30: "IPv6"}
ICMP_TYPES: Final = {
    0: "Echo (ping) reply",
    3: "Destination unreachable",
    4: "Source quench",
    5: "Redirect",
    8: "Echo (ping) request",
    11: "Time-to-live exceeded",
    12: "Parameter problem",
}
ICMPV6_TYPES: Final = {
    1: "Destination Unreachable",
    2: "Packet Too Big",
    3: "Time Exceeded",
    4: "Parameter Problem",
    128: "Echo (ping) request",
    129: "Echo (ping) reply",
    133: "Router Solicitation",
    134: "Router Advertisement",
    135: "Neighbor Solicitation",
    136: "Neighbor Advertisement",
}
UNREACHABLE: Final = {
    0: "Network unreachable",
    1: "Host unreachable",
    2: "Protocol unreachable",
    3: "Port unreachable",
    4: "Fragmentation needed",
    13: "Communication administratively filtered",
}
UNREACHABLE_V6: Final = {
    0: "no route to destination",
    1: "Administratively prohibited",
    3: "Address unreachable",
    4: "Port unreachable",
}
CHECKSUM_STATUS: Final = ("Bad", "Good", "Unverified")
CHECKSUM_WORDS: Final = ("[incorrect, perhaps left to the network card]", "[correct]", "[unverified]")
FLAGS: Final = (  # of TCP from the lowest bit: field, in a list, in full
    ("fin", "FIN", "Fin"),
    ("syn", "SYN", "Syn"),
    ("reset", "RST", "Reset"),
    ("push", "PSH", "Push"),
    ("ack", "ACK", "Acknowledgment"),
    ("urg", "URG", "Urgent"),
    ("ece", "ECE", "ECN-Echo"),
    ("cwr", "CWR", "Congestion Window Reduced"),
    ("ae", "AE", "Accurate ECN"),
)
OPTIONS: Final = {  # of TCP: in a list, as a kind
    0: ("End of Option List (EOL)", "End of Option List"),
    1: ("No-Operation (NOP)", "No-Operation"),
    2: ("Maximum segment size", "Maximum Segment Size"),
    3: ("Window scale", "Window Scale"),
    4: ("SACK permitted", "SACK Permitted"),
    5: ("SACK", "SACK"),
    8: ("Timestamps", "Time Stamp Option"),
    19: ("TCP MD5 signature", "MD5 Signature Option"),
    28: ("User Timeout", "User Timeout Option"),
    30: ("MPTCP", "Multipath TCP"),
    34: ("TCP Fast Open", "TCP Fast Open Cookie"),
    253: ("Experimental", "RFC3692-style Experiment 1"),
    254: ("Experimental", "RFC3692-style Experiment 2"),
}
MULTIPATH: Final = {
    0: "Multipath Capable",
    1: "Join Connection",
    2: "Data Sequence Signal",
    3: "Add Address",
    4: "Remove Address",
    5: "Change Subflow Priority",
    6: "TCP Fallback",
    7: "Fast Close",
    8: "TCP Reset",
}
_COMPLETE: Final = (  # bits of tcp.completeness: all of them, words
    (1, "SYN_SENT"),
    (3, "CLIENT_ESTABLISHED"),
    (7, "ESTABLISHED"),
)
SUSPICIONS: Final = {  # labels of the analysis: severity, words
    "retransmission": ("Note", "This frame is a (suspected) retransmission"),
    "fast_retransmission": ("Note", "This frame is a (suspected) fast retransmission"),
    "spurious_retransmission": ("Note", "This frame is a (suspected) spurious retransmission"),
    "out_of_order": ("Warning", "This frame is a (suspected) out-of-order segment"),
    "lost_segment": ("Warning", "Previous segment(s) not captured (common at capture start)"),
    "ack_lost_segment": ("Warning", "ACKed segment that wasn't captured (common at capture start)"),
    "keep_alive": ("Note", "TCP keep-alive segment"),
    "keep_alive_ack": ("Note", "ACK to a TCP keep-alive segment"),
    "duplicate_ack": ("", "This is a TCP duplicate ack"),
    "zero_window": ("Warning", "TCP Zero Window segment"),
    "zero_window_probe": ("Note", "TCP Zero Window Probe"),
    "zero_window_probe_ack": ("Note", "ACK to a TCP Zero Window Probe"),
    "window_update": ("Chat", "TCP window update"),
    "window_full": ("Warning", "TCP window specified by the receiver is now completely full"),
    "reused_ports": ("Note", "A new tcp session is started with the same ports as an earlier session in this trace"),
}


def named(names: Mapping[int, str], number: int, otherwise: str = "Unknown") -> str:
    """`TCP (6)`."""
    return f"{names.get(number, otherwise)} ({number})"


def named_type(number: int) -> str:
    """`IPv4 (0x0800)`."""
    return f"{ETHERTYPES.get(number, 'Unknown')} (0x{number:04x})"


def flags_list(flags: int) -> str:
    """`SYN, ACK`."""
    return ", ".join(word for bit, (_, word, _) in enumerate(FLAGS) if flags >> bit & 1) or "<None>"


def completeness_words(bits: int) -> str:
    """What was seen of a connection's opening, data and close."""
    if bits & 7 == 7 and bits & 0x30:
        return f"Complete, {'WITH_DATA' if bits & 8 else 'NO_DATA'} ({bits})"
    if bits & 8 and bits & 7 == 7:
        return f"Incomplete, DATA ({bits})"
    words = dict(_COMPLETE).get(bits)
    return f"Incomplete, {words} ({bits})" if words else f"Incomplete ({bits})"
