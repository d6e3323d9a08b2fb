Two closers who give up: B's RST finds A in FIN-WAIT-1, since B aborted before A's FIN reached it.
The two crossed. B never had the FIN, so it goes from ESTABLISHED to CLOSED.

taps: A, B

0.000  A > B    [S] seq 0                  | SYN-SENT      LISTEN
0.010  B > A    [S.] seq 0, ack 1          | ESTABLISHED   SYN-RECEIVED
0.011  A > B    [.] seq 1, ack 1           | .             ESTABLISHED
0.012  B > A    [.] seq 1, ack 1           | .             .
0.020  A > ...  [F.] seq 1, ack 1          | FIN-WAIT-1    .
0.021  B > ...  [R.] seq 1, ack 1          | .             CLOSED
0.030  ... > A  [R.] seq 1, ack 1          | CLOSED        .
0.031  ... > B  [F.] seq 1, ack 1          | .             .
9.000  (nothing more)                      | .             .

opened: three_way
closed: abort, A first, B resets by abort
events: handshake.three_way, established, teardown.abort, alert.abnormal_teardown
zeek: RSTR ShAaFr
at B zeek: RSTR ShAarF
