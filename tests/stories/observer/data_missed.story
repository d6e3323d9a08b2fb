The capture loses data, which the peer acknowledges all the same: no state depends on it, and no alert may come of it.
A RST then ends the connection; with a hole in the capture it is told, and not made an alarm.

taps: both, A, B

0.000  A > B   [S] seq 0                   | SYN-SENT      LISTEN
0.010  B > A   [S.] seq 0, ack 1           | ESTABLISHED   SYN-RECEIVED
0.011  A > B   [.] seq 1, ack 1            | .             ESTABLISHED
0.012  A > B   [P.] seq 1:11, ack 1        | .             .
0.013  A ~> B  [P.] seq 11:1011, ack 1     | .             .
0.020  B > A   [.] seq 1, ack 1011         | .             .
0.021  A > B   [P.] seq 1011:1021, ack 1   | .             .
0.030  B > A   [.] seq 1, ack 1021         | .             .
0.040  A > B   [R.] seq 1021, ack 1        | CLOSED        CLOSED
9.000  (nothing more)                      | .             .

opened: three_way
closed: abort, A resets by abort
events: handshake.three_way, established, teardown.abort
zeek: RSTO ShADaGR
at B tampering: data_rstack
