The capture loses A's FIN, and B acknowledges one number more than A was seen to send, in a FIN of its own.
One byte, or a FIN? Who answers by closing has most likely seen a close.

taps: both, B

0.000  A > B   [S] seq 0                   | SYN-SENT      LISTEN
0.010  B > A   [S.] seq 0, ack 1           | ESTABLISHED   SYN-RECEIVED
0.011  A > B   [.] seq 1, ack 1            | .             ESTABLISHED
0.012  B > A   [P.] seq 1:11, ack 1        | .             .
0.020  A ~> B  [F.] seq 1, ack 11          | .             .
0.030  B > A   [F.] seq 11, ack 2          | FIN-WAIT-1/FIN-WAIT-2/TIME-WAIT  CLOSE-WAIT/LAST-ACK
0.031  A > B   [.] seq 2, ack 12           | .             CLOSED

opened: three_way
closed: orderly, three segments, A first
events: handshake.three_way, established, teardown.orderly
zeek: S3 ShAdfG
