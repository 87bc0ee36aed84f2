"""Measures how long updates stop at a full hour, when all windows of a shard become final at once.

    event time   H:59:50 live ... | H+1:01:30 live ...
                                  ^ the hour's grace has passed: N windows to publish

A live feed continues at a steady rate. The pause is the longest time without a new record on the
updates topic, from the jump until the last window is published.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from bench.common.environment import OUTPUT
from bench.common.large_shard import HOUR_MS, MINUTE_MS, BigShard
from bench.common.pauses import Gaps
from bench.common.process_stats import sums
from bench.runs.failover import alongside, settled
from service.local.worker_process import WorkerProcess
from service.settings import Settings
from service.synthetic.batch_sender import outbox_to
from service.synthetic.events import Shape, Synthetic

RATE: Final = 2_000
CALM_S: Final = 5.0
_TICK_S: Final = 0.02
_ASK_EVERY_S: Final = 0.25
_SWEPT_WITHIN_S: Final = 300.0


@dataclass(frozen=True)
class Boundary:
    """`calm_s`: longest pause before the boundary, what the measurement itself shows."""

    windows: int
    calm_s: float
    stall_s: float
    sweep_s: float


@dataclass
class Feed:
    """Live events. Their time is `base_ms` plus the time that has passed."""

    base_ms: int
    accounts: int

    async def run(self, settings: Settings) -> None:
        """Send until cancelled."""
        source, began, sent = Synthetic(Shape(accounts=self.accounts, disorder_s=0.0)), 0.0, 0
        async with outbox_to(settings) as outbox:
            began = time.monotonic()
            while True:
                passed = time.monotonic() - began
                due = int(passed * RATE) - sent
                outbox.put_all(source.at(self.base_ms + int(passed * 1_000), due))
                sent += due
                await outbox.send()
                await asyncio.sleep(_TICK_S)


async def boundary(shard: BigShard) -> AsyncIterator[Boundary]:
    """Start a worker on the shard, and let the hour end. The shard is used up afterwards."""
    settings, gaps = shard.settings, Gaps()
    feed = Feed(shard.hour_ms + HOUR_MS - MINUTE_MS // 6, shard.rows)
    worker = WorkerProcess(settings, OUTPUT / "worker.log")
    try:
        await worker.ready()
        async with alongside(gaps.follow(settings), feed.run(settings)):
            await settled(gaps, 1)
            calm = time.monotonic()
            await asyncio.sleep(CALM_S)
            before = await finals(worker)
            feed.base_ms += MINUTE_MS + MINUTE_MS // 2 + MINUTE_MS // 6
            jump = time.monotonic()
            swept = await _swept(worker, before + shard.rows)
            await asyncio.sleep(CALM_S)
            [stall] = gaps.longest(1, jump, time.monotonic())
            [usual] = gaps.longest(1, calm, jump)
        await worker.stop()
    finally:
        worker.end()
    found = Boundary(shard.rows, usual, stall, swept - jump)
    print(f"boundary: {found}", flush=True)
    yield found


async def finals(worker: WorkerProcess) -> float:
    """Windows that this worker has published."""
    found = sums((await asyncio.to_thread(worker.get, "/metrics"))[1])
    return found.get("netfollowers_windows_finalised_total", 0.0)


async def _swept(worker: WorkerProcess, wanted: float) -> float:
    """Wait until the `wanted` number of windows has been published. Return the time."""
    async with asyncio.timeout(_SWEPT_WITHIN_S):
        while await finals(worker) < wanted:
            worker.check()
            await asyncio.sleep(_ASK_EVERY_S)
    return time.monotonic()
