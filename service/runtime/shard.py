"""All that one worker holds for one input partition: engine, journal, reader, position.

    OPENING --open--> HELD --run--> RUNNING --revoke--> HELD --reclaim, run--> RUNNING
       any state --close--> CLOSED

Each verb asserts its state. Shards share nothing. No lock is held across broker I/O. A shard that
is HELD takes no batch and starts no checkpoint. Any error ends the worker through `fail`, which
does not return.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Generic, Protocol, TypeVar

from service.kafka.aiokafka_ext.batches import UnpackError
from service.kafka.partitioning import Partitioner, partitioner_of
from service.runtime.engine_port import Checkpoint, PartitionEngine, Sealed
from service.runtime.journal import Journal
from service.runtime.reader import Batch, Reader
from service.runtime.shard_restore import ShardRestore
from service.runtime.shard_watchdog import Watchdog
from service.settings import Settings

log = logging.getLogger(__name__)

E = TypeVar("E", bound=PartitionEngine[Any])
Fail = Callable[[str, BaseException | None], None]
"""(what failed, why): ends the process and does not return."""

_SATURATED: Final = 4
"""Multiples of `flush_records` that may wait unsealed behind a commit in flight."""


def loop_time() -> float:
    """Return the monotonic seconds of the event loop, so that a simulation can set the time."""
    return asyncio.get_running_loop().time()


class State(Enum):
    """The state of a shard between assignment and loss."""

    OPENING = "opening"
    RUNNING = "running"
    HELD = "held"
    CLOSED = "closed"


class ShardObserver(Protocol):
    """Called when things happen to a shard, for metrics. A shard never depends on it."""

    def opened(self, seconds: float) -> None:
        """Note that the shard was restored, and how many seconds it took."""

    def sealed(self, seconds: float) -> None:
        """Note a sealed checkpoint, and the seconds in which the loop did nothing else."""

    def committed(self, seconds: float, size: int, partition: int, position: int) -> None:
        """Note a durable checkpoint: seconds since its seal, bytes of its records, its position."""

    def failed(self) -> None:
        """Note that a checkpoint failed. The worker ends."""


class Shard(Generic[E]):
    """One partition. The engine counts, the journal makes results durable, the reader feeds it."""

    def __init__(  # noqa: PLR0913 - one collaborator each
        self,
        *,
        partition: int,
        partitions: int,
        settings: Settings,
        engine: E,
        journal: Journal,
        new_reader: Callable[[], Reader],
        observer: ShardObserver,
        fail: Fail,
    ) -> None:
        """Build the shard in state OPENING. Nothing is connected. `partitions`: of the input."""
        self.partition: int = partition
        self.state = State.OPENING
        self.engine: E = engine
        self._partitions = partitions
        self.reader: Reader | None = None
        self._settings = settings
        self._journal = journal
        self._new_reader = new_reader
        self._observer = observer
        self._fail = fail
        self._reading: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._committing: asyncio.Task[int] | None = None
        self._backlog: deque[Batch] = deque()
        self._sealed_at = 0.0
        self._last: Checkpoint | None = None
        self.committed_offset = 0
        """Every input record before it is durable in the result topics."""
        self.committed_s = time.time()
        """When it last moved, or when the shard was made, in seconds since the epoch."""
        self._restore = ShardRestore(partition, settings, engine, journal)
        self._watchdog = Watchdog(settings)
        self.sampled_keys: Counter[Partitioner] = Counter()
        """Sampled accounts, by the partitioner that would choose this partition for their key."""
        self._unsealed = 0
        self._has_warned = self._has_told = False
        self.applied_ms = 0
        """Log timestamp of the last applied record, in epoch ms; 0 before the first."""

    # ---- open

    async def open(self) -> None:
        """Restore what the log says. OpenRefusedError names what contradicts what."""
        assert self.state is State.OPENING, self.state
        began = self._watchdog.moved(loop_time())
        checkpoint, rows = await self._restore.run()
        self._last = checkpoint or await self._commit_start()
        self.committed_offset = self._last.position
        self._journal.progress.enter("")
        seconds = loop_time() - began
        self.state = State.HELD
        self._observer.opened(seconds)
        log.info(
            "shard open partition=%d position=%d rows=%d remembered=%d seconds=%.2f",
            self.partition,
            self.engine.position,
            rows,
            self.engine.remembered_ids,
            seconds,
        )

    def run(self) -> None:
        """Start to read at the position of the engine."""
        assert self.state is State.HELD, self.state
        self.state = State.RUNNING
        self._sealed_at = self._watchdog.answered(loop_time())
        self.reader = self._new_reader()
        self._reading = asyncio.create_task(self.reader.run(self.engine.position))
        self._reading.add_done_callback(self._ended_reading)

    async def _commit_start(self) -> Checkpoint:
        """Commit before the first row is written. So rows without a commit are always wrong."""
        self._journal.progress.enter("commit the start")
        sealed = self.engine.seal()
        await self._journal.commit(sealed)
        self.engine.committed(sealed.checkpoint)
        return sealed.checkpoint

    # ---- apply

    def accepts(self, batch: Batch) -> bool:
        """Tell whether the batch belongs to the present assignment of this shard."""
        return self.state is State.RUNNING and batch.reader is self.reader

    def take(self, batch: Batch) -> None:
        """Count a batch now, or after the commit if a slow commit delays too many records."""
        assert self.accepts(batch)
        self._backlog.append(batch)
        if not self._is_saturated:
            self._apply_backlog()

    def _apply_backlog(self) -> None:
        while self._backlog:
            batch = self._backlog.popleft()
            assert batch.start == self.engine.position, (batch.start, self.engine.position)
            assert batch.is_consistent, (batch.start, batch.end, batch.records[0].offset)
            self.engine.apply(batch.records, batch.end)
            self._unsealed += len(batch.records)
            if self.engine.unforeseen and not self._has_told:
                self._tell_unforeseen()
            if batch.records:
                self.applied_ms = batch.records[-1].timestamp
            batch.release()

    def _tell_unforeseen(self) -> None:
        """Log the first record that could not be judged. The metric counts the others."""
        self._has_told = True
        log.error(
            "a record could not be judged and was rejected as unforeseen: a bug of this service, "
            "please report it partition=%d %s",
            self.partition,
            self.engine.unforeseen,
        )

    @property
    def _is_saturated(self) -> bool:
        limit = _SATURATED * self._settings.flush_records
        return self._committing is not None and self._unsealed >= limit

    # ---- checkpoint

    def checkpoint_if_due(self, now: float) -> None:
        """Start a checkpoint if one is due and no other is in flight."""
        if self.state is not State.RUNNING or self._committing is not None:
            return
        is_time = now - self._sealed_at >= self._settings.flush_interval_s
        if is_time or self._unsealed >= self._settings.flush_records:
            if self.engine.has_unsealed:
                self._checkpoint()
            else:
                self._sealed_at = now

    def _checkpoint(self) -> asyncio.Task[int]:
        assert self._committing is None
        assert self.state is State.RUNNING or self._reading is None
        began = self._sealed_at = loop_time()
        sealed = self.engine.seal()
        self._unsealed = 0
        self._last = sealed.checkpoint
        self._observer.sealed(loop_time() - began)
        self._sample(sealed)
        self._committing = asyncio.create_task(self._journal.commit(sealed))
        self._committing.add_done_callback(lambda task: self._committed(task, began))
        return self._committing

    def _sample(self, sealed: Sealed) -> None:
        """Check a few keys: which partitioner chose this partition for them?"""
        for key in sealed.sampled_keys:
            partitioner = partitioner_of(key, self.partition, self._partitions)
            self.sampled_keys[partitioner] += 1
            if partitioner != "murmur2" and not self._has_warned:
                self._has_warned = True
                log.warning(
                    "account %r is not where murmur2 would put it partition=%d: harmless only "
                    "while every producer uses the same partitioner; see `netfollowers doctor`",
                    key,
                    self.partition,
                )

    def _committed(self, task: asyncio.Task[int], began: float) -> None:
        self._committing = None
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            position = self._last.position if self._last else -1
            self._observer.failed()
            self._fail(f"a checkpoint failed partition={self.partition} position={position}", error)
            return
        assert self._last is not None
        try:
            self.engine.committed(self._last)
        except Exception as error:  # noqa: BLE001 - the loop would swallow it
            self._fail(f"the engine failed after a commit partition={self.partition}", error)
            return
        self.committed_offset = self._last.position
        self.committed_s = time.time()
        self._observer.committed(
            loop_time() - began, task.result(), self.partition, self._last.position
        )
        if self._backlog and self.state is State.RUNNING:
            self._apply_backlog()

    # ---- watch

    @property
    def restored_part(self) -> float:
        """Part of the table's log that has been read, from 0 to 1; 1 when the shard is open."""
        return self._journal.progress.part if self.state is State.OPENING else 1.0

    @property
    def is_running(self) -> bool:
        """True while the shard counts."""
        return self.state is State.RUNNING

    @property
    def sealed_offset(self) -> int:
        """Every input record before it is in the last seal, and so in the leaders' boards."""
        return self._last.position if self._last is not None else 0

    @property
    def answered_s(self) -> float:
        """When the broker last answered the reader, in seconds since the epoch; 0: never."""
        return self.reader.answered_s if self.reader is not None else 0.0

    @property
    def lag(self) -> int:
        """Records between the last stable offset and the position; 0 if it is unknown."""
        end = self.reader.end if self.reader else None
        return 0 if end is None else max(0, end - self.engine.position)

    @property
    def dedup_history_lost(self) -> int:
        """Number of records whose event ids are lost, because input retention had deleted them."""
        return self._restore.dedup_history_lost

    def why_stuck(self, now: float) -> str:
        """Return what has made no progress for too long; "" if all is well."""
        is_committing, in_flight_s = self._committing is not None, now - self._sealed_at
        if is_committing and (why := self._watchdog.why_uncommitted(in_flight_s)):
            return why
        if self.reader is None:
            return self._watchdog.why_not_open(self._journal.progress, now)
        is_answered, lag = self.reader.is_answered, self.lag
        return self._watchdog.why_not_read(self.engine.position, lag, now, is_answered=is_answered)

    # ---- revoke, reclaim, close

    async def revoke(self) -> None:
        """Stop reading, drop queued batches, then make the counted records durable."""
        assert self.state is State.RUNNING, self.state
        self.state = State.HELD
        await self._stop_reading()
        await self._settled()
        if self.state is State.HELD and self.engine.has_unsealed:  # not closed by a stop meanwhile
            await self._checkpoint()

    async def reclaim(self) -> bool:
        """Take the shard back.

        Return True if no other worker has committed since, so reading continues.
        """
        assert self.state is State.HELD, self.state
        self._watchdog.moved(loop_time())
        try:
            found = await self._journal.reclaim()
        finally:
            self._journal.progress.enter("")
        return found == self._last

    async def close(self) -> None:
        """Close everything without another commit."""
        self.state = State.CLOSED
        await self._stop_reading()
        await self._settled()
        await self._journal.close()

    async def _stop_reading(self) -> None:
        self._backlog.clear()
        task, self._reading, self.reader = self._reading, None, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _settled(self) -> None:
        if self._committing is not None:
            await asyncio.wait([self._committing])

    def _ended_reading(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, UnpackError):
            self._ending = asyncio.create_task(self._commit_and_fail(error))
        elif error is not None:
            self._reading_failed(error)

    async def _commit_and_fail(self, error: BaseException) -> None:
        """Commit all earlier records, because `skip` can only begin at the committed offset."""
        try:
            while self._committing is not None:
                await self._settled()
            if self.state is State.RUNNING and self.engine.has_unsealed:
                await self._checkpoint()
        finally:
            self._reading_failed(error)

    def _reading_failed(self, error: BaseException) -> None:
        position = self.engine.position
        self._fail(f"reading stopped partition={self.partition} position={position}", error)
