B closes its socket with A's data unread: the kernel sends RST, since a FIN would say that all had been taken.
A's FIN was known by then, so one direction was closed in order and the other was not: FIN, then RST.

taps: both, A, B

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.012  A > B  [P.] seq 1:11, ack 1         | .             .
0.013  A > B  [F.] seq 11, ack 1           | FIN-WAIT-1    CLOSE-WAIT
0.020  B > A  [.] seq 1, ack 12            | FIN-WAIT-2    .
0.100  B > A  [R.] seq 1, ack 12           | CLOSED        CLOSED
9.000  (nothing more)                      | .             .

opened: three_way
closed: fin_then_rst, A first, B resets by abort
events: handshake.three_way, established, teardown.fin_then_rst
zeek: RSTR ShADFar
