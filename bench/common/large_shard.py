"""One partition with many accounts whose windows of an hour are all open: restore, boundary.

event time   H:30 every account once | H:45 heartbeat: the minutes are final, the hours open
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from itertools import chain
from typing import Final

from bench.common.environment import OUTPUT
from bench.common.inputs import every_account, fill
from bench.common.process_stats import sums
from bench.common.progress import committed
from bench.common.settings import named
from service.kafka import topic_admin as topics
from service.local.worker_process import WorkerProcess
from service.settings import Settings
from service.synthetic.events import heartbeat

HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000
_FILLED_WITHIN_S: Final = 600.0


@dataclass(frozen=True)
class BigShard:
    """A shard at rest: no worker runs. `hour_ms`: the hour that is open."""

    settings: Settings
    rows: int
    hour_ms: int


async def big_shard(brokers: str, rows: int) -> BigShard:
    """Let a worker count one event of each of `rows` accounts, and stop it."""
    name = f"shard-{time.monotonic_ns() % 10**9}"
    settings = named(brokers, name, f"{name}-in", partitions=1, flush_interval_s=0.25)
    await topics.create(settings)
    now_ms = int(time.time() * 1_000)
    hour_ms = now_ms - now_ms % HOUR_MS - 2 * HOUR_MS
    made = chain(
        every_account(rows, hour_ms + 30 * MINUTE_MS), [heartbeat(hour_ms + 45 * MINUTE_MS)]
    )
    sent = await fill(settings, made)
    worker = WorkerProcess(settings, OUTPUT / "worker.log")
    try:
        async with asyncio.timeout(_FILLED_WITHIN_S):
            while await committed(settings) < sent or await open_windows(worker) > 2 * rows:
                worker.check()
                await asyncio.sleep(0.5)
        await worker.stop()
    finally:
        worker.end()
    return BigShard(settings, rows, hour_ms)


async def open_windows(worker: WorkerProcess) -> float:
    """Return the open windows by the worker's metrics. A large number while it does not answer."""
    found = sums((await asyncio.to_thread(worker.get, "/metrics"))[1])
    return found.get("netfollowers_open_windows", float("inf"))
