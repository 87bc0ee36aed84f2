"""Checks which input can be unpacked, with new consumers, also in open transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from service.kafka import clients
from service.kafka.aiokafka_ext import internals
from service.kafka.aiokafka_ext.batches import UnpackError
from service.settings import Settings

_READ_WITHIN_S: Final = 60.0


async def partition_count(settings: Settings) -> int:
    """Partitions of the input."""
    async with _reader(settings) as reader:
        return await internals.partition_count(reader, settings.input_topic)


async def end_of(settings: Settings, tp: TopicPartition) -> int:
    """Return the offset after the last record, also of an open transaction."""
    async with _reader(settings) as reader:
        return int((await reader.end_offsets([tp]))[tp])


async def why_not(settings: Settings, tp: TopicPartition, offset: int) -> str | None:
    """Return why an offset cannot be unpacked; None if it can."""
    async with _reader(settings) as reader, asyncio.timeout(_READ_WITHIN_S):
        reader.assign([tp])
        reader.seek(tp, offset)
        try:
            while await reader.position(tp) <= offset:
                await reader.getmany(tp, timeout_ms=200, max_records=1)
        except UnpackError as error:
            return str(error)
        except OffsetOutOfRangeError:
            return "the log does not hold it"
    return None


@asynccontextmanager
async def _reader(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    reader = clients.consumer(settings, isolation_level="read_uncommitted")
    await clients.start(reader)
    try:
        yield reader
    finally:
        await reader.stop()
