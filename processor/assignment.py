"""The partitions that a worker holds between two rebalances, and who may touch them when.

One task at a time works on any of them, so that what is sent and written keeps one order. A partition whose work was
broken off is forgotten at once: its state may be ahead of its outputs, and a snapshot of that would lose them.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator

from processor.partition import Kit, Message, Partition, RevokedError

log = logging.getLogger(__name__)


class Assignment:
    """Partitions by number, each opened with its first message and dropped when the group is rebalanced."""

    def __init__(self, kit: Kit) -> None:
        """Inert."""
        self._kit = kit
        self._partitions: dict[int, Partition] = {}
        self._lock = asyncio.Lock()
        self._closed = False
        self.broken: Exception | None = None  # why nothing is done any more

    def positions(self) -> dict[int, tuple[int, int]]:
        """Partition to the next offset to apply and the LogAppendTime (ms) of the last applied."""
        return {number: (held.position, held.arrived_ms) for number, held in list(self._partitions.items())}

    async def take(self, message: Message, ours: Callable[[], bool]) -> None:
        """Apply a message while `ours` holds, else leave it to the next owner; write a checkpoint where one is due."""
        await self._work(message.partition, lambda partition: partition.take(message, ours), ours)

    async def reach(self, number: int, end: int, ours: Callable[[], bool]) -> None:
        """Apply what lies before offset `end` and the stream did not bring."""
        await self._work(number, lambda partition: partition.reach(end, ours), ours)

    async def _work(self, number: int, work: Callable[[Partition], Awaitable[None]], ours: Callable[[], bool]) -> None:
        async with self._lock:
            if self._closed or self.broken is not None or not ours():
                return
            partition = self._partitions.setdefault(number, Partition(number, self._kit))
            with self._whole(partition):
                await work(partition)
                # A revocation that did not wait for us has forgotten this partition; another worker may hold it now.
                if partition.due() and self._partitions.get(number) is partition:
                    await partition.checkpoint()

    async def tick(self) -> None:
        """Write the checkpoints that are due by age."""
        async with self._lock:
            await self._checkpoint(lambda partition: partition.due())

    async def drop(self, timeout_s: float) -> None:
        """Write what checkpoints can be written in that time, then forget all partitions."""
        self._kit.counters.rebalances += 1
        await self._leave(timeout_s)

    async def close(self, timeout_s: float) -> bool:
        """Take nothing more, and drop; tell whether all that was applied is durable."""
        self._closed = True
        return await self._leave(timeout_s)

    async def _leave(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s), self._lock:
                await self._checkpoint(lambda _: True)
                if self.broken is None:
                    await self.commit()
                return self.broken is None
        except TimeoutError:
            log.warning("no checkpoint within %g s: the next owner applies again what came since the last", timeout_s)
            return False
        finally:
            self._partitions = {}

    async def _checkpoint(self, wanted: Callable[[Partition], bool]) -> None:
        for partition in list(self._partitions.values()):
            if self.broken is None and wanted(partition):
                with self._whole(partition):
                    await partition.checkpoint()

    async def commit(self) -> None:
        """Commit what has become durable. It shows the lag, and saves the next owner reading what it would skip."""
        wanted = [held for held in self._partitions.values() if held.durable != held.committed]
        offsets = {held.number: held.durable for held in wanted}
        if offsets and await self._kit.commit(offsets):
            for held in wanted:
                held.committed = offsets[held.number]

    @contextlib.contextmanager
    def _whole(self, partition: Partition) -> Iterator[None]:
        """Let work be done wholly, or else forget the partition; an error ends all work of this worker."""
        try:
            yield
        except BaseException as error:
            if self._partitions.get(partition.number) is partition:
                del self._partitions[partition.number]
            if isinstance(error, RevokedError):
                return
            if isinstance(error, Exception):
                self.broken = error
            raise
