"""Shards over a journal that misbehaves as the libraries below it do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from service.engine import Checkpoint, Engine, Sealed
from service.kafka.journal import Journal, Restored
from service.kafka.reader import Reader
from service.kafka.shard import Shard
from service.kafka.shards import Shards
from service.metrics import Metrics
from service.results import Source
from service.settings import Settings


class Swallowing:
    """An open that ends well although it was cancelled, as in aiokafka's `client.close()`."""

    is_atomic = True

    async def open(self, _: Callable[[Checkpoint], int]) -> Restored:
        """Wait for a cancellation, and ignore it."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Restored(None, 0, {}, 0, [])
        raise AssertionError

    async def reclaim(self) -> Checkpoint | None:
        """Nothing was committed."""
        return None

    async def committed(self) -> Checkpoint | None:
        """Nothing was committed."""
        return None

    async def commit(self, _: Sealed) -> None:
        """Take it."""

    async def close(self) -> None:
        """Nothing is held."""


def shards_over(journal: Journal, failed: list[str]) -> Shards:
    """Shards of one worker; nothing is assigned."""
    settings = Settings()
    shards = Shards(lambda what, _: failed.append(what))

    def new_shard(partition: int) -> Shard:
        return Shard(
            partition=partition,
            settings=settings,
            engine=Engine(settings.rules, Source(settings.input_topic, partition)),
            journal=journal,
            new_reader=lambda: Reader(settings, partition, shards.queue),
            metrics=Metrics().for_shard(),
            fail=shards.fail,
        )

    shards.new_shard = new_shard
    return shards


async def test_a_stop_ends_though_an_open_has_swallowed_its_cancellation() -> None:
    failed: list[str] = []
    shards = shards_over(Swallowing(), failed)
    shards.assign([0])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await shards.revoke()
    async with asyncio.timeout(5):
        await shards.stop()
    assert failed == []
