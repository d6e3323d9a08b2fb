B has nothing left to send when A's FIN comes: its FIN carries the acknowledgment, and the close takes three segments.
One segment then moves A twice, through FIN-WAIT-2, where it spends no time.

taps: both, A, B, middle

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.012  A > B  [F.] seq 1, ack 1            | FIN-WAIT-1    CLOSE-WAIT
0.020  B > A  [F.] seq 1, ack 2            | FIN-WAIT-2/TIME-WAIT   LAST-ACK
0.021  A > B  [.] seq 2, ack 2             | .             CLOSED
5.000  (nothing more)                      | .             .

opened: three_way
closed: orderly, three segments, A first
events: handshake.three_way, established, teardown.orderly
zeek: SF ShAFf
