Simultaneous open, RFC 9293 Figure 7: two SYNs cross, and each side answers the other's with SYN,ACK.
There is one connection and no listener. `...` is a segment on its way: sent by A it is seen at A, and at B when it comes.

taps: A, B, middle

0.000  A > ...  [S] seq 0                  | SYN-SENT      .
0.001  B > ...  [S] seq 0                  | .             SYN-SENT
0.010  ... > A  [S] seq 0                  | SYN-RECEIVED  .
0.011  A > ...  [S.] seq 0, ack 1          | .             .
0.012  ... > B  [S] seq 0                  | .             SYN-RECEIVED
0.013  B > ...  [S.] seq 0, ack 1          | .             .
0.022  ... > A  [S.] seq 0, ack 1          | ESTABLISHED   .
0.023  ... > B  [S.] seq 0, ack 1          | .             ESTABLISHED
0.030  A > B    [P.] seq 1:11, ack 1       | .             .
0.040  B > A    [P.] seq 1:11, ack 11      | .             .

opened: simultaneous
closed: none
events: handshake.simultaneous, established
zeek: S1 SsDd
at B zeek: S1 SsdD
