Data comes damaged, with a checksum that does not fit; B drops it without a word, and A sends it once more. What came
damaged counts as nothing but a letter.

taps: B

0.000  A > B  [S] seq 0                    | SYN-SENT      LISTEN
0.000  B > A  [S.] seq 0, ack 1            | .             SYN-RECEIVED
0.010  A > B  [.] seq 1, ack 1             | ESTABLISHED   ESTABLISHED
0.011  A > B  [P.] seq 1:101, ack 1, damaged  | .          .
0.211  A > B  [P.] seq 1:101, ack 1        | .             .
0.212  B > A  [.] seq 1, ack 101           | .             .
9.000  (nothing more)                      | .             .

opened: three_way
closed: none
events: handshake.three_way, established
zeek: S1 ShACDa
