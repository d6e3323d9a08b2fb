A's ACK is lost, and its FIN comes instead: the FIN carries the same acknowledgment, so it opens B and closes it at once.
RFC 9293 section 3.10.7.4 takes the ACK in its fifth check and the FIN in its eighth: B is ESTABLISHED for no time.

taps: B, A

0.000  A > B    [S] seq 0                  | SYN-SENT      LISTEN
0.010  B > A    [S.] seq 0, ack 1          | ESTABLISHED   SYN-RECEIVED
0.011  A > ...  [.] seq 1, ack 1           | .             .
0.012  A > B    [F.] seq 1, ack 1          | FIN-WAIT-1    ESTABLISHED/CLOSE-WAIT
0.020  B > A    [F.] seq 1, ack 2          | FIN-WAIT-2/TIME-WAIT  LAST-ACK
0.021  A > B    [.] seq 2, ack 2           | .             CLOSED
0.500  (nothing more)                      | .             .

opened: three_way
closed: orderly, three segments, A first
events: handshake.three_way, established, teardown.orderly
zeek: SF ShFfA
at A zeek: SF ShAFf
