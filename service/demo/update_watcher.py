"""Follows the updates topic: the newest rows, the movers, and how soon a row is visible."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from service.commands.result_reader import reader_of
from service.contract.input_record import RawRecord
from service.contract.results import Window
from service.runtime.journal_at_least_once import CHECKPOINT_KEY
from service.settings import Settings

MOST_LATENCIES: Final = 20_000
MINUTE_MS: Final = 60_000
MINUTE_GRAIN: Final = "1m"

SentAt = Callable[[int, int], float | None]
"""Called with (partition, offset). Returns when that record was sent (time.monotonic), or None."""


class _Row(msgspec.Struct, gc=False):
    """The fields of a row that the demo needs."""

    account_id: str
    followers: int | None
    offset: int
    windows: dict[str, list[Window]]


_decode = msgspec.json.Decoder(_Row).decode


class Mover(NamedTuple):
    """One account: its net followers of the current minute, and its followers if known."""

    net: int
    account_id: str
    followers: int | None


class Watch:
    """Reads the updates topic with read_committed, and keeps what the live lines show."""

    def __init__(self, settings: Settings, sent_at: SentAt) -> None:
        """`sent_at`: of the sender; it returns None for records that it did not send."""
        self._settings = settings
        self._sent_at = sent_at
        self._minutes: dict[str, tuple[Window, int | None]] = {}
        self._latencies: deque[float] = deque(maxlen=MOST_LATENCIES)

    async def run(self) -> None:
        """Follow the topic until cancelled."""
        async with reader_of(self._settings, self._settings.updates_topic) as consumer:
            while True:
                found = await consumer.getmany(timeout_ms=200, max_records=5_000)
                now = time.monotonic()
                for tp, records in found.items():
                    self.take(tp.partition, records, now)
                await asyncio.sleep(0)

    def take(self, partition: int, records: Sequence[RawRecord], now: float) -> None:
        """Take rows that became visible at `now` (time.monotonic)."""
        for record in records:
            if record.value is None or record.key == CHECKPOINT_KEY:
                continue
            row = _decode(record.value)
            minutes = row.windows.get(MINUTE_GRAIN)
            if minutes:
                self._minutes[row.account_id] = minutes[-1], row.followers
            sent_at = self._sent_at(partition, row.offset)
            if sent_at is not None:
                self._latencies.append(now - sent_at)

    def movers(self, now_ms: int, count: int) -> tuple[list[Mover], list[Mover]]:
        """Return the accounts that gained and lost most in the minute of `now_ms`.

        Each list has the largest value first.
        """
        minute = now_ms - now_ms % MINUTE_MS
        nets = [
            Mover(window[1] - window[2], account, followers)
            for account, (window, followers) in self._minutes.items()
            if window[0] == minute
        ]
        gainers = heapq.nlargest(count, (one for one in nets if one.net > 0))
        losers = heapq.nsmallest(count, (one for one in nets if one.net < 0))
        return gainers, losers

    def latency_s(self, share: float) -> float | None:
        """Return a quantile of the seconds from sending to visible; None without data."""
        if not self._latencies:
            return None
        ranked = sorted(self._latencies)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))]
