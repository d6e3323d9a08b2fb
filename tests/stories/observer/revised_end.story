A RST in A's name passes the tap in the middle, and B is silent for so long that it seems to have had it. It has not.
What was told of the end is taken back: first that B was gone, then, when A goes on too, that there was an end.

seen from: middle

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | .             SYN-RECEIVED
0.020  A > B  [.] seq 1, ack 1             | ESTABLISHED   .
0.021  A > B  [P.] seq 1:11, ack 1         | .             .
0.030  B > A  [.] seq 1, ack 11            | .             ESTABLISHED
0.100  A > B  [R.] seq 11, ack 1           | CLOSED        .
4.000  (long enough to assume it arrived)  | .             CLOSED
5.000  B > A  [P.] seq 1:11, ack 11        | .             <ESTABLISHED
5.010  A > B  [.] seq 11, ack 11           | <ESTABLISHED  .
5.020  A > B  [F.] seq 11, ack 11          | FIN-WAIT-1    .
5.030  B > A  [F.] seq 11, ack 12          | .             CLOSE-WAIT/LAST-ACK
5.040  A > B  [.] seq 12, ack 12           | FIN-WAIT-2/TIME-WAIT  .
9.000  (nothing more)                      | .             CLOSED

opened: three_way
closed: orderly, three segments, A first
events: handshake.three_way, established, teardown.abort, alert.abnormal_teardown, rst.ignored_by_target, revised, revised, revised, revised, teardown.orderly
zeek: RSTO ShADaRdFf
tampering: psh_rstack
