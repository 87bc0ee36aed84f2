"""Demo, part 1: sends live synthetic events and shows their effect."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Final, NoReturn

from rich.console import Console
from rich.live import Live

from service.background_tasks import beside
from service.demo.live_view import TOP, Frame, panels, plain
from service.demo.pipeline import Pipeline
from service.demo.update_watcher import MINUTE_MS, Watch
from service.settings import Settings
from service.synthetic.events import Shape, Synthetic, late_after_ms
from service.synthetic.paced_source import CHUNK, Stream

FRAMES_PER_S: Final = 4
PLAIN_EVERY_S: Final = 2.0
_HISTORY: Final = 60


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
    """Generates and watches until the time is over or `stop` is set."""

    def __init__(self, pipeline: Pipeline, plan: LivePlan, title: str) -> None:
        """`pipeline`: all parts of it must be running."""
        self._plan = plan
        self._outbox = pipeline.outbox
        self._worker = pipeline.worker
        self._title = title
        self._source = Synthetic(plan.shape(pipeline.settings))
        self._watch = Watch(pipeline.settings, pipeline.outbox.sent_at)
        self._sent_last = 0
        self._seen_last = 0
        self._rates: deque[int] = deque(maxlen=_HISTORY)
        self._rows_per_s = 0

    async def run(self, console: Console) -> None:
        """Show frames. Raises the errors of the sender, the watcher and the worker."""
        ends = time.monotonic() + self._plan.seconds
        async with beside(self._watch.run(), self._count(), self._show(console, ends)):
            await self._send(ends)

    async def _send(self, ends: float) -> None:
        now_ms = int(time.time() * 1_000)
        self._outbox.put_all(self._source.baselines(now_ms))
        stream = Stream(self._source, self._outbox, rate=self._plan.rate, with_heartbeats=True)
        await stream.run(lambda: 0 if time.monotonic() >= ends else CHUNK)
        await self._outbox.settle()

    async def _count(self) -> None:
        """Update the rates and the trails of the accounts, once a second."""
        while True:
            await asyncio.sleep(1.0)
            sent, seen = sum(self._outbox.sent.values()), self._watch.seen
            self._rates.append(sent - self._sent_last)
            self._rows_per_s = seen - self._seen_last
            self._sent_last, self._seen_last = sent, seen
            self._watch.tick()

    async def _show(self, console: Console, ends: float) -> None:
        if not console.is_terminal:
            await self._tell(console, ends)
        with Live(console=console, auto_refresh=False) as live:
            while True:
                live.update(panels(await self._frame(ends), console.width), refresh=True)
                await asyncio.sleep(1 / FRAMES_PER_S)

    async def _tell(self, console: Console, ends: float) -> NoReturn:
        while True:
            await asyncio.sleep(PLAIN_EVERY_S)
            console.print(plain(await self._frame(ends)), soft_wrap=True, markup=False)

    async def _frame(self, ends: float) -> Frame:
        gauges = await self._worker.gauges()
        now_ms = int(time.time() * 1_000)
        gainers, losers = self._watch.movers(now_ms, TOP)
        return Frame(
            title=self._title,
            left_s=max(0.0, ends - time.monotonic()),
            minute_ms=now_ms - now_ms % MINUTE_MS,
            sent=sum(self._outbox.sent.values()),
            sent_rates=list(self._rates),
            rows_per_s=self._rows_per_s,
            lag_records=gauges.lag_records if gauges else None,
            watermark_age_s=max(0.0, now_ms / 1_000 - gauges.watermark_s) if gauges else None,
            latency_p50_s=self._watch.latency_s(0.5),
            latency_p99_s=self._watch.latency_s(0.99),
            outcomes=gauges.outcomes if gauges else {},
            gainers=gainers,
            losers=losers,
        )
