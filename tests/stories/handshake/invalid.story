B's SYN,ACK acknowledges what A has not sent: an old duplicate of another connection, or somebody who guesses.
A answers by a RST that bears that number, and goes on with its attempt; it never opens.

seen from: middle

0.000    A > B  [S] seq 0                  | SYN-SENT      LISTEN
0.010    B > A  [S.] seq 0, ack 5000       | .             .
0.020    A > B  [R] seq 5000               | .             .
1.000    A > B  [S] seq 0                  | .             .
1.010    B > A  [S.] seq 0, ack 5000       | .             .
1.020    A > B  [R] seq 5000               | .             .
72.000   (a minute later)                  | CLOSED        .
99.000   (nothing more)                    | .             .

opened: invalid
closed: none
events: handshake.invalid
zeek: RSTO ShGR
tampering: syn_rst
