A RST right after what B acknowledged selectively: behind a hole, but exactly where A had got to. Linux takes it.
RFC 5961 section 3.2 would answer it with a challenge ACK, for it is not at RCV.NXT.

taps: B

0.000  A > B    [S] seq 0, sackOK          | .             LISTEN
0.010  B > A    [S.] seq 0, ack 1, sackOK  | .             SYN-RECEIVED
0.011  A > B    [.] seq 1, ack 1           | .             ESTABLISHED
0.013  A > B    [P.] seq 101:201, ack 1    | .             .
0.014  B > A    [.] seq 1, ack 1, sack 101:201  | .        .
0.100  A > B    [R.] seq 201, ack 1        | .             CLOSED
9.000  (nothing more)                      | .             .

opened: three_way
closed: abort, A resets by abort
events: handshake.three_way, established, teardown.abort
zeek: RSTO ShADaR
tampering: psh_rstack
A: SYN-SENT > ESTABLISHED > CLOSED
