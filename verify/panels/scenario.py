"""What is fed while panels are measured, and every fact about it: the truth, without the service.

Each record is written down with the time it was sent and what must become of it. Nothing here reads
a metric, and nothing here shares code with the engine.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal
from zlib import crc32

from service.synthetic.batch_sender import Outbox
from service.synthetic.events import Made, heartbeat

Outcome = Literal["applied", "late", "duplicate", "rejected", "heartbeat"]
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
GRAINS: Final = {"1m": MINUTE_MS, "1h": HOUR_MS, "1d": DAY_MS}
TICK_S: Final = 0.25
BASELINES: Final = {"star": 1_000, "sinker": 50_000, "steady": 200}
WATCHED: Final = tuple(BASELINES)
SURGE_FROM: Final = 0.6
"""The star begins to surge after this part of the story."""
OLD_MS: Final = 2 * HOUR_MS
_CROWD: Final = 60


@dataclass(frozen=True, slots=True)
class Sent:
    """One record that was sent."""

    at_s: float
    partition: int
    outcome: Outcome
    account: str = ""
    change: int = 0
    """1 follow, -1 unfollow, 0 neither."""
    event_ms: int = 0
    reason: str = ""
    is_clamped: bool = False
    is_shared_id: bool = False
    is_other_action: bool = False
    is_foreign: bool = False


class Story:
    """Sends for a while and remembers."""

    def __init__(self, outbox: Outbox) -> None:
        self.sent: list[Sent] = []
        self._name = f"{time.time_ns()}"
        self._outbox = outbox
        self._random = random.Random(11)
        self._number = 0

    async def tell(self, seconds: float, meanwhile: Callable[[], Awaitable[None]]) -> None:
        """Send for this number of seconds. Call `meanwhile` at every tick."""
        began = time.monotonic()
        self._heartbeats()  # so that every partition knows the time, and what is old is late
        for account, followers in BASELINES.items():
            self._baseline(account, followers)
        await self._outbox.send()
        tick = 0
        while (passed := time.monotonic() - began) < seconds:
            self._tick(tick, is_surging=passed > SURGE_FROM * seconds)
            await self._outbox.send()
            await meanwhile()
            tick += 1
            await asyncio.sleep(max(0.0, began + tick * TICK_S - time.monotonic()))
        await asyncio.sleep(1.1)  # past every event that was clamped to the log's time
        self._heartbeats()
        await self._outbox.send()
        await self._outbox.settle()

    async def add(self, count: int) -> None:
        """Send `count` more events at once."""
        for number in range(count):
            self._event(f"crowd-{number % _CROWD}", 1)
        await self._outbox.send()
        await self._outbox.settle()

    def _tick(self, tick: int, *, is_surging: bool) -> None:
        for account, change, count in _steady_changes(tick, is_surging=is_surging):
            for _ in range(count):
                self._event(account, change)
        for _ in range(10):
            number = int(self._random.paretovariate(0.6)) % _CROWD
            unfollows = 0.75 if number % 3 == 0 else 0.25
            self._event(f"crowd-{number}", -1 if self._random.random() < unfollows else 1)
        foreign = f"foreign-{tick % 8}"
        self._event(foreign, 1, partition=self._elsewhere(foreign))
        if tick % 4 == 0:
            self._oddities(tick)
            self._heartbeats()

    def _oddities(self, tick: int) -> None:
        last = self._event("steady", 0)
        self._put(last, "duplicate", "steady")
        self._event("latecomer", 1, age_ms=OLD_MS)
        self._event("clock", 1 if tick % 8 else -1, age_ms=-HOUR_MS)
        missing = b'{"account_id":"star"}'
        for reason, value in (("not_json", b"not json"), ("missing_field", missing)):
            self._put(Made(b"star", value, [], "bad"), "rejected", reason=reason)
        if tick % 8 == 0:
            # Its id is that of an event of another account in the same partition.
            first = self._event("star", 1)
            twin = next(n for n in _names("twin") if self._place(n) == self._place("star"))
            event = json.loads(first.value or b"") | {"account_id": twin}
            made = Made(twin.encode(), json.dumps(event).encode(), [], "event")
            self._put(made, "duplicate", twin, is_shared_id=True)
            # The same id with the other action is another event.
            event = json.loads(first.value or b"") | {"action": "unfollow"}
            made = Made(b"star", json.dumps(event).encode(), [], "event")
            at_ms = event["occurred_at"]
            self._put(made, "applied", "star", -1, event_ms=at_ms, is_other_action=True)

    def _event(
        self, account: str, change: int, *, age_ms: int = 0, partition: int | None = None
    ) -> Made:
        """Send an event, and return it. A change of 0 is a follow and then an unfollow."""
        if change == 0:
            self._event(account, 1, age_ms=age_ms, partition=partition)
            return self._event(account, -1, age_ms=age_ms, partition=partition)
        self._number += 1
        now_ms = int(time.time() * 1_000)
        event = {
            "event_id": f"story-{self._name}-{self._number}",
            "account_id": account,
            "follower_id": f"f{self._number}",
            "action": "follow" if change > 0 else "unfollow",
            "occurred_at": now_ms - age_ms,
        }
        made = Made(account.encode(), json.dumps(event).encode(), [], "event")
        self._put(
            made,
            "late" if age_ms > 0 else "applied",
            account,
            change,
            event_ms=now_ms if age_ms < 0 else now_ms - age_ms,
            is_clamped=age_ms < 0,
            partition=partition,
        )
        return made

    def _baseline(self, account: str, followers: int) -> None:
        now_ms = int(time.time() * 1_000)
        event = {
            "event_id": f"baseline-{account}",
            "account_id": account,
            "action": "baseline",
            "followers": followers,
            "occurred_at": now_ms,
        }
        made = Made(account.encode(), json.dumps(event).encode(), [], "baseline")
        self._put(made, "applied", account, event_ms=now_ms)

    def _heartbeats(self) -> None:
        now_ms = int(time.time() * 1_000)
        for partition in range(self._outbox.partitions):
            self._put(heartbeat(now_ms), "heartbeat", partition=partition, event_ms=now_ms)

    def _put(
        self,
        made: Made,
        outcome: Outcome,
        account: str = "",
        change: int = 0,
        **facts: Any,
    ) -> None:
        place = facts.pop("partition", None)
        place = self._outbox.partition_of(made.key or b"") if place is None else place
        self._outbox.put(made, place)
        is_foreign = account.startswith("foreign-")
        sent = Sent(time.time(), place, outcome, account, change, is_foreign=is_foreign, **facts)
        self.sent.append(sent)

    def _place(self, account: str) -> int:
        return self._outbox.partition_of(account.encode())

    def _elsewhere(self, account: str) -> int:
        """Return the partition by librdkafka's default; another one if that is murmur2's, too."""
        place = crc32(account.encode()) % self._outbox.partitions
        return place if place != self._place(account) else (place + 1) % self._outbox.partitions


def _steady_changes(tick: int, *, is_surging: bool) -> Iterator[tuple[str, int, int]]:
    yield "star", 1, 9 if is_surging else 2
    yield "star", -1, tick % 2
    yield "sinker", 1, tick % 2
    yield "sinker", -1, 3
    yield "steady", 1, 1
    yield "steady", -1, 1


def _names(prefix: str) -> Iterator[str]:
    number = 0
    while True:
        yield f"{prefix}-{number}"
        number += 1


class Known:
    """The truth about a story at a moment."""

    def __init__(self, sent: list[Sent], at_s: float) -> None:
        self.sent = [one for one in sent if one.at_s <= at_s]
        self.at_s = at_s

    def within(self, seconds: float) -> list[Sent]:
        """Return what was sent in the last `seconds`."""
        return [one for one in self.sent if one.at_s > self.at_s - seconds]

    def watermark_ms(self, partition: int) -> int:
        """Largest event time of what moves it."""
        times = [one.event_ms for one in self.sent if one.partition == partition]
        return max(times, default=0)

    def account(self, name: str, grain: str) -> tuple[int, int]:
        """Gained and lost in the current window of a grain ("total": in all)."""
        events = [one for one in self.sent if one.account == name and one.change]
        if grain != "total" and events:
            size = GRAINS[grain]
            start = self.watermark_ms(events[0].partition) // size
            events = [one for one in events if one.event_ms // size == start]
        return sum(e.change > 0 for e in events), sum(e.change < 0 for e in events)

    def net(self, name: str, grain: str) -> int:
        """Return the followers gained minus those lost."""
        gained, lost = self.account(name, grain)
        return gained - lost

    def accounts(self) -> list[str]:
        return sorted({one.account for one in self.sent if one.account and one.event_ms})

    def outcomes(self, seconds: float) -> Counter[str]:
        """Return the number of records by outcome in the last `seconds`."""
        return Counter(str(one.outcome) for one in self.within(seconds))

    def surge(self, name: str, *, since_s: float) -> float:
        """The formula of docs, second by second: net of a minute against the mean of 15."""
        times = [(one.at_s, one.change) for one in self.sent if one.account == name]

        def minute(end_s: float, sign: int) -> int:
            return sum(c == sign and end_s - 60 < at <= end_s for at, c in times)

        moments = [since_s + n for n in range(int(self.at_s - since_s) + 1)]
        gained = sum(minute(m, 1) for m in moments) / len(moments)
        lost = sum(minute(m, -1) for m in moments) / len(moments)
        now = minute(self.at_s, 1) - minute(self.at_s, -1)
        return float((now - (gained - lost)) / (gained + lost + 1) ** 0.5)
