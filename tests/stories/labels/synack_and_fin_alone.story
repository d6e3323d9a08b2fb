The tap sees B alone, which answers and closes: A's segments take another way. What A received nobody can say here.
A SYN,ACK comes first, so A is the originator although it was never seen, and Zeek's history has a ^ for that.

seen from: middle

0.000  B > A  [S.] seq 0, ack 1            | SYN-SENT      SYN-RECEIVED
0.300  B > A  [F.] seq 1, ack 1            | .             ESTABLISHED/FIN-WAIT-1
9.000  (it does not repeat its FIN)        | ESTABLISHED/CLOSE-WAIT  FIN-WAIT-2

opened: three_way
closed: none, B first
events: handshake.three_way, established
zeek: SHR ^hf
