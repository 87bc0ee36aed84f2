"""Shards over a journal that misbehaves as the libraries below it do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence

from aiokafka.errors import ProducerFenced

from service.contract.input_record import HEARTBEAT_HEADER, LogRecord, RawRecord
from service.contract.results import ResultTopics, Source
from service.counting import Engine
from service.counting import Sealed as Counted
from service.metrics.observed import Metrics
from service.runtime.engine_port import Checkpoint, Sealed
from service.runtime.journal import Journal, Progress, Restored
from service.runtime.reader import Reader
from service.runtime.shard import Shard
from service.runtime.shard_factory import ShardFactory
from service.runtime.shards import Shards
from service.settings import Settings
from tests.support.patience import SILENCE_S, until


async def no_records() -> AsyncGenerator[Sequence[RawRecord]]:
    """Yield nothing: the input held nothing before the position."""
    nothing: list[Sequence[RawRecord]] = []
    for records in nothing:
        yield records


async def turns(count: int = 100) -> None:
    """Let every task take all the steps that it can take."""
    for _ in range(count):
        await asyncio.sleep(0)


class Swallowing:
    """An open that ends well although it was cancelled, as in aiokafka's `client.close()`."""

    is_atomic = True
    progress = Progress()

    async def open(self, _: Callable[[Checkpoint], int]) -> Restored:
        """Wait for a cancellation, and ignore it."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Restored(None, 0, {}, 0, no_records())
        raise AssertionError

    async def reclaim(self) -> Checkpoint | None:
        """Nothing was committed."""
        return None

    async def committed(self) -> Checkpoint | None:
        """Nothing was committed."""
        return None

    async def commit(self, _: Sealed) -> int:
        return 0

    async def close(self) -> None:
        """Nothing is held."""


class Slow(Swallowing):
    """Its second commit (the first one marks the start) ends only when it is let."""

    def __init__(self) -> None:
        self.commits = 0
        self.may_end = asyncio.Event()
        self.is_closed = False

    async def open(self, _: Callable[[Checkpoint], int]) -> Restored:
        """Find nothing."""
        return Restored(None, 0, {}, 0, no_records())

    async def commit(self, _: Sealed) -> int:
        """Take it, in its own time."""
        assert not self.is_closed
        self.commits += 1
        if self.commits > 1:
            await self.may_end.wait()
        return 0

    async def close(self) -> None:
        """Nothing can be committed any more."""
        self.is_closed = True


class Silent(Reader):
    """Nothing arrives."""

    async def run(self, _: int) -> None:
        await asyncio.Event().wait()


def count_a_heartbeat(shards: Shards[Engine], offset: int) -> None:
    """Give the only shard something to commit."""
    heartbeat = LogRecord(offset, 1_700_000_000_000, None, b"{}", [(HEARTBEAT_HEADER, b"")])
    (shard,) = shards
    shard.engine.apply([heartbeat], offset + 1)
    assert shard.engine.has_unsealed


def shards_over(journal: Journal, failed: list[str]) -> Shards[Engine]:
    """Shards of one worker; nothing is assigned, nothing will arrive."""
    settings = Settings()
    shards: Shards[Engine] = Shards(lambda what, _: failed.append(what))

    shards.new_shard = ShardFactory(
        settings=settings,
        partitions=1,
        new_engine=lambda number: Engine(settings.rules, Source(settings.input_topic, number)),
        queue=shards.queue,
        new_observer=Metrics().for_shard,
        fail=shards.fail,
        new_journal=lambda *_: journal,
        new_reader=Silent,
    )
    return shards


async def running(shards: Shards[Engine]) -> Shard[Engine]:
    """Assign one partition, and wait until its shard runs."""
    shards.assign([0])
    while not shards.is_ready:
        await asyncio.sleep(0)
    (shard,) = shards
    return shard


async def test_a_stop_ends_though_an_open_has_swallowed_its_cancellation() -> None:
    failed: list[str] = []
    shards = shards_over(Swallowing(), failed)
    shards.assign([0])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await shards.revoke()
    async with asyncio.timeout(SILENCE_S):
        await shards.stop()
    assert failed == []


async def test_a_stop_during_a_revoke_that_waits_for_a_commit_is_clean() -> None:
    failed: list[str] = []
    journal = Slow()
    shards = shards_over(journal, failed)
    shard = await running(shards)
    count_a_heartbeat(shards, 0)
    shard.checkpoint_if_due(asyncio.get_running_loop().time() + 60)
    count_a_heartbeat(shards, 1)
    revoking = asyncio.create_task(shards.revoke())
    await turns()
    stopping = asyncio.create_task(shards.stop())
    await turns()
    journal.may_end.set()
    async with asyncio.timeout(SILENCE_S):
        await asyncio.gather(revoking, stopping)
    await asyncio.sleep(0)
    assert failed == []
    assert journal.is_closed


class Fenced(Slow):
    """Its first commit, which ends the open, waits until it is let, and is fenced."""

    async def commit(self, _: Sealed) -> int:
        """Fail the first time."""
        self.commits += 1
        if self.commits == 1:
            await self.may_end.wait()
            raise ProducerFenced
        return 0


async def test_an_open_that_the_next_owner_fences_after_a_revoke_ends_nothing() -> None:
    failed: list[str] = []
    journal = Fenced()
    shards = shards_over(journal, failed)
    shards.assign([0])
    while not journal.commits:
        await asyncio.sleep(0)
    await shards.revoke()
    journal.may_end.set()
    await turns()
    shards.assign([])
    await until(lambda: not list(shards), "the shard to be let go")
    assert failed == []
    shards.assign([0])
    await until(lambda: shards.is_ready, "it to come back and to open anew")
    await shards.stop()


async def test_an_open_that_is_fenced_though_it_was_not_revoked_ends_the_worker() -> None:
    failed: list[str] = []
    journal = Fenced()
    shards = shards_over(journal, failed)
    shards.assign([0])
    journal.may_end.set()
    await until(lambda: bool(failed), "the failure")
    assert failed == ["a shard could not be opened partition=0"]
    await shards.stop()


class Full(Swallowing):
    """It holds the rows that an engine has sealed, and records to be remembered."""

    def __init__(self, sealed: Counted, records: Sequence[RawRecord]) -> None:
        """`records`: all that the engine has counted."""
        self.sealed = sealed
        self.records = records
        self.left: list[int] = []
        """Rows that are still held as they were read, at each request for a list of records."""

    async def open(self, _: Callable[[Checkpoint], int]) -> Restored:
        """Find what was sealed."""
        rows = {key: value for key, value in self.sealed.updates if value is not None}
        tables = {ResultTopics().updates: rows}
        return Restored(self.sealed.checkpoint, 0, tables, 0, self._recent(rows))

    async def _recent(self, rows: dict[bytes, bytes]) -> AsyncGenerator[Sequence[RawRecord]]:
        for first in range(0, len(self.records), 1_000):
            self.left.append(len(rows))
            yield self.records[first : first + 1_000]


async def test_an_open_never_holds_the_table_twice_nor_the_remembered_input_at_once() -> None:
    settings = Settings()
    counted = Engine(settings.rules, Source(settings.input_topic, 0))
    records = [
        LogRecord(
            offset,
            1_700_000_000_000,
            b"acct-%d" % offset,
            b'{"event_id":"e-%d","account_id":"acct-%d","follower_id":"1","action":"follow",'
            b'"occurred_at":1700000000000}' % (offset, offset),
            [],
        )
        for offset in range(12_000)
    ]
    counted.apply(records, len(records))
    journal = Full(counted.seal(), records)
    failed: list[str] = []
    shards = shards_over(journal, failed)
    assert shards.new_shard is not None
    shard = shards.new_shard(0)
    await shard.open()
    assert len(shard.engine.packed_rows()) == len(records)
    assert shard.engine.remembered_ids == len(records)
    assert journal.left == [0] * 12, "rows were kept beside their packed copies"
    await shard.close()
    assert failed == []


async def test_a_shard_notes_by_itself_when_it_last_committed_and_tells_its_observer() -> None:
    failed: list[str] = []
    journal = Slow()
    shards = shards_over(journal, failed)
    shard = await running(shards)
    shard.committed_s = 0.0
    count_a_heartbeat(shards, 0)
    shard.checkpoint_if_due(asyncio.get_running_loop().time() + 60)
    await turns()
    assert shard.committed_s == 0.0, "the commit has not ended yet"
    before_s = time.time()
    journal.may_end.set()
    await until(lambda: shard.committed_s > 0, "the commit to end")
    assert before_s <= shard.committed_s <= time.time()
    await shards.stop()
    assert failed == []
