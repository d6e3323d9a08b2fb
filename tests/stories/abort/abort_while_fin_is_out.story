A has sent its FIN and aborts before B acknowledges it, from FIN-WAIT-1: it had closed, and now it does not want to wait.
B had the FIN, and is in CLOSE-WAIT when the RST comes.

taps: both, B

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.011  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
0.012  B > A  [.] seq 1, ack 1             | .             .
0.020  A > B  [F.] seq 1, ack 1            | FIN-WAIT-1    CLOSE-WAIT
0.021  A > B  [R.] seq 2, ack 1            | CLOSED        CLOSED
9.000  (nothing more)                      | .             .

opened: three_way
closed: fin_then_rst, A first, A resets by abort
events: handshake.three_way, established, teardown.fin_then_rst
zeek: RSTO ShAaFR
