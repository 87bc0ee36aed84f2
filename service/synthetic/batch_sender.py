"""Sends records in batches, each to the partition of its key, and counts what was sent."""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable
from typing import Final, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import UnknownTopicOrPartitionError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from service.errors import UsageError
from service.kafka import clients
from service.kafka.partitioning import partition_of
from service.settings import Settings
from service.synthetic.events import Made

_UNSETTLED: Final = 64
"""Largest number of batches that wait for the broker's response."""
_TRIPS: Final = 4_096
"""Number of batches per partition whose sending time is remembered."""

_STOPPED_WITHIN_S: Final = 5.0
"""All that was settled has arrived. The rest was given up with an exception."""


class Trip(NamedTuple):
    """A batch that was sent and is not yet acknowledged."""

    records: int
    handed_over: float


class Outbox:
    """Collects records with `put` (cheap, no I/O), sends them with `send`, waits with `settle`.

    `sent`: number of records by kind. `ends`: by partition, the offset after the last record that
    arrived.
    """

    def __init__(self, producer: AIOKafkaProducer, topic: str, partitions: int) -> None:
        """`producer`: started, without a transactional id."""
        self.sent: Counter[str] = Counter()
        self.ends: dict[int, int] = {}
        self.partitions = partitions
        self._producer = producer
        self._topic = topic
        self._open: dict[int, BatchBuilder] = {}
        self._full: list[tuple[int, BatchBuilder]] = []
        self._unsettled: list[asyncio.Future[RecordMetadata]] = []
        self._places: dict[bytes, int] = {}
        self._unkeyed = 0
        self._trips: dict[int, deque[tuple[int, float]]] = {}

    def put(self, made: Made, partition: int | None = None) -> None:
        """Add a record to the batch of its partition."""
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

    def partition_of(self, key: bytes) -> int:
        """Return the partition of a key's records."""
        return partition_of(key, self.partitions)

    def put_all(self, records: Iterable[Made]) -> None:
        """Add records, each to the partition of its key."""
        for made in records:
            self.put(made)

    def put_everywhere(self, made: Made) -> None:
        """Add a record to every partition (for heartbeats)."""
        for partition in range(self.partitions):
            self.put(made, partition)

    async def send(self) -> None:
        """Send all batches. Wait while too many are unacknowledged."""
        batches = [*self._full, *self._open.items()]
        self._full, self._open = [], {}
        for partition, batch in batches:
            batch.close()
            future = await self._producer.send_batch(batch, self._topic, partition=partition)
            trip = Trip(batch.record_count(), time.monotonic())
            future.add_done_callback(lambda done, trip=trip: self._arrived(done, trip))
            self._unsettled.append(future)
        if len(self._unsettled) > _UNSETTLED:
            await self.settle()

    async def settle(self) -> None:
        """Wait until the broker has everything. Raises if the broker refused a batch."""
        unsettled, self._unsettled = self._unsettled, []
        await asyncio.gather(*unsettled)

    def sent_at(self, partition: int, offset: int) -> float | None:
        """Return the time.monotonic at which a record was sent; None if not by this outbox."""
        trips = self._trips.get(partition)
        if not trips:
            return None
        index = bisect_right(trips, offset, key=lambda trip: trip[0]) - 1
        return trips[index][1] if index >= 0 else None

    def _arrived(self, done: asyncio.Future[RecordMetadata], trip: Trip) -> None:
        if done.cancelled() or done.exception() is not None:
            return
        arrived = done.result()
        trips = self._trips.setdefault(arrived.partition, deque(maxlen=_TRIPS))
        trips.append((arrived.offset, trip.handed_over))
        end = arrived.offset + trip.records
        self.ends[arrived.partition] = max(end, self.ends.get(arrived.partition, 0))

    def _place(self, key: bytes | None) -> int:
        if key is None:
            self._unkeyed += 1
            return self._unkeyed % self.partitions
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = partition_of(key, self.partitions)
        return place


@contextlib.asynccontextmanager
async def outbox_to(settings: Settings) -> AsyncIterator[Outbox]:
    """Open an outbox to the input topic. UsageError: there is no such topic."""
    producer = clients.producer(settings)
    try:
        await producer.start()
        partitions = await producer.partitions_for(settings.input_topic)
        yield Outbox(producer, settings.input_topic, len(partitions))
    except UnknownTopicOrPartitionError:
        message = f"there is no topic {settings.input_topic}: netfollowers topics create"
        raise UsageError(message) from None
    finally:
        with contextlib.suppress(TimeoutError):  # it waits for what it cannot send any more
            async with asyncio.timeout(_STOPPED_WITHIN_S):
                await producer.stop()
