A FIN beyond B's window, and one that acknowledges what B never sent: B drops both and answers with what it expects.
RFC 9293 section 3.10.7.4, first and fifth check: an unacceptable segment changes no state.

taps: B

0.000  A > B    [S] seq 0                  | .             LISTEN
0.010  B > A    [S.] seq 0, ack 1          | .             SYN-RECEIVED
0.011  A > B    [.] seq 1, ack 1           | .             ESTABLISHED
0.012  B > A    [.] seq 1, ack 1           | .             .
0.500  ... > B  [F.] seq 90001, ack 1      | .             .
0.501  B > A    [.] seq 1, ack 1           | .             .
0.600  ... > B  [F.] seq 1, ack 7777       | .             .
0.601  B > A    [.] seq 1, ack 1           | .             .
0.700  A > B    [P.] seq 1:11, ack 1       | .             .
0.710  B > A    [.] seq 1, ack 11          | .             .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: S2 ShAaFFgD
A: SYN-SENT > ESTABLISHED
