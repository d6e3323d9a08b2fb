A aborts: RST instead of FIN, as a program that is killed or that set SO_LINGER to zero. B is told, and has nothing to say.
The one RST ends both directions at once, and whatever was on its way is lost: this is what the alert is for.

taps: both, A, B, middle

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.012  A > B  [P.] seq 1:11, ack 1         | .             .
0.020  B > A  [.] seq 1, ack 11            | .             .
0.100  A > B  [R.] seq 11, ack 1           | CLOSED        CLOSED
9.000  (nothing more)                      | .             .

opened: three_way
closed: abort, A resets by abort
events: handshake.three_way, established, teardown.abort, alert.abnormal_teardown
ended: end
zeek: RSTO ShADaR
tampering: psh_rstack
at both tampering: 
at A tampering: 
