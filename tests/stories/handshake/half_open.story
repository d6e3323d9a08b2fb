Half-open, as in a SYN flood or a scan by someone who hides: B answers, and A never sends the third segment.
B repeats its SYN,ACK, then forgets the request. Here A's answers are lost before B, and the tap is at B.

taps: B

0.000   ... > B  [S] seq 0                 | .             LISTEN
0.001   B > ...  [S.] seq 0, ack 1         | .             SYN-RECEIVED
1.001   B > ...  [S.] seq 0, ack 1         | .             .
3.001   B > ...  [S.] seq 0, ack 1         | .             .
43.100  (forty seconds after the last)     | .             CLOSED
120.00  (nothing more)                     | .             .

opened: half_open
closed: none
events: handshake.half_open
zeek: S1 Sh
tampering: syn
A: SYN-SENT observed > CLOSED timer
