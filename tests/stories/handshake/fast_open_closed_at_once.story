A fast-open server that answers a one-shot request and closes before the third segment: from SYN-RECEIVED to FIN-WAIT-1.
RFC 9293 section 3.10.4 allows CLOSE there. Its data and FIN prove nothing of A's ACK, for the SYN's data let it begin early.

taps: both, B

0.000  A > B  [S] seq 0:10, cookie 8       | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 11           | ESTABLISHED   SYN-RECEIVED
0.011  B > A  [FP.] seq 1:21, ack 11       | CLOSE-WAIT    FIN-WAIT-1
0.020  A > B  [.] seq 11, ack 22           | .             FIN-WAIT-2
0.030  A > B  [F.] seq 11, ack 22          | LAST-ACK      TIME-WAIT
0.031  B > A  [.] seq 22, ack 12           | CLOSED        .
5.000  (nothing more)                      | .             .

opened: tfo
closed: orderly, four segments, B first
events: handshake.tfo, established, teardown.orderly
zeek: SF SThfAFa
