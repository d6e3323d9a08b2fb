Half-open connection discovery, RFC 9293 Figure 9: A has crashed, forgotten the connection, and opens it again.
B still holds the old one and answers what it has; A says with a RST that it knows of no such thing, and opens anew.

seen from: B

0.000   A > B  [S] seq 0                   | SYN-SENT      LISTEN
0.010   B > A  [S.] seq 0, ack 1           | .             SYN-RECEIVED
0.011   A > B  [.] seq 1, ack 1            | ESTABLISHED   ESTABLISHED
0.012   A > B  [P.] seq 1:11, ack 1        | .             .
0.020   B > A  [.] seq 1, ack 11           | .             .
10.000  A > B  [S] seq 400000              | .             .
10.001  B > A  [.] seq 1, ack 11           | .             .
10.010  A > B  [R] seq 11                  | CLOSED        CLOSED

opened: three_way
closed: silent, A resets by reply
events: handshake.three_way, established, teardown.silent, halfopen.recovered, alert.abnormal_teardown
zeek: RSTO ShADaR
tampering: psh_rst

---- next connection

11.000  A > B  [S] seq 400000              | SYN-SENT      LISTEN
11.001  B > A  [S.] seq 9000, ack 400001   | .             SYN-RECEIVED
11.010  A > B  [.] seq 400001, ack 9001    | ESTABLISHED   ESTABLISHED
11.100  (quiet)                            | .             .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: S1 ShA
