"""Demo, part 1: sends live synthetic events, and prints a line every two seconds."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from rich.console import Console

from service.background_tasks import beside
from service.demo.live_line import Frame, live_line
from service.demo.pipeline import Pipeline
from service.demo.update_watcher import Watch
from service.settings import Settings
from service.synthetic.events import Shape, Synthetic, late_after_ms
from service.synthetic.paced_source import CHUNK, Stream

EVERY_S: Final = 2.0
TOP: Final = 2
"""Number of accounts that gain most, and of those that lose most."""


@dataclass(frozen=True, slots=True)
class LivePlan:
    """What to generate, at which rate (events/s), for how long (seconds)."""

    seed: int
    accounts: int
    rate: float
    seconds: float

    def shape(self, settings: Settings) -> Shape:
        """Return the shape: thousands of quiet accounts, a few movers, some of every odd record."""
        return Shape(
            seed=self.seed,
            accounts=self.accounts,
            surges=16,
            disorder_s=0.3,
            duplicates=0.02,
            late=0.002,
            bad=0.005,
            late_after_ms=late_after_ms(settings.rules.grains),
        )


class LivePhase:
    """Generates and watches until the time is over."""

    def __init__(self, pipeline: Pipeline, plan: LivePlan) -> None:
        """`pipeline`: all parts of it must be running."""
        self._plan = plan
        self._outbox = pipeline.outbox
        self._worker = pipeline.worker
        self._source = Synthetic(plan.shape(pipeline.settings))
        self._watch = Watch(pipeline.settings, pipeline.outbox.sent_at)

    async def run(self, console: Console) -> None:
        """Print lines. Raises the errors of the sender, the watcher and the worker."""
        ends = time.monotonic() + self._plan.seconds
        async with beside(self._watch.run(), self._show(console, ends)):
            await self._send(ends)

    async def _send(self, ends: float) -> None:
        now_ms = int(time.time() * 1_000)
        self._outbox.put_all(self._source.baselines(now_ms))
        stream = Stream(self._source, self._outbox, rate=self._plan.rate, with_heartbeats=True)
        await stream.run(lambda: 0 if time.monotonic() >= ends else CHUNK)
        await self._outbox.settle()

    async def _show(self, console: Console, ends: float) -> None:
        sent_before = 0
        while True:
            await asyncio.sleep(EVERY_S)
            frame = await self._frame(ends, sent_before)
            sent_before = frame.sent
            console.print(live_line(frame), soft_wrap=True, markup=False)

    async def _frame(self, ends: float, sent_before: int) -> Frame:
        gauges = await self._worker.gauges()
        now_ms = int(time.time() * 1_000)
        gainers, losers = self._watch.movers(now_ms, TOP)
        sent = sum(self._outbox.sent.values())
        return Frame(
            left_s=max(0.0, ends - time.monotonic()),
            sent=sent,
            rate=round((sent - sent_before) / EVERY_S),
            lag_records=gauges.lag_records if gauges else None,
            watermark_age_s=max(0.0, now_ms / 1_000 - gauges.watermark_s) if gauges else None,
            latency_p50_s=self._watch.latency_s(0.5),
            latency_p99_s=self._watch.latency_s(0.99),
            outcomes=gauges.outcomes if gauges else {},
            gainers=gainers,
            losers=losers,
        )
