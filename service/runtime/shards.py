"""The shards of one worker: an assignment opens them, a revoke stops them, a stop closes them.

The transport calls it in the main loop. Each open is a separate task, so running shards continue,
and a revoke never waits for an open. If a partition comes back while its open still runs, the open
continues and is then checked like a retained shard. If the partition does not come back, the open
is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Generic

from aiokafka.errors import KafkaError

from service.runtime.journal import OpenRefusedError, ShardFencedError
from service.runtime.reader import Batch
from service.runtime.shard import E, Fail, Shard, State, loop_time

log = logging.getLogger(__name__)


class Shards(Generic[E]):
    """The shards by partition. Belongs to one worker. `queue` has the batches of all readers."""

    def __init__(self, fail: Fail) -> None:
        """`fail`: ends the process."""
        self.queue: asyncio.Queue[Batch] = asyncio.Queue()
        self.new_shard: Callable[[int], Shard[E]] | None = None
        self.is_stopping = False
        self.fail = fail
        self._shards: dict[int, Shard[E]] = {}
        self._opening: dict[int, Shard[E]] = {}
        self._drivers: dict[int, asyncio.Task[None]] = {}
        self._assigned: frozenset[int] = frozenset()
        self._is_known = asyncio.Event()
        self._epoch = 0

    def __iter__(self) -> Iterator[Shard[E]]:
        """All shards, in any state."""
        return iter(tuple(self._shards.values()))

    @property
    def held(self) -> _Held[E]:
        """All shards, also those that are still opening, at the time of each iteration."""
        return _Held(self._shards, self._opening)

    @property
    def is_ready(self) -> bool:
        """True if the group has assigned partitions, and all of them are running.

        The assignment may be empty: with more workers than partitions, this worker stands by.
        """
        return self.is_known and all(
            partition in self._shards and self._shards[partition].state is State.RUNNING
            for partition in self._assigned
        )

    @property
    def is_known(self) -> bool:
        """True from an assignment, which may be empty, to its revoke."""
        return self._is_known.is_set()

    @property
    def assigned(self) -> frozenset[int]:
        """Partitions of the present assignment; empty from revoke to assign."""
        return self._assigned

    def owner(self, batch: Batch) -> Shard[E] | None:
        """Return the shard that accepts this batch; None for a batch of an earlier assignment."""
        shard = self._shards.get(batch.partition)
        return shard if shard is not None and shard.accepts(batch) else None

    def take(self, batch: Batch) -> None:
        """Count a batch. A batch of an earlier assignment is dropped."""
        try:
            shard = self.owner(batch)
            if shard is not None:
                shard.take(batch)
                shard.checkpoint_if_due(loop_time())
        except Exception as error:  # noqa: BLE001 - nothing here may be skipped
            self.fail("the engine failed", error)

    def checkpoint_due(self) -> None:
        """Start every checkpoint that is due."""
        now = loop_time()
        for shard in self._shards.values():
            shard.checkpoint_if_due(now)

    def watch(self) -> None:
        """End the worker if a shard has made no progress for too long, running or opening."""
        now = loop_time()
        for shard in (*self, *self._opening.values()):
            if why := shard.why_stuck(now):
                at = f"partition={shard.partition} position={shard.engine.position} lag={shard.lag}"
                self.fail(f"{why} {at}", None)

    async def revoke(self) -> None:
        """Stop taking records at once, then make the counted records durable.

        Eager: all partitions.
        """
        self._epoch += 1
        self._is_known.clear()
        self._assigned = frozenset()
        running = [shard for shard in self._shards.values() if shard.state is State.RUNNING]
        await asyncio.gather(*(shard.revoke() for shard in running))

    def assign(self, partitions: Iterable[int]) -> None:
        """Open, take back or close shards, so that exactly `partitions` are held."""
        if self.is_stopping:
            return
        self._epoch += 1
        self._assigned = frozenset(partitions)
        self._is_known.set()
        for partition in sorted(self._shards.keys() | self._drivers.keys() | self._assigned):
            driver = self._drivers.get(partition)
            if driver is not None and partition not in self._assigned:
                driver.cancel()
            if driver is None or partition not in self._assigned:
                self._drive(partition, driver)

    async def stop(self) -> None:
        """Make a final checkpoint of every running shard, then close all. For a clean end."""
        self.is_stopping = True
        drivers = list(self._drivers.values())
        for driver in drivers:
            driver.cancel()
        if drivers:
            await asyncio.wait(drivers)
        await self.revoke()
        await asyncio.gather(*(shard.close() for shard in self._shards.values()))
        self._shards.clear()

    # ---- one driver per partition brings it to where the assignment wants it

    def _drive(self, partition: int, earlier: asyncio.Task[None] | None) -> None:
        driver = asyncio.create_task(self._settle(partition, earlier))
        self._drivers[partition] = driver
        driver.add_done_callback(lambda ended: self._settled(partition, ended))

    def _settled(self, partition: int, driver: asyncio.Task[None]) -> None:
        if self._drivers.get(partition) is driver:
            del self._drivers[partition]
        error = None if driver.cancelled() else driver.exception()
        if isinstance(error, OpenRefusedError):
            self.fail(f"refused to open: {error}", None)
        elif error is not None:
            self.fail(f"a shard could not be opened partition={partition}", error)

    async def _settle(self, partition: int, earlier: asyncio.Task[None] | None) -> None:
        if earlier is not None:
            await self._outlast(earlier)
        while not self.is_stopping:  # aiokafka's stop() may have swallowed our cancellation
            await self._is_known.wait()
            epoch = self._epoch
            if partition in self._assigned:
                shard = await self._take_up_unless_revoked(partition, epoch)
                if shard is not None and epoch == self._epoch:
                    shard.run()
                    return
            else:
                await self._let_go(partition)
                if epoch == self._epoch:
                    return

    async def _outlast(self, earlier: asyncio.Task[None]) -> None:
        """Wait for a cancelled driver, even if cancelled: two producers of one id would fence."""
        try:
            await asyncio.wait([earlier])
        except asyncio.CancelledError:
            await asyncio.wait([earlier])
            raise

    async def _take_up_unless_revoked(self, partition: int, epoch: int) -> Shard[E] | None:
        """Take up a shard.

        An error after a revoke is no failure, because the next owner has fenced it.

        The group gives a partition to another worker only after this worker has answered the
        revoke. So if the epoch is still the same, no other worker had the right to fence.
        """
        try:
            return await self._take_up(partition)
        except (KafkaError, ShardFencedError, OpenRefusedError) as error:
            if epoch == self._epoch:
                raise
            log.info("a rebalance interrupted the opening partition=%d: %r", partition, error)
            await self._let_go(partition)
            return None

    async def _take_up(self, partition: int) -> Shard[E] | None:
        """Open a shard, or take it back. Return None if the shard turned out to be out of date."""
        shard = self._shards.get(partition)
        if shard is None:
            return await self._open(partition)
        if shard.state is State.RUNNING:
            await shard.revoke()
        if await shard.reclaim():
            return shard
        log.info("shard opens again partition=%d: another worker has committed", partition)
        await self._let_go(partition)
        return None

    async def _open(self, partition: int) -> Shard[E]:
        assert self.new_shard is not None
        shard = self._opening[partition] = self.new_shard(partition)
        try:
            await shard.open()
        except BaseException:
            await shard.close()
            raise
        finally:
            del self._opening[partition]
        self._shards[partition] = shard
        return shard

    async def _let_go(self, partition: int) -> None:
        shard = self._shards.pop(partition, None)
        if shard is not None:
            await shard.close()


class _Held(Generic[E]):
    """Yields the open shards, then those that are still opening."""

    def __init__(self, *parts: dict[int, Shard[E]]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[Shard[E]]:
        return chain.from_iterable([tuple(part.values()) for part in self._parts])
