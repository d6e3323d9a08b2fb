A waits in FIN-WAIT-2 for B's FIN, and aborts: the program ended, or ran out of patience.
B, in CLOSE-WAIT, had still something to send perhaps; now it cannot.

taps: both, A, B, middle

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.020  A > B  [F.] seq 1, ack 1            | FIN-WAIT-1    CLOSE-WAIT
0.030  B > A  [.] seq 1, ack 2             | FIN-WAIT-2    .
0.040  B > A  [P.] seq 1:101, ack 2        | .             .
0.050  A > B  [.] seq 2, ack 101           | .             .
1.000  A > B  [R.] seq 2, ack 101          | CLOSED        CLOSED
9.000  (nothing more)                      | .             .

opened: three_way
closed: fin_then_rst, A first, A resets by abort
events: handshake.three_way, established, teardown.fin_then_rst
zeek: RSTO ShAFadR
