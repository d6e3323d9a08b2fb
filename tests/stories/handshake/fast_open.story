TCP Fast Open (RFC 7413): the SYN carries data and a cookie, and B may answer with data before the third segment.
B's data after its SYN,ACK is then no proof that B is open; only A's ACK is.

taps: both, B, A

0.000  A > B  [S] seq 0:10, cookie 8       | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 11           | ESTABLISHED   SYN-RECEIVED
0.011  B > A  [P.] seq 1:21, ack 11        | .             .
0.020  A > B  [.] seq 11, ack 21           | .             ESTABLISHED
0.030  B > A  [P.] seq 21:31, ack 11       | .             .
0.300  (quiet)                             | .             .

opened: tfo
closed: none
events: handshake.tfo, established
zeek: S1 SThdA
