"""A process that sends events at a rate, each at its planned time, encoded beforehand.

    python -m bench.common.sender '{"brokers": ..., "topic": ..., ...}'

`occurred_at` is the planned time, so a reader of results needs no other clock, and a sender that
falls behind shows as latency. Prints {"sent", "behind_s"} at its end.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from service.kafka import clients
from service.kafka.partitioning import partition_of
from service.settings import Settings

ENCODED_PER_S: Final = 120_000
"""Events per second that every machine can encode. The planned start waits until that is done."""

HOT: Final = b"hot-"
PROBES: Final = 0.05
"""Share of the events that tell the latency where the others are coalesced."""
FIRST_S: Final = 2.0
"""How far a sender falls behind while it begins is not told."""

Tick = list[list[tuple[bytes, bytes]]]
"""Records by partition."""


@dataclass(frozen=True)
class Plan:
    """`rate` of this process; `start_s`: wall clock time of the first tick.

    `skew` 0: all accounts alike. Else a Pareto exponent, and one event in twenty goes to one of
    `accounts` others, all alike: these tell the latency.
    """

    brokers: str
    topic: str
    partitions: int
    accounts: int
    skew: float
    rate: float
    seconds: float
    tick_s: float
    start_s: float
    seed: int

    def to_json(self) -> str:
        """Return the plan as the argument of the command line."""
        return json.dumps(asdict(self))


def ticks(plan: Plan) -> list[Tick]:
    """Encode all records of the plan, tick by tick."""
    draw = random.Random(plan.seed)
    places: dict[bytes, int] = {}
    made, number = [], 0
    for index in range(round(plan.seconds / plan.tick_s)):
        at_ms = round((plan.start_s + index * plan.tick_s) * 1_000)
        tick: Tick = [[] for _ in range(plan.partitions)]
        until = round((index + 1) * plan.tick_s * plan.rate)
        for count in range(number, until):
            if plan.skew and draw.random() > PROBES:
                key = HOT + b"%d" % (int(draw.paretovariate(plan.skew) - 1) % plan.accounts)
            else:
                key = b"acct-%d" % int(draw.random() * plan.accounts)
            place = places.get(key)
            if place is None:
                place = places[key] = partition_of(key, plan.partitions)
            value = (
                b'{"event_id":"%08x-%016x","account_id":"%s","follower_id":"%d",'
                b'"action":"follow","occurred_at":%d}' % (plan.seed, count, key, count, at_ms)
            )
            tick[place].append((key, value))
        number = until
        made.append(tick)
    return made


async def send(producer: AIOKafkaProducer, topic: str, tick: Tick) -> list[Any]:
    """Give the records of a tick to the producer. Return the futures of their acknowledgements."""
    futures = []
    for partition, records in enumerate(tick):
        if not records:
            continue
        batch = producer.create_batch()
        for key, value in records:
            if batch.append(key=key, value=value, timestamp=None) is None:
                futures.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=None)
        futures.append(await producer.send_batch(batch, topic, partition=partition))
    return futures


async def run(plan: Plan) -> dict[str, float]:
    """Send everything at its time."""
    made = ticks(plan)
    gc.disable()
    behind, futures = 0.0, []
    async with clients.producer(Settings(brokers=plan.brokers)) as producer:
        for index, tick in enumerate(made):
            wait = plan.start_s + index * plan.tick_s - time.time()
            if index * plan.tick_s > FIRST_S:
                behind = max(behind, -wait)
            await asyncio.sleep(max(0.0, wait))
            futures += await send(producer, plan.topic, tick)
        await asyncio.gather(*futures)
    return {"sent": sum(len(one) for tick in made for one in tick), "behind_s": round(behind, 3)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(Plan(**json.loads(sys.argv[1]))))))
