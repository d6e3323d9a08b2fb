The third segment is lost behind the tap at A: B repeats its SYN,ACK, which proves that it is not open yet.
What had been assumed is taken back, and the next ACK opens B in earnest.

seen from: A

0.000  A > B    [S] seq 0                  | SYN-SENT      LISTEN
0.010  B > A    [S.] seq 0, ack 1          | ESTABLISHED   SYN-RECEIVED
0.011  A > ...  [.] seq 1, ack 1           | .             .
0.500  (long enough to assume it arrived)  | .             ESTABLISHED
1.010  B > A    [S.] seq 0, ack 1          | .             <SYN-RECEIVED
1.011  A > B    [.] seq 1, ack 1           | .             .
1.500  (long enough again)                 | .             ESTABLISHED
2.000  (quiet)                             | .             .

opened: three_way
closed: none
events: handshake.three_way, established, revised, revised, revised, handshake.three_way, established
zeek: S1 ShA
B: LISTEN presumed > SYN-RECEIVED observed > ESTABLISHED assumed
