The capture begins in the middle: both ends are taken for ESTABLISHED from what they send, and who opened is a guess.
The lower port is taken for the server. How it opened stays unseen, and no event claims to know it.

taps: A, B, both, middle

0.000  A > B  [P.] seq 1001:1101, ack 501  | ESTABLISHED   .
0.010  B > A  [.] seq 501, ack 1101        | .             ESTABLISHED
0.020  B > A  [P.] seq 501:601, ack 1101   | .             .
0.021  A > B  [.] seq 1101, ack 601        | .             .
0.030  A > B  [F.] seq 1101, ack 601       | FIN-WAIT-1    CLOSE-WAIT
0.040  B > A  [F.] seq 601, ack 1102       | FIN-WAIT-2/TIME-WAIT  LAST-ACK
0.041  A > B  [.] seq 1102, ack 602        | .             CLOSED
9.000  (nothing more)                      | .             .

opened: unseen
closed: orderly, three segments, A first
events: established, teardown.orderly
zeek: SF DadAFf
A: ESTABLISHED presumed > FIN-WAIT-1 > FIN-WAIT-2 > TIME-WAIT
B: ESTABLISHED presumed > CLOSE-WAIT > LAST-ACK > CLOSED
