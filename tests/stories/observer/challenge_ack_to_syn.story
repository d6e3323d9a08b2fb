A SYN comes into an open connection, and the real A goes on as if it had never sent one: it was forged, and B stays.
RFC 5961 section 4: B answers a SYN with a challenge ACK. A waiting SYN opens nothing until an answer says so.

taps: B

0.000  A > B    [S] seq 0                  | .             LISTEN
0.010  B > A    [S.] seq 0, ack 1          | .             SYN-RECEIVED
0.011  A > B    [.] seq 1, ack 1           | .             ESTABLISHED
0.012  B > A    [.] seq 1, ack 1           | .             .
0.500  ... > B  [S] seq 123456             | .             .
0.501  B > A    [.] seq 1, ack 1           | .             .
0.600  A > B    [P.] seq 1:11, ack 1       | .             .
0.610  B > A    [.] seq 1, ack 11          | .             .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: S1 ShAaD
A: SYN-SENT > ESTABLISHED
