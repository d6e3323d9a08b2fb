The last ACK is lost: B repeats its FIN until it is acknowledged, and each FIN restarts A's wait in TIME-WAIT.
This is what TIME-WAIT is for. B stays in LAST-ACK for as long as it takes.

taps: A, B

0.000  A > B    [S] seq 0                  | SYN-SENT      LISTEN
0.010  B > A    [S.] seq 0, ack 1          | ESTABLISHED   SYN-RECEIVED
0.011  A > B    [.] seq 1, ack 1           | .             ESTABLISHED
0.020  A > B    [F.] seq 1, ack 1          | FIN-WAIT-1    CLOSE-WAIT
0.030  B > A    [F.] seq 1, ack 2          | FIN-WAIT-2/TIME-WAIT  LAST-ACK
0.031  A > ...  [.] seq 2, ack 2           | .             .
0.240  B > A    [F.] seq 1, ack 2          | .             .
0.241  A > B    [.] seq 2, ack 2           | .             CLOSED
5.000  (nothing more)                      | .             .

opened: three_way
closed: orderly, three segments, A first
events: handshake.three_way, established, teardown.orderly
at A events: handshake.three_way, established, teardown.orderly, revised
zeek: SF ShAFf
