The first SYN is lost before B, and the second comes: the same attempt, since it has the same number.
At B's tap nothing tells of the first; the record there begins a second later.

taps: A, B

0.000  A > ...  [S] seq 0                  | SYN-SENT      .
1.000  A > B    [S] seq 0                  | .             LISTEN
1.010  B > A    [S.] seq 0, ack 1          | ESTABLISHED   SYN-RECEIVED
1.011  A > B    [.] seq 1, ack 1           | .             ESTABLISHED
1.012  A > B    [P.] seq 1:11, ack 1       | .             .
1.020  B > A    [.] seq 1, ack 11          | .             .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: S1 ShADa
