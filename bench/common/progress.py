"""How far a group has come, asked often over one connection: committed, or published."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition

from service.kafka import clients
from service.settings import Settings


class Positions:
    """Committed positions of `settings.app_id` on the input topic."""

    def __init__(self, reader: Any, settings: Settings) -> None:  # noqa: ANN401 - aiokafka's
        """Take a started consumer of the group that is no member of it."""
        self._reader = reader
        self._all = [
            TopicPartition(settings.input_topic, number) for number in range(settings.partitions)
        ]
        reader.assign(self._all)

    async def by_partition(self) -> dict[int, int]:
        """Return the committed offset of each partition, 0 where nothing is committed."""
        found = await self._reader._coordinator.fetch_committed_offsets(self._all)  # noqa: SLF001
        at = {tp.partition: commit.offset for tp, commit in found.items()}
        return {tp.partition: max(0, at.get(tp.partition, 0)) for tp in self._all}

    async def total(self) -> int:
        """Sum of them: records counted, when the input holds nothing but records."""
        return sum((await self.by_partition()).values())


@asynccontextmanager
async def positions_of(settings: Settings) -> AsyncIterator[Positions]:
    """Open the connection."""
    async with clients.consumer(settings, group_id=settings.app_id) as reader:
        yield Positions(reader, settings)


class Updates:
    """Records on the updates topic."""

    def __init__(self, reader: Any, settings: Settings) -> None:  # noqa: ANN401 - aiokafka's
        """Take a started consumer that sees all records."""
        self._reader = reader
        self._all = [
            TopicPartition(settings.updates_topic, number) for number in range(settings.partitions)
        ]

    async def total(self) -> int:
        """Sum of the ends of the partitions."""
        return sum((await self._reader.end_offsets(self._all)).values())


@asynccontextmanager
async def updates_of(settings: Settings) -> AsyncIterator[Updates]:
    """Open the connection."""
    async with clients.consumer(settings, isolation_level="read_uncommitted") as reader:
        yield Updates(reader, settings)


async def committed(settings: Settings) -> int:
    """Sum of the committed positions, asked once."""
    async with positions_of(settings) as positions:
        return await positions.total()
