B has A's FIN and never closes its own side: CLOSE-WAIT for ever is a program that forgot to close its socket.
A's kernel forgets after a minute in FIN-WAIT-2; nothing is sent, so the observer counts that minute itself.

taps: both, A, middle

0.000   A > B  [S] seq 0                   | SYN-SENT      LISTEN
0.010   B > A  [S.] seq 0, ack 1           | ESTABLISHED   SYN-RECEIVED
0.011   A > B  [.] seq 1, ack 1            | .             ESTABLISHED
0.020   A > B  [F.] seq 1, ack 1           | FIN-WAIT-1    CLOSE-WAIT
0.030   B > A  [.] seq 1, ack 2            | FIN-WAIT-2    .
0.050   B > A  [P.] seq 1:11, ack 2        | .             .
0.051   A > B  [.] seq 2, ack 11           | .             .
61.000  (a minute later)                   | CLOSED        .
99.000  (nothing more)                     | .             .

opened: three_way
closed: silent, A first
events: handshake.three_way, established, stuck.close_wait, stuck.fin_wait2, teardown.silent
zeek: S2 ShAFad
