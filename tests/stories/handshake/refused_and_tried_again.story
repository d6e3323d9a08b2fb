Refused, and tried again with the very same SYN, as Windows does: half a second later a listener is there.
One attempt, then, and no refusal: what the first RST seemed to end goes on.

taps: both

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.001  B > A  [R.] seq =0, ack 1           | CLOSED        <UNKNOWN/CLOSED
0.500  A > B  [S] seq 0                    | <SYN-SENT     LISTEN
0.501  B > A  [S.] seq 0, ack 1            | ESTABLISHED   SYN-RECEIVED
0.502  A > B  [.] seq 1, ack 1             | .             ESTABLISHED
1.000  (quiet)                             | .             .

opened: three_way
closed: none, B resets by reply
events: handshake.rejected, revised, revised, handshake.three_way, established
zeek: S1 SrhA
