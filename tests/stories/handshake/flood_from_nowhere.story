Half a flood: a SYN whose sender's address is borrowed. B answers to a host that never asked, and that host resets.
B forgets the request at once; had the borrowed address been nobody's, B would have repeated its SYN,ACK instead.

taps: B

0.000  ... > B  [S] seq 0                  | .             LISTEN
0.001  B > A    [S.] seq 0, ack 1          | .             SYN-RECEIVED
0.031  A > B    [R] seq 1                  | .             LISTEN
9.000  (nothing more)                      | .             .

opened: aborted
closed: none, A resets by reply
events: handshake.aborted
zeek: RSTO ShR
tampering: syn_rst
A: SYN-SENT > CLOSED
