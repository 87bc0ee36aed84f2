"""Demo, phase 1: 7.4 years of a real channel through the broker, and its ebb and flow drawn."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from service import channel
from service.results import AccountRow, decode_row
from service.settings import Settings
from service.tools import story
from service.tools.drawing import draw
from service.tools.generate import Made, heartbeat
from service.tools.offline import WindowsOf, decode_window
from service.tools.outbox import Outbox
from service.tools.progress import Progress as GroupProgress
from service.tools.reading import read_all
from service.tools.show import latest
from service.tools.worker_process import WorkerProcess

RECORDS: Final = channel.EVENTS + 2  # the baseline before, a heartbeat after
_CHUNK: Final = 5_000
_DAILY: Final = b'"grain":"%s"' % story.DAY_GRAIN.encode()
_COUNTED_WITHIN_S: Final = 120.0
_SWEPT_WITHIN_S: Final = 10.0


class ChannelPhase:
    """Sends the channel, waits until it is counted, reads the results back and compares."""

    def __init__(
        self, settings: Settings, outbox: Outbox, worker: WorkerProcess, progress: GroupProgress
    ) -> None:
        """Everything is started already."""
        self._settings = settings
        self._outbox = outbox
        self._worker = worker
        self._progress = progress
        self._partition = outbox.partition_of(channel.ACCOUNT_ID.encode())

    async def run(self, console: Console, png: Path) -> bool:
        """-> whether the results are exactly what the truth has."""
        began = time.monotonic()
        close_ms = self._close_ms()
        with _bars(console) as bars:
            counting = asyncio.create_task(self._show_counted(bars))
            try:
                await self._send(bars, close_ms)
                await self._progress.wait(
                    self._outbox.ends,
                    within_s=_COUNTED_WITHIN_S,
                    closed_to_ms=close_ms,
                    look=self._worker.check,
                )
            finally:
                counting.cancel()
        seconds = time.monotonic() - began
        row, days = await self._closed_results()
        draw([story.flow(days), story.raid(days)], console, png)
        return _judge(console, row, days, seconds)

    def _close_ms(self) -> int:
        """Event time of a heartbeat after which every window of the channel is final."""
        last_day = channel.daily_truth()[-1].start_ms
        grains = self._settings.rules.grains
        return last_day + 2 * max(grain.size_ms + grain.grace_ms for grain in grains)

    async def _send(self, bars: Progress, close_ms: int) -> None:
        key = channel.ACCOUNT_ID.encode()
        task = bars.add_task("sent", total=RECORDS)
        self._outbox.put(Made(key, channel.baseline(), [], "baseline"))
        for number, value in enumerate(channel.events(), start=2):
            self._outbox.put(Made(key, value, [], "event"))
            if number % _CHUNK == 0:
                await self._outbox.send()
                bars.update(task, completed=number)
        self._outbox.put(heartbeat(close_ms), self._partition)
        await self._outbox.send()
        await self._outbox.settle()
        bars.update(task, completed=RECORDS)

    async def _show_counted(self, bars: Progress) -> None:
        task = bars.add_task("counted", total=RECORDS)
        while True:
            gauges = await self._worker.gauges()
            if gauges is not None:
                bars.update(task, completed=gauges.counted)
            await asyncio.sleep(0.1)

    async def _closed_results(self) -> tuple[AccountRow | None, dict[int, tuple[int, int]]]:
        """Read results until the last day is there: not every broker says that a sweep is over."""
        last_day = channel.daily_truth()[-1].start_ms
        until = time.monotonic() + _SWEPT_WITHIN_S
        while True:
            row, days = await self._results()
            if last_day in days or time.monotonic() > until:
                return row, days
            await asyncio.sleep(0.2)

    async def _results(self) -> tuple[AccountRow | None, dict[int, tuple[int, int]]]:
        """Read the row and the daily finals back from their topics."""
        windows = WindowsOf(channel.ACCOUNT_ID, story.DAY_GRAIN)
        async for records in read_all(self._settings, self._settings.windows_topic):
            for record in records:
                if record.value is not None and _DAILY in record.value:
                    windows.add(decode_window(record.value))
        value = await latest(self._settings, channel.ACCOUNT_ID)
        return None if value is None else decode_row(value), windows.contents()


def _judge(console: Console, row: AccountRow | None, days: story.Days, seconds: float) -> bool:
    told = story.differences(row, days)
    for line in told:
        console.print(f"WRONG: {line}", style="bold red", soft_wrap=True)
    if not told:
        rate = RECORDS / seconds
        console.print(f"\nexact: {story.verdict(row, days)}", style="bold", soft_wrap=True)
        console.print(f"7.4 years through the broker in {seconds:.1f} s ({rate:,.0f} records/s)")
    return not told


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("  {task.description:8}"),
        BarColumn(bar_width=50),
        MofNCompleteColumn(),
        TextColumn("events of 7.4 years"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
