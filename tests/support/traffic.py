"""Records for a deployment, sent at once, slowly, or until a block ends; and its workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice, takewhile

from aiokafka import TopicPartition

from service.kafka import clients
from service.synthetic.events import Made, Shape, Synthetic
from tests.support.deployment import Deployment, Worker
from tests.support.patience import Patience


def mixed(count: int, *, seed: int = 1, start_ms: int | None = None) -> Iterator[Made]:
    """Generated events with 2 % duplicates, 1 % late, 1 % bad, then heartbeats that close all."""
    shape = Shape(seed=seed, accounts=3_000, duplicates=0.02, late=0.01, bad=0.01, surges=10)
    start_ms = start_ms or int(time.time() * 1_000) - 3_600_000
    yield from Synthetic(shape).span(start_ms, rate=100, count=count)


async def read_all(deployment: Deployment, topic: str) -> list[tuple[bytes, bytes]]:
    """Key and value of every committed record of a topic."""
    async with clients.consumer(deployment.settings, auto_offset_reset="earliest") as reader:
        partitions = deployment.settings.partitions
        tps = [TopicPartition(topic, number) for number in range(partitions)]
        reader.assign(tps)
        ends = await reader.end_offsets(tps)
        found: list[tuple[bytes, bytes]] = []
        for tp in tps:
            while await reader.position(tp) < ends[tp]:
                batches = await reader.getmany(tp, timeout_ms=200, max_records=50_000)
                found += [(one.key, one.value) for one in batches.get(tp, ())]
        return found


async def some_committed(deployment: Deployment, *, at_least: int) -> None:
    """Wait until at least this number of records is committed."""
    patience = Patience(f"{at_least} committed records")
    async with deployment.commits() as commits:
        while (found := sum(at.offset for at in (await commits.look()).values())) < at_least:
            patience.look(found)
            await asyncio.sleep(0.02)


async def trickle(deployment: Deployment, records: Iterator[Made], *, per_step: int = 500) -> None:
    """Send for as long as there is something: live input."""
    async with deployment.outbox() as outbox:
        while chunk := list(islice(records, per_step)):
            outbox.put_all(chunk)
            await outbox.send()
            await asyncio.sleep(0.05)
        await outbox.settle()


@asynccontextmanager
async def sending(deployment: Deployment, *, per_step: int = 60) -> AsyncIterator[None]:
    """Live input for as long as the block lasts, however long a machine needs for it."""
    ends = asyncio.Event()
    records = takewhile(lambda _: not ends.is_set(), mixed(10_000_000))
    task = asyncio.create_task(trickle(deployment, records, per_step=per_step))
    try:
        yield
    finally:
        ends.set()
        await task


async def owners(*workers: Worker, count: int = 4) -> list[set[int]]:
    """Wait until the workers run `count` shards, each once. Return the shards of each worker."""
    patience = Patience(f"{count} running shards")
    while True:
        held = [await asyncio.to_thread(worker.running) for worker in workers]
        if all(held) and sum(map(len, held)) == count == len(set().union(*held)):
            return held
        said = [worker.said() for worker in workers]
        assert all(worker.process.poll() is None for worker in workers), "\n".join(said)
        patience.look("\n".join([str(held), *said]))
        await asyncio.sleep(0.1)
