A FIN that overtakes data waits: B acknowledges what it has in order, and moves when the data before the FIN is there.
RFC 9293 says it in the eighth check: the FIN counts when RCV.NXT has reached it.

taps: both, B, A, middle

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.012  A > B  [F.] seq 101, ack 1          | FIN-WAIT-1    .
0.020  B > A  [.] seq 1, ack 1, sack 101:102  | .          .
0.030  A > B  [P.] seq 1:101, ack 1        | .             CLOSE-WAIT
0.040  B > A  [.] seq 1, ack 102           | FIN-WAIT-2    .
0.050  B > A  [F.] seq 1, ack 102          | TIME-WAIT     LAST-ACK
0.051  A > B  [.] seq 102, ack 2           | .             CLOSED
5.000  (nothing more)                      | .             .

opened: three_way
closed: orderly, four segments, A first
events: handshake.three_way, established, teardown.orderly
zeek: SF ShAFaDTf
