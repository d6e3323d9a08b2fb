The capture loses the SYN,ACK: A acknowledges it, which proves it, and B has then sent it and been acknowledged as well.
`~>` is a packet that travels and is not captured.

taps: A, both

0.000  A > B   [S] seq 0                   | SYN-SENT      LISTEN
0.010  B ~> A  [S.] seq 0, ack 1           | .             .
0.011  A > B   [.] seq 1, ack 1            | ESTABLISHED   SYN-RECEIVED/ESTABLISHED
0.012  A > B   [P.] seq 1:11, ack 1        | .             .
0.020  B > A   [.] seq 1, ack 11           | .             .
0.300  (quiet)                             | .             .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: S0 SADa
A: SYN-SENT observed > ESTABLISHED inferred
at A B: LISTEN presumed > SYN-RECEIVED inferred > ESTABLISHED inferred
at both B: LISTEN presumed > SYN-RECEIVED inferred > ESTABLISHED observed
