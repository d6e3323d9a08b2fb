A's abort overtakes an ACK of its own on the way to B's tap: it comes 5 ms after the RST, and has the RST's number.
So late a packet may be. Nobody went on, and nobody tampered.

taps: B, middle

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.012  B > A  [P.] seq 1:11, ack 1         | .             .
0.020  A > B  [R.] seq 1, ack 11           | CLOSED        CLOSED
0.025  A > B  [.] seq 1, ack 11            | .             .
9.000  (nothing more)                      | .             .

opened: three_way
closed: abort, A resets by abort
events: handshake.three_way, established, teardown.abort, alert.abnormal_teardown
zeek: RSTO ShAdR
tampering: ack_rstack
