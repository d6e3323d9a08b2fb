An answer that acknowledges what A never sent: A resets that answer, keeps its own state, and waits for the right one.
RFC 9293 section 3.10.7.3, first check: `<SEQ=SEG.ACK><CTL=RST>`, and no change of state.

taps: A

0.000  A > B    [S] seq 0                  | SYN-SENT      .
0.005  ... > A  [S.] seq 70, ack 555       | .             .
0.006  A > B    [R] seq 555                | .             .
0.010  B > A    [S.] seq 0, ack 1          | ESTABLISHED   .
0.011  A > B    [.] seq 1, ack 1           | .             .
0.012  A > B    [P.] seq 1:11, ack 1       | .             .
0.020  B > A    [.] seq 1, ack 11          | .             .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: RSTO ShGRADa
B: LISTEN > SYN-RECEIVED > ESTABLISHED
