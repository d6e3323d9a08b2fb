A closes its direction and goes on listening: half-closed, which is not half-open. B sends what it has, then closes.
`ssh host command < file` works like this: the end of the input is sent long before the output comes.

taps: both, A, B, middle

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.012  A > B  [FP.] seq 1:31, ack 1        | FIN-WAIT-1    CLOSE-WAIT
0.020  B > A  [.] seq 1, ack 32            | FIN-WAIT-2    .
2.000  B > A  [P.] seq 1:1001, ack 32      | .             .
2.001  A > B  [.] seq 32, ack 1001         | .             .
2.100  B > A  [F.] seq 1001, ack 32        | TIME-WAIT     LAST-ACK
2.101  A > B  [.] seq 32, ack 1002         | .             CLOSED
9.000  (nothing more)                      | .             .

opened: three_way
closed: orderly, half close, A first
events: handshake.three_way, established, teardown.orderly
zeek: SF ShAFadf
