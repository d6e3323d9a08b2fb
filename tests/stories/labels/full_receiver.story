B reads nothing: its window closes, and A asks again and again with a byte that B has no room for, until it opens.
Zeek writes w for the window of 0, and T for the byte, which A had sent before it asked.

taps: A

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1, win 100   | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.012  A > B  [.] seq 1:101, ack 1         | .             .
0.020  B > A  [.] seq 1, ack 101, win 0    | .             .
0.220  A > B  [.] seq 100:101, ack 1       | .             .
0.230  B > A  [.] seq 1, ack 101, win 0    | .             .
0.620  A > B  [.] seq 100:101, ack 1       | .             .
0.630  B > A  [.] seq 1, ack 101, win 500  | .             .
0.631  A > B  [.] seq 101:201, ack 1       | .             .
0.640  B > A  [.] seq 1, ack 201, win 400  | .             .
9.000  (nothing more)                      | .             .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: S1 ShADawT
