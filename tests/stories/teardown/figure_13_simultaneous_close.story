Simultaneous close, RFC 9293 Figure 13: two FINs cross, so each end has the other's before its own is acknowledged.
Both pass through CLOSING, and both wait in TIME-WAIT.

taps: A, B, middle

0.000  A > B    [S] seq 0                  | SYN-SENT      LISTEN
0.010  B > A    [S.] seq 0, ack 1          | ESTABLISHED   SYN-RECEIVED
0.011  A > B    [.] seq 1, ack 1           | .             ESTABLISHED
0.012  A > B    [P.] seq 1:11, ack 1       | .             .
0.020  B > A    [P.] seq 1:11, ack 11      | .             .
0.100  A > ...  [F.] seq 11, ack 11        | FIN-WAIT-1    .
0.101  B > ...  [F.] seq 11, ack 11        | .             FIN-WAIT-1
0.110  ... > A  [F.] seq 11, ack 11        | CLOSING       .
0.111  A > ...  [.] seq 12, ack 12         | .             .
0.112  ... > B  [F.] seq 11, ack 11        | .             CLOSING
0.113  B > ...  [.] seq 12, ack 12         | .             .
0.121  ... > A  [.] seq 12, ack 12         | TIME-WAIT     .
0.122  ... > B  [.] seq 12, ack 12         | .             TIME-WAIT
5.000  (nothing more)                      | .             .

opened: three_way
closed: simultaneous, both first
events: handshake.three_way, established, teardown.simultaneous
zeek: SF ShADdFfa
at B zeek: SF ShADdfFa
