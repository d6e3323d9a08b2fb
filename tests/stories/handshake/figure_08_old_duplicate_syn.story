Recovery from an old duplicate SYN, RFC 9293 Figure 8: B answers a SYN of long ago, A says with a RST that it never sent it.
B goes back to listening, and the real SYN, which comes after it, opens the connection as if nothing had been.

seen from: B

0.000  ... > B  [S] seq -10                | SYN-SENT         LISTEN
0.001  B > A    [S.] seq 0, ack -9         | .                SYN-RECEIVED
0.010  A > B    [R] seq -9                 | CLOSED           LISTEN

opened: aborted
closed: none, A resets by reply
events: handshake.aborted
zeek: RSTO ShR
tampering: syn_rst

---- next connection

0.020  A > B    [S] seq 0                  | SYN-SENT         LISTEN
0.021  B > A    [S.] seq 400, ack 1        | .                SYN-RECEIVED
0.030  A > B    [.] seq 1, ack 401         | ESTABLISHED      ESTABLISHED
0.100  (quiet)                             | .                .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: S1 ShA
