A box between the two resets A in B's name and B in A's: with the right numbers, but by a shorter way and in a form of its own.
Linux answers with a RST without a window, and aborts with one that acknowledges. B does not know the difference, and is gone.

taps: B

0.000  A > B    [S] seq 0                  | .             LISTEN
0.010  B > A    [S.] seq 0, ack 1          | .             SYN-RECEIVED
0.011  A > B    [.] seq 1, ack 1           | .             ESTABLISHED
0.012  A > B    [P.] seq 1:11, ack 1       | .             .
0.013  B > A    [.] seq 1, ack 11          | .             .
0.060  ... > B  [R] seq 11, win 8192, ttl 40  | .          CLOSED
9.000  (nothing more)                      | .             .

opened: three_way
closed: silent, A resets by reply
events: handshake.three_way, established, alert.tamper, teardown.silent, alert.abnormal_teardown
zeek: RSTO ShADaR
tampering: psh_rst
tests: ttl_delta, foreign_form
A: SYN-SENT > ESTABLISHED > CLOSED
