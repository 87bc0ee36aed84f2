"""What a consumer of the updates topic sees of a run: its pauses, and when updates continue."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from service.kafka import clients
from service.settings import Settings
from tests.support.patience import Patience

NOTED_S: Final = 1.0
"""Shorter pauses are not kept."""
_POLL_S: Final = 0.02


class _Row(msgspec.Struct):
    """The only field that is looked at: the offset of the last record that a row contains."""

    offset: int


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which a partition showed no committed update."""

    partition: int
    began_s: float
    seconds: float


class Watcher:
    """Follows the updates topic, read_committed, past every outage. Times are time.monotonic."""

    def __init__(self, settings: Settings) -> None:
        """`settings.brokers`: how it gets there."""
        self.pauses: list[Pause] = []
        self.per_second: Counter[int] = Counter()
        """Number of updates by whole seconds of time.monotonic."""
        self._settings = settings
        self._reached = dict.fromkeys(range(settings.partitions), -1)
        self._since: dict[int, float] = {}
        self._decoder = msgspec.json.Decoder(_Row)

    def rest(self) -> None:
        """The input rests: no pause is counted."""
        for partition in list(self._since):
            self._moved(partition, time.monotonic())
        self._since.clear()

    def resume(self) -> None:
        """Note that the input continues, so updates must come again."""
        self._since = dict.fromkeys(self._reached, time.monotonic())

    @property
    def longest(self) -> Pause | None:
        """The longest pause of any partition."""
        return max(self.pauses, key=lambda pause: pause.seconds, default=None)

    async def beyond(self, ends: Mapping[int, int]) -> float | None:
        """Wait for updates of every partition by records at or after `ends`.

        Return the time, or None. It gives up when no partition that is still behind has moved for
        a long time.
        """
        patience = Patience("updates of every partition")
        while True:
            missing = {at: self._reached[at] for at, end in ends.items() if self._reached[at] < end}
            if not missing:
                return time.monotonic()
            if patience.is_over(missing):
                return None
            await asyncio.sleep(_POLL_S)

    async def run(self) -> None:
        """Follow until cancelled."""
        topic = self._settings.updates_topic
        tps = [TopicPartition(topic, number) for number in self._reached]
        reader = clients.consumer(self._settings)
        await clients.start(reader)
        try:
            reader.assign(tps)
            for tp in tps:
                reader.seek(tp, 0)
            while True:
                try:
                    found = await reader.getmany(timeout_ms=100, max_records=20_000)
                except KafkaError:  # the broker is away: that is what is measured
                    await asyncio.sleep(_POLL_S)
                    continue
                now = time.monotonic()
                for tp, records in found.items():
                    self._see(tp.partition, [one.value for one in records], now)
        finally:
            await reader.stop()

    def _see(self, partition: int, values: list[bytes], now: float) -> None:
        self.per_second[int(now)] += len(values)
        newest = max(self._decoder.decode(value).offset for value in values)
        self._reached[partition] = max(newest, self._reached[partition])
        if partition in self._since:
            self._moved(partition, now)

    def _moved(self, partition: int, now: float) -> None:
        began = self._since[partition]
        if now - began >= NOTED_S:
            self.pauses.append(Pause(partition, began, now - began))
        self._since[partition] = now
