B has been unplugged: A's keepalive probes, one number below what it has sent, find no answer, and A aborts.
The probes are no data, and the RST that ends it is never received.

taps: A

0.000    A > B    [S] seq 0                | SYN-SENT      .
0.010    B > A    [S.] seq 0, ack 1        | ESTABLISHED   .
0.011    A > B    [.] seq 1, ack 1         | .             .
0.012    A > B    [P.] seq 1:11, ack 1     | .             .
0.020    B > A    [.] seq 1, ack 11        | .             .
60.000   A > ...  [.] seq 10, ack 1        | .             .
61.000   A > ...  [.] seq 10, ack 1        | .             .
62.000   A > ...  [R.] seq 11, ack 1       | CLOSED        .
99.000   (nothing more)                    | .             .

opened: three_way
closed: abort, A resets by abort
cause: keepalive, linger0_or_kill
events: handshake.three_way, established, teardown.abort, alert.abnormal_teardown
zeek: RSTO ShADaR
B: LISTEN > SYN-RECEIVED > ESTABLISHED > CLOSED assumed
