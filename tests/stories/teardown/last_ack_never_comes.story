The last ACK never reaches B, which repeats its FIN and gives up; A is thought to have had the FIN, and to wait in TIME-WAIT.
At B's tap both ends are let go by the observer's timers: A a minute after the last FIN, B after two.

taps: B

0.000    A > B    [S] seq 0                | .             LISTEN
0.010    B > A    [S.] seq 0, ack 1        | .             SYN-RECEIVED
0.011    A > B    [.] seq 1, ack 1         | .             ESTABLISHED
0.020    A > B    [F.] seq 1, ack 1        | .             CLOSE-WAIT
0.030    B > A    [F.] seq 1, ack 2        | .             LAST-ACK
0.240    B > ...  [F.] seq 1, ack 2        | .             .
0.640    B > ...  [F.] seq 1, ack 2        | .             .
1.440    B > ...  [F.] seq 1, ack 2        | .             .
70.000   (a minute later)                  | .             .
122.000  (two minutes later)               | .             CLOSED
140.000  (nothing more)                    | .             .

opened: three_way
closed: orderly, three segments, A first
events: handshake.three_way, established, stuck.last_ack, teardown.orderly
zeek: SF ShAFf
A: SYN-SENT > ESTABLISHED > FIN-WAIT-1 > FIN-WAIT-2 > TIME-WAIT assumed > CLOSED timer
B: LISTEN > SYN-RECEIVED > ESTABLISHED > CLOSE-WAIT > LAST-ACK > CLOSED timer
