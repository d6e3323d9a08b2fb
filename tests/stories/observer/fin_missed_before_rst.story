The capture loses A's FIN, and B, which had unread data, answers it by a RST that acknowledges one number more.
A RST that acknowledges what was never seen tells of a FIN before it: so B had taken that, and it is no alarm.

taps: B

0.000  A > B   [S] seq 0                   | SYN-SENT      LISTEN
0.010  B > A   [S.] seq 0, ack 1           | ESTABLISHED   SYN-RECEIVED
0.011  A > B   [.] seq 1, ack 1            | .             ESTABLISHED
0.012  A > B   [P.] seq 1:11, ack 1        | .             .
0.020  B > A   [.] seq 1, ack 11           | .             .
0.100  A ~> B  [F.] seq 11, ack 1          | .             .
0.110  B > A   [R.] seq 1, ack 12          | FIN-WAIT-1/CLOSED  CLOSE-WAIT/CLOSED
9.000  (nothing more)                      | .             .

opened: three_way
closed: fin_then_rst, A first, B resets by abort
events: handshake.three_way, established, teardown.fin_then_rst
zeek: RSTR ShADar
