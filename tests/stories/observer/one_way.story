The tap has only what A sends: the answers take another way. A's acknowledgments tell of them all the same.
How B took the RST shows nowhere, and what would be an alarm elsewhere is for debugging here.

seen from: middle

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.011  A > B  [.] seq 1, ack 1             | ESTABLISHED   SYN-RECEIVED
0.012  A > B  [P.] seq 1:11, ack 1         | .             .
0.020  A > B  [.] seq 11, ack 501          | .             ESTABLISHED
0.100  A > B  [R.] seq 11, ack 501         | CLOSED        .
9.000  (nothing more)                      | .             CLOSED

opened: three_way
closed: abort, A resets by abort
events: handshake.three_way, established, teardown.abort as debug
zeek: OTH SADR
