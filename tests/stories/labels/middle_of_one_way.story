A tap that sees one way of a connection that was there before: data from A, and what it acknowledges. Zeek has no name
for it. That A is the originator is a guess by the ports.

seen from: middle

0.000  A > B  [P.] seq 1:101, ack 1        | ESTABLISHED   .
0.010  A > B  [.] seq 101, ack 201         | .             .
9.000  (nothing more)                      | .             .

opened: unseen
closed: none
events:
zeek: OTH DA
