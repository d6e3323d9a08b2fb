The tap sees B alone: a SYN,ACK, and at once a RST. Whether there was a connection at all depends on an A never seen.
This is what remains of a scan, or of an answer to a forged SYN, where the other way leads past the tap.

seen from: middle

0.000  B > A  [S.] seq 0, ack 1            | SYN-SENT      SYN-RECEIVED
0.100  B > A  [R.] seq 1, ack 1            | .             ESTABLISHED/CLOSED
9.000  (nothing more)                      | ESTABLISHED/CLOSED  .

opened: three_way
closed: abort, B resets by abort
events: handshake.three_way, established, teardown.abort as debug
zeek: RSTRH ^hr
