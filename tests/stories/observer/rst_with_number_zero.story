A RST with the sequence number 0, as a host without the connection sends it, inside the window but not where B expects it.
B has acknowledged nothing selectively, so it has no other edge than RCV.NXT: a challenge ACK, and it stays.

taps: B

0.000  A > B    [S] seq 0                  | .             LISTEN
0.010  B > A    [S.] seq 0, ack 1          | .             SYN-RECEIVED
0.011  A > B    [.] seq 1, ack 1           | .             ESTABLISHED
0.012  B > A    [.] seq 1, ack 1           | .             .
0.500  A > B    [R.] seq =0, ack 1, win 0  | .             .
0.501  B > A    [.] seq 1, ack 1           | .             .
0.600  A > B    [P.] seq 1:11, ack 1       | .             .
0.610  B > A    [.] seq 1, ack 11          | .             .

opened: three_way
closed: none
events: handshake.three_way, established, rst.ignored_by_target, alert.tamper, revised
tests: rst_then_alive, rst_seq_data
zeek: RSTO ShAaRD
tampering: ack_rstack
A: SYN-SENT > ESTABLISHED
