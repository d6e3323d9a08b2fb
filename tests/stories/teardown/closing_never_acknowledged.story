The FINs crossed, and then B is cut off: A's FIN is never acknowledged, and A stays in CLOSING until it gives up.
Both FINs are known, all the same.

taps: A

0.000    A > B    [S] seq 0                | SYN-SENT      .
0.010    B > A    [S.] seq 0, ack 1        | ESTABLISHED   .
0.011    A > B    [.] seq 1, ack 1         | .             .
0.012    B > A    [.] seq 1, ack 1         | .             .
0.100    A > ...  [F.] seq 1, ack 1        | FIN-WAIT-1    .
0.110    ... > A  [F.] seq 1, ack 1        | CLOSING       .
0.111    A > ...  [.] seq 2, ack 2         | .             .
0.400    A > ...  [F.] seq 1, ack 2        | .             .
1.000    A > ...  [F.] seq 1, ack 2        | .             .
2.200    A > ...  [F.] seq 1, ack 2        | .             .
123.000  (two minutes later)               | CLOSED        .
140.000  (nothing more)                    | .             .

opened: three_way
closed: simultaneous, both first
events: handshake.three_way, established, stuck.closing, teardown.simultaneous
zeek: SF ShAaFf
B: LISTEN > SYN-RECEIVED > ESTABLISHED > FIN-WAIT-1 > CLOSING assumed > TIME-WAIT assumed > CLOSED timer
