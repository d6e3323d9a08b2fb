The tap has only what B sends, and A closes: B acknowledges one number that nobody was seen to send, and closes too.
B does not repeat its FIN, so A has acknowledged it.

seen from: middle

0.010  B > A  [S.] seq 0, ack 1            | SYN-SENT      SYN-RECEIVED
0.012  B > A  [.] seq 1, ack 11            | ESTABLISHED   ESTABLISHED
0.020  B > A  [P.] seq 1:501, ack 11       | .             .
0.100  B > A  [.] seq 501, ack 12          | .             .
0.110  B > A  [F.] seq 501, ack 12         | FIN-WAIT-1    CLOSE-WAIT/LAST-ACK
9.000  (nothing more)                      | FIN-WAIT-2/TIME-WAIT  CLOSED

opened: three_way
closed: orderly, four segments, A first
events: handshake.three_way, established, teardown.orderly
zeek: SHR ^hadf
