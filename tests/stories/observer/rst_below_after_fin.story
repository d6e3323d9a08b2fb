After a FIN Linux takes a RST one number lower than RFC 5961 has it: the peer's FIN may not have been counted by who resets.
B in CLOSE-WAIT expects 2, a RST at 1 ends it all the same.

taps: B

0.000  A > B    [S] seq 0                  | .             LISTEN
0.010  B > A    [S.] seq 0, ack 1          | .             SYN-RECEIVED
0.011  A > B    [.] seq 1, ack 1           | .             ESTABLISHED
0.012  A > B    [F.] seq 1, ack 1          | .             CLOSE-WAIT
0.020  B > A    [.] seq 1, ack 2           | .             .
0.100  A > B    [R] seq 1                  | .             CLOSED
9.000  (nothing more)                      | .             .

opened: three_way
closed: fin_then_rst, A first, A resets by reply
events: handshake.three_way, established, revised, teardown.fin_then_rst
zeek: RSTO ShAFaR
A: SYN-SENT > ESTABLISHED > FIN-WAIT-1 > CLOSED
