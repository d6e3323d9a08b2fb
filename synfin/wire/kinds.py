"""What each kind of event says: its severity, when it is raised, and what must not be read into it.

The core takes the severities from here, and the page docs/events.md the words.
"""

from typing import Final, NamedTuple

from synfin.wire.event import EVENT_KINDS, SEVERITIES


class Kind(NamedTuple):
    """One kind of event."""

    severity: str  # one of SEVERITIES
    when: str  # it is raised, in the words of RFC 9293
    care: str = ""  # what it does not prove, or when it is held back


KINDS: Final = {
    "transition": Kind(
        "debug",
        "One endpoint goes from one of the eleven states into another.",
        "On the topic only where the setting `processor.transitions` asks for it: the flow record lists them all.",
    ),
    "established": Kind(
        "info",
        "Both endpoints hold the connection for open.",
        "Once a view. In a capture that begins in mid-stream it is presumed from the first data.",
    ),
    "handshake.three_way": Kind("info", "SYN, SYN,ACK and ACK, each acknowledging the one before."),
    "handshake.simultaneous": Kind(
        "notice",
        "Both endpoints sent SYN without ACK before either had the other's: both pass SYN-SENT and SYN-RECEIVED.",
        "Rare by chance. Hole punching through two NATs does it on purpose.",
    ),
    "handshake.split": Kind(
        "warn",
        "A SYN is answered by a SYN of its own and a separate ACK, after it had arrived.",
        "No common stack opens like this; some scanners do, because some filters then take the server for the client.",
    ),
    "handshake.tfo": Kind("info", "TCP Fast Open, RFC 7413: the SYN carried data and the server took it."),
    "handshake.rejected": Kind(
        "info",
        "The SYN is answered by RST with the form of a closed port: ACK set, SEQ 0, ACK one after the SYN.",
        "Happens wherever clients try addresses in turn.",
    ),
    "handshake.rejected_icmp": Kind(
        "notice",
        "An ICMP error that quotes the SYN with its ISN, while the endpoint is in SYN-SENT.",
        "In later states such an error is soft and changes nothing, RFC 5927.",
    ),
    "handshake.unanswered": Kind(
        "info",
        "Nothing answers the SYN, or its repetitions, for 70 s.",
        "Not raised when the capture ends before that, and `debug` where only one direction is captured.",
    ),
    "handshake.half_open": Kind(
        "notice",
        "SYN,ACK was sent, repeated perhaps, and no ACK came for 40 s.",
        "The opener may never have got the SYN,ACK: in a flood with forged addresses it never does. `debug` where only "
        "one direction is captured.",
    ),
    "handshake.invalid": Kind(
        "warn",
        "A SYN,ACK acknowledges what was not sent, and the connection did not open.",
        "An old duplicate from an earlier connection of the same tuple looks the same.",
    ),
    "handshake.aborted": Kind(
        "info",
        "A RST ends the attempt between SYN and ESTABLISHED, and it is no refusal.",
        "What a SYN scan leaves behind at an open port. `debug` where only one direction is captured.",
    ),
    "teardown.orderly": Kind(
        "info",
        "Each endpoint has taken the other's FIN. `segments` is three when the second FIN carried the ACK of the "
        "first, four when that ACK came alone, half_close when the passive closer sent data in between.",
        "A RST after both FINs changes nothing in that.",
    ),
    "teardown.simultaneous": Kind(
        "info",
        "Both FINs crossed: both endpoints passed CLOSING.",
        "Seen from one host it shows only by what the other end sends; repeated FINs and lost ACKs look alike.",
    ),
    "teardown.fin_then_rst": Kind(
        "notice",
        "One endpoint's FIN was taken, and then a RST ended the rest.",
        "What a browser does that closes while data is still coming. `rst_form` and `cause` tell more.",
    ),
    "teardown.abort": Kind(
        "warn",
        "A RST ended an open connection, and no FIN had been taken. `by` says who sent it, `cause` what fits, in order "
        "of rank.",
        "`unread_data` and `linger0_or_kill` are the same on the wire where the peer has sent data. `debug` where only "
        "one direction is captured.",
    ),
    "teardown.silent": Kind(
        "warn",
        "An endpoint turns out to have gone without a packet: it answers as a host that knows no such connection, or "
        "begins anew with another ISN, or its state's timer ended.",
        "Timers of Linux, crashes and pulled cables end connections so. `debug` where only one direction is captured.",
    ),
    "teardown.idle": Kind(
        "info",
        "Nothing was seen for 7 500 s, or for 300 s where only one direction or no opening was seen.",
        "The endpoints may still be there.",
    ),
    "teardown.reused": Kind("notice", "The tuple opens again before the connection was seen to end."),
    "revised": Kind(
        "notice",
        "A later packet shows that a transition did not happen: `endpoint` was not in `from` but still in `to`. "
        "`corrects` is the id of the event that told of it.",
        "One for the transition (whose own event is on the topic only where it is asked for), and one for each of "
        "`established`, `handshake.…`, `teardown.…` and the alert that rested on it; what happens in earnest later is "
        "told anew, with the next number in its id. What was presumed is replaced without a word. The flow record, "
        "which comes last, has under `transitions` what holds, and under `revised` what was taken back.",
    ),
    "alert.abnormal_teardown": Kind(
        "alert",
        "Beside `teardown.abort`, and at the end of a view with `teardown.silent`: somebody may want to look.",
        "Not raised where the capture's own loss may explain it: when packets of the connection were missed, or of its "
        "sensor while it lasted, when both endpoints are gone without a packet, or were never both open. Nor for an "
        "end that only a timer tells.",
    ),
    "stuck.close_wait": Kind(
        "warn",
        "For 60 s an endpoint in CLOSE-WAIT has sent nothing: its program has not closed. `by` says which endpoint.",
        "A half-closed connection may have nothing to say for so long.",
    ),
    "stuck.fin_wait1": Kind("warn", "A FIN, repeated three times or more, was not acknowledged for 120 s."),
    "stuck.fin_wait2": Kind(
        "notice",
        "For 60 s the peer of a closed endpoint has not closed its own side: Linux forgets an orphan then.",
        "Where the program only shut down its sending side, the kernel waits on; what it sends later takes this back.",
    ),
    "stuck.closing": Kind("warn", "As `stuck.fin_wait1`, where the FINs have crossed."),
    "stuck.last_ack": Kind("warn", "As `stuck.fin_wait1`, of the second FIN."),
    "rst.ignored_by_target": Kind(
        "notice",
        "An endpoint goes on after a RST that it must have had: by its number it was not acceptable (RFC 5961 has it "
        "answered by a challenge ACK where it fell into the window), or it never came. `by` is whom the RST names.",
        "Once a view. A RST that is lost behind the tap looks the same from there.",
    ),
    "alert.tamper": Kind(
        "alert",
        "A RST that the endpoint it names may not have sent: `tests` lists those that it failed, `score` is the sum of "
        "their weights, 3 or more.",
        "Once a view, and a suspicion. `rst_then_alive` (3): the endpoint went on behind the RST's number. "
        "`rst_seq_data` (3): with data, within 2 s. `data_seq_rst` (2): the RST's number is below that of data that "
        "had gone before. `rst_seq_change` (3): a second RST, beyond all that was sent or acknowledged. "
        "`rst_ack_change` (2): two in a row that acknowledge different numbers. `ttl_delta` (2): another TTL than "
        "the endpoint's packets. `ipid_delta` (1): another series of IP identifications. `options` (1): an abort "
        "without the timestamp that was agreed. `foreign_form` (1): neither an answer nor an abort as Linux sends "
        "them. `rtt_impossible` (3): it acknowledges what had just been sent, sooner than half a round trip. "
        "`received_never_sent` (6) takes both hosts' sensors. Not raised for a RST that leaves its own host, nor "
        "where packets were lost to the capture; tests are held back where disorder explains them, and those of form "
        "for hosts that do not look like Linux.",
    ),
    "halfopen.recovered": Kind(
        "warn",
        "An endpoint had forgotten the connection and opened it anew: its peer answered from the old one, was told so "
        "by a RST, and the SYN came again (RFC 9293 Figure 9). `by` is who had forgotten.",
        "What a restart leaves behind; the peer had held the old connection for `duration_ns`.",
    ),
}
SEVERITY_OF_KIND: Final = tuple(SEVERITIES.index(KINDS[kind].severity) for kind in EVENT_KINDS)
assert set(KINDS) == set(EVENT_KINDS)
