A speaks with TTL 255, as routers do among each other; its kernel, when it has no connection, answers with its usual 64.
The numbers of hops are the same: the RST has come A's way.

taps: B

0.000  A > B    [S] seq 0, ttl 254         | .             LISTEN
0.010  B > A    [S.] seq 0, ack 1          | .             SYN-RECEIVED
0.011  A > B    [.] seq 1, ack 1, ttl 254  | .             ESTABLISHED
0.012  A > B    [P.] seq 1:11, ack 1, ttl 254  | .         .
0.013  B > A    [P.] seq 1:11, ack 11      | .             .
0.030  A > B    [R] seq 11, win 0, ttl 63  | .             CLOSED
9.000  (nothing more)                      | .             .

opened: three_way
closed: silent, A resets by reply
events: handshake.three_way, established, teardown.silent, alert.abnormal_teardown
zeek: RSTO ShADdR
tampering: psh_rst
A: SYN-SENT > ESTABLISHED > CLOSED
