A's FIN is never acknowledged: B has vanished, A repeats it and gives up without a word after two minutes.
Nothing on the wire says that A gave up; this CLOSED is the observer's own, by its timer.

taps: A

0.000    A > B  [S] seq 0                  | SYN-SENT      LISTEN
0.010    B > A  [S.] seq 0, ack 1          | ESTABLISHED   SYN-RECEIVED
0.011    A > B  [.] seq 1, ack 1           | .             ESTABLISHED
0.012    A > B  [P.] seq 1:11, ack 1       | .             .
0.020    B > A  [.] seq 1, ack 11          | .             .
0.100    A > ...  [F.] seq 11, ack 1       | FIN-WAIT-1    .
0.400    A > ...  [F.] seq 11, ack 1       | .             .
1.000    A > ...  [F.] seq 11, ack 1       | .             .
2.200    A > ...  [F.] seq 11, ack 1       | .             .
123.000  (two minutes later)               | CLOSED        .
140.000  (nothing more)                    | .             .

opened: three_way
closed: silent, A first
events: handshake.three_way, established, stuck.fin_wait1, teardown.silent
zeek: S2 ShADaF
B: LISTEN > SYN-RECEIVED > ESTABLISHED > CLOSE-WAIT assumed
