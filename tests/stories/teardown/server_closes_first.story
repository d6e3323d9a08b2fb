The server closes first, as one does that has sent all it has to say: TIME-WAIT is then on its side.
Active closer is who sends the first FIN, whoever opened.

taps: both, A, B, middle

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.020  B > A  [FP.] seq 1:101, ack 1       | CLOSE-WAIT    FIN-WAIT-1
0.021  A > B  [.] seq 1, ack 102           | .             FIN-WAIT-2
0.030  A > B  [F.] seq 1, ack 102          | LAST-ACK      TIME-WAIT
0.040  B > A  [.] seq 102, ack 2           | CLOSED        .
5.000  (nothing more)                      | .             .

opened: three_way
closed: orderly, four segments, B first
events: handshake.three_way, established, teardown.orderly
zeek: SF ShAfFa
