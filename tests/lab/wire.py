"""A wire in user space between two TUN devices: it delays every packet, and drops those that it is told to.

Packets are on it at the same time in both directions, which makes simultaneous opens and closes possible, and resets
that cross data.
"""

import heapq
import os
import selectors
import threading
import time
from collections.abc import Callable
from itertools import count

TCP = 6
PACKET_MAX = 65_536


def segment(packet: bytes) -> bytes:
    """TCP header and all behind it; nothing for a packet that holds none."""
    if packet[0] >> 4 == 4:
        return packet[(packet[0] & 15) * 4 :] if packet[9] == TCP else b""
    return packet[40:] if packet[6] == TCP else b""


def flags(packet: bytes) -> int:
    """Flags of a TCP packet, 0 for others."""
    tcp = segment(packet)
    return tcp[13] if tcp else 0


class Wire:
    """Carries packets between files `ends[0]` and `ends[1]` from a thread of its own."""

    def __init__(self, ends: tuple[int, int], delay_s: float) -> None:
        self.delay_s = delay_s
        self.drops: Callable[[int, bytes], bool] = lambda _end, _packet: False  # end: 0 for what a sent, 1 for b
        self._ends = ends
        self._stop, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._carry, name="wire")

    def start(self) -> None:
        """Begin to carry."""
        self._thread.start()

    def close(self) -> None:
        """Cut the wire."""
        os.write(self._wake, b"x")
        self._thread.join()
        for file in (*self._ends, self._stop, self._wake):
            os.close(file)

    def _carry(self) -> None:
        order = count()
        travelling: list[tuple[float, int, int, bytes]] = []
        with selectors.DefaultSelector() as selector:
            for end, file in enumerate((*self._ends, self._stop)):
                selector.register(file, selectors.EVENT_READ, end)
            while True:
                wait = max(0.0, travelling[0][0] - time.monotonic()) if travelling else None
                for key, _ in selector.select(wait):
                    if key.data == len(self._ends):
                        return
                    packet = os.read(key.fd, PACKET_MAX)
                    if not self.drops(key.data, packet):
                        arrival = time.monotonic() + self.delay_s
                        heapq.heappush(travelling, (arrival, next(order), 1 - key.data, packet))
                while travelling and travelling[0][0] <= time.monotonic():
                    _, _, end, packet = heapq.heappop(travelling)
                    os.write(self._ends[end], packet)
