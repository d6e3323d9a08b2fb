Who cannot know how far A has got by the time a RST arrives sends several: the next one a segment further.
A itself would not skip what it had not sent. B has the first, and is gone.

taps: B, middle

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.012  A > B  [P.] seq 1:11, ack 1         | .             .
0.013  B > A  [.] seq 1, ack 11            | .             .
0.060  A > B  [R] seq 11                   | CLOSED        CLOSED
0.060  A > B  [R] seq 1471                 | .             .
9.000  (nothing more)                      | .             .

opened: three_way
closed: silent, A resets by reply
events: handshake.three_way, established, teardown.silent, alert.tamper
at middle events: handshake.three_way, established, alert.tamper, teardown.silent
tests: rst_seq_change, foreign_form
zeek: RSTO ShADaRR
tampering: psh_rst_rst
