Segments with flags that never go together, as a scan sends them to learn what B makes of it: SYN with FIN, FIN with RST.
No endpoint of TCP sends either. Zeek has a letter for each, and takes the RST for one.

taps: B

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.000  B > A  [S.] seq 0, ack 1            | .             SYN-RECEIVED
0.010  A > B  [.] seq 1, ack 1             | ESTABLISHED   ESTABLISHED
0.020  A > B  [FS.] seq 5001, ack 1        | .             .
0.021  B > A  [.] seq 1, ack 1             | .             .
0.030  A > B  [FR.] seq 900001, ack 1      | .             .
9.000  (nothing more)                      | .             .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: RSTO ShAQaI
