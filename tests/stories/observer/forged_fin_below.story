A FIN in A's name, with a number that A had long given to a byte: nobody can have sent it, at whatever place it is seen.
B's ACK, which goes beyond it, acknowledges the bytes and no FIN.

taps: B, middle

0.000  A > B    [S] seq 0                  | .             LISTEN
0.010  B > A    [S.] seq 0, ack 1          | .             SYN-RECEIVED
0.011  A > B    [.] seq 1, ack 1           | .             ESTABLISHED
0.012  A > B    [P.] seq 1:11, ack 1       | .             .
0.020  B > A    [.] seq 1, ack 11          | .             .
0.100  A > B    [F.] seq 5, ack 1          | .             .
0.101  B > A    [.] seq 1, ack 11          | .             .
0.200  A > B    [P.] seq 11:21, ack 1      | .             .
0.210  B > A    [.] seq 1, ack 21          | .             .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: S2 ShADaF
A: SYN-SENT > ESTABLISHED
