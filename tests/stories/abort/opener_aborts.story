A gives up its own attempt with a RST, before anybody answered. RFC 9293 section 3.10.5 sends nothing from SYN-SENT;
some stacks and middleboxes do. B's answer, which comes too late, finds nobody.

taps: A

0.000  A > B  [S] seq 0                    | SYN-SENT      .
0.500  A > B  [R.] seq 1, ack 0            | CLOSED        .
9.000  (nothing more)                      | .             .

opened: aborted
closed: none, A resets by abort
events: handshake.aborted
zeek: RSTOS0 SR
B: LISTEN presumed
