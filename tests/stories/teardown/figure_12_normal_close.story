The normal close, RFC 9293 Figure 12: each direction is closed by a FIN and acknowledged, in four segments.
Who closes first waits in TIME-WAIT, in case the last ACK is lost; the other end is done at once when it has that ACK.

taps: both, A, B, middle

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.012  A > B  [P.] seq 1:51, ack 1         | .             .
0.020  B > A  [P.] seq 1:301, ack 51       | .             .
0.030  A > B  [F.] seq 51, ack 301         | FIN-WAIT-1    CLOSE-WAIT
0.040  B > A  [.] seq 301, ack 52          | FIN-WAIT-2    .
0.050  B > A  [F.] seq 301, ack 52         | TIME-WAIT     LAST-ACK
0.051  A > B  [.] seq 52, ack 302          | .             CLOSED
5.000  (nothing more)                      | .             .

opened: three_way
closed: orderly, four segments, A first
events: handshake.three_way, established, teardown.orderly
zeek: SF ShADdFaf
