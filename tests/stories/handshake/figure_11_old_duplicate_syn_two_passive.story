An old duplicate SYN meets two listeners, RFC 9293 Figure 11: B answers, and A, which listens too, resets what it never asked.
On the wire A seems to have opened. At B's tap its one RST tells that it had not; B listens again.

seen from: B

0.000  ... > B  [S] seq 0                  | SYN-SENT      LISTEN
0.001  B > A    [S.] seq 0, ack 1          | .             SYN-RECEIVED
0.010  A > B    [R] seq 1                  | CLOSED        LISTEN
9.000  (nothing more)                      | .             .

opened: aborted
closed: none, A resets by reply
events: handshake.aborted
zeek: RSTO ShR
tampering: syn_rst
