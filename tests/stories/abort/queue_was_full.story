B's queue was full and dropped the ACK: A holds the connection for open, B has none, and drops A's FIN as well.
When the FIN comes again, B has forgotten even the request and answers so: of that FIN it had taken neither copy.

taps: B

0.000   A > B  [S] seq 0                   | .             LISTEN
0.010   B > A  [S.] seq 0, ack 1           | .             SYN-RECEIVED
0.020   A > B  [.] seq 1, ack 1            | .             ESTABLISHED
1.300   A > B  [F.] seq 1, ack 1           | .             CLOSE-WAIT
1.515   A > B  [F.] seq 1, ack 1           | .             .
1.516   B > A  [R] seq 1                   | .             <ESTABLISHED/CLOSED
20.000  (nothing more)                     | .             .

opened: three_way
closed: silent, A first, B resets by reply
events: handshake.three_way, established, revised, teardown.silent, alert.abnormal_teardown
zeek: RSTR ShAFr
A: SYN-SENT > ESTABLISHED > FIN-WAIT-1 > CLOSED assumed
