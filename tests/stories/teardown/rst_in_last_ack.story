Both FINs are known when a RST comes: what was to be said was said, and the close counts as orderly.
B ends its LAST-ACK by a RST, where an ACK would have done the same.

taps: both, B

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.020  A > B  [F.] seq 1, ack 1            | FIN-WAIT-1    CLOSE-WAIT
0.030  B > A  [F.] seq 1, ack 2            | FIN-WAIT-2/TIME-WAIT  LAST-ACK
0.031  A > B  [R.] seq 2, ack 2            | CLOSED        CLOSED
9.000  (nothing more)                      | .             .

opened: three_way
closed: orderly, three segments, A first, A resets by abort
events: handshake.three_way, established, teardown.orderly
zeek: SF ShAFfR
at B A: SYN-SENT > ESTABLISHED > FIN-WAIT-1 > FIN-WAIT-2 > TIME-WAIT > CLOSED
