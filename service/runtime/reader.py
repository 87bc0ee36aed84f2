"""The consumer of a shard. It belongs to one partition and one assignment of it.

A reader gets its position once, at its start, and never seeks. It ends with the assignment, so no
seek can overtake a fetch in flight. Its batches have positions [start, end), with control records.
At most `IN_FLIGHT` batches of a reader wait, so that a slow shard does not delay the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from service.contract.input_record import RawRecord
from service.kafka import clients
from service.kafka.aiokafka_ext.batches import UnpackError
from service.kafka.aiokafka_ext.raw_records import raw_consumer
from service.settings import Settings

IN_FLIGHT: Final = 2
_ANSWERED_WITHIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one fetch and their positions [start, end). `reader`: names the assignment."""

    reader: Reader
    partition: int
    records: Sequence[RawRecord]
    start: int
    end: int

    @property
    def is_consistent(self) -> bool:
        """False if records lie outside [start, end): they belong to a fetch of another position."""
        records = self.records
        return not records or self.start <= records[0].offset <= records[-1].offset < self.end

    def release(self) -> None:
        """Let the reader fetch one more batch."""
        self.reader.free.release()


class Reader:
    """Reads one partition from a position into a queue until it is stopped."""

    def __init__(self, settings: Settings, partition: int, queue: asyncio.Queue[Batch]) -> None:
        """`queue`: shared by all readers of the worker."""
        self.free = asyncio.Semaphore(IN_FLIGHT)
        self._settings = settings
        self._source = TopicPartition(settings.input_topic, partition)
        self._queue = queue
        self._consumer: AIOKafkaConsumer | None = None
        self._position = 0

    @property
    def position(self) -> int:
        """Offset after the last record put into the queue."""
        return self._position

    @property
    def end(self) -> int | None:
        """Last stable offset of the partition, or high watermark without one; None if unknown."""
        if self._consumer is None:
            return None
        stable = self._consumer.last_stable_offset(self._source)
        if stable is not None and stable >= 0:
            return int(stable)
        high = self._consumer.highwater(self._source)
        return None if high is None else int(high)

    @property
    def has_fetched(self) -> bool:
        """True if the broker has answered a fetch, with or without records."""
        return self.answered_s > 0

    @property
    def is_answered(self) -> bool:
        """False if the broker has not answered a request for a while."""
        if self._consumer is None or self.free.locked():
            return True
        return time.time() - self.answered_s < _ANSWERED_WITHIN_S

    @property
    def answered_s(self) -> float:
        """When the broker last answered a fetch, in seconds since the epoch; 0: not yet."""
        if self._consumer is None:
            return 0.0
        return (self._consumer.last_poll_timestamp(self._source) or 0) / 1_000

    async def run(self, position: int) -> None:
        """Read from `position` on. Raises if the log start passes the position."""
        self._position = position
        consumer = raw_consumer(self._settings, max_poll_records=self._settings.batch_records)
        try:
            await clients.start(consumer)
            consumer.assign([self._source])
            consumer.seek(self._source, position)
            self._consumer = consumer
            while True:
                await self._next(consumer)
        finally:
            self._consumer = None
            await consumer.stop()

    async def _next(self, consumer: AIOKafkaConsumer) -> None:
        await self.free.acquire()
        try:
            found = await consumer.getmany(self._source, timeout_ms=200)
        except UnpackError:
            for _ in range(IN_FLIGHT - 1):  # until all batches read before are counted
                await self.free.acquire()
            raise
        start, end = self._position, await consumer.position(self._source)
        if end == start:
            self.free.release()
            return
        self._position = end
        self._queue.put_nowait(
            Batch(self, self._source.partition, found.get(self._source, ()), start, end)
        )
