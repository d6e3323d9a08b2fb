A box on the way resets B in A's name, and A, which knows nothing of it, sends on behind the number that it gave up.
Seen in the middle: what seemed to be A's end was somebody else's packet, and is taken back.

seen from: middle

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | .             SYN-RECEIVED
0.020  A > B  [.] seq 1, ack 1             | ESTABLISHED   .
0.021  A > B  [P.] seq 1:11, ack 1         | .             .
0.030  B > A  [.] seq 1, ack 11            | .             ESTABLISHED
0.100  A > B  [R.] seq 11, ack 1           | CLOSED        .
0.104  A > B  [P.] seq 11:21, ack 1        | <ESTABLISHED  .
0.304  A > B  [P.] seq 11:21, ack 1        | .             .
2.000  (nothing more)                      | .             CLOSED

opened: three_way
closed: abort
events: handshake.three_way, established, alert.tamper, revised, teardown.abort, alert.abnormal_teardown
tests: rst_then_alive, rst_seq_data
zeek: RSTO ShADaR
tampering: psh_rstack
