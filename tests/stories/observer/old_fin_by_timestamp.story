A FIN of the past, told by its timestamp: PAWS (RFC 7323 section 5) drops what is older than what has been received.
Its numbers fit, its time does not.

taps: B

0.000  A > B    [S] seq 0, TS 1000/0       | .             LISTEN
0.010  B > A    [S.] seq 0, ack 1, TS 50/1000    | .       SYN-RECEIVED
0.011  A > B    [.] seq 1, ack 1, TS 1011/50     | .       ESTABLISHED
0.012  B > A    [.] seq 1, ack 1, TS 52/1011     | .       .
0.500  ... > B  [F.] seq 1, ack 1, TS 900/50     | .       .
0.501  B > A    [.] seq 1, ack 1, TS 541/1011    | .       .
0.600  A > B    [P.] seq 1:11, ack 1, TS 1600/52 | .       .
0.610  B > A    [.] seq 1, ack 11, TS 650/1600   | .       .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: S2 ShAaFD
A: SYN-SENT > ESTABLISHED
