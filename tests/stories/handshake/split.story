A split handshake: B, which had A's SYN already, answers with a SYN of its own and acknowledges A's in a second segment.
RFC 9293 allows it (SEND in LISTEN), middleboxes stumble over it. At B's own tap it is told from a simultaneous open.

taps: B

0.000  A > B  [S] seq 0                    | .             LISTEN
0.001  B > A  [S] seq 0                    | .             SYN-SENT/SYN-RECEIVED
0.010  A > B  [S.] seq 0, ack 1            | .             ESTABLISHED
0.011  B > A  [.] seq 1, ack 1             | .             .
0.300  (quiet)                             | .             .

opened: split
closed: none
events: handshake.split, established
zeek: S1 Ssa
A: SYN-SENT > SYN-RECEIVED > ESTABLISHED
