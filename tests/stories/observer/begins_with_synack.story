The capture begins between SYN and SYN,ACK: what B answers tells that A had asked, and with which number.
So roles and kinds are known as if the SYN had been seen; only its options are not.

taps: A, B, both, middle

0.000  A ~> B  [S] seq 0                   | .             .
0.010  B > A   [S.] seq 0, ack 1           | SYN-SENT/ESTABLISHED  SYN-RECEIVED
0.011  A > B   [.] seq 1, ack 1            | .             ESTABLISHED
0.012  A > B   [P.] seq 1:11, ack 1        | .             .
0.020  B > A   [.] seq 1, ack 11           | .             .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: S1 ^hADa
A: SYN-SENT presumed > ESTABLISHED
B: SYN-RECEIVED presumed > ESTABLISHED
