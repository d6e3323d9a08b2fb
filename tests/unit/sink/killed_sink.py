"""A sink over topics that are made from a seed, in a process of its own, to be killed.

    python killed_sink.py OUT SEED
Alerts go to the file OUT/alerts, a line an id, written before they count as acknowledged. Before each step it waits for
a line on standard input, or its end, and after it says "step": so whoever kills it knows how far it can have come.
"""

import logging
import os
import random
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from sink.consumer import Sink  # noqa: E402
from sink.counters import Talk  # noqa: E402
from sink.files import Rotation  # noqa: E402
from sink.lock import FolderLock  # noqa: E402
from sink.partition import Place  # noqa: E402
from tests.unit.sink.topics import Topics  # noqa: E402

EVENTS, FLOWS = "synfin.events.v1", "synfin.flows.v1"
KEYS = [(EVENTS, 0), (FLOWS, 0), (FLOWS, 1)]
RECORDS = 600


def made(seed):
    """Topics whose processor was killed some forty times and went back by up to a hundred records."""
    choose, topics = random.Random(seed), Topics()
    for key in KEYS:
        last = dict.fromkeys(range(4), 0)
        while sum(last.values()) < RECORDS:
            slice_ = choose.randrange(4)
            if choose.random() < 0.04:
                last[slice_] = max(0, last[slice_] - choose.randrange(100))
            for _ in range(choose.randrange(1, 9)):
                last[slice_] += 1
                topics.add(*key, (slice_, 0, last[slice_]))
    return topics


class AlertFile:
    """An alerts topic of one file."""

    def __init__(self, path):
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.waiting = []

    def send(self, alert):
        self.waiting.append(alert)

    def unacknowledged(self, wait_s):
        os.write(self.descriptor, b"".join(b"%s %s %s\n" % (a.id, a.key, a.value) for a in self.waiting))
        self.waiting = []
        return 0

    def refused(self):
        return []


def main(out, seed):
    out, topics = Path(out), made(int(seed))
    with FolderLock(out):
        places = [Place(out, topic, number, alerts=topic == EVENTS) for topic, number in KEYS]
        rotation = Rotation(40_000, 10**18)
        sink = Sink(places, rotation, topics, AlertFile(out / "alerts"), Talk(logging.getLogger("sink")))
        sink.open()
        while arrivals := topics.poll(0, most=25):
            sys.stdin.readline()
            sink.step(arrivals)
            print("step", flush=True)
        sink.finish_files()


if __name__ == "__main__":
    main(*sys.argv[1:])
