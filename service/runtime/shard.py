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
from contextlib import aclosing
from enum import Enum
from typing import Any, Final, Generic, NoReturn, Protocol, TypeVar

from service.contract.rule_versions import RulesTooNewError
from service.kafka.aiokafka_ext.batches import UnpackError
from service.kafka.partitioning import Partitioner, partitioner_of
from service.runtime.engine_port import Checkpoint, PartitionEngine, Sealed
from service.runtime.journal import Journal, OpenRefusedError, Restored, ShardFencedError
from service.runtime.reader import Batch, Reader
from service.settings import Settings

log = logging.getLogger(__name__)

E = TypeVar("E", bound=PartitionEngine[Any])
Fail = Callable[[str, BaseException | None], None]
"""(what failed, why): ends the process and does not return."""

_LOAD_ROWS: Final = 5_000
"""Rows decoded in one step while opening. Running shards work between the steps."""
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
        self._sealed_at = self._moved_at = self._answered_at = 0.0
        self._watched = -1
        self._opened = ("", 0)
        self._last: Checkpoint | None = None
        self.committed_offset = 0
        """Every input record before it is durable in the result topics."""
        self.committed_s = time.time()
        """When it last moved, or when the shard was made, in seconds since the epoch."""
        self.dedup_history_lost = 0
        """Number of records whose event ids are lost, because input retention had deleted them."""
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
        began = self._moved_at = loop_time()
        restored = await self._journal.open(self.engine.replay_from)
        rows = sum(map(len, restored.rows.values()))
        if restored.checkpoint is None and rows:
            await self._refuse_rows(restored, self._without_commit())
        self._check_checkpoint(restored)
        newest = await self._restore(restored)
        await self._check_rows(restored, newest)
        await self._check_row_count(restored, rows)
        self._last = restored.checkpoint or await self._commit_start()
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
        self._sealed_at = self._moved_at = self._answered_at = loop_time()
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

    async def _restore(self, restored: Restored) -> int:
        """Fill the engine. Return the newest offset that a row contains."""
        engine = self.engine
        try:
            engine.restore(restored.checkpoint or engine.initial_checkpoint(restored.start))
        except RulesTooNewError as error:
            self._refuse(f"{error}. Run the newer version; see docs/operate/upgrading.md")
        tables, newest = restored.rows, -1
        self._journal.progress.enter("load the rows")
        for table, rows in tables.items():
            while rows:  # each leaves as it is packed: never two whole tables in memory
                some = [rows.popitem() for _ in range(min(_LOAD_ROWS, len(rows)))]
                self._journal.progress.at += len(some)
                newest = max(newest, engine.load(some, table))
                await asyncio.sleep(0)
        async with aclosing(restored.recent) as recent:
            async for records in recent:
                engine.remember(records)
                await asyncio.sleep(0)
        return newest

    def _check_checkpoint(self, restored: Restored) -> None:
        checkpoint = restored.checkpoint
        if checkpoint is None:
            return
        for name, theirs, ours in self.engine.differences(checkpoint.settings):
            way = "Set it back, or count again with a new NETFOLLOWERS_APP_ID and new result topics"
            if name == "partitions":
                way = "See `Partitions added to the input` in docs/operate/runbook.md"
            self._refuse(
                f"it was counted with {name}={theirs}, this worker has {name}={ours}: results "
                f"would change. {way}"
            )
        missing = restored.recent_from - self.engine.replay_from(checkpoint)
        if missing > 0:
            self.dedup_history_lost = missing
            log.warning(
                "input retention has cut the log: duplicates of records before offset %d will be "
                "counted again partition=%d records=%d",
                restored.recent_from,
                self.partition,
                missing,
            )

    async def _check_rows(self, restored: Restored, newest: int) -> None:
        checkpoint = restored.checkpoint
        if checkpoint and self._settings.is_exactly_once and newest >= checkpoint.position:
            await self._refuse_rows(
                restored,
                f"a row contains offset {newest}, but the commit is at {checkpoint.position}: the "
                "group's offsets were set back. Stop every worker and run `netfollowers rebuild "
                f"--partition {self.partition}`; see `Checkpoint overwritten` in "
                "docs/operate/runbook.md",
            )

    async def _check_row_count(self, restored: Restored, found: int) -> None:
        """Compare the number of rows with the one in the commit.

        A difference means a damaged table.
        """
        checkpoint = restored.checkpoint
        if checkpoint is None or checkpoint.rows is None or not self._settings.is_exactly_once:
            return
        if found != checkpoint.rows:
            await self._refuse_rows(
                restored,
                f"{self._tables} holds {found} rows, but {checkpoint.rows} were "
                "committed: the topic was deleted and created again, or rows were removed from "
                "it. Count again with a new NETFOLLOWERS_APP_ID and new result topics",
            )

    @property
    def _tables(self) -> str:
        return ", ".join(self.engine.table_topics)

    def _without_commit(self) -> str:
        return (
            f"{self._tables} holds rows, but group {self._settings.app_id} has no "
            "commit. If the offsets have expired or were deleted, run `netfollowers rebuild`; see "
            "`Checkpoint overwritten` in docs/operate/runbook.md. If another NETFOLLOWERS_APP_ID "
            "uses these topics, give this one result topics of its own"
        )

    async def _refuse_rows(self, restored: Restored, why: str) -> NoReturn:
        """Refuse rows ahead of the commit, unless their commit has come meanwhile."""
        if await self._journal.committed() != restored.checkpoint:
            message = "another worker took over the partition while this worker opened it"
            raise ShardFencedError(message)
        self._refuse(why)

    def _refuse(self, why: str) -> NoReturn:
        message = f"partition {self.partition}: {why}"
        raise OpenRefusedError(message)

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

    def why_stuck(self, now: float) -> str:
        """Return what has made no progress for too long; "" if all is well."""
        in_flight_s = now - self._sealed_at
        if self._committing is not None and in_flight_s > self._settings.transaction_timeout_s + 1:
            return f"a checkpoint has not ended for {in_flight_s:.0f} s"
        if self.reader is None:
            return self._why_not_open(now)
        if self.engine.position != self._watched or self.lag == 0:
            self._watched, self._moved_at = self.engine.position, now
        if not self.reader.is_answered:
            silent_s = now - self._answered_at
            is_lost = silent_s > self._settings.transaction_timeout_s
            return f"the broker has not answered for {silent_s:.0f} s" if is_lost else ""
        self._answered_at = now
        if now - self._moved_at >= self._settings.stuck_after_s:
            return f"no progress for {now - self._moved_at:.0f} s"
        return ""

    def _why_not_open(self, now: float) -> str:
        progress = self._journal.progress
        opened = (progress.step, progress.at)
        if opened != self._opened or not progress.step:
            self._opened, self._moved_at = opened, now
        if now - self._moved_at < self._settings.stuck_after_s:
            return ""
        seconds = now - self._moved_at
        return f"no progress of the restore for {seconds:.0f} s step={progress.step}"

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
        self._moved_at = loop_time()
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
