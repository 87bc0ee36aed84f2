"""Sends the outputs of a seal: records are packed into batches, and the order is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation

from service.contract.results import FinishedBatches, Output, OutputRecord, Target


async def send(
    producer: AIOKafkaProducer, own_partition: int, outputs: Iterable[tuple[Target, Output]]
) -> int:
    """Send in this order and wait until all records are stored.

    `own_partition`: of a target that names no partition. Return the bytes of the batches.
    """
    futures: list[asyncio.Future[Any]] = []
    size = 0
    try:
        for target, output in outputs:
            at = target if isinstance(target, tuple) else (target, own_partition)
            batches: Iterable[Any] = (
                output.batches
                if isinstance(output, FinishedBatches)
                else _batches(output, producer)
            )
            topic, partition = at
            for batch in batches:
                size += batch.size()
                futures.append(await producer.send_batch(batch, topic, partition=partition))
    except IllegalOperation:  # what was sent before has ended the transaction, and knows why
        await asyncio.gather(*futures)
        raise
    if futures:
        await asyncio.gather(*futures)
    return size


def _batches(records: Iterable[OutputRecord], producer: AIOKafkaProducer) -> list[Any]:
    """Turn (key, value[, headers]) into closed batches."""
    batches: list[Any] = []
    batch = producer.create_batch()
    for key, value, *headers in records:
        extra = headers[0] if headers else []
        if batch.append(key=key, value=value, timestamp=None, headers=extra) is None:
            batch.close()
            batches.append(batch)
            batch = producer.create_batch()
            added = batch.append(key=key, value=value, timestamp=None, headers=extra)
            assert added is not None, "a record that fits no batch"
    if batch.record_count():
        batch.close()
        batches.append(batch)
    return batches
