The capture has the SYN,ACK before the SYN that it answers, as taps with two queues write it. It is one opening all the
same: the SYN has the number that the SYN,ACK acknowledged.

seen from: middle

0.000  B > A  [S.] seq 0, ack 1            | SYN-SENT      SYN-RECEIVED
0.000  A > B  [S] seq 0                    | .             .
0.010  A > B  [.] seq 1, ack 1             | ESTABLISHED   .
0.020  A > B  [P.] seq 1:101, ack 1        | .             .
0.030  B > A  [.] seq 1, ack 101           | .             ESTABLISHED
0.040  B > A  [P.] seq 1:201, ack 101      | .             .
0.041  A > B  [.] seq 101, ack 201         | .             .
9.000  (nothing more)                      | .             .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: S1 ^hSADad
