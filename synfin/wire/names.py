"""What the names mean by which a flow record says what other tools would call its connection.

The page docs/names.md is made from these tables; a test holds their keys against the columns' enumerations.
"""

from typing import Final

CONN_STATES: Final = {
    "S0": "SYN of the originator, and nothing from the responder",
    "S1": "opened, and neither end was seen to close",
    "SF": "opened and closed: FIN of both ends",
    "REJ": "SYN, answered by RST",
    "S2": "opened; FIN of the originator alone",
    "S3": "opened; FIN of the responder alone",
    "RSTO": "the originator reset",
    "RSTR": "the responder reset",
    "RSTOS0": "SYN and RST of the originator, and no SYN,ACK",
    "RSTRH": "SYN,ACK and RST of the responder, and no SYN",
    "SH": "SYN and FIN of the originator, and no SYN,ACK",
    "SHR": "SYN,ACK and FIN of the responder, and no SYN",
    "OTH": "no SYN: the capture began in the middle, or what was seen fits nothing above",
}
HISTORY: Final = {  # letter: (what it stands for, when another one of the same end gets one too)
    "s": ("SYN", "with another number, after the end had closed or reset"),
    "h": ("SYN,ACK", "with another number, after the end had closed or reset"),
    "a": ("ACK without payload", "never"),
    "d": ("payload", "never"),
    "f": ("FIN", "with another number"),
    "r": ("RST", "with another number than the one before"),
    "i": ("FIN and RST in one segment", "never"),
    "q": ("SYN and FIN, or SYN and RST, in one segment", "never"),
    "c": ("a segment with a bad checksum, which counts as nothing else", "the 10th, 100th"),
    "g": ("a gap: the other end acknowledged what was not seen", "the 10th, 100th"),
    "t": ("payload that was sent before, or comes out of order", "the 10th, 100th, 1 000th, 10 000th"),
    "w": ("a window of 0, from an end that is not reset and whose peer has not closed", "as t"),
    "^": ("the end that was seen first is not the originator", "never; it stands in front"),
    "+": ("in the last of 18 places: there was more", "never"),
}
END_REASONS: Final = {
    "end": "both ends were closed or in TIME-WAIT for 10 s",
    "idle": "nothing was seen for the time that the states allow",
    "eof": "the capture file ended",
    "evicted": "its slice was full, and of its sensor it would have ended first",
    "reused": "the tuple opened again",
    "sensor_lost": "its sensor was not heard for so long that it was given up",
    "clock_step": "its sensor's clock was set back",
    "stopped": "the capture was stopped",
}
IPFIX: Final = {
    1: "idle timeout: also `end` where a SYN or a SYN,ACK was never answered",
    2: "active timeout: never in a flow record, which comes once",
    3: "end of flow detected",
    4: "forced end",
    5: "lack of resources",
}
STAGES: Final = {  # of a signature, by its first part
    "syn": "one SYN",
    "ack": "SYN and one ACK",
    "psh": "SYN, ACK and one segment of data with PSH",
    "data": "SYN, ACK and several segments of data",
}
RESETS: Final = {  # the rest of it
    "": "nothing more for 3 s, no FIN of either end and no RST of the server",
    "rst": "RST without ACK",
    "rstack": "RST with ACK",
    "rst_rst": "several RSTs without ACK",
    "rstack_rstack": "several RSTs with ACK",
    "rst_rstack": "RSTs of both kinds",
}
