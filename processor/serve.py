"""Runs a worker until it is told to stop or fails, as a library: no second program, no traceback, an exit code."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from processor.health import Counters
from synfin.errors import EXIT_INCOMPLETE, EXIT_OK, SynfinError

STOP_TIMEOUT_S: Final = 30.0  # of which half is for the last checkpoint
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def _say(text: str) -> None:
    sys.stderr.write(f"processor: {text}\n")


def summary(counters: Counters) -> str:
    """The counters in one line."""
    return ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in asdict(counters).items())


def set_up_logging(verbose: bool, debug: bool) -> None:
    """Log to stderr, a line an entry; what the libraries say of errors carries its traceback only for debugging."""

    class Lines(logging.Formatter):
        def formatException(self, ei: Any) -> str:  # noqa: N802  as inherited
            return super().formatException(ei) if debug else ""

    handler = logging.StreamHandler()
    handler.setFormatter(Lines("processor: %(message)s" if not debug else "%(asctime)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO if verbose or debug else logging.WARNING)
    if not debug:
        for library in ("faust", "mode", "aiokafka", "asyncio"):
            # They log one failure several times over, with a traceback each; we say it once, at the end.
            logging.getLogger(library).setLevel(logging.CRITICAL)


def _on_signals(stop: Callable[[], None]) -> None:
    """The first signal asks for the end, the second is the end."""
    loop = asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        if stopping:
            os._exit(128 + number)
        stopping.append(number)
        stop()

    stopping: list[signal.Signals] = []
    for number in SIGNALS:
        loop.add_signal_handler(number, received, number)


async def serve(app: Any) -> int:
    """Start the app (processor.app.ProcessorApp), wait for a signal or a failure, stop it. Gives the exit code."""
    told = asyncio.Event()
    _on_signals(told.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: _say(summary(app.worker.counters)))
    waiting = [asyncio.create_task(told.wait())]
    start = asyncio.create_task(app.start())
    try:
        await asyncio.wait([start, *waiting], return_when=asyncio.FIRST_COMPLETED)
        if start.done():
            start.result()
            waiting.append(asyncio.create_task(app.wait_until_stopped()))
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (start, *waiting):
            task.cancel()
        ended = await _stop(app)
    reason = app.crash_reason
    if isinstance(reason, SynfinError):
        raise reason
    if reason is not None:
        raise SynfinError(f"the worker failed: {reason!r}; --debug shows where") from reason
    _say(summary(app.worker.counters))
    if ended and app.worker.durable:
        return EXIT_OK
    _say("stopped without a last checkpoint: what came since the one before is applied again at the next start")
    return EXIT_INCOMPLETE


async def _stop(app: Any) -> bool:
    """Stop in good order; False when that took too long, as it does when the broker is away."""
    stopping = asyncio.create_task(app.stop())
    done, _ = await asyncio.wait([stopping], timeout=STOP_TIMEOUT_S)
    return bool(done) and stopping.exception() is None
