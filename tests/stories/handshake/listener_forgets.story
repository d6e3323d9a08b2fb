B's listener forgets a half-open connection, as a host that restarts does: the same SYN again is answered with another number.
What A acknowledges in the end is the second.

taps: B

0.000  A > B    [S] seq 0                  | .             LISTEN
0.010  B > ...  [S.] seq 0, ack 1          | .             SYN-RECEIVED
1.000  A > B    [S] seq 0                  | .             .
1.001  B > A    [S.] seq 70000, ack 1      | .             .
1.011  A > B    [.] seq 1, ack 70001       | .             ESTABLISHED
1.100  (quiet)                             | .             .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: S1 ShA
A: SYN-SENT > ESTABLISHED
