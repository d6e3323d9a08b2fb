A's host has rebooted without a word and opens the same ports again; B had rebooted too, and accepts at once.
The old connection ended unseen, on both sides. Two that vanish at once are more likely a close that was missed: no alert.

taps: both, A, B

0.000    A > B  [S] seq 0                  | SYN-SENT      LISTEN
0.010    B > A  [S.] seq 0, ack 1          | ESTABLISHED   SYN-RECEIVED
0.011    A > B  [.] seq 1, ack 1           | .             ESTABLISHED
0.012    A > B  [P.] seq 1:11, ack 1       | .             .
0.020    B > A  [.] seq 1, ack 11          | .             .
900.000  A > B  [S] seq 70000              | CLOSED        .

opened: three_way
closed: silent
events: handshake.three_way, established, teardown.silent
ended: reused
zeek: S1 ShADa
at B tampering: psh

---- next connection, whose SYN waited for an answer: who gives it has no other any more | . CLOSED

900.010  B > A  [S.] seq 8000, ack 70001   | SYN-SENT/ESTABLISHED  LISTEN/SYN-RECEIVED
900.011  A > B  [.] seq 70001, ack 8001    | .             ESTABLISHED
900.100  (quiet)                           | .             .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: S1 ShA
