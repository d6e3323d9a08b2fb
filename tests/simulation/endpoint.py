"""A TCP endpoint: RFC 9293 section 3.10 in plain Python, with what Linux adds to it. It shares nothing with the core.

It keeps the history of its own states, which is the truth that the core is held to. A state is entered when the
segment that shows it leaves or has come, with one departure from the RFC: FIN-WAIT-1 and LAST-ACK begin when the FIN is
sent, not with the call of close(), which may wait behind data and which nobody outside can see.
"""

from synfin.wire.segment import ACK, FIN, PSH, RST, SYN
from tests.simulation.segment import Segment, ahead, reply_to_stranger
from tests.simulation.stack import MS, SECOND, Moment

OPEN = ("ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK")
MAY_SEND = ("ESTABLISHED", "CLOSE-WAIT", "FIN-WAIT-1", "LAST-ACK", "CLOSING")
TAKES_DATA = ("ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2")


class Endpoint:
    """One incarnation of a connection at one host."""

    def __init__(self, host, iss):
        self.host, self.stack, self.world = host, host.stack, host.world
        self.state, self.history = "CLOSED", []
        self.iss = self.snd_una = self.snd_nxt = iss
        self.snd_wnd, self.snd_max_window, self.wl = 0, 0, (0, 0)
        self.irs = self.rcv_nxt = self.rcv_wup = self.edge = 0
        self.unread, self.sack_edge, self.islands = 0, None, []  # islands: (seq, end, with FIN) that came out of order
        self.queued_end = (iss + 1) % 2**32  # after the last byte that the program gave us
        self.wants_fin = self.fin_sent = self.orphan = self.active = False
        self.ts_ok = self.sack_ok = self.scales = False
        self.ts_recent, self.peer_wscale, self.peer_mss = 0, 0, 536
        self.tries, self.duplicates, self.unacked = 0, 0, 0
        self.timers = {}

    # ---- what the program does ----

    def listen(self):
        self.enter("LISTEN")

    def open(self):
        self.active = True
        self._send(SYN, self.iss)
        self.snd_nxt = (self.iss + 1) % 2**32
        self.enter("SYN-SENT")
        self._retransmit_in(SECOND)

    def write(self, length):
        if self.state in (*TAKES_DATA, "CLOSE-WAIT", "SYN-SENT", "SYN-RECEIVED") and not self.wants_fin:
            self.queued_end = (self.queued_end + length) % 2**32
            self._output()

    def close(self, orphan):
        """close(), or, when it is to go on reading, shutdown(SHUT_WR)."""
        if self.state == "SYN-SENT" and orphan:
            self._gone()
        elif orphan and self.unread and self.state in ("ESTABLISHED", "CLOSE-WAIT"):
            self.abort()  # unread data: RFC 2525 section 2.17
        elif self.state in OPEN or self.state == "SYN-RECEIVED":
            self.orphan = self.orphan or orphan
            self.wants_fin = True
            self._output()
            self._wait_for_peer()

    def abort(self):
        """close() with SO_LINGER 0."""
        if self.state in ("ESTABLISHED", "CLOSE-WAIT", "FIN-WAIT-1", "FIN-WAIT-2") or (
            self.state == "SYN-RECEIVED" and self.active
        ):
            self._send(RST | ACK, self.snd_nxt)
            self.enter("CLOSED")
        elif self.state not in ("CLOSED", "LISTEN", "SYN-RECEIVED", "TIME-WAIT"):
            self._gone()

    def crash(self):
        """The host loses its power and comes back without memory."""
        self._gone()

    def read(self):
        had, self.unread = self.unread, 0
        if had and self.state in TAKES_DATA:
            self._acknowledge()  # a window update

    # ---- states ----

    def enter(self, state, silent=False):
        self.state = state
        self.history.append(Moment(state, self.world.now, silent, self.world.seen_at(self.host)))
        if state in ("CLOSED", "TIME-WAIT"):
            self.timers.clear()
        if state == "TIME-WAIT":
            self._after("time wait", 60 * SECOND, self._gone)

    def _gone(self):
        self.enter("CLOSED", silent=True)

    def _after(self, name, ns, what):
        token = self.timers[name] = object()

        def due():
            if self.timers.get(name) is token:
                del self.timers[name]
                what()

        self.world.after(ns, due)

    def _wait_for_peer(self):
        if self.state == "FIN-WAIT-2" and self.orphan:
            self._after("fin wait", 60 * SECOND, self._gone)

    # ---- sending ----

    def _window(self):
        """Advertise what there is room for; the right edge never moves left."""
        free = max(self.stack.buffer - self.unread, 0)
        if ahead((self.rcv_nxt + free) % 2**32, self.edge) > 0:
            self.edge = (self.rcv_nxt + free) % 2**32
        scale = self.stack.wscale if self.scales else 0
        window = min((max(ahead(self.edge, self.rcv_nxt), 0) + (1 << scale) - 1) >> scale, 65_535)
        self.edge = (self.rcv_nxt + (window << scale)) % 2**32
        return window

    def _send(self, flags, seq, length=0):
        opening = flags & SYN
        stamps = self.stack.timestamps if opening and not flags & ACK else self.ts_ok
        blocks = ()
        if self.sack_ok and self.islands and not opening:
            blocks = tuple((a, b) for a, b, _ in self.islands[-3:])
            self.sack_edge = max((b for _, b in blocks), key=lambda b: ahead(b, self.rcv_nxt))
        window = min(self.stack.buffer, 65_535) if opening else self._window()
        if opening and flags & ACK:
            self.edge = (self.rcv_nxt + window) % 2**32
        asks = opening and not flags & ACK
        x = Segment(
            sender=self.host.side,
            seq=seq,
            ack=self.rcv_nxt if flags & ACK else 0,
            flags=flags,
            length=length,
            window=window,
            tsval=self._clock() if stamps else None,
            tsecr=self.ts_recent if stamps and flags & ACK else 0,
            sack=blocks,
            mss=self.stack.mss if opening else None,
            wscale=self.stack.wscale if opening and (asks or self.scales) else None,
            sack_permitted=bool(opening and (self.stack.sack if asks else self.sack_ok)),
        )
        if flags & ACK:
            self.rcv_wup = self.rcv_nxt
            self.unacked = 0
            self.timers.pop("ack", None)
        self.world.send(x)

    def _clock(self):
        return (self.stack.clock_ms + self.world.now // MS) % 2**32

    def _acknowledge(self):
        self._send(ACK, self.snd_nxt)

    def _output(self):
        if self.state not in ("ESTABLISHED", "CLOSE-WAIT"):
            return
        while True:
            unsent = ahead(self.queued_end, self.snd_nxt)
            room = min(ahead((self.snd_una + self.snd_wnd) % 2**32, self.snd_nxt), 8 * self.peer_mss)
            n = max(min(unsent, self.peer_mss, self.stack.mss, room), 0)
            fin = self.wants_fin and n == unsent and room > n
            if not n and not fin:
                break
            self._send_from(self.snd_nxt, n, fin)
            if fin:
                return
        if (ahead(self.queued_end, self.snd_nxt) > 0 or self.wants_fin) and self.snd_una == self.snd_nxt:
            self._after("probe", self.stack.rto_ns, self._probe)

    def _send_from(self, seq, length, fin):
        """Send or repeat bytes, and the FIN behind them."""
        self._send(ACK | (PSH if length else 0) | (FIN if fin else 0), seq, length)
        end = (seq + length + fin) % 2**32
        if ahead(end, self.snd_nxt) > 0:
            self.snd_nxt = end
        if fin and not self.fin_sent:
            self.fin_sent = True
            self.enter("FIN-WAIT-1" if self.state == "ESTABLISHED" else "LAST-ACK")
        if "retransmit" not in self.timers:
            self._retransmit_in(self.stack.rto_ns)

    def _probe(self):
        """Zero window: an old number, as Linux has it, so that the peer answers."""
        if self.state in ("ESTABLISHED", "CLOSE-WAIT"):
            self._send(ACK, (self.snd_una - 1) % 2**32)
            self.tries += 1
            if self.tries < 4 * self.stack.retries:
                self._after("probe", self.stack.rto_ns << min(self.tries, 5), self._probe)

    def _retransmit_in(self, ns):
        self._after("retransmit", ns, self._retransmit)

    def _retransmit(self):
        self.tries += 1
        if self.tries > self.stack.retries:
            self._gone()
            return
        self._repeat()
        first = SECOND if self.state in ("SYN-SENT", "SYN-RECEIVED") else self.stack.rto_ns
        self._retransmit_in(first << self.tries)

    def _repeat(self):
        """Send what was not acknowledged again, one segment of it."""
        if self.state == "SYN-SENT":
            self._send(SYN, self.iss)
        elif self.state == "SYN-RECEIVED":
            self._send(SYN | ACK, self.iss)
        elif self.state in MAY_SEND and self.snd_una != self.snd_nxt:
            until = (self.snd_nxt - self.fin_sent) % 2**32
            n = max(min(ahead(until, self.snd_una), self.peer_mss, self.stack.mss), 0)
            self._send_from(self.snd_una, n, self.fin_sent and (self.snd_una + n) % 2**32 == until)

    # ---- receiving: section 3.10.7 ----

    def receive(self, x):
        if self.state == "LISTEN":
            self._in_listen(x)
        elif self.state == "SYN-SENT":
            self._in_syn_sent(x)
        elif self.state == "TIME-WAIT":
            self._in_time_wait(x)
        else:
            self._synchronized(x)

    def _in_listen(self, x):
        if x.flags & (SYN | ACK | RST | FIN) != SYN:
            if x.flags & ACK:
                self.world.send_if(reply_to_stranger(x))
            return
        self._take_syn(x)
        self._answer_syn()

    def _answer_syn(self):
        self._send(SYN | ACK, self.iss)
        self.snd_nxt = (self.iss + 1) % 2**32
        self.enter("SYN-RECEIVED")
        self._retransmit_in(SECOND)

    def _take_syn(self, x):
        self.irs, self.rcv_nxt = x.seq, (x.seq + 1) % 2**32
        self.rcv_wup = self.rcv_nxt
        self.edge = (self.rcv_nxt + min(self.stack.buffer, 65_535)) % 2**32
        self.ts_ok = self.stack.timestamps and x.tsval is not None
        self.ts_recent = x.tsval or 0
        self.sack_ok = self.stack.sack and x.sack_permitted
        self.scales = self.stack.wscale is not None and x.wscale is not None
        self.peer_wscale, self.peer_mss = x.wscale or 0, x.mss or 536
        self.snd_wnd = self.snd_max_window = x.window
        self.wl = (x.seq, x.ack)

    def _in_syn_sent(self, x):
        fits = bool(x.flags & ACK) and ahead(x.ack, self.iss) > 0 and ahead(x.ack, self.snd_nxt) <= 0
        if x.flags & ACK and not fits:
            self.world.send_if(reply_to_stranger(x))
        elif x.flags & RST:
            if fits:
                self.enter("CLOSED")
        elif x.flags & SYN:
            self._take_syn(x)
            self.tries = 0
            if fits:
                self.snd_una = x.ack
                self.timers.pop("retransmit", None)
                self.enter("ESTABLISHED")
                self._acknowledge()
                self._output()
            else:
                self._answer_syn()

    def _in_time_wait(self, x):
        if x.flags & RST:
            if x.seq == self.rcv_nxt:
                self.enter("CLOSED")
        elif x.size or ahead(x.seq, self.rcv_nxt) < 0:
            self._acknowledge()
            if x.flags & FIN:
                self._after("time wait", 60 * SECOND, self._gone)

    def _reset_fits(self, x):
        """RFC 5961 section 3.2, and what Linux lets through besides."""
        if x.seq == self.rcv_nxt:
            return True
        if self.state in ("CLOSE-WAIT", "LAST-ACK", "CLOSING") and x.seq == (self.rcv_nxt - 1) % 2**32:
            return True
        return bool(self.islands) and x.seq == self.sack_edge

    def _synchronized(self, x):
        if x.flags & RST:
            if self._reset_fits(x):
                self.enter("CLOSED" if self.active or self.state != "SYN-RECEIVED" else "LISTEN")
            elif 0 < ahead(x.seq, self.rcv_nxt) < ahead(self.edge, self.rcv_nxt):
                self._acknowledge()
            return
        crossing = (
            self.state == "SYN-RECEIVED" and x.flags & SYN and x.flags & ACK
            and (x.seq, x.ack) == (self.irs, self.snd_nxt)
        )  # fmt: skip
        if not crossing and not self._sequence_fits(x):
            return
        if not x.flags & ACK or not self._take_ack(x) or self.state == "CLOSED":
            return
        if self.ts_ok and x.tsval is not None and ahead(x.seq, self.rcv_wup) <= 0:
            self.ts_recent = x.tsval
        if not crossing and (x.length or x.flags & FIN):
            self._take_data(x)
        elif crossing:
            self._acknowledge()
        if self.state != "CLOSED":
            self._output()

    def _sequence_fits(self, x):
        """First to fourth check; answers what does not pass."""
        old = self.ts_ok and x.tsval is not None and ahead(x.tsval, self.ts_recent) < 0
        edge = self.edge if ahead(self.edge, self.rcv_nxt) > 0 else self.rcv_nxt
        if old or ahead(x.end, self.rcv_wup) < 0 or ahead(x.seq, edge) > 0:
            self._repeat() if self.state == "SYN-RECEIVED" and x.flags & SYN else self._acknowledge()
            return False
        if x.flags & SYN:
            if self.state == "SYN-RECEIVED" and x.seq == self.irs and not x.flags & ACK:
                self._repeat()
            else:
                self._acknowledge()  # a challenge
            return False
        return True

    def _take_ack(self, x):
        """Fifth check. False when the segment is dropped for its acknowledgment number."""
        if self.state == "SYN-RECEIVED":
            if not (ahead(x.ack, self.snd_una) > 0 and ahead(x.ack, self.snd_nxt) <= 0):
                self.world.send_if(reply_to_stranger(x))
                return False
            self.tries = 0
            self.timers.pop("retransmit", None)
            self.enter("ESTABLISHED")
            self.snd_wnd = 0
        elif ahead(x.ack, self.snd_nxt) > 0:
            self._acknowledge()
            return False
        elif ahead(x.ack, self.snd_una) < -self.snd_max_window:
            return False
        self._move_una(x)
        if ahead(x.seq, self.wl[0]) > 0 or (x.seq == self.wl[0] and ahead(x.ack, self.wl[1]) >= 0):
            self.snd_wnd = x.window << (self.peer_wscale if self.scales else 0)
            self.snd_max_window = max(self.snd_max_window, self.snd_wnd)
            self.wl = (x.seq, x.ack)
        if self.fin_sent and self.snd_una == self.snd_nxt:
            if self.state == "FIN-WAIT-1":
                self.enter("FIN-WAIT-2")
                self._wait_for_peer()
            elif self.state == "CLOSING":
                self.enter("TIME-WAIT")
            elif self.state == "LAST-ACK":
                self.enter("CLOSED")
        return True

    def _move_una(self, x):
        if ahead(x.ack, self.snd_una) > 0:
            self.snd_una, self.tries, self.duplicates = x.ack, 0, 0
            self.timers.pop("retransmit", None)
            self.timers.pop("probe", None)
            if self.snd_una != self.snd_nxt:
                self._retransmit_in(self.stack.rto_ns)
        elif x.ack == self.snd_una and self.snd_una != self.snd_nxt and not x.size:
            self.duplicates += 1
            if self.duplicates == 3:
                self._repeat()

    def _take_data(self, x):
        """Seventh and eighth: text and FIN, also out of order."""
        if self.state not in TAKES_DATA:
            self._acknowledge()  # repeats what was received
            return
        if ahead((x.seq + x.length) % 2**32, self.rcv_nxt) > 0 and self.orphan:
            self.world.send_if(reply_to_stranger(x))  # nobody reads any more
            self.enter("CLOSED")
            return
        self.islands.append((x.seq, x.end, bool(x.flags & FIN)))
        self.islands.sort(key=lambda island: ahead(island[0], self.rcv_nxt))
        moved = closing = False
        while self.islands and ahead(self.islands[0][0], self.rcv_nxt) <= 0:
            _, end, fin = self.islands.pop(0)
            new = ahead(end, self.rcv_nxt)
            if new > 0:
                self.unread += 0 if self.stack.reads else new - fin
                self.rcv_nxt, moved, closing = end, True, closing or fin
        if closing:
            self.enter({"ESTABLISHED": "CLOSE-WAIT", "FIN-WAIT-1": "CLOSING", "FIN-WAIT-2": "TIME-WAIT"}[self.state])
            self.islands.clear()
        self._acknowledge_soon(at_once=not moved or bool(self.islands) or self.state == "TIME-WAIT")

    def _acknowledge_soon(self, at_once):
        self.unacked += 1
        if at_once or self.unacked >= 2 or not self.stack.delayed_ack_ns:
            self._acknowledge()
        else:
            self._after("ack", self.stack.delayed_ack_ns, self._acknowledge)
