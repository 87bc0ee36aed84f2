"""One life of a worker: the service's own Shards, driven as service/app.py and service/run.py do.

A life ends by `crash` (kill -9), or by the service's own `fail`. Nothing of it survives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context, copy_context
from dataclasses import dataclass
from importlib import import_module
from random import Random
from types import ModuleType
from typing import Any

from service.settings import Settings
from verify.simulation.broker import Broker
from verify.simulation.connection import CURRENT, Faults, Link
from verify.simulation.group import Group

TICK_S = 0.02
WATCH_S = 1.0


class Died(BaseException):
    """What `fail` raises: the code behind it does not run."""


class House:
    """The service's modules, or those of a sabotaged copy of it."""

    def __init__(self, package: str = "service") -> None:
        self.clients: ModuleType = import_module(f"{package}.kafka.clients")
        self.runtime = import_module(f"{package}.runtime")
        for name in ("journal", "journal_restore", "reader", "shard_factory", "shards"):
            import_module(f"{package}.runtime.{name}")
        self.engine: ModuleType = import_module(f"{package}.counting.engine")
        self.metrics: ModuleType = import_module(f"{package}.metrics.observed")
        self.results: ModuleType = import_module(f"{package}.contract.results")
        self.settings: ModuleType = import_module(f"{package}.settings")


@dataclass(frozen=True)
class Place:
    """Where a worker lives."""

    house: House
    broker: Broker
    group: Group
    partitions: int


class Worker:
    def __init__(
        self,
        place: Place,
        settings: Settings,
        *,
        random: Random,
        faults: Faults,
        ended: Callable[[Worker, str, BaseException | None], None],
    ) -> None:
        """`ended(worker, what, why)` is called once, when the life is over."""
        self.settings = settings
        self.is_deaf = False
        self.is_slow = False
        self.has_run = False
        self.began = asyncio.get_running_loop().time()
        self.link = Link(random, faults, lambda why: self.end(why, None))
        self._place = place
        self._ended = ended
        self._metrics = place.house.metrics.Metrics()
        self.shards: Any = place.house.runtime.shards.Shards(self._fail)
        self.shards.new_shard = place.house.runtime.shard_factory.ShardFactory(
            settings=settings,
            partitions=place.partitions,
            new_engine=self._engine,
            commit_position=self._commit_position,
            queue=self.shards.queue,
            new_observer=self._metrics.for_shard,
            fail=self.shards.fail,
        )
        self._context: Context = copy_context()
        self._context.run(CURRENT.set, self.link)

    def start(self) -> None:
        """Begin to live."""
        for loop in (self._membership, self._agent, self._tick, self._watch):
            self._spawn(loop())

    @property
    def can_be_heard(self) -> bool:
        """See `group.Member`."""
        link = self.link
        return link.is_alive and not link.is_frozen and not link.is_cut and not self.is_deaf

    @property
    def running(self) -> list[int]:
        """Partitions that it counts."""
        return [shard.partition for shard in self.shards if shard.is_running]

    @property
    def is_opening(self) -> bool:
        """True while it has partitions and does not yet run them all."""
        return bool(self.shards.assigned) and not self.shards.is_ready

    @property
    def queued(self) -> int:
        """Batches that wait for a running shard."""
        return sum(self.shards.owner(batch) is not None for batch in self.shards.queue._queue)

    def end(self, what: str, why: BaseException | None) -> None:
        """Die: no task continues, and no more requests are sent."""
        if not self.link.is_alive:
            return
        self.link.is_alive = False
        self.link.thaw()
        for task in self.link.tasks:
            task.cancel()
        self._ended(self, what, why)

    async def stop(self) -> None:
        """SIGTERM: a final checkpoint."""
        stopping = asyncio.get_running_loop().create_task(self.shards.stop(), context=self._context)
        await asyncio.wait([stopping])
        self.end("stopped", None)

    def _fail(self, what: str, why: BaseException | None) -> None:
        self.end(what, why)
        raise Died(what)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.get_running_loop().create_task(work, context=self._context)

    def _engine(self, partition: int) -> Any:
        house, settings = self._place.house, self.settings
        return house.engine.Engine(
            settings.rules,
            house.results.Source(settings.input_topic, partition),
            topics=settings.result_topics,
            settings=settings.fingerprint(self._place.partitions),
        )

    async def _commit_position(self, *_: object) -> None:
        """Do nothing. With at least once this commit is only for tools that show lag."""

    # ---- as service/kafka/faust_ext/transport.py and service/app.py do

    async def _membership(self) -> None:
        group = self._place.group
        while True:
            await self.link.awake()
            generation, share = await group.join(self)
            await self.link.awake()
            self.shards.assign(share)
            await group.until_rejoin(self, generation)
            await self.link.awake()
            try:
                await self.shards.revoke()
            except Exception as error:  # noqa: BLE001 - as the transport does
                self.shards.fail("a revoke failed", error)

    async def _agent(self) -> None:
        while True:
            batch = await self.shards.queue.get()
            while self.is_slow:
                await asyncio.sleep(TICK_S)
            await self.link.awake()
            self.shards.take(batch)
            self.has_run = True

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            await self.link.awake()
            self.shards.checkpoint_due()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            await self.link.awake()
            self.shards.watch()


def track(loop: asyncio.AbstractEventLoop) -> None:
    """Note each task with the link of the worker whose it is: `kill -9` ends them all."""

    def factory(
        loop: asyncio.AbstractEventLoop,
        work: Coroutine[Any, Any, Any],
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context)
        link = (context or copy_context()).get(CURRENT)
        if link is not None:
            link.tasks.append(task)
            if not link.is_alive:
                task.cancel()
        return task

    loop.set_task_factory(factory)  # type: ignore[arg-type] # typeshed knows no context here


def running(workers: list[Worker]) -> Iterator[Worker]:
    """Those that run a shard and are not already hurt."""
    for worker in workers:
        if worker.can_be_heard and worker.running:
            yield worker
