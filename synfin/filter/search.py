"""`contains` and `matches`: which values have given bytes or a text in them, and which fit a pattern.

Patterns come from a person and the bytes from strangers, who may have made them so that the pattern tries without
end. So a pattern has a time, of the processor's, after which it is refused.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NoReturn

import numpy as np

from synfin.filter.errors import FilterError
from synfin.filter.tree import Constant
from synfin.filter.values import Data, Mask, Octets, objects

PATIENCE_S: Final = 10.0  # of processor time, for TOGETHER values; an honest pattern takes some milliseconds
TOGETHER: Final = 64


def contain(data: Data, wanted: Any) -> Mask:
    """Which values have this in them."""
    if isinstance(data, Octets):
        return data.contain(wanted)
    return np.array([wanted in item for item in objects(data)], bool)


def fit(data: Data, pattern: Constant, text: str) -> Mask:
    """Which values fit the pattern of a filter with this text. FilterError where it takes too long."""
    result = np.zeros(len(data), bool)
    for first in range(0, len(data), TOGETHER):
        some = objects(data[first : first + TOGETHER])
        try:
            with _patience():
                result[first : first + TOGETHER] = [pattern.value.search(item) is not None for item in some]
        except _OverdueError:
            said = f"this pattern took more than {PATIENCE_S:g} s on {len(some)} values: is one repetition in another?"
            raise FilterError(text, pattern.at, said) from None
    return result


class _OverdueError(Exception):
    """The time is over."""


def _overdue(*_: object) -> NoReturn:
    raise _OverdueError


@contextmanager
def _patience() -> Iterator[None]:
    """Raise _OverdueError when what is done takes too long; only the main thread has signals, and so a limit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _overdue)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE_S)
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        with suppress(TypeError):  # a handler that was not set from Python
            signal.signal(signal.SIGVTALRM, before)
