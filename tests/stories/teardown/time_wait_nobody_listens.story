A SYN that TIME-WAIT would give way to, but nobody listens at B any more: B answers from its TIME-WAIT, and A resets that.
The opener's RST carries the number that the answer asked for, so it ends TIME-WAIT; the SYN, sent again, is then refused.

taps: B

0.000  A > B  [S] seq 0                    | .             LISTEN
0.010  B > A  [S.] seq 0, ack 1            | .             SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.020  B > A  [F.] seq 1, ack 1            | .             FIN-WAIT-1
0.030  A > B  [F.] seq 1, ack 2            | .             FIN-WAIT-2/TIME-WAIT
0.031  B > A  [.] seq 2, ack 2             | .             .
5.000  A > B  [S] seq 5000                 | .             .
5.001  B > A  [.] seq 2, ack 2             | .             .
5.002  A > B  [R] seq 2                    | .             CLOSED

opened: three_way
closed: orderly, three segments, B first
events: handshake.three_way, established, teardown.orderly
zeek: SF ShAfFaR
A: SYN-SENT > ESTABLISHED > CLOSE-WAIT > LAST-ACK > CLOSED assumed

---- next connection

6.000  A > B  [S] seq 5000                 | .             LISTEN
6.001  B > A  [R.] seq =0, ack 5001        | .             <UNKNOWN/CLOSED
9.000  (nothing more)                      | .             .

opened: rejected
closed: none, B resets by reply
events: handshake.rejected
zeek: REJ Sr
A: SYN-SENT > CLOSED assumed
