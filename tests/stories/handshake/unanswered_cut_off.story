A capture that ends ten seconds after a SYN says nothing about whether it would have been answered.
So no event claims that it was not: the record tells the state that the capture was left with.

taps: A, both, middle

0.000   A > B  [S] seq 0                   | SYN-SENT      LISTEN
10.000  (the capture ends)                 | .             .

opened: unanswered
closed: none
events: 
ended: eof
zeek: S0 S
