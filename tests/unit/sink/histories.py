"""What processors send that start again and send again, and what a reader is to have of it."""

from collections import defaultdict

from hypothesis import strategies as st


@st.composite
def histories(draw, slices=3, length=40):
    """Places in the order in which a topic receives them: replays, epochs begun anew, losses made good by a replay."""
    history = []
    place = dict.fromkeys(range(slices), (0, 0))
    lost = {}  # slice: first n that never arrived
    for _ in range(draw(st.integers(1, length))):
        slice_ = draw(st.integers(0, slices - 1))
        epoch, n = place[slice_]
        act = draw(st.sampled_from(("next", "next", "next", "replay", "lose", "zombie", "epoch")))
        if act == "zombie" and n:  # another worker, not yet stopped, sends an old one
            history.append((slice_, epoch, draw(st.integers(1, n))))
        elif act == "replay" and n:
            back = draw(st.integers(0, min(n, lost.get(slice_, n + 1)) - 1))
            history += [(slice_, epoch, k) for k in range(back + 1, n + 1)]
            lost.pop(slice_, None)
        elif act == "epoch" and slice_ not in lost:
            place[slice_] = (epoch + 1 + n, 1)
            history.append((slice_, epoch + 1 + n, 1))
        elif act == "lose" and n:  # a first record that is lost is not missed: a reader takes the first it meets
            place[slice_] = (epoch, n + 1)
            lost.setdefault(slice_, n + 1)
        else:
            place[slice_] = (epoch, n + 1)
            history.append((slice_, epoch, n + 1))
    for slice_, first in lost.items():
        epoch, n = place[slice_]
        history += [(slice_, epoch, k) for k in range(first, n + 1)]
    return history


def each_once(history):
    """What readers are to have of a slice, in order."""
    slices = defaultdict(set)
    for slice_, epoch, n in history:
        slices[slice_].add((epoch, n))
    return {slice_: sorted(places) for slice_, places in slices.items()}
