Nobody answers: A repeats its SYN after one, two and four seconds, then the observer stops waiting.
Seventy seconds after the last SYN is longer than any pause that Linux makes between two.

taps: A, both, middle

0.000   A > B  [S] seq 0                   | SYN-SENT      LISTEN
1.000   A > B  [S] seq 0                   | .             .
3.000   A > B  [S] seq 0                   | .             .
7.000   A > B  [S] seq 0                   | .             .
76.900  (still waiting)                    | .             .
77.100  (seventy seconds after the last)   | CLOSED        .
90.000  (nothing more)                     | .             .

opened: unanswered
closed: none
events: handshake.unanswered
ended: end
zeek: S0 S
A: SYN-SENT observed > CLOSED timer
