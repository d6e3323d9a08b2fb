B aborts from SYN-RECEIVED in a simultaneous open, where there is no listener to go back to: A, in SYN-RECEIVED too, is refused.
RFC 9293 section 3.10.7.4, second check: an active open that is reset in SYN-RECEIVED ends in CLOSED.

taps: A, B

0.000  A > ...  [S] seq 0                  | SYN-SENT      .
0.001  B > ...  [S] seq 0                  | .             SYN-SENT
0.010  ... > A  [S] seq 0                  | SYN-RECEIVED  .
0.011  A > ...  [S.] seq 0, ack 1          | .             .
0.012  ... > B  [S] seq 0                  | .             SYN-RECEIVED
0.013  B > ...  [S.] seq 0, ack 1          | .             .
0.014  B > ...  [R.] seq 1, ack 1          | .             CLOSED
0.024  ... > A  [R.] seq 1, ack 1          | CLOSED        .
9.000  (nothing more)                      | .             .

opened: simultaneous
closed: none, B resets by abort
events: handshake.simultaneous
zeek: RSTR Ssr
at B zeek: RSTO SsR
at A B: SYN-SENT > CLOSED
at B A: SYN-SENT > CLOSED assumed
