A closes, B still sends, and A's socket is gone: the data draws a RST, and B's direction ends without a FIN.
So it goes when a client quits in the middle of a download. It is noted, and not an alarm.

taps: both, A, B

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.020  A > B  [F.] seq 1, ack 1            | FIN-WAIT-1    CLOSE-WAIT
0.030  B > A  [.] seq 1, ack 2             | FIN-WAIT-2    .
0.040  B > A  [P.] seq 1:101, ack 2        | .             .
0.041  A > B  [R] seq 2                    | CLOSED        CLOSED
9.000  (nothing more)                      | .             .

opened: three_way
closed: fin_then_rst, A first, A resets by reply
events: handshake.three_way, established, teardown.fin_then_rst
zeek: RSTO ShAFadR
