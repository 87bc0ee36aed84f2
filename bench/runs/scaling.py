"""Events per second of 1, 2 and 3 workers in one group, over the same input.

The workers start together on a topic that is full. Counted from when each of them runs its share
of the partitions until the first partition comes to its end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from bench.common.environment import OUTPUT, cpu_s
from bench.common.inputs import Loaded
from bench.common.process_stats import sums
from bench.common.progress import Positions, positions_of
from bench.common.settings import named
from bench.common.topics import remove_topics
from service.kafka import topic_admin as topics
from service.local.worker_process import WorkerProcess

PARTITIONS: Final = 6
LEAST: Final = 0.2
"""Share of the input that must be left when all have begun."""
_BEGUN_WITHIN_S: Final = 90.0
_COUNTED_WITHIN_S: Final = 300.0


@dataclass(frozen=True)
class Scaled:
    """The result of several workers together."""

    load: str
    workers: int
    events: int
    wall_s: float
    cpu_s: float


async def _share(worker: WorkerProcess) -> int:
    """Partitions that it runs."""
    found = sums((await asyncio.to_thread(worker.get, "/metrics"))[1])
    return int(found.get("netfollowers_running", 0))


async def _begun(workers: Sequence[WorkerProcess]) -> None:
    """Wait until each runs its share."""
    async with asyncio.timeout(_BEGUN_WITHIN_S):
        while set(await asyncio.gather(*map(_share, workers))) != {PARTITIONS // len(workers)}:
            for worker in workers:
                worker.check()
            await asyncio.sleep(0.05)


async def _until_one_ends(positions: Positions, each: int) -> int:
    """Poll until a partition comes near its end. Return the records committed by then."""
    async with asyncio.timeout(_COUNTED_WITHIN_S):
        while True:
            found = await positions.by_partition()
            if max(found.values()) >= each:
                return sum(found.values())
            await asyncio.sleep(0.02)


async def measure(brokers: str, loaded: Loaded, count: int) -> Scaled:
    """Run `count` workers over the input."""
    name = f"scale-{count}-{time.monotonic_ns() % 10**9}"
    settings = named(brokers, name, loaded.topic, partitions=PARTITIONS)
    await topics.create(settings)
    workers = [WorkerProcess(settings, OUTPUT / f"worker-{number}.log") for number in range(count)]
    try:
        async with positions_of(settings) as positions:
            await _begun(workers)
            first, began = await positions.total(), time.monotonic()
            spent = sum(cpu_s(worker.pid) for worker in workers)
            last = await _until_one_ends(positions, int(0.9 * loaded.records / PARTITIONS))
            wall = time.monotonic() - began
            cpu = sum(cpu_s(worker.pid) for worker in workers) - spent
    finally:
        for worker in workers:
            worker.end()
    await remove_topics(settings)
    enough = last - first > LEAST * loaded.records
    assert enough, f"{loaded.load.name}: most was counted before {count} workers had begun"
    found = Scaled(loaded.load.name, count, last - first, wall, cpu)
    print(
        f"{found.events / wall:>11,.0f} events/s {found.events / cpu:>11,.0f} per CPU second, "
        f"{count} workers, {found.load}",
        flush=True,
    )
    return found


async def scaling(brokers: str, inputs: Sequence[Loaded], runs: int) -> AsyncIterator[Scaled]:
    """1, 2, 3 workers over every input, in turn."""
    for _ in range(runs):
        for one in inputs:
            for count in (1, 2, 3):
                yield await measure(brokers, one, count)
