A aborts, and its RST is lost: B sends on, to a host that has no such connection any more, and is told by a second RST.
The first RST is never applied to B, since B went on as if it had not come.

taps: A

0.000  A > B    [S] seq 0                  | SYN-SENT      .
0.010  B > A    [S.] seq 0, ack 1          | ESTABLISHED   .
0.011  A > B    [.] seq 1, ack 1           | .             .
0.012  B > A    [P.] seq 1:11, ack 1       | .             .
0.013  A > B    [.] seq 1, ack 11          | .             .
0.100  A > ...  [R.] seq 1, ack 11         | CLOSED        .
0.500  B > A    [P.] seq 11:21, ack 1      | .             .
0.501  A > B    [R] seq 1                  | .             .
5.000  (nothing more)                      | .             .

opened: three_way
closed: abort, A resets by abort
events: handshake.three_way, established, teardown.abort, alert.abnormal_teardown
zeek: RSTO ShAdR
B: LISTEN > SYN-RECEIVED > ESTABLISHED > CLOSED assumed
