"""Follows the updates topic: the newest rows, the movers, and how soon a change is visible."""

from __future__ import annotations

import asyncio
import heapq
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

from service.contract.input_record import RawRecord
from service.contract.results import Window
from service.runtime.journal import CHECKPOINT_KEY
from service.runtime.result_reader import reader_of
from service.settings import Settings

HISTORY: Final = 24
"""Seconds of a sparkline."""
MOST_LATENCIES: Final = 20_000
MINUTE_MS: Final = 60_000
MINUTE_GRAIN: Final = "1m"

SentAt = Callable[[int, int], float | None]
"""Called with (partition, offset). Returns when that record was sent (time.monotonic), or None."""


class _Row(msgspec.Struct, gc=False):
    """The fields of a row that the demo needs."""

    account_id: str
    net: int
    followers: int | None
    offset: int
    windows: dict[str, list[Window]]


_decode = msgspec.json.Decoder(_Row).decode


class Mover(NamedTuple):
    """One account in the current minute. `trail`: net of each of the last seconds."""

    account_id: str
    gained: int
    lost: int
    followers: int | None
    trail: list[int]

    @property
    def net(self) -> int:
        """Net followers of the minute."""
        return self.gained - self.lost


class Watch:
    """Reads the updates topic with read_committed, and keeps what the live view shows."""

    def __init__(self, settings: Settings, sent_at: SentAt) -> None:
        """`sent_at`: of the sender; it returns None for records that it did not send."""
        self.seen = 0
        self._settings = settings
        self._sent_at = sent_at
        self._minutes: dict[str, Window] = {}
        self._rows: dict[str, _Row] = {}
        self._trails: dict[str, deque[int]] = {}
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
            self.seen += 1
            self._rows[row.account_id] = row
            minutes = row.windows.get(MINUTE_GRAIN)
            if minutes:
                self._minutes[row.account_id] = minutes[-1]
            sent_at = self._sent_at(partition, row.offset)
            if sent_at is not None:
                self._latencies.append(now - sent_at)

    def tick(self) -> None:
        """Remember the net of every account for its trail. Called once a second."""
        for account, row in self._rows.items():
            trail = self._trails.get(account)
            if trail is None:
                trail = self._trails[account] = deque(maxlen=HISTORY + 1)
            trail.append(row.net)

    def movers(self, now_ms: int, count: int) -> tuple[list[Mover], list[Mover]]:
        """Return the accounts that gained and lost most in the minute of `now_ms`.

        Each list has the largest value first.
        """
        minute = now_ms - now_ms % MINUTE_MS
        nets = [(w[1] - w[2], a) for a, w in self._minutes.items() if w[0] == minute]
        gainers = [self._mover(a) for net, a in heapq.nlargest(count, nets) if net > 0]
        losers = [self._mover(a) for net, a in heapq.nsmallest(count, nets) if net < 0]
        return gainers, losers

    def latency_s(self, share: float) -> float | None:
        """Return a quantile of the seconds from sending to visible; None without data."""
        if not self._latencies:
            return None
        ranked = sorted(self._latencies)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))]

    def _mover(self, account: str) -> Mover:
        _, gained, lost, _ = self._minutes[account]
        nets = list(self._trails.get(account, ()))
        trail = [after - before for before, after in pairwise(nets)]
        return Mover(account, gained, lost, self._rows[account].followers, trail)


def sparkline(values: Sequence[int]) -> str:
    """Draw eighth blocks by |value|; the largest is full. '' for no values."""
    most = max(map(abs, values), default=0)
    if most == 0:
        return "▁" * len(values)
    steps = [most * step / 8 for step in range(1, 8)]
    return "".join("▁▂▃▄▅▆▇█"[bisect_left(steps, abs(value))] for value in values)
