A has closed and will read no more, and data still comes with the ACK of its FIN: A takes the ACK, and resets for the data.
So it was in FIN-WAIT-2 for that moment, and the reset is of the form that any host sends which does not want a segment.

taps: A

0.000  A > B  [S] seq 0                    | SYN-SENT      .
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   .
0.011  A > B  [.] seq 1, ack 1             | .             .
0.020  A > B  [F.] seq 1, ack 1            | FIN-WAIT-1    .
0.030  B > A  [P.] seq 1:101, ack 2        | FIN-WAIT-2    .
0.030  A > B  [R] seq 2                    | CLOSED        .
5.000  (nothing more)                      | .             .

opened: three_way
closed: fin_then_rst, A first, A resets by reply
events: handshake.three_way, established, teardown.fin_then_rst
zeek: RSTO ShAFdR
B: LISTEN > SYN-RECEIVED > ESTABLISHED > CLOSE-WAIT > CLOSED assumed
