A sends, B has been unplugged, and A repeats its data three times before it gives up: its stack tells nobody, this one does.
The data was never acknowledged, so it was the retransmissions that ran out, and not the probes of a keepalive.

taps: A

0.000    A > B    [S] seq 0                | SYN-SENT      .
0.010    B > A    [S.] seq 0, ack 1        | ESTABLISHED   .
0.011    A > B    [.] seq 1, ack 1         | .             .
1.000    A > ...  [P.] seq 1:11, ack 1     | .             .
1.200    A > ...  [P.] seq 1:11, ack 1     | .             .
1.600    A > ...  [P.] seq 1:11, ack 1     | .             .
2.400    A > ...  [P.] seq 1:11, ack 1     | .             .
4.000    A > ...  [R.] seq 11, ack 1       | CLOSED        .
99.000   (nothing more)                    | .             .

opened: three_way
closed: abort, A resets by abort
cause: retrans_timeout, linger0_or_kill
events: handshake.three_way, established, teardown.abort, alert.abnormal_teardown
zeek: RSTO ShADTR
B: LISTEN > SYN-RECEIVED > ESTABLISHED > CLOSED assumed
