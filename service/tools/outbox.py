"""Sends made records in batches, each to the partition of its key, and counts what was sent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder

from service.tools.generate import Made

_POSITIVE: Final = 0x7FFFFFFF
_UNSETTLED: Final = 64
"""So many batches may wait for the broker's answer."""


def partition_of(key: bytes, partitions: int) -> int:
    """Partition of a key, as Kafka's own clients choose it (murmur2)."""
    return int(murmur2(key) & _POSITIVE) % partitions


class Outbox:
    """`put` is cheap and synchronous; `send` hands over what is there; `settle` waits for it."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partitions: int) -> None:
        """Take a started producer without a transactional id."""
        self.sent: Counter[str] = Counter()
        self.partitions = partitions
        self._producer = producer
        self._topic = topic
        self._open: dict[int, BatchBuilder] = {}
        self._full: list[tuple[int, BatchBuilder]] = []
        self._unsettled: list[asyncio.Future[object]] = []
        self._places: dict[bytes, int] = {}
        self._unkeyed = 0

    def put(self, made: Made, partition: int | None = None) -> None:
        """Add a record to its partition's batch."""
        place = self._place(made.key) if partition is None else partition
        batch = self._open.get(place)
        if batch is None:
            batch = self._open[place] = self._producer.create_batch()
        self.sent[made.kind] += 1
        key, value, headers, kind = made
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
            self._full.append((place, batch))
            batch = self._open[place] = self._producer.create_batch()
            accepted = batch.append(timestamp=None, key=key, value=value, headers=headers)
            assert accepted is not None, f"a record of kind {kind} is larger than a batch"

    def put_all(self, records: Iterable[Made]) -> None:
        """Add records, each to the partition of its key."""
        for made in records:
            self.put(made)

    def put_everywhere(self, made: Made) -> None:
        """Add a record to every partition (a heartbeat)."""
        for partition in range(self.partitions):
            self.put(made, partition)

    async def send(self) -> None:
        """Hand over all batches; waits while too many are unanswered."""
        batches = [*self._full, *self._open.items()]
        self._full, self._open = [], {}
        for partition, batch in batches:
            batch.close()
            future = await self._producer.send_batch(batch, self._topic, partition=partition)
            self._unsettled.append(future)
        if len(self._unsettled) > _UNSETTLED:
            await self.settle()

    async def settle(self) -> None:
        """Wait until the broker has everything; raises what the broker refused."""
        unsettled, self._unsettled = self._unsettled, []
        await asyncio.gather(*unsettled)

    def _place(self, key: bytes | None) -> int:
        if key is None:
            self._unkeyed += 1
            return self._unkeyed % self.partitions
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = partition_of(key, self.partitions)
        return place
