"""Demo, part 2: sends 7.4 years of a real channel through the broker and draws them as a PNG."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

from rich.console import Console

from service.charts.drawing import draw
from service.commands.account_row import latest
from service.commands.offline_engine import WindowsOf, decode_window
from service.commands.result_reader import read_all
from service.contract.results import AccountRow, decode_row
from service.demo import channel
from service.demo import channel_truth as story
from service.demo.pipeline import Pipeline
from service.synthetic.events import Made, heartbeat

RECORDS: Final = channel.EVENTS + 2  # the baseline before the events, a heartbeat after them
_CHUNK: Final = 5_000
_DAILY: Final = b'"grain":"%s"' % story.DAY_GRAIN.encode()
_STALLED_AFTER_S: Final = 30.0


class ChannelPhase:
    """Sends the channel, waits until it is counted, reads the results and compares them."""

    def __init__(self, pipeline: Pipeline) -> None:
        """`pipeline` is only for the channel, whose events are years old."""
        self._pipeline = pipeline
        self._settings = pipeline.settings
        self._outbox = pipeline.outbox

    async def run(self, console: Console, png: Path) -> bool:
        """Run the phase. Return whether the results equal the truth."""
        began = time.monotonic()
        close_ms = self._close_ms()
        async with self._pipeline.counting(console, "counted of the channel", RECORDS):
            await self._send(close_ms)
            await self._pipeline.counted(close_ms)
        seconds = time.monotonic() - began
        row, days = await self._closed_results()
        draw([story.flow(days), story.raid(days)], console, png)
        return _judge(console, row, days, seconds)

    def _close_ms(self) -> int:
        """Return the event time of a heartbeat after which every window of the channel is final."""
        last_day = channel.daily_truth()[-1].start_ms
        grains = self._settings.rules.grains
        return last_day + 2 * max(grain.size_ms + grain.grace_ms for grain in grains)

    async def _send(self, close_ms: int) -> None:
        key = channel.ACCOUNT_ID.encode()
        self._outbox.put(Made(key, channel.baseline(), [], "baseline"))
        for number, value in enumerate(channel.events(), start=2):
            self._outbox.put(Made(key, value, [], "event"))
            if number % _CHUNK == 0:
                await self._outbox.send()
                await asyncio.sleep(0)  # lets Ctrl-C and the progress bar run
        self._outbox.put_everywhere(heartbeat(close_ms))
        await self._outbox.send()
        await self._outbox.settle()

    async def _closed_results(self) -> tuple[AccountRow | None, dict[int, tuple[int, int]]]:
        """Read results until the last day is there. Not every broker says that a sweep has ended.

        They are read again as long as new days arrive.
        """
        last_day = channel.daily_truth()[-1].start_ms
        most, until = -1, 0.0
        while True:
            row, days = await self._results()
            if len(days) > most:
                most, until = len(days), time.monotonic() + _STALLED_AFTER_S
            if last_day in days or time.monotonic() > until:
                return row, days
            await asyncio.sleep(0.2)

    async def _results(self) -> tuple[AccountRow | None, dict[int, tuple[int, int]]]:
        """Read the row and the daily finals from their topics."""
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
        console.print(
            f"{RECORDS:,} records of 7.4 years sent through the broker and counted in "
            f"{seconds:.1f} s ({rate:,.0f} records/s)",
            soft_wrap=True,
        )
    return not told
