"""Live input that survives every fault itself.

It has duplicates, disorder, late and bad records, heartbeats, event ids with two actions, and
baselines of some time ago.
A chunk is sent again until the broker has acknowledged all of it; what had arrived after all is
then a duplicate, which the service refuses.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from aiokafka.errors import KafkaError

from service.kafka import clients
from service.settings import Settings
from service.synthetic.batch_sender import Outbox
from service.synthetic.events import Made, Shape, Synthetic, heartbeat

STEP_S: Final = 0.05
HEARTBEAT_EVERY: Final = 40
ODD_EVERY: Final = 5
"""Steps."""
_OLD_MS: Final = 20_000
_REST_S: Final = 0.3
_REQUEST_MS: Final = 8_000


def _made(account: str, fields: dict[str, object]) -> Made:
    return Made(account.encode(), json.dumps(fields).encode(), [], "event")


class Feed:
    """`run` sends `rate` records per second while it is not paused."""

    def __init__(self, settings: Settings, *, seed: int, rate: float) -> None:
        """`settings.brokers`: how the producer gets there."""
        smallest = min(settings.rules.grains, key=lambda grain: grain.size_ms)
        self.sent: Counter[str] = Counter()
        self.ends = dict.fromkeys(range(settings.partitions), 0)
        """Offset after the last acknowledged record, by partition."""
        self._settings = settings
        self._rate = rate
        self._source = Synthetic(
            Shape(
                seed=seed,
                accounts=2_000,
                skew=0.3,
                duplicates=0.02,
                late=0.01,
                bad=0.01,
                disorder_s=1.0,
                late_after_ms=smallest.size_ms + smallest.keep_ms,
            )
        )
        self._random = random.Random(seed)
        self._flows = asyncio.Event()
        self._is_at_rest = asyncio.Event()

    def resume(self) -> None:
        self._is_at_rest.clear()
        self._flows.set()

    async def pause(self) -> None:
        """Stop, and wait until all that was sent is acknowledged."""
        self._flows.clear()
        await self._is_at_rest.wait()

    async def run(self) -> None:
        """Send until cancelled."""
        producer = clients.producer(self._settings, request_timeout_ms=_REQUEST_MS)
        await clients.start(producer)
        outbox = Outbox(producer, self._settings.input_topic, self._settings.partitions)
        per_step, step = max(1, round(self._rate * STEP_S)), 0
        try:
            while True:
                if not self._flows.is_set():
                    self._is_at_rest.set()
                    await self._flows.wait()
                began, step = time.monotonic(), step + 1
                now_ms = int(time.time() * 1_000)
                await self._deliver(outbox, self._source.at(now_ms, per_step))
                if step % ODD_EVERY == 0:
                    await self._deliver(outbox, self._odd(now_ms, step))
                if step % HEARTBEAT_EVERY == 0:
                    await self._deliver(outbox, [], heartbeat(now_ms))
                await asyncio.sleep(max(0.0, began + STEP_S - time.monotonic()))
        finally:
            await producer.stop()

    def _odd(self, now_ms: int, step: int) -> Iterator[Made]:
        """An event, its id once more with the other action, and a baseline of some time ago."""
        account = f"acct-{self._random.randrange(2_000)}"
        names = {"event_id": f"odd-{now_ms}-{step}", "account_id": account}
        for action in ("follow", "unfollow"):
            event = names | {"follower_id": "f", "action": action}
            yield _made(account, {**event, "occurred_at": now_ms})
        baseline = {**names, "action": "baseline", "followers": self._random.randrange(1_000)}
        at_ms = now_ms - self._random.randrange(_OLD_MS)
        yield _made(account, {**baseline, "event_id": f"base-{step}", "occurred_at": at_ms})

    async def _deliver(
        self, outbox: Outbox, records: Iterable[Made], everywhere: Made | None = None
    ) -> None:
        chunk = list(records)
        self.sent.update(made.kind for made in chunk)
        while True:
            outbox.put_all(chunk)
            if everywhere is not None:
                outbox.put_everywhere(everywhere)
            try:
                await outbox.send()
                await outbox.settle()
            except (KafkaError, OSError):
                await asyncio.sleep(_REST_S)
            else:
                self.ends.update(outbox.ends)
                return
