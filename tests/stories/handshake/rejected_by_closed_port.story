Connection refused: nobody listens on B's port, so B answers the SYN with RST,ACK (RFC 9293 section 3.10.7.1).
The RST names no sequence number of its own, `=0` is a plain zero; it acknowledges the SYN, by which A knows that it is meant.

taps: both, A, B, middle

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.010  B > A  [R.] seq =0, ack 1           | CLOSED        <UNKNOWN/CLOSED
5.000  (nothing more)                      | .             .

opened: rejected
closed: none, B resets by reply
events: handshake.rejected
zeek: REJ Sr
