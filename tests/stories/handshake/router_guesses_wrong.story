An ICMP error that quotes a sequence number which A did not send is not about A's SYN: A waits on, and is answered.
RFC 5927 asks for this check, since ICMP is easily forged.

taps: A, both

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.005  router > A icmp 3/1 about seq 77    | .             .
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.200  (quiet)                             | .             .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: S1 ShA
at A B: LISTEN presumed > SYN-RECEIVED > ESTABLISHED assumed
