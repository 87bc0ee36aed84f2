"""Builds the shard of a partition: the engine, and the journal and the reader around it.

Every worker builds its shards here, whichever engine it runs. A new engine brings only a function
that makes it. This module knows no engine by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from service.runtime.engine_port import Publisher
from service.runtime.journal import CommitPosition, Journal
from service.runtime.journal_at_least_once import PlainJournal
from service.runtime.journal_transactional import TransactionalJournal
from service.runtime.reader import Batch, Reader
from service.runtime.shard import E, Fail, Shard, ShardObserver
from service.settings import Settings

NewJournal = Callable[[int, Publisher], Journal]
"""(partition, engine): makes the durable side of a partition."""
NewReader = Callable[[Settings, int, asyncio.Queue[Batch]], Reader]
"""(settings, partition, queue): makes the consumer of one assignment of a partition."""


@dataclass(frozen=True, kw_only=True)
class ShardFactory(Generic[E]):
    """Call it with a partition for a shard in state OPENING. Nothing is connected.

    `partitions`: of the input topic, as checked at the start. `new_engine`: makes the engine of a
    partition. `queue`: the batches of all readers of the worker.
    """

    settings: Settings
    partitions: int
    new_engine: Callable[[int], E]
    queue: asyncio.Queue[Batch]
    new_observer: Callable[[], ShardObserver]
    fail: Fail
    commit_position: CommitPosition | None = None
    """Commits as a member of the group. Only at least once needs it: there is no transaction."""
    new_journal: NewJournal | None = None
    """Another journal than the one of the guarantee."""
    new_reader: NewReader = Reader

    def __call__(self, partition: int) -> Shard[E]:
        """Build the shard of a partition."""
        engine = self.new_engine(partition)
        new_journal = self.new_journal or self._journal
        return Shard(
            partition=partition,
            partitions=self.partitions,
            settings=self.settings,
            engine=engine,
            journal=new_journal(partition, engine),
            new_reader=lambda: self.new_reader(self.settings, partition, self.queue),
            observer=self.new_observer(),
            fail=self.fail,
        )

    def _journal(self, partition: int, publisher: Publisher) -> Journal:
        commit = self.commit_position
        return journal_of(self.settings, partition, self.partitions, publisher, commit)


def journal_of(
    settings: Settings,
    partition: int,
    partitions: int,
    publisher: Publisher,
    commit_position: CommitPosition | None,
) -> Journal:
    """Make the journal of the guarantee. Only at least once needs `commit_position`."""
    if settings.is_exactly_once:
        return TransactionalJournal(settings, partition, partitions, publisher)
    assert commit_position is not None, (
        "at least once, a position is committed by the group's member"
    )
    return PlainJournal(settings, partition, partitions, publisher, commit_position=commit_position)
