A scan by half-opening: A's own kernel knows nothing of the SYN, and resets what answers it.
The RST shows that A was in no state at all; B returns to LISTEN (RFC 9293 section 3.10.7.4, second check).

taps: both, A, B

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [R] seq 1                    | <SYN-SENT/CLOSED  LISTEN
9.000  (nothing more)                      | .             .

opened: aborted
closed: none, A resets by reply
events: revised, handshake.aborted
at B events: handshake.aborted
zeek: RSTO ShR
at B tampering: syn_rst
