Somebody guesses: RST after RST falls into B's window, none on RCV.NXT, so that B stays. Zeek believes the first one.
Each has another sequence number and gets a letter, until the history is full: then a + stands in place of the last.

taps: B

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.000  B > A  [S.] seq 0, ack 1            | .             SYN-RECEIVED
0.010  A > B  [.] seq 1, ack 1             | ESTABLISHED   ESTABLISHED
0.011  A > B  [P.] seq 1:101, ack 1        | .             .
0.012  B > A  [.] seq 1:1001, ack 101      | .             .
0.101  A > B  [R] seq 110                 | .             .
0.102  A > B  [R] seq 120                 | .             .
0.103  A > B  [R] seq 130                 | .             .
0.104  A > B  [R] seq 140                 | .             .
0.105  A > B  [R] seq 150                 | .             .
0.106  A > B  [R] seq 160                 | .             .
0.107  A > B  [R] seq 170                 | .             .
0.108  A > B  [R] seq 180                 | .             .
0.109  A > B  [R] seq 190                 | .             .
0.110  A > B  [R] seq 200                 | .             .
0.111  A > B  [R] seq 210                 | .             .
0.112  A > B  [R] seq 220                 | .             .
0.113  A > B  [R] seq 230                 | .             .
0.114  A > B  [R] seq 240                 | .             .
9.000  (nothing more)                      | .             .

opened: three_way
closed: none
events: handshake.three_way, established, alert.tamper
tests: rst_seq_change, foreign_form
zeek: RSTO ShADdRRRRRRRRRRRR+
tampering: psh_rst_rst
