A is gone, and B has three segments on the way: each is answered by a RST with the number that it acknowledges.
Behind B's ACKs, with rising numbers and no identification, that is how a host answers, and nobody tampers.

taps: B

0.000  A > B    [S] seq 0                  | .             LISTEN
0.010  B > A    [S.] seq 0, ack 1          | .             SYN-RECEIVED
0.011  A > B    [.] seq 1, ack 1, id 70    | .             ESTABLISHED
0.012  A > B    [P.] seq 1:11, ack 1, id 71  | .           .
0.013  B > A    [P.] seq 1:101, ack 11     | .             .
0.014  A > B    [P.] seq 11:21, ack 1, id 72  | .          .
0.015  B > A    [P.] seq 101:201, ack 21   | .             .
0.016  A > B    [P.] seq 21:31, ack 1, id 73  | .          .
0.017  B > A    [P.] seq 201:301, ack 31   | .             .
0.030  A > B    [R] seq 11, win 0          | .             .
0.031  A > B    [R] seq 21, win 0          | .             .
0.032  A > B    [R] seq 31, win 0          | .             CLOSED
9.000  (nothing more)                      | .             .

opened: three_way
closed: silent, A resets by reply
events: handshake.three_way, established, teardown.silent, alert.abnormal_teardown
zeek: RSTO ShADdRRR
tampering: data_rst
A: SYN-SENT > ESTABLISHED > CLOSED
