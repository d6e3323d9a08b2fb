A SYN with a number below what was received, towards TIME-WAIT, is an old duplicate: challenge ACK, and TIME-WAIT stays.
That is the other half of what TIME-WAIT is for: old segments must not begin a new connection.

taps: B

0.000  A > B    [S] seq 0                  | .             LISTEN
0.010  B > A    [S.] seq 0, ack 1          | .             SYN-RECEIVED
0.011  A > B    [.] seq 1, ack 1           | .             ESTABLISHED
0.020  B > A    [F.] seq 1, ack 1          | .             FIN-WAIT-1
0.030  A > B    [F.] seq 1, ack 2          | .             FIN-WAIT-2/TIME-WAIT
0.031  B > A    [.] seq 2, ack 2           | .             .
1.000  ... > B  [S] seq -5000              | .             .
1.001  B > A    [.] seq 2, ack 2           | .             .
5.000  (quiet)                             | .             .

opened: three_way
closed: orderly, three segments, B first
events: handshake.three_way, established, teardown.orderly
zeek: SF ShAfFa
A: SYN-SENT > ESTABLISHED > CLOSE-WAIT > LAST-ACK > CLOSED
