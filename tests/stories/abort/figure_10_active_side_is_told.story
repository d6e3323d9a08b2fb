The active side causes half-open discovery, RFC 9293 Figure 10: A has crashed, B sends data, and A's host resets it.
A's RST is the answer of a host that has no such connection, and that is all that A ever says about its crash.

taps: both, B

0.000   A > B  [S] seq 0                   | SYN-SENT      LISTEN
0.010   B > A  [S.] seq 0, ack 1           | ESTABLISHED   SYN-RECEIVED
0.011   A > B  [.] seq 1, ack 1            | .             ESTABLISHED
0.012   A > B  [P.] seq 1:11, ack 1        | .             .
0.020   B > A  [.] seq 1, ack 11           | .             .
10.000  B > A  [P.] seq 1:101, ack 11      | .             .
10.010  A > B  [R] seq 11                  | CLOSED        CLOSED
20.000  (nothing more)                     | .             .

opened: three_way
closed: silent, A resets by reply
events: handshake.three_way, established, teardown.silent, alert.abnormal_teardown
zeek: RSTO ShADadR
tampering: psh_rst
at both tampering: 
