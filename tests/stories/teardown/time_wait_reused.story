The same ports again while B waits in TIME-WAIT: a SYN above the last number received begins a new incarnation (RFC 6191).
Only where somebody listens, though: B's answer tells, and then the new connection has a record of its own, from the SYN on.

taps: both, A, B

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.020  B > A  [F.] seq 1, ack 1            | CLOSE-WAIT    FIN-WAIT-1
0.030  A > B  [F.] seq 1, ack 2            | LAST-ACK      FIN-WAIT-2/TIME-WAIT
0.031  B > A  [.] seq 2, ack 2             | CLOSED        .
1.000  A > B  [S] seq 5000                 | .             .

opened: three_way
closed: orderly, three segments, B first
events: handshake.three_way, established, teardown.orderly
ended: reused
zeek: SF ShAfFa

---- next connection

1.010  B > A  [S.] seq 65538, ack 5001     | SYN-SENT/ESTABLISHED  LISTEN/SYN-RECEIVED
1.011  A > B  [.] seq 5001, ack 65539      | .             ESTABLISHED
1.100  (quiet)                             | .             .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: S1 ShA
