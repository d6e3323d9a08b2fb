Destination unreachable: a router says by ICMP that it will not carry the SYN, and A gives up (RFC 9293 section 3.9.2.2).
At B's tap there is nothing to see at all. The message quotes the sequence number, which a stranger would have to guess.

taps: A

0.000  A > ...  [S] seq 0                  | SYN-SENT      .
0.010  router > A icmp 3/1 about seq 0     | CLOSED        .
5.000  (nothing more)                      | .             .

opened: rejected_icmp
closed: none
events: handshake.rejected_icmp
zeek: S0 S
B: LISTEN presumed
