B has A's FIN and never closes, A's kernel forgets after a minute, and A's host opens the same ports again: nobody answers.
The old connection was not seen to end: of B's half there will never be more than that it was open, and nothing is gone for sure.

taps: A

0.000    A > B    [S] seq 0                | SYN-SENT      .
0.010    B > A    [S.] seq 0, ack 1        | ESTABLISHED   .
0.011    A > B    [.] seq 1, ack 1         | .             .
0.020    A > B    [F.] seq 1, ack 1        | FIN-WAIT-1    .
0.030    B > A    [.] seq 1, ack 2         | FIN-WAIT-2    .
61.000   (a minute later)                  | CLOSED        .
100.000  A > ...  [S] seq 70000            | .             .

opened: three_way
closed: reused, A first
events: handshake.three_way, established, stuck.close_wait, stuck.fin_wait2, teardown.reused
ended: reused
zeek: S2 ShAFa
B: LISTEN > SYN-RECEIVED > ESTABLISHED > CLOSE-WAIT

---- next connection, of the SYN that waited

240.000  (nobody answers)                  | SYN-SENT/CLOSED  .

opened: unanswered
closed: none
events: handshake.unanswered
zeek: S0 S
tampering: syn
B: LISTEN
