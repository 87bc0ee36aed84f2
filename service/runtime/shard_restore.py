"""Fills the engine of a shard from its journal, and refuses what contradicts itself.

A refusal is an OpenRefusedError: the text says what was found and what to do about it.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from service.contract.rule_versions import RulesTooNewError
from service.runtime.engine_port import Checkpoint, PartitionEngine
from service.runtime.journal import Journal, OpenRefusedError, Restored, ShardFencedError
from service.settings import Settings

log = logging.getLogger(__name__)

_LOAD_ROWS: Final = 5_000
"""Rows decoded in one step while opening. Running shards work between the steps."""


@dataclass(slots=True)
class ShardRestore:
    """One restore of the `engine` of a partition."""

    partition: int
    settings: Settings
    engine: PartitionEngine[Any]
    journal: Journal
    dedup_history_lost: int = 0
    """Number of records whose event ids are lost, because input retention had deleted them."""

    async def run(self) -> tuple[Checkpoint | None, int]:
        """Restore what the log says. Return the checkpoint (None: never counted) and the rows."""
        restored = await self.journal.open(self.engine.replay_from)
        rows = sum(map(len, restored.rows.values()))
        if restored.checkpoint is None and rows:
            await self._refuse_rows(restored, self._without_commit())
        self._check_checkpoint(restored)
        newest = await self._restore(restored)
        await self._check_rows(restored, newest)
        await self._check_row_count(restored, rows)
        return restored.checkpoint, rows

    async def _restore(self, restored: Restored) -> int:
        """Fill the engine. Return the newest offset that a row contains."""
        engine = self.engine
        try:
            engine.restore(restored.checkpoint or engine.initial_checkpoint(restored.start))
        except RulesTooNewError as error:
            self._refuse(f"{error}. Run the newer version; see docs/operate/upgrading.md")
        tables, newest = restored.rows, -1
        self.journal.progress.enter("load the rows")
        for table, rows in tables.items():
            while rows:  # each leaves as it is packed: never two whole tables in memory
                some = [rows.popitem() for _ in range(min(_LOAD_ROWS, len(rows)))]
                self.journal.progress.at += len(some)
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
        if checkpoint and self.settings.is_exactly_once and newest >= checkpoint.position:
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
        if checkpoint is None or checkpoint.rows is None or not self.settings.is_exactly_once:
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
            f"{self._tables} holds rows, but group {self.settings.app_id} has no "
            "commit. If the offsets have expired or were deleted, run `netfollowers rebuild`; see "
            "`Checkpoint overwritten` in docs/operate/runbook.md. If another NETFOLLOWERS_APP_ID "
            "uses these topics, give this one result topics of its own"
        )

    async def _refuse_rows(self, restored: Restored, why: str) -> NoReturn:
        """Refuse rows ahead of the commit, unless their commit has come meanwhile."""
        if await self.journal.committed() != restored.checkpoint:
            message = "another worker took over the partition while this worker opened it"
            raise ShardFencedError(message)
        self._refuse(why)

    def _refuse(self, why: str) -> NoReturn:
        message = f"partition {self.partition}: {why}"
        raise OpenRefusedError(message)
