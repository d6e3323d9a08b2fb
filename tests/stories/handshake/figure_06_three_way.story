The three-way handshake, RFC 9293 Figure 6: each side names its first sequence number and has it acknowledged.
The third segment opens B; to say so from A's side one waits until something B sends depends on it.

taps: both, A, B, middle

0.000  A > B [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B [.] seq 1, ack 1             | .             ESTABLISHED
0.012  A > B [P.] seq 1:101, ack 1        | .             .
0.020  B > A [.] seq 1, ack 101           | .             .

opened: three_way
closed: none
events: handshake.three_way, established
ended: eof
zeek: S1 ShADa
at both B: LISTEN presumed > SYN-RECEIVED observed > ESTABLISHED observed
