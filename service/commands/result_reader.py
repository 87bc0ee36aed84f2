"""Reads result topics like any consumer: read_committed, all partitions, from the beginning."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError

from service.contract.input_record import RawRecord
from service.errors import UsageError
from service.kafka import clients
from service.settings import Settings

FETCH_BYTES: Final = 8 * 1_024 * 1_024
_MOST: Final = 20_000


@asynccontextmanager
async def reader_of(settings: Settings, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Open a consumer of all partitions of a topic, at its beginning."""
    consumer = clients.raw_consumer(
        settings, auto_offset_reset="earliest", max_partition_fetch_bytes=FETCH_BYTES
    )
    consumer.subscribe([topic])
    try:
        await consumer.start()
        yield consumer
    except UnknownTopicOrPartitionError:
        message = f"there is no topic {topic}: netfollowers topics create"
        raise UsageError(message) from None
    finally:
        await consumer.stop()


async def read_all(settings: Settings, topic: str) -> AsyncIterator[Sequence[RawRecord]]:
    """Yield the records that are on the topic now, in batches of one partition."""
    async with reader_of(settings, topic) as consumer:
        ends: dict[TopicPartition, int] = {}
        while True:
            found = await consumer.getmany(timeout_ms=100, max_records=_MOST)
            for records in found.values():
                yield records
            for tp in consumer.assignment() - ends.keys():
                end = _end(settings, consumer, tp)
                if end is not None:
                    ends[tp] = end
            if ends.keys() == consumer.assignment() and await _is_read(consumer, ends):
                return


def _end(settings: Settings, consumer: AIOKafkaConsumer, tp: TopicPartition) -> int | None:
    """Return the end of the committed records; None before the first response.

    It comes from responses to fetches, because the embedded broker answers ListOffsets wrongly.
    """
    high: int | None = consumer.highwater(tp)
    if high is None or not settings.is_exactly_once:
        return high
    stable: int | None = consumer.last_stable_offset(tp)
    return high if stable is None or stable < 0 else stable


async def _is_read(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    for tp, end in ends.items():
        if await consumer.position(tp) < end:
            return False
    return True
