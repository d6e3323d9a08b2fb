A sends SYN and FIN and nothing is heard of B: half of a connection, as a scan makes it or a tap that sees one way.
The FIN acknowledges nothing, so that no endpoint of TCP can have sent it: A stays in SYN-SENT. Zeek has A closed.

taps: A, middle

0.000  A > B  [S] seq 0                    | SYN-SENT      .
0.200  A > B  [F] seq 1                    | .             .
9.000  (nothing more)                      | .             .

opened: unanswered
closed: none
events:
zeek: SH SF
B: LISTEN presumed
