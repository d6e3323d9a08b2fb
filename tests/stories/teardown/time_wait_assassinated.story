TIME-WAIT assassination (RFC 1337): an old duplicate draws an ACK from A, B has no such connection and resets, and A ends.
A was to wait for a minute and ends after two seconds; Linux lets it happen unless tcp_rfc1337 is set.

taps: A

0.000  A > B    [S] seq 0                  | SYN-SENT      .
0.010  B > A    [S.] seq 0, ack 1          | ESTABLISHED   .
0.011  A > B    [.] seq 1, ack 1           | .             .
0.020  A > B    [F.] seq 1, ack 1          | FIN-WAIT-1    .
0.030  B > A    [F.] seq 1, ack 2          | FIN-WAIT-2/TIME-WAIT  .
0.031  A > B    [.] seq 2, ack 2           | .             .
2.000  ... > A  [.] seq 1, ack 1           | .             .
2.001  A > B    [.] seq 2, ack 2           | .             .
2.010  B > A    [R] seq 2                  | CLOSED        .
9.000  (nothing more)                      | .             .

opened: three_way
closed: orderly, three segments, A first
events: handshake.three_way, established, teardown.orderly
zeek: SF ShAFfar
B: LISTEN > SYN-RECEIVED > ESTABLISHED > CLOSE-WAIT > LAST-ACK > CLOSED
