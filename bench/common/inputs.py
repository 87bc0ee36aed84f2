"""The inputs that everything is measured with, and loading them once."""

from __future__ import annotations

import asyncio
import time
import uuid
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from bench.common import backfill
from bench.common.settings import named
from service.kafka import clients
from service.kafka import topic_admin as topics
from service.settings import Settings
from service.synthetic.batch_sender import Outbox
from service.synthetic.events import Made, Shape, Synthetic

CHUNK: Final = 20_000
PER_MS: Final = 20
"""Events per millisecond of event time."""


@dataclass(frozen=True)
class Load:
    """One input: how many accounts, how skewed (0: all alike), how many events.

    `zipf`: the n-th account is n times as rare as the first; else `skew` is a Pareto exponent.
    `every`: it begins with one event of each account.
    `history`: years of event time instead of live events.
    """

    name: str
    accounts: int
    skew: float
    events: int
    zipf: bool = False
    every: bool = False
    history: backfill.Backfill | None = None


class Zipf(Synthetic):
    """Synthetic events whose accounts follow Zipf's law with s = 1."""

    def __init__(self, shape: Shape) -> None:
        """See `Synthetic`."""
        super().__init__(shape)
        self._cumulated = list(accumulate(1 / rank for rank in range(1, shape.accounts + 1)))

    def _account(self) -> int:
        return bisect(self._cumulated, self._random.random() * self._cumulated[-1])


def loads(events: int) -> list[Load]:
    """Return the inputs of the budget's table, with more events where an event takes less time."""
    most = 1_000_000 if events >= 500_000 else events
    return [
        Load("hot (Pareto 1.1)", 200_000, 1.1, 2 * events),
        Load("heavy tail (Zipf 1, 200,000 accounts)", 200_000, 0.0, 2 * events, zipf=True),
        Load("uniform, 200,000 accounts", 200_000, 0.0, events),
        Load(f"uniform, {most:,} accounts", most, 0.0, 2 * most, every=True),
    ]


def backfill_loads(events: int) -> list[Load]:
    """The inputs whose event time runs faster than the clock."""
    return [
        Load(f"backfill: {one.name}", one.accounts, 0.0, one.events, history=one)
        for one in backfill.backfills(events)
    ]


def records(load: Load) -> Iterator[Made]:
    """20 events per ms of event time, half a second of disorder, ending now."""
    if load.history is not None:
        for one in backfill.records(load.history):
            assert one.key is not None
            yield Made(one.key, one.value, [], "event")
        return
    shape = Shape(accounts=load.accounts, skew=load.skew, disorder_s=0.5)
    start_ms = int(time.time() * 1_000) - load.events // PER_MS
    if load.every:
        yield from every_account(load.accounts, start_ms)
    source = Zipf(shape) if load.zipf else Synthetic(shape)
    left = load.events - load.accounts if load.every else load.events
    yield from source.span(start_ms, rate=PER_MS * 1_000, count=left)


def every_account(accounts: int, at_ms: int) -> Iterator[Made]:
    """One event of each account, so that the table has all of them."""
    for account in range(accounts):
        key = b"acct-%d" % account
        value = (
            b'{"event_id":"%032x","account_id":"%s","follower_id":"%d","action":"follow",'
            b'"occurred_at":%d}' % (uuid.uuid4().int, key, account, at_ms)
        )
        yield Made(key, value, [], "event")


async def fill(settings: Settings, made: Iterable[Made]) -> int:
    """Send records to the input topic. Return the number of records."""
    async with clients.producer(settings) as producer:
        outbox = Outbox(producer, settings.input_topic, settings.partitions)
        for number, one in enumerate(made, start=1):
            outbox.put(one)
            if number % CHUNK == 0:
                await outbox.send()
        await outbox.send()
        await outbox.settle()
    return sum(outbox.sent.values())


async def produce(settings: Settings, load: Load) -> int:
    """Fill the input topic. Return the number of records sent."""
    return await fill(settings, records(load))


def _loaded(brokers: str, topic: str, load: Load, partitions: int) -> int:
    """Create the topics and fill the input. Return the number of records sent.

    It runs in a process of its own.
    """

    async def all_of_it() -> int:
        settings = named(brokers, f"{topic}-loader", topic, partitions=partitions)
        await topics.create(settings)
        return await produce(settings, load)

    return asyncio.run(all_of_it())


@dataclass(frozen=True)
class Loaded:
    """An input that is there: topic, and records in it."""

    load: Load
    topic: str
    records: int
    partitions: int


def load_all(
    brokers: str, prefix: str, wanted: Sequence[Load], *, partitions: int = 4
) -> list[Loaded]:
    """Load inputs, each by a process of its own."""
    names = [f"{prefix}-{number}" for number in range(len(wanted))]
    with ProcessPoolExecutor(3) as pool:
        jobs = [
            pool.submit(_loaded, brokers, name, load, partitions)
            for name, load in zip(names, wanted, strict=True)
        ]
        found = [
            Loaded(load, name, job.result(), partitions)
            for load, name, job in zip(wanted, names, jobs, strict=True)
        ]
    for one in found:
        print(f"loaded {one.records:,} records: {one.load.name}", flush=True)
    return found
