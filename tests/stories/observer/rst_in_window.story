A RST inside the window, but not at the number that B expects, is forged or old: B answers with a challenge ACK, and stays.
RFC 5961 section 3. A guess must hit one number of four billion, not any of a window.

taps: B

0.000  A > B    [S] seq 0                  | .             LISTEN
0.010  B > A    [S.] seq 0, ack 1          | .             SYN-RECEIVED
0.011  A > B    [.] seq 1, ack 1           | .             ESTABLISHED
0.012  B > A    [.] seq 1, ack 1           | .             .
0.500  ... > B  [R] seq 2001               | .             .
0.501  B > A    [.] seq 1, ack 1           | .             .
0.600  A > B    [P.] seq 1:11, ack 1       | .             .
0.610  B > A    [.] seq 1, ack 11          | .             .

opened: three_way
closed: none
events: handshake.three_way, established, rst.ignored_by_target
zeek: RSTO ShAaRD
tampering: ack_rst
A: SYN-SENT > ESTABLISHED
