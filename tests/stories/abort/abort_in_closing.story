The FINs crossed, and instead of acknowledging B's, A aborts from CLOSING; B, in CLOSING as well, is reset.
Both FINs were received, so the close counts as what it was: simultaneous.

taps: A, B

0.000  A > B    [S] seq 0                  | SYN-SENT      LISTEN
0.010  B > A    [S.] seq 0, ack 1          | ESTABLISHED   SYN-RECEIVED
0.011  A > B    [.] seq 1, ack 1           | .             ESTABLISHED
0.012  B > A    [.] seq 1, ack 1           | .             .
0.100  A > ...  [F.] seq 1, ack 1          | FIN-WAIT-1    .
0.101  B > ...  [F.] seq 1, ack 1          | .             FIN-WAIT-1
0.110  ... > A  [F.] seq 1, ack 1          | CLOSING       .
0.111  ... > B  [F.] seq 1, ack 1          | .             CLOSING
0.112  B > ...  [.] seq 2, ack 2           | .             .
0.115  A > ...  [R.] seq 2, ack 2          | CLOSED        .
0.120  ... > B  [R.] seq 2, ack 2          | .             CLOSED
9.000  (nothing more)                      | .             .

opened: three_way
closed: simultaneous, both first, A resets by abort
events: handshake.three_way, established, teardown.simultaneous
zeek: SF ShAaFfR
at B zeek: SF ShAafFR
