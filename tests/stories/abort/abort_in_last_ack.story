B has sent its FIN and aborts from LAST-ACK, before A acknowledges it: as a server that closes at once and for good.
A, whose own FIN was acknowledged and who has B's, is in TIME-WAIT; the RST is exactly at the number that it expects.

taps: both, A

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.020  A > B  [F.] seq 1, ack 1            | FIN-WAIT-1    CLOSE-WAIT
0.030  B > A  [F.] seq 1, ack 2            | FIN-WAIT-2/TIME-WAIT  LAST-ACK
0.031  B > A  [R.] seq 2, ack 2            | CLOSED        CLOSED
9.000  (nothing more)                      | .             .

opened: three_way
closed: orderly, three segments, A first, B resets by abort
events: handshake.three_way, established, teardown.orderly
zeek: SF ShAFfr
