An open connection falls silent for more than two hours, longer than the first keepalive would take: it is given up as idle.
Both ends may still hold it; the record says what they held, and that the observer stopped waiting.

taps: both, A, middle

0.000     A > B  [S] seq 0                 | SYN-SENT      LISTEN
0.010     B > A  [S.] seq 0, ack 1         | ESTABLISHED   SYN-RECEIVED
0.011     A > B  [.] seq 1, ack 1          | .             ESTABLISHED
0.012     A > B  [P.] seq 1:11, ack 1      | .             .
0.020     B > A  [.] seq 1, ack 11         | .             .
7600.000  (two hours and more)             | .             .

opened: three_way
closed: idle
events: handshake.three_way, established, teardown.idle
ended: idle
zeek: S1 ShADa
at middle tampering: psh
